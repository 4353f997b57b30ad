"""When files were first seen: once and for all, for each set of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.policy.judgement import Allowance
from simpleindex.records import first_seen
from simpleindex.records.first_seen import FirstSeen
from simpleindex.records.people import Records

if TYPE_CHECKING:
    from pathlib import Path

ACME = ProjectName("acme")
INDEX = "https://index.example/simple/"


@pytest.fixture
def said() -> list[str]:
    """What the operator is told."""
    return []


@pytest.fixture
def seen(tmp_path: Path, said: list[str]) -> FirstSeen:
    """In an empty state directory."""
    return FirstSeen(str(tmp_path / "state"), said.append)


def test_once_and_for_all(seen: FirstSeen, tmp_path: Path, said: list[str]) -> None:
    """A time never moves, neither later nor in another process; what comes later has its own."""
    assert seen.times(INDEX, ACME, {"a": "x", "b": ""}, 5) == {"a": 5, "b": 5}
    assert seen.times(INDEX, ACME, {"a": "x", "c": "z"}, 9) == {"a": 5, "c": 9}
    seen.close()
    other = FirstSeen(str(tmp_path / "state"), said.append)
    assert other.times(INDEX, ACME, {"a": "x", "b": "", "c": "z"}, 1) == {"a": 5, "b": 5, "c": 9}
    assert other.times(INDEX, ACME, {}, 1) == {}
    assert said == []


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


def test_where_nothing_can_be_kept(tmp_path: Path, said: list[str]) -> None:
    """It is said once, and no time is made up; once it can, it is."""
    (tmp_path / "state").write_text("no directory")
    seen = FirstSeen(str(tmp_path / "state"), said.append)
    for _ in range(2):
        assert seen.times(INDEX, ACME, {"a": "x"}, 5) == {}
    assert len(said) == 1
    assert "no rule about their age lets them pass" in said[0]
    (tmp_path / "state").unlink()
    assert seen.times(INDEX, ACME, {"a": "x"}, 6) == {"a": 6}


def test_in_records_of_before(tmp_path: Path, said: list[str]) -> None:
    """Records that were made before there was such a table get it with the first change."""
    import sqlite3

    records = Records(str(tmp_path), said.append)
    records.claim(ACME, "alice", 1.0)
    records.close()
    connection = sqlite3.connect(tmp_path / "records.sqlite3")
    connection.executescript("DROP TABLE first_seen; DROP TABLE allowances")
    connection.close()
    assert records.allowances(0.0) == ()
    assert FirstSeen(str(tmp_path), said.append).times(INDEX, ACME, {"a": "x"}, 5) == {"a": 5}
    records.allow(Allowance(ACME, None, 9.5, "me", "why"))
    assert records.allowances(1.0) == (Allowance(ACME, None, 10.0, "me", "why"),)
    assert records.owner(ACME) == "alice"
