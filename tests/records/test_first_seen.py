"""When files were first seen: once and for all, for each set of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.policy.judgement import Allowance
from simpleindex.records import first_seen
from simpleindex.records.allowances import AllowanceTable
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.first_seen import FirstSeen
from simpleindex.records.owners import OwnerTable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.log import CapturedLog

ACME = ProjectName("acme")
INDEX = "https://index.example/simple/"


@pytest.fixture
def seen(tmp_path: Path) -> FirstSeen:
    """In an empty state directory."""
    return FirstSeen(RecordsDatabase(str(tmp_path / "state")))


def test_once_and_for_all(seen: FirstSeen, tmp_path: Path, log: CapturedLog) -> None:
    """A time never moves, neither later nor in another process; what comes later has its own."""
    assert seen.times(INDEX, ACME, {"a": "x", "b": ""}, 5) == {"a": 5, "b": 5}
    assert seen.times(INDEX, ACME, {"a": "x", "c": "z"}, 9) == {"a": 5, "c": 9}
    other = FirstSeen(RecordsDatabase(str(tmp_path / "state")))
    assert other.times(INDEX, ACME, {"a": "x", "b": "", "c": "z"}, 1) == {"a": 5, "b": 5, "c": 9}
    assert other.times(INDEX, ACME, {}, 1) == {}
    assert log.lines == []


def test_other_bytes_are_another_file(seen: FirstSeen) -> None:
    """Else a file that is replaced would be as old as the one before; the one before is still as old when it comes back."""
    seen.times(INDEX, ACME, {"a": "x"}, 5)
    assert seen.times(INDEX, ACME, {"a": "y"}, 9) == {"a": 9}
    assert seen.times(INDEX, ACME, {"a": "x"}, 11) == {"a": 5}


def test_each_index_and_project_by_itself(seen: FirstSeen) -> None:
    """What one index had tells nothing of another."""
    seen.times(INDEX, ACME, {"a": "x"}, 5)
    assert seen.times("https://other.example/", ACME, {"a": "x"}, 6) == {"a": 6}
    assert seen.times(INDEX, ProjectName("other"), {"a": "x"}, 7) == {"a": 7}


def test_bounded(seen: FirstSeen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that nothing is remembered, and so nothing is said."""
    monkeypatch.setattr(first_seen, "_MOST", 3)
    seen.times(INDEX, ACME, {"a": "", "b": ""}, 5)
    assert seen.times(INDEX, ACME, {"a": "", "c": "", "d": ""}, 6) == {"a": 5, "c": 6}


def test_where_nothing_can_be_kept(tmp_path: Path, log: CapturedLog) -> None:
    """It is said once, and no time is made up; once it can, it is."""
    (tmp_path / "state").write_text("no directory")
    seen = FirstSeen(RecordsDatabase(str(tmp_path / "state")))
    for _ in range(2):
        assert seen.times(INDEX, ACME, {"a": "x"}, 5) == {}
    assert len(log.lines) == 1
    assert "no rule about their age lets them pass" in log.lines[0]
    (tmp_path / "state").unlink()
    assert seen.times(INDEX, ACME, {"a": "x"}, 6) == {"a": 6}


def test_in_records_of_before(tmp_path: Path) -> None:
    """Records that were made before there was such a table get it with the first change."""
    import sqlite3

    database = RecordsDatabase(str(tmp_path))
    owners, allowances = OwnerTable(database), AllowanceTable(database)
    owners.claim(ACME, "alice", 1.0)
    database.close()
    connection = sqlite3.connect(tmp_path / "records.sqlite3")
    connection.executescript("DROP TABLE first_seen; DROP TABLE allowances")
    connection.close()
    assert allowances.active(0.0) == ()
    assert FirstSeen(RecordsDatabase(str(tmp_path))).times(INDEX, ACME, {"a": "x"}, 5) == {"a": 5}
    allowances.add(Allowance(ACME, None, 9.5, "me", "why"))
    assert allowances.active(1.0) == (Allowance(ACME, None, 10.0, "me", "why"),)
    assert owners.owner(ACME) == "alice"
