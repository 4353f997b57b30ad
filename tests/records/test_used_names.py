"""Names that were ever used by projects here."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.used_names import UsedNames

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.log import CapturedLog

ACME, OTHER = ProjectName("acme"), ProjectName("other")


def test_remembered(tmp_path: Path, log: CapturedLog) -> None:
    """For good, also in another process, which adds its own."""
    one, two = (UsedNames(RecordsDatabase(str(tmp_path / "state"))) for _ in range(2))
    assert not one.has(ACME)
    one.add([ACME])
    one.add([ACME])
    assert one.has(ACME)
    two.add([OTHER])
    assert two.has(ACME)
    one.add([ProjectName("third")])
    assert one.has(OTHER)
    assert UsedNames(RecordsDatabase(str(tmp_path / "state"))).has(ProjectName("third"))
    assert log.lines == []


def test_what_cannot_be_told(tmp_path: Path, log: CapturedLog) -> None:
    """It is not "no", and what was seen by this process is its own; that nothing can be written is logged once."""
    (tmp_path / "records.sqlite3").write_bytes(b"no database at all, and long enough to be looked at" * 10)
    used = UsedNames(RecordsDatabase(str(tmp_path)))
    for _ in range(2):
        used.add([ACME])
        assert used.has(ACME)
        with pytest.raises(Unavailable):
            used.has(OTHER)
    assert len(log.lines) == 1


def test_names_that_cannot_be_written_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: CapturedLog
) -> None:
    """They are used all the same, and written as soon as there is room; the log has the cause and the remedy."""
    database = RecordsDatabase(str(tmp_path))
    names = UsedNames(database)
    names.add([ProjectName("first")])

    def refuse(_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(database.writer, "write", refuse)
        for _ in range(2):
            names.add([ProjectName("second")])
    (sentence,) = log.lines
    assert "(database or disk is full)" in sentence
    assert sentence.endswith("make room on its disk, or raise the quota.")
    assert names.has(ProjectName("second"))
    names.add([])
    database.close()
    again = UsedNames(RecordsDatabase(str(tmp_path)))
    assert [again.has(ProjectName(name)) for name in ("first", "second", "third")] == [True, True, False]


def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    """A full disk passes; what was seen meanwhile is not lost."""
    state = tmp_path / "state"
    state.write_text("in the way")
    used = UsedNames(RecordsDatabase(str(state)))
    used.add([ACME])
    assert used.has(ACME)
    assert not used.is_stored(ACME)
    state.unlink()
    used.add([])
    assert used.is_stored(ACME)
    assert UsedNames(RecordsDatabase(str(state))).has(ACME)
