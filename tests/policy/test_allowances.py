"""Allowances in the records: given, seen by other processes, replaced, taken back, and over in time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from simpleindex.access.identity import Action
from simpleindex.core.errors import Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.policy.judgement import Allowance
from simpleindex.records.people import Records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACME = ProjectName("acme")
OTHER = ProjectName("other")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Records, Records]]:
    """A command's and a server's."""
    pair = Records(str(tmp_path / "state"), print), Records(str(tmp_path / "state"), print)
    yield pair
    for records in pair:
        records.close()


def test_given_and_taken_back(pair: tuple[Records, Records], tmp_path: Path) -> None:
    """What ends first is first; the other process sees each change."""
    command, server = pair
    assert server.allowances(0.0) == ()
    assert not (tmp_path / "state").exists()
    whole, one = Allowance(ACME, None, 300.0, "alice", "a"), Allowance(ACME, "1.0", 200.0, "bob", "b")
    for allowance in (whole, one, Allowance(OTHER, "1.0", 250.0)):
        command.allow(allowance)
    assert server.allowances(0.0) == (one, Allowance(OTHER, "1.0", 250.0), whole)
    longer = Allowance(ACME, "1.0", 400.0, "carol", "c")
    command.allow(longer)
    assert server.allowances(0.0)[-1] == longer
    assert command.disallow(ACME, None)
    assert not command.disallow(ACME, None)
    assert not command.disallow(ACME, "2.0")
    assert {(each.name, each.version) for each in server.allowances(0.0)} == {(ACME, "1.0"), (OTHER, "1.0")}


def test_their_end(pair: tuple[Records, Records]) -> None:
    """At that very moment, which is a whole second and not before the one that was asked for."""
    command, server = pair
    command.allow(Allowance(ACME, None, 99.5))
    assert server.allowances(99.9) == (Allowance(ACME, None, 100.0),)
    assert server.allowances(100.0) == ()


def test_records_from_before_there_were_allowances(pair: tuple[Records, Records], tmp_path: Path) -> None:
    """They have none, until one is given; whatever else is in them stays."""
    command, server = pair
    token, _ = command.create_token(
        user=None, actions=[Action.READ], projects=["*"], expires=None, note="", now=0
    )
    with closing(sqlite3.connect(tmp_path / "state" / "records.sqlite3")) as connection:
        connection.execute("DROP TABLE allowances")
        connection.commit()
    assert server.allowances(0.0) == ()
    command.allow(Allowance(ACME, None, 100.0))
    assert len(server.allowances(0.0)) == 1
    assert server.tokens() == [token]


def test_records_that_cannot_be_read(pair: tuple[Records, Records], tmp_path: Path) -> None:
    """Nothing is taken for allowed, nor for none: whoever asked decides."""
    command, server = pair
    command.allow(Allowance(ACME, None, 100.0))
    assert len(server.allowances(0.0)) == 1
    (tmp_path / "state" / "records.sqlite3").rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        server.allowances(0.0)
    with pytest.raises(Unavailable):
        command.disallow(ACME, None)
