"""Files that are followed, by the example of an access file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.access.followed import follow_access
from simpleindex.access.identity import ANYONE, Action
from simpleindex.core.errors import RefusedStart
from simpleindex.core.names import ProjectName
from simpleindex.system.clocks import Clocks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.log import CapturedLog

OPEN = "# everybody reads\n"
CLOSED = "private = true\n"
ACME = ProjectName("acme")


class AccessFileFixture:
    """A file, and a clock that tests turn; files are as old as they say."""

    def __init__(self, path: Path, log: CapturedLog) -> None:
        self.path = path / "access.toml"
        self.log = log
        self.now = 100.0
        self.now_ns = 2_000_000_000_000_000_000
        self.stamp = 0

    def open(self) -> None:
        """Read the file for the first time."""
        clocks = Clocks(lambda: self.now, now_ns=lambda: self.now_ns)
        self.rules = follow_access(str(self.path), clocks)

    def write(self, text: str) -> None:
        """Put another file in its place."""
        aside = self.path.with_suffix(".new")
        aside.write_text(text)
        self.stamp += 1
        os.utime(aside, ns=(0, 1_000_000_000_000_000_000 + self.stamp))
        aside.rename(self.path)

    def later(self, seconds: float = 1.0) -> bool:
        """Let time pass; whether strangers may read then."""
        self.now += seconds
        return self.rules.current().decide(ANYONE, Action.READ, ACME, None).allowed

    def taken(self) -> list[str]:
        lines = self.log.lines
        self.log.clear()
        return lines


@pytest.fixture
def world(tmp_path: Path, log: CapturedLog) -> AccessFileFixture:
    """One whose file lets everybody read."""
    made = AccessFileFixture(tmp_path, log)
    made.write(OPEN)
    return made


def test_reading_again(world: AccessFileFixture) -> None:
    """A change is obeyed within a second, and said; the file is looked at once in that."""
    world.open()
    assert world.later()
    world.write(CLOSED)
    assert world.later(0.5)
    assert not world.later(0.5)
    assert len(world.taken()) == 1
    world.write(OPEN)
    assert not world.later(0.9)
    assert world.later(0.2)
    assert world.taken() == [f"The access file {world.path} was read again."]


def test_the_same_object(world: AccessFileFixture) -> None:
    """What says the same is the same, however often it is written: what was made by it stays good."""
    world.open()
    first = world.rules.current()
    for text in (OPEN, "# another comment\n", f"private = false\n{OPEN}"):
        world.write(text)
        assert world.later()
        assert world.rules.current() is first
    assert world.taken() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [("private = tru\n", "not valid TOML"), ("[[rule]]\nproject = []\n", "unknown key"), ("", "empty")],
)
def test_broken(world: AccessFileFixture, text: str, words: str) -> None:
    """What it said before stays in force; that is said once, and once more when it is another trouble."""
    world.write(CLOSED)
    world.open()
    world.write(text)
    for _ in range(3):
        assert not world.later()
    (told,) = world.taken()
    assert words in told
    assert "stays in force" in told
    world.path.unlink()
    for _ in range(3):
        assert not world.later()
    (told,) = world.taken()
    assert "No such file" in told
    world.write(OPEN)
    assert world.later()
    assert world.taken() == [f"The access file {world.path} was read again."]
    world.write(text)
    assert world.later()
    assert len(world.taken()) == 1


def test_mended(world: AccessFileFixture) -> None:
    """A file that is whole again and says what it said: that is over, and its next trouble is told again."""
    world.open()
    for _ in range(2):
        world.write("[")
        assert world.later()
        assert len(world.taken()) == 1
        world.write(OPEN)
        assert world.later()
        assert world.taken() == [f"The access file {world.path} is valid again."]


def test_a_young_file(world: AccessFileFixture) -> None:
    """Within a tick of its last change it may change again without another time stamp: it is read until that is over."""
    world.path.write_text(OPEN)
    status = world.path.stat()
    world.now_ns = status.st_mtime_ns + 1
    world.open()
    with world.path.open("r+") as stream:
        stream.write("private = true  \n"[: len(OPEN)])
    os.utime(world.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not world.later()


@pytest.mark.parametrize("text", [None, "private = 1\n", ""])
def test_a_start_with_a_broken_one(world: AccessFileFixture, text: str | None) -> None:
    """Nothing is served by rules that nobody has read."""
    if text is None:
        world.path.unlink()
    else:
        world.write(text)
    with pytest.raises(RefusedStart, match=str(world.path)):
        world.open()


def test_what_is_no_file(world: AccessFileFixture) -> None:
    """A directory or a FIFO is refused without waiting."""
    world.path.unlink()
    os.mkfifo(world.path)
    with pytest.raises(RefusedStart, match="not a regular file"):
        world.open()
