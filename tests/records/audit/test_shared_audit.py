"""The audit of all nodes: every node's lines come there once, whatever happens to files, processes and the database."""

from __future__ import annotations

import gzip
import stat
from typing import TYPE_CHECKING, Any

import pytest

psycopg = pytest.importorskip("psycopg")

from simpleindex.core.audit_entry import AuditEntry  # noqa: E402
from simpleindex.core.names import ProjectName  # noqa: E402
from simpleindex.records.audit.audit import Audit  # noqa: E402
from simpleindex.records.audit.audit_questions import AuditQuestion, matching_entries  # noqa: E402
from simpleindex.records.audit.audit_sharing import AuditSharing  # noqa: E402
from simpleindex.records.audit.audited_uploads import AuditedUploads  # noqa: E402
from simpleindex.records.postgresql import audit as module  # noqa: E402
from simpleindex.records.postgresql.audit import SharedAudit  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.log import CapturedLog
    from tests.fixtures.postgresql import PostgreSQL

BEGIN = 1_793_491_200.0
ALL = AuditQuestion()


class Node:
    """A server's audit, and what copies it."""

    def __init__(self, state: Path, url: str) -> None:
        self.state, self.url = state, url
        self.now = BEGIN
        self.audit = Audit(str(state), lambda: self.now)
        self.sharing = AuditSharing(str(state), SharedAudit(url))

    def record(self, filename: str, who: str = "alice", project: str = "acme") -> None:
        """Record an upload, a second after the one before."""
        self.now += 1
        self.audit.record(AuditEntry("upload", who, project=ProjectName(project), filename=filename))

    def restart(self) -> None:
        """As after a crash."""
        self.sharing.shared.close()
        self.sharing.close_file()
        self.sharing = AuditSharing(str(self.state), SharedAudit(self.url))

    def files(self, question: AuditQuestion = ALL) -> list[str]:
        """The files of the entries of all nodes."""
        lines = self.sharing.shared.lines(question)
        return [each["filename"] for each in matching_entries(lines, question)]


@pytest.fixture
def nodes(tmp_path: Path, postgresql: PostgreSQL) -> Iterator[tuple[Node, Node]]:
    """Two of one database."""
    url = postgresql.create_database()
    one, two = Node(tmp_path / "one", url), Node(tmp_path / "two", url)
    yield one, two
    for node in (one, two):
        node.sharing.end()
        node.audit.close()


def test_all_nodes_together(nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of their times, and found by time, project and user."""
    monkeypatch.setattr(module, "_LINES_AT_ONCE", 2)
    one, two = nodes
    for number in range(3):
        one.record(f"acme-1.{number}.zip")
        two.record(f"other-1.{number}.zip", "bob", "other")
    one.sharing.share()
    two.sharing.share()
    expected = [f"{name}-1.{number}.zip" for number in range(3) for name in ("acme", "other")]
    assert one.files() == two.files() == expected
    assert one.files(AuditQuestion(project=ProjectName("other"))) == expected[1::2]
    assert one.files(AuditQuestion(user="alice")) == expected[::2]
    assert one.files(AuditQuestion(since=BEGIN + 2, until=BEGIN + 3)) == expected[2:4]
    end = one.sharing.shared.end()
    two.record("other-2.zip")
    two.sharing.share()
    assert len(one.sharing.shared.lines_after(end)) == 1
    assert len([*one.sharing.shared.lines(ALL, end)]) == 6
    assert stat.S_IMODE((one.state / "node").stat().st_mode) == 0o600


def test_who_uploaded(nodes: tuple[Node, Node]) -> None:
    """To any node; from this node's file while the database is away."""
    one, two = nodes
    one.record("acme-1.0.zip")
    two.record("acme-2.0.zip", "bob")
    one.sharing.share()
    two.sharing.share()
    name, path, shared = ProjectName("acme"), one.audit.path, one.sharing.shared.lines
    assert {file: each.who for file, each in AuditedUploads(path, shared).of(name).items()} == {
        "acme-1.0.zip": "alice",
        "acme-2.0.zip": "bob",
    }
    away = SharedAudit("postgresql://127.0.0.1:1/none").lines
    assert [*AuditedUploads(path, away).of(name)] == ["acme-1.0.zip"]


def test_rotations_and_restarts(nodes: tuple[Node, Node]) -> None:
    """What was there before the first start comes too; nothing comes twice."""
    one, _ = nodes
    one.record("1.zip")
    (one.state / "audit.jsonl").rename(one.state / "audit.jsonl.1")
    one.record("2.zip")
    one.sharing.share()
    assert one.files() == ["1.zip", "2.zip"]
    one.restart()
    one.record("3.zip")
    (one.state / "audit.jsonl").rename(one.state / "audit.jsonl.2")
    (one.state / "audit.jsonl.3.gz").write_bytes(gzip.compress((one.state / "audit.jsonl.2").read_bytes()))
    (one.state / "audit.jsonl.2").unlink()
    one.record("4.zip")
    one.sharing.share()
    one.sharing.share()
    assert one.files() == ["1.zip", "2.zip", "3.zip", "4.zip"]
    one.record("5.zip")
    one.sharing.end()
    assert one.files()[-1] == "5.zip"


def test_lines_that_are_no_entries(nodes: tuple[Node, Node]) -> None:
    """They are passed over."""
    one, _ = nodes
    one.record("1.zip")
    with (one.state / "audit.jsonl").open("ab") as file:
        file.write(b'\xff\n{"time": "soon", "event": "x"}\n{"time": "2026-01-01", "event": "x"}\n')
    one.record("2.zip")
    one.sharing.share()
    assert one.files() == ["1.zip", "2.zip"]


def test_a_database_that_is_away(
    nodes: tuple[Node, Node], log: CapturedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines stay in the file, and come once it is back, each once; the log says both once."""
    one, _ = nodes
    one.record("1.zip")
    one.sharing.share()

    def fail(*_: object, **__: object) -> Any:
        raise OSError(112, "the server cannot be reached")

    one.record("2.zip")
    with monkeypatch.context() as away:
        away.setattr(one.sharing.shared._server, "write", fail)
        one.sharing.share()
        away.setattr(one.sharing.shared._server, "read", fail)
        one.sharing.share()
        one.sharing.end()
    one.record("3.zip")
    one.sharing.share()
    assert one.files() == ["1.zip", "2.zip", "3.zip"]
    assert len(log.lines) == 2
    assert "The audit cannot be copied to postgresql://" in log.lines[0]
    assert "(the server cannot be reached)" in log.lines[0]
    assert "again" in log.lines[1]


def test_a_newer_schema(nodes: tuple[Node, Node], log: CapturedLog) -> None:
    """Of a node that was upgraded first: this one keeps its lines."""
    one, two = nodes
    one.record("1.zip")
    one.sharing.share()
    with psycopg.connect(one.url, autocommit=True) as connection:
        connection.execute("INSERT INTO simpleindex_audit.schema_version VALUES (99)")
    two.record("2.zip")
    two.sharing.share()
    assert "upgrade this node" in log.lines[0]
    with psycopg.connect(one.url, autocommit=True) as connection:
        connection.execute("DELETE FROM simpleindex_audit.schema_version WHERE version = 99")
    two.sharing.share()
    assert one.files() == ["1.zip", "2.zip"]
