"""Serials of projects in PostgreSQL, which the nodes of a bucket share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName

psycopg = pytest.importorskip("psycopg")

from simpleindex.records.postgresql.object_facts import ObjectFacts  # noqa: E402
from simpleindex.records.postgresql.project_serials import ProjectSerialTable  # noqa: E402

if TYPE_CHECKING:
    from tests.fixtures.postgresql import PostgreSQL

ACME, OTHER = ProjectName("acme"), ProjectName("other")


def test_serials(postgresql: PostgreSQL) -> None:
    """Only another listing gets another serial, which is larger than all before; each bucket has its own."""
    url = postgresql.create_database()
    places = ("s3://a", "s3://a", "s3://b")
    facts = [ObjectFacts(url, place) for place in places]
    one, two, elsewhere = (
        ProjectSerialTable(each.server, place) for each, place in zip(facts, places, strict=True)
    )
    ((_, _, first), (_, _, other)) = one.note({ACME: 1, OTHER: -(2**63)}, -1)
    assert first == other > 1_700_000_000_000_000
    assert two.note({ACME: 1}, first) == []
    ((name, listing, second),) = two.note({ACME: 2, OTHER: -(2**63)}, first)
    assert (name, listing) == (ACME, 2)
    assert second > first
    assert one.note({}, first) == [(ACME, 2, second)]
    ((_, _, third),) = one.note({ACME: 1}, second)
    assert third > second
    assert elsewhere.note({}, -1) == []
    for each in facts:
        each.close()


def test_a_newer_schema(postgresql: PostgreSQL) -> None:
    """Of a node that was upgraded first."""
    url = postgresql.create_database()
    facts = ObjectFacts(url, "s3://a")
    facts.all()
    facts.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO simpleindex_objects.schema_version VALUES (99)")
    later = ObjectFacts(url, "s3://a")
    with pytest.raises(OSError, match="upgrade this node"):
        ProjectSerialTable(later.server, "s3://a").note({}, -1)
    later.close()
