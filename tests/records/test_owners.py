"""Owners that are remembered for a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.task import Clock

from simpleindex.core.names import ProjectName
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.owners import CachedOwners, OwnerTable

if TYPE_CHECKING:
    from pathlib import Path

ACME, OTHER = ProjectName("acme"), ProjectName("other")


def test_a_query_is_made_once_a_second(tmp_path: Path) -> None:
    """Each name by itself, and again when a second has passed; rights always see the owner of now."""
    clock, table = Clock(), OwnerTable(RecordsDatabase(str(tmp_path)))
    owners = CachedOwners(table, clock.seconds)
    assert [owners.has_owner(ACME), owners.has_owner(OTHER)] == [False, False]
    listed = owners.owners()
    table.claim(ACME, "alice", 0.0)
    table.settle(ACME, "alice")
    assert not owners.has_owner(ACME)
    assert owners.owners() is listed
    assert owners.owner(ACME) == "alice"
    clock.advance(1)
    assert [owners.has_owner(ACME), owners.has_owner(OTHER)] == [True, False]
    assert owners.owners() == {ACME: "alice"}


def test_a_claim_without_a_file(tmp_path: Path) -> None:
    """Of a killed upload: it takes the name from no upstream."""
    table = OwnerTable(RecordsDatabase(str(tmp_path)))
    table.claim(ACME, "alice", 0.0)
    owners = CachedOwners(table, Clock().seconds)
    assert not owners.has_owner(ACME)
    assert (owners.owner(ACME), owners.owner(ACME, is_settled=True)) == ("alice", None)
