"""Hooks of several nodes: one node notifies of the events of all, and another one goes on if it dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.task import Clock

pytest.importorskip("psycopg")

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.hooks.delivery import LOOK_SECONDS, HookContext, HookDelivery
from simpleindex.records.audit.audit import Audit
from simpleindex.records.audit.audit_sharing import AuditSharing
from simpleindex.records.postgresql.audit import SharedAudit
from simpleindex.records.postgresql.hook_positions import SharedHookPositions
from tests.fixtures.threads import InlineThreads
from tests.hooks.test_delivery import HOOK, RecordingTarget

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.log import CapturedLog
    from tests.fixtures.postgresql import PostgreSQL


class Node:
    """A node with a hook."""

    def __init__(self, place: Path, url: str) -> None:
        self.clock = Clock()
        self.target = RecordingTarget()
        self.audit = Audit(str(place), now=self._now)
        self.sharing = AuditSharing(str(place), SharedAudit(url))
        self.positions = SharedHookPositions(url)
        context = HookContext(InlineThreads(), self.clock, self._now, self.positions, lambda: None)
        self.delivery = HookDelivery(HOOK, self.target, context)

    def _now(self) -> float:
        return self.clock.seconds() + 1_800_000_000

    def upload(self, filename: str) -> None:
        self.audit.record(AuditEntry("upload", project="acme", filename=filename))
        self.sharing.share()

    def stop(self) -> None:
        self.delivery.stop()
        self.sharing.end()
        self.audit.close()


def test_a_node_that_dies(postgresql: PostgreSQL, tmp_path: Path, log: CapturedLog) -> None:
    """Nothing is lost, also what it has recorded itself; nothing comes twice, also when it comes back."""
    url = postgresql.create_database()
    one, two = Node(tmp_path / "one", url), Node(tmp_path / "two", url)
    one.upload("before")
    for each in (one, two):
        each.delivery.start()
    one.upload("1")
    two.upload("2")
    for each in (two, one, two):
        each.clock.advance(LOOK_SECONDS)
    assert (one.target.files, two.target.files) == (["1", "2"], [])
    one.upload("3")
    # It ends: another node takes over with its next look.
    one.positions.close()
    two.clock.advance(LOOK_SECONDS)
    one.clock.advance(LOOK_SECONDS)
    assert (one.target.files, two.target.files) == (["1", "2"], ["3"])
    # One was in the middle of a delivery when it lost its connection.
    one.positions.save(HOOK.name, 1)
    two.stop()
    one.upload("4")
    one.clock.advance(LOOK_SECONDS)
    assert one.target.files == ["1", "2", "4"]
    one.positions.keep_only(frozenset())
    one.stop()
    assert not log.lines


def test_a_server_that_is_away(tmp_path: Path, log: CapturedLog) -> None:
    """Nobody is notified, and the log says so once."""
    node = Node(tmp_path, "postgresql://127.0.0.1:1/none")
    node.delivery.start()
    node.clock.advance(LOOK_SECONDS)
    node.positions.save("chat", 1)
    assert len(log.lines) == 1
    assert "The hook chat is not notified, because the audit cannot be read" in log.lines[0]
    node.delivery.stop()
