"""Allowances in the records: given, seen by other processes, replaced, taken back, and over in time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.policy.judgement import Allowance
from simpleindex.records.allowances import AllowanceTable
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.owners import OwnerTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Pair = tuple[AllowanceTable, AllowanceTable]

ACME = ProjectName("acme")
OTHER = ProjectName("other")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A command's and a server's."""
    databases = [RecordsDatabase(str(tmp_path / "state")) for _ in range(2)]
    yield AllowanceTable(databases[0]), AllowanceTable(databases[1])
    for database in databases:
        database.close()


def test_given_and_taken_back(pair: Pair, tmp_path: Path) -> None:
    """What ends first is first; the other process sees each change."""
    command, server = pair
    assert server.active(0.0) == ()
    assert not (tmp_path / "state").exists()
    whole, one = Allowance(ACME, None, 300.0, "alice", "a"), Allowance(ACME, "1.0", 200.0, "bob", "b")
    for allowance in (whole, one, Allowance(OTHER, "1.0", 250.0)):
        command.add(allowance)
    assert server.active(0.0) == (one, Allowance(OTHER, "1.0", 250.0), whole)
    longer = Allowance(ACME, "1.0", 400.0, "carol", "c")
    command.add(longer)
    assert server.active(0.0)[-1] == longer
    assert command.remove(ACME, None)
    assert not command.remove(ACME, None)
    assert not command.remove(ACME, "2.0")
    assert {(each.name, each.version) for each in server.active(0.0)} == {(ACME, "1.0"), (OTHER, "1.0")}


def test_their_end(pair: Pair) -> None:
    """At that very moment, which is a whole second and not before the one that was asked for."""
    command, server = pair
    command.add(Allowance(ACME, None, 99.5))
    assert server.active(99.9) == (Allowance(ACME, None, 100.0),)
    assert server.active(100.0) == ()


def test_records_from_before_there_were_allowances(pair: Pair, tmp_path: Path) -> None:
    """They have none, until one is given; whatever else is in them stays."""
    command, server = pair
    owners = OwnerTable(RecordsDatabase(str(tmp_path / "state")))
    owners.claim(ACME, "alice", 0.0)
    with closing(sqlite3.connect(tmp_path / "state" / "records.sqlite3")) as connection:
        connection.execute("DROP TABLE allowances")
        connection.commit()
    assert server.active(0.0) == ()
    command.add(Allowance(ACME, None, 100.0))
    assert len(server.active(0.0)) == 1
    assert owners.owner(ACME) == "alice"


def test_records_that_cannot_be_read(pair: Pair, tmp_path: Path) -> None:
    """It is neither "allowed" nor "none": the caller decides."""
    command, server = pair
    command.add(Allowance(ACME, None, 100.0))
    assert len(server.active(0.0)) == 1
    (tmp_path / "state" / "records.sqlite3").rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        server.active(0.0)
    with pytest.raises(Unavailable):
        command.remove(ACME, None)
