"""The users file on disk: taken up when it changes, kept when it breaks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.access import followed
from simpleindex.access.followed import follow_users
from simpleindex.core.errors import RefusedStart
from simpleindex.system import followed_file
from simpleindex.system.clocks import Clocks
from simpleindex.system.followed_file import MAXIMUM_SIZE
from tests.fixtures.trees import FAR_NS, SPECIAL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.log import CapturedLog

HASH = "$2b$12$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"


class UsersFileFixture:
    """A users file, a clock, and what was logged."""

    def __init__(self, path: Path, log: CapturedLog) -> None:
        self.path = path
        self.log = log
        self.time = 0.0
        self.now_ns = FAR_NS
        clocks = Clocks(lambda: self.time, now_ns=lambda: self.now_ns)
        self.users = follow_users(str(path), clocks)

    def names(self, wait: float = 1.0) -> list[str]:
        """Who is a user after a while."""
        self.time += wait
        return list(self.users.current().hashes)


@pytest.fixture
def world(tmp_path: Path, log: CapturedLog) -> UsersFileFixture:
    """One with one user, read."""
    path = tmp_path / "users"
    path.write_text(f"alice:{HASH}\n")
    return UsersFileFixture(path, log)


def test_it_is_read_again_when_it_changes(world: UsersFileFixture) -> None:
    """Within a second, whether it is written in place or replaced."""
    assert world.names(0) == ["alice"]
    world.path.write_text(f"alice:{HASH}\nbob:{HASH}\n")
    assert world.names(0.5) == ["alice"]
    assert world.names(0.5) == ["alice", "bob"]
    other = world.path.with_name("other")
    other.write_text(f"carol:{HASH}\n")
    other.replace(world.path)
    assert world.names() == ["carol"]
    assert world.log.lines == []


def test_it_is_looked_at_once_a_second(world: UsersFileFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not read while it stays as it is."""
    looks: list[str] = []
    reads: list[str] = []
    stat = os.stat

    def look(path: str) -> os.stat_result:
        looks.append(path)
        return stat(path)

    monkeypatch.setattr(os, "stat", look)
    monkeypatch.setattr(followed_file, "read_text_file", reads.append)
    for _ in range(30):
        world.names(0.1)
    assert 2 <= len(looks) <= 3
    assert reads == []


def test_a_young_file_is_read_again(world: UsersFileFixture) -> None:
    """Its next change may leave the time stamp as it is."""
    stamp = world.path.stat().st_mtime_ns
    world.now_ns = stamp + 1_000_000_000
    world.path.write_text(f"bobby:{HASH}\n")
    assert world.names() == ["bobby"]
    with world.path.open("r+") as file:
        file.write("carol")
    os.utime(world.path, ns=(stamp, stamp))
    assert world.names() == ["carol"]


def test_refused_lines_are_said_once(world: UsersFileFixture) -> None:
    """With the file's name; again only when there is a new one."""
    for content in ("bob:x\n", "bob:x\ncarol:y\n"):
        world.path.write_text(f"alice:{HASH}\n{content}")
        assert world.names() == ["alice"]
        assert world.names() == ["alice"]
    assert [line.partition(" is refused")[0] for line in world.log.lines] == [
        f"{world.path}: line 2: 'bob'",
        f"{world.path}: line 3: 'carol'",
    ]


def test_a_broken_file_changes_nothing(world: UsersFileFixture) -> None:
    """Gone, empty, no text, too large: said once each, and over when it is."""
    world.path.unlink()
    assert world.names() == ["alice"]
    assert world.names() == ["alice"]
    for content in (b"", b"\n", b"bob:\0", b"#" * (MAXIMUM_SIZE + 1)):
        world.path.write_bytes(content)
        assert world.names() == ["alice"]
    assert [line.partition("(")[2].partition(")")[0] for line in world.log.lines] == [
        "No such file or directory",
        "it is empty; write a comment into it if that is meant",
        "it is not text",
        f"it is larger than {MAXIMUM_SIZE} bytes",
    ]
    assert all(line.endswith("its last valid content stays in force.") for line in world.log.lines)
    world.path.write_text("# nobody\n")
    assert world.names() == []
    world.path.unlink()
    assert world.names() == []
    assert len(world.log.lines) == 5


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file(world: UsersFileFixture, kind: str) -> None:
    """It is not waited for, and no descriptor is left behind."""
    world.path.unlink()
    SPECIAL[kind](world.path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        assert world.names() == ["alice"]
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(world.log.lines) == 1


def test_the_start_is_refused(tmp_path: Path, log: CapturedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody could log in; it is said what to do."""
    with pytest.raises(RefusedStart, match=r"No such file or directory.*simpleindex passwd --users"):
        UsersFileFixture(tmp_path / "users", log)
    (tmp_path / "users").touch()
    with pytest.raises(RefusedStart, match="it is empty"):
        UsersFileFixture(tmp_path / "users", log)

    def refuse() -> None:
        raise RefusedStart("no libraries")

    monkeypatch.setattr(followed, "require_libraries", refuse)
    with pytest.raises(RefusedStart, match="no libraries"):
        UsersFileFixture(tmp_path / "users", log)
