"""Facts about objects in PostgreSQL, which nodes share; a cache, so a server that is away is no trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

psycopg = pytest.importorskip("psycopg")

from simpleindex.records.postgresql.object_facts import PAUSE_SECONDS, ObjectFacts  # noqa: E402

if TYPE_CHECKING:
    from tests.fixtures.log import CapturedLog
    from tests.fixtures.postgresql import PostgreSQL

ROWS = [("acme/a.whl", "1 2 3", "[1]"), ("other/b.whl", "4 5 6", "[2]")]


def test_facts(postgresql: PostgreSQL) -> None:
    """Every node has what another one kept, for its own place."""
    url = postgresql.create_database()
    one, two, elsewhere = ObjectFacts(url, "s3://a"), ObjectFacts(url, "s3://a"), ObjectFacts(url, "s3://b")
    one.remember(ROWS)
    one.remember([("acme/a.whl", "7 8 9", "[3]")])
    assert two.all() == {"acme/a.whl": ("7 8 9", "[3]"), "other/b.whl": ("4 5 6", "[2]")}
    assert two.of(["acme/a.whl", "missing"]) == {"acme/a.whl": ("7 8 9", "[3]")}
    assert elsewhere.all() == {}
    two.forget(["acme/a.whl"])
    assert [*one.all()] == ["other/b.whl"]
    for each in (one, two, elsewhere):
        each.close()


def test_a_server_that_is_away(log: CapturedLog) -> None:
    """There are no facts; it is tried again after a while, and the log says so once."""
    now = [1000.0]
    facts = ObjectFacts("postgresql://127.0.0.1:1/none", "s3://a", lambda: now[0])
    facts.remember(ROWS)
    assert facts.all() == {}
    assert len(log.lines) == 1
    assert (
        "Facts about objects are not shared with other nodes for now: postgresql://127.0.0.1:1/none"
        in log.lines[0]
    )
    now[0] += PAUSE_SECONDS
    assert facts.of(["acme/a.whl"]) == {}


def test_a_newer_schema(postgresql: PostgreSQL, log: CapturedLog) -> None:
    """Of a node that was upgraded first."""
    url = postgresql.create_database()
    before, after = ObjectFacts(url, "s3://a"), ObjectFacts(url, "s3://a")
    before.remember(ROWS)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO simpleindex_objects.schema_version VALUES (99)")
    assert after.all() == {}
    before.close()
    after.close()
    assert any("upgrade this node" in line for line in log.lines)
