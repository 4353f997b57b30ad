"""A project that lies there as it lay is taken as it was made of it then; all else is put together anew."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.core.views import LOCAL
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ProjectSnapshot, ScanJob
from tests.fixtures.distributions import add_sdist, add_wheel, put, wheel_bytes, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.log import log_with
from tests.fixtures.trees import FAR_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from simpleindex.core.files import File

ACME = ProjectName("acme")
WHEEL = wheel_name()


class Starts:
    """A root that is read at one start after another."""

    def __init__(self, place: Path) -> None:
        self.root = place / "root"
        self.root.mkdir()
        self.cache = place / "cache"
        self.now_ns = FAR_NS
        self.source = LOCAL
        self.digests = self.opened()

    def opened(self) -> DigestCache:
        """The memory, as after a start."""
        digests = DigestCache(str(self.cache), str(self.root), log_with(pytest.fail))
        digests.open()
        return digests

    def read(
        self, previous: ProjectSnapshot = NO_SNAPSHOT, *, verify: bool = False
    ) -> tuple[ProjectSnapshot, bool]:
        """The project, and whether it had to be put together."""
        directory = PackageDirectory(str(self.root))
        survey = directory.survey()
        reader = Scanner(
            directory, self.digests, lambda: self.now_ns, self.source, examiner=InProcessExaminer()
        )
        kept: list[str] = []
        recall = self.digests.recall

        def counted(*arguments: object) -> object:
            kept.append("recalled file by file")
            return recall(*arguments)  # type: ignore[arg-type]

        self.digests.recall = counted  # type: ignore[method-assign, assignment]
        try:
            places = survey.directories.get(ACME, ()), survey.loose.get(ACME, ())
            snapshot = reader.read_project(
                ScanJob(ACME, *places, previous), budget=2**30, generation=7, verify=verify
            )
        finally:
            self.digests.recall = recall  # type: ignore[method-assign]
        return snapshot, bool(kept)

    def rows(self, statement: str) -> None:
        """Change what is kept."""
        self.digests.close()
        connection = sqlite3.connect(self.cache / "digests.sqlite3")
        assert connection.execute(statement).rowcount == 1
        connection.commit()
        connection.close()
        self.digests = self.opened()


@pytest.fixture
def starts(tmp_path: Path) -> Iterator[Starts]:
    """A wheel with a signature, and an sdist."""
    starts = Starts(tmp_path)
    add_wheel(starts.root)
    put(starts.root / "acme" / f"{WHEEL}.asc", b"signature")
    add_sdist(starts.root, version="2.0")
    yield starts
    starts.digests.close()


def test_what_rests_is_the_same_at_the_next_start(starts: Starts) -> None:
    """Its files, what is known of them and where they lie; only the number of the change is this start's."""
    first, put_together = starts.read()
    assert put_together
    second, put_together = starts.read()
    assert not put_together
    assert second == first
    assert (second.chosen, list(second.known.withheld)) == (first.chosen, [])
    assert second.project is not None
    assert (second.project.generation, len(second.project.files)) == (7, 2)
    assert second.project.files[0].signatures == (".asc",)


def test_a_start_unpacks_no_files(starts: Starts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are they when the digests of deleted files are deleted; it took a third of the processor time of a start."""
    starts.read()
    monkeypatch.setattr("simpleindex.core.packed._file", pytest.fail)
    snapshot, put_together = starts.read()
    starts.digests.forget_others(snapshot.known)
    assert not put_together
    assert len(snapshot.known) == 3


CHANGES: dict[str, Callable[[Path], object]] = {
    "another file": lambda acme: put(acme / wheel_name(version="3.0"), wheel_bytes(version="3.0")),
    "a file gone": lambda acme: (acme / WHEEL).unlink(),
    "a side file gone": lambda acme: (acme / f"{WHEEL}.asc").unlink(),
    "a file written in place": lambda acme: (acme / WHEEL).write_bytes(
        wheel_bytes("acme", "1.0", "Summary: x")
    ),
    "a time set": lambda acme: os.utime(acme / WHEEL, ns=(5, 5)),
    "a second link": lambda acme: os.link(acme / WHEEL, acme.parent / "elsewhere"),
    "rules": lambda acme: put(acme / "simpleindex.toml", b'status = "archived"'),
    "a second spelling": lambda acme: (acme.parent / "ACME").mkdir(),
    "a loose file": lambda acme: put(acme.parent / wheel_name(version="4.0"), wheel_bytes(version="4.0")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changed_is_seen(starts: Starts, change: str) -> None:
    """The answer is that of a start without any memory."""
    starts.read()
    CHANGES[change](starts.root / "acme")
    snapshot, put_together = starts.read()
    assert put_together
    starts.digests.forget_others([])
    assert snapshot.project == starts.read()[0].project


KEPT_BACK: dict[str, Callable[[Path], object]] = {
    "a withheld file": lambda acme: put(acme / "acme-9.0.zip", b"broken"),
    "rules": lambda acme: put(acme / "simpleindex.toml", b'status = "archived"'),
    "a loose file": lambda acme: put(acme.parent / wheel_name(version="4.0"), wheel_bytes(version="4.0")),
    "a second spelling": lambda acme: (acme.parent / "ACME").mkdir(),
}


@pytest.mark.parametrize("case", KEPT_BACK)
def test_what_is_more_than_files_is_not_kept(starts: Starts, case: str) -> None:
    """It is judged anew at each start."""
    KEPT_BACK[case](starts.root / "acme")
    first, _ = starts.read()
    second, put_together = starts.read()
    assert put_together
    assert second == first


def test_what_is_young_is_kept_once_it_rests(starts: Starts) -> None:
    """A change within the same tick would leave this very state."""
    starts.now_ns = (starts.root / "acme").stat().st_mtime_ns
    young, _ = starts.read()
    assert starts.read()[1]
    starts.now_ns = FAR_NS
    starts.read(replace(young, young=True))
    third, _ = starts.read()
    assert not third.young


def test_a_change_while_it_runs_is_kept_for_the_next_start(starts: Starts) -> None:
    """Not only what the first look of a process finds."""
    first, _ = starts.read()
    put(starts.root / "acme" / wheel_name(version="3.0"), wheel_bytes(version="3.0"))
    later, _ = starts.read(first)
    again, put_together = starts.read()
    assert not put_together
    assert again.project == later.project
    assert again.project != first.project


def test_what_was_verified_is_kept_as_it_is_now(starts: Starts) -> None:
    """After a hard-link backup nothing is new but the state, and each later start would find it changed."""
    starts.read()
    os.link(starts.root / "acme" / WHEEL, starts.root.parent / "backup")
    later, _ = starts.read()
    assert later.unverified
    verified, _ = starts.read(later, verify=True)
    assert verified.project is later.project
    again, put_together = starts.read()
    assert not put_together
    assert again == verified


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE resting SET known = x'00'",
        "UPDATE resting SET known = 'text'",
        "UPDATE resting SET files = x'00'",
        "UPDATE resting SET files = CAST(x'00' || files AS BLOB)",
        "UPDATE resting SET known = CAST(known || substr(files, 1, 1) AS BLOB), files = substr(files, 2)",
        "UPDATE resting SET number = '3'",
        "UPDATE resting SET size = 'x'",
        "UPDATE resting SET checksum = x'00'",
        "UPDATE resting SET state = x'00'",
        "DELETE FROM resting",
    ],
)
def test_a_damaged_row_is_not_believed(starts: Starts, damage: str) -> None:
    """The project is put together from facts, and kept again."""
    first, _ = starts.read()
    starts.rows(damage)
    second, put_together = starts.read()
    assert put_together
    assert second == first
    assert not starts.read()[1]


def test_what_is_gone_is_forgotten(starts: Starts) -> None:
    """With its directory, and only then."""
    starts.read()
    starts.digests.forget_others([f"acme/{WHEEL}"])
    assert not starts.read()[1]
    starts.digests.forget_others(["other/other-1.0.zip"])
    assert starts.read()[1]


def test_a_directory_that_is_called_otherwise(starts: Starts) -> None:
    """Its files say whose they are, so nothing is taken from what was kept under another name."""
    assert {file.source for file in files_of(starts)} == {"local"}
    starts.source = "staging"
    snapshot, was_made = starts.read()
    assert was_made
    assert snapshot.project is not None
    assert {file.source for file in snapshot.project.files} == {"staging"}
    again, was_made = starts.read()
    assert not was_made
    assert again.project == snapshot.project
    starts.source = LOCAL
    assert {file.source for file in files_of(starts)} == {"local"}


def files_of(starts: Starts) -> Sequence[File]:
    """The files of the project."""
    snapshot, _ = starts.read()
    assert snapshot.project is not None
    return snapshot.project.files
