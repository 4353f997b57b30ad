"""A directory of advisories: what changes is read, what breaks or goes missing for a moment stays in force."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.policy import advisories as advisories_module
from simpleindex.policy.advisories import GRACE, AdvisoryDirectory
from simpleindex.policy.osv import InvalidAdvisory
from simpleindex.system.clocks import Clocks
from simpleindex.system.stamp import Stamp
from tests.fixtures.trees import FAR_NS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.log import CapturedLog

ACME = ProjectName("acme")


class AdvisoriesFixture:
    """A directory with one advisory, about acme 1.0, read; what was logged since; a clock."""

    def __init__(self, path: Path, log: CapturedLog) -> None:
        self.path = path / "osv"
        self.time = 0.0
        self.now_ns = FAR_NS
        self.log = log
        self.write("one", "1.0")
        self.directory = AdvisoryDirectory(
            str(self.path), Clocks(lambda: self.time, now_ns=lambda: self.now_ns)
        )
        self.directory.open()
        assert self.said() == [f"Advisories read from {self.path}: 1."]

    def write(self, name: str, *versions: str) -> Path:
        """An advisory about versions of acme."""
        affected = [{"package": {"ecosystem": "PyPI", "name": "acme"}, "versions": versions}]
        return self.write_text(name, json.dumps({"id": name.upper(), "affected": affected}))

    def write_text(self, name: str, text: str) -> Path:
        """A file of it, in place of one that may be there."""
        path = self.path / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        return path

    def bad(self, wait: float = 10.0) -> list[str]:
        """The versions that are affected, after a look."""
        self.time += wait
        self.directory.refresh()
        current = self.directory.current()
        return [each for each in ("1.0", "2.0", "3.0") if current.version_reason(ACME, each) is not None]

    def said(self) -> list[str]:
        """What was logged since this was asked last."""
        lines = self.log.lines
        self.log.clear()
        return lines


@pytest.fixture
def world(tmp_path: Path, log: CapturedLog) -> AdvisoriesFixture:
    """One for each test."""
    return AdvisoriesFixture(tmp_path, log)


def test_what_changes_is_read(world: AdvisoriesFixture) -> None:
    """Also in directories below; the same object as long as nothing changes."""
    first = world.directory.current()
    assert world.bad() == ["1.0"]
    assert world.directory.current() is first
    world.write("2026/two", "2.0")
    assert world.bad() == ["1.0", "2.0"]
    world.write("one", "3.0")
    assert world.bad() == ["2.0", "3.0"]
    assert world.said() == [f"Advisories read again from {world.path}: 2."] * 2


def test_what_is_no_advisory_is_passed_over(world: AdvisoriesFixture, tmp_path: Path) -> None:
    """Other files, hidden ones, links to directories, and what is no file; a link to a file is one."""
    world.write_text(".hidden", "{")
    world.write_text(".git/config", "{")
    (world.path / "README.md").write_text("x")
    os.mkfifo(world.path / "pipe.json")
    other = tmp_path / "other"
    other.mkdir()
    (other / "bad.json").write_text("{")
    (world.path / "linked").symlink_to(other)
    assert world.bad() == ["1.0"]
    assert world.said() == []
    target = world.write("2026/two", "2.0").rename(other / "two")
    (world.path / "2026" / "two.json").symlink_to(target)
    assert world.bad() == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "it is not JSON: "),
        ("{}", "it is not an advisory in the OSV format"),
        (" " * 101, "it has more than 0 MiB"),
    ],
)
def test_a_broken_one(
    world: AdvisoriesFixture, monkeypatch: pytest.MonkeyPatch, content: str, reason: str
) -> None:
    """It is said once, and what it stated before stays in force until it says something else."""
    path = world.write_text("one", content)
    monkeypatch.setattr(advisories_module, "_LARGEST", 100)
    for _ in range(2):
        assert world.bad() == ["1.0"]
    # The same again is said no second time.
    world.write_text("one", content)
    assert world.bad() == ["1.0"]
    (line,) = world.said()
    assert line.startswith(f"The advisory {path} is not valid: {reason}")
    monkeypatch.undo()
    world.write("one", "2.0")
    assert world.bad() == ["2.0"]
    world.write_text("one", "{")
    world.bad()
    assert len(world.said()) == 2


def test_one_that_is_mended_with_the_same_bytes(world: AdvisoriesFixture) -> None:
    """What it said is known still."""
    world.write_text("one", "{")
    world.bad()
    world.write("one", "1.0")
    assert world.bad() == ["1.0"]
    world.write_text("one", "{")
    world.bad()
    assert len(world.said()) == 2


def test_many_broken_ones(world: AdvisoriesFixture) -> None:
    """Five are named."""
    for number in range(8):
        world.write_text(f"bad{number}", "{")
    world.bad()
    said = world.said()
    assert len(said) == 6
    assert said[-1] == f"3 more files in {world.path} are not valid either."


def test_one_that_cannot_be_read(world: AdvisoriesFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a broken one."""

    def content(path: str) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    path = world.write("one", "2.0")
    monkeypatch.setattr(advisories_module, "_content", content)
    assert world.bad() == ["1.0"]
    assert world.said() == [f"The advisory {path} is not valid: it cannot be read (Permission denied)."]
    monkeypatch.undo()
    os.utime(path)
    assert world.bad() == ["2.0"]


def test_one_that_goes_while_it_is_listed(world: AdvisoriesFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is as gone as if it had not been."""
    world.write("two", "2.0")

    def stamp(status: os.stat_result) -> Stamp:
        if status.st_ino == (world.path / "two.json").stat().st_ino:
            raise FileNotFoundError
        return Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_nlink)

    monkeypatch.setattr(Stamp, "of", stamp)
    assert world.bad() == ["1.0"]
    assert world.said() == []


def test_same_bytes_are_not_parsed_again(world: AdvisoriesFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpacking an archive every hour changes the state of every file."""
    parsed: list[bytes] = []
    monkeypatch.setattr(advisories_module, "parse_advisory", parsed.append)
    first = world.directory.current()
    world.write("one", "1.0")
    assert world.bad() == ["1.0"]
    assert parsed == []
    assert world.directory.current() is first
    assert world.said() == []


def test_a_young_file_is_read_again(world: AdvisoriesFixture) -> None:
    """Its next change may leave its state as it was."""
    path = world.write("one", "2.0")
    status = path.stat()
    world.now_ns = status.st_mtime_ns
    assert world.bad() == ["2.0"]
    with path.open("r+") as file:
        file.write(path.read_text().replace("2.0", "3.0"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert world.bad() == ["3.0"]


def test_what_is_gone_stays_in_force_for_a_while(world: AdvisoriesFixture) -> None:
    """For the directory may be half-way to its next state; coming back it counts anew."""
    path = world.write("two", "2.0")
    world.bad()
    away = path.with_name("away")
    for _ in range(2):
        path.rename(away)
        assert world.bad() == ["1.0", "2.0"]
        assert world.bad(GRACE - 1) == ["1.0", "2.0"]
        away.rename(path)
        assert world.bad() == ["1.0", "2.0"]
    path.unlink()
    assert world.bad() == ["1.0", "2.0"]
    assert world.bad(GRACE) == ["1.0"]
    assert world.said()[-1] == f"Advisories read again from {world.path}: 1."


@pytest.mark.parametrize("empty", [True, False])
def test_a_directory_without_any(world: AdvisoriesFixture, empty: bool) -> None:
    """Everything stays in force, however long; that is said once, and that it is over."""
    (world.path / "one.json").unlink()
    if not empty:
        shutil.rmtree(world.path)
    for _ in range(3):
        assert world.bad(GRACE) == ["1.0"]
    reason = "has no .json file in it" if empty else "cannot be read (No such file or directory)"
    assert world.said() == [
        f"The directory of advisories {world.path} {reason}: its last valid content stays in force."
    ]
    world.write("two", "2.0")
    # Only now it is known that one was taken out.
    assert world.bad() == ["1.0", "2.0"]
    assert world.bad(GRACE) == ["2.0"]
    assert f"The directory of advisories {world.path} is valid again." in world.said()


def test_a_start_without_any(tmp_path: Path) -> None:
    """It is refused: a directory that was named by mistake must not pass for one without advisories."""
    directory = AdvisoryDirectory(str(tmp_path))
    with pytest.raises(InvalidAdvisory, match=r"has no \.json file in it"):
        directory.open()
    with pytest.raises(FileNotFoundError):
        AdvisoryDirectory(str(tmp_path / "none")).open()
