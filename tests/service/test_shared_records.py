"""A service whose records are in PostgreSQL: what it does there besides answering requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("psycopg")

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.names import ProjectName
from simpleindex.records.audit.audit_questions import AuditQuestion
from simpleindex.service.regular_work import AUDIT_INTERVAL, RULES_INTERVAL
from tests.fixtures.service import ServiceFixture, service_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.postgresql import PostgreSQL


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceFixture]:
    yield from service_fixture(tmp_path, monkeypatch)


def test_the_audit_is_copied(world: ServiceFixture, postgresql: PostgreSQL) -> None:
    """While the service runs, and once more at its end."""
    service = world.start(records=postgresql.create_database())
    runtime = service.index.runtime
    assert runtime.audit_sharing is not None
    shared = runtime.audit_sharing.shared
    for number in range(2):
        runtime.audit.record(
            AuditEntry("upload", "alice", project=ProjectName("acme"), filename=f"{number}.zip")
        )
        if number == 0:
            world.reactor.advance(AUDIT_INTERVAL)
            assert len([*shared.lines(AuditQuestion())]) == 1
    service.stopService()
    assert len([*shared.lines(AuditQuestion())]) == 2
    shared.close()
    assert not world.failures


def test_pins_are_followed(world: ServiceFixture, postgresql: PostgreSQL) -> None:
    """Also where nothing is pinned."""
    sources = world.place / "sources.toml"
    sources.write_text('[[upstream]]\nname = "behind"\nurl = "https://index.example/simple"\n')
    service = world.start(records=postgresql.create_database(), sources=str(sources))
    upstreams = service.index.sources.upstreams
    assert upstreams is not None
    assert upstreams.pins._others is not None
    world.reactor.advance(RULES_INTERVAL)
    assert not world.failures


def test_without_a_database_nothing_is_copied(world: ServiceFixture) -> None:
    assert world.start().index.runtime.audit_sharing is None
