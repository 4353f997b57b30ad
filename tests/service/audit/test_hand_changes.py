"""Files that come and go by hand: recorded once uploads and commands had the time to record theirs, in numbers where they are many."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from twisted.internet.task import Clock

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.names import ProjectName
from simpleindex.directory.live.listing_changes import FileChanges
from simpleindex.records.audit.audit import Audit
from simpleindex.records.audit.audit_sharing import AuditSharing
from simpleindex.records.opening import open_shared_audit
from simpleindex.service.audit import hand_changes
from simpleindex.service.audit.hand_changes import WAIT_SECONDS, HandChanges
from tests.fixtures.distributions import wheel_bytes, wheel_name
from tests.fixtures.service import ServiceFixture, service_fixture
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.postgresql import PostgreSQL

ACME, OTHER = ProjectName("acme"), ProjectName("other")


class World:
    """An audit, and the changes of a directory."""

    def __init__(self, place: Path, sharing: AuditSharing | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.audit = Audit(str(place), now=lambda: float(self.clock.seconds()))
        self.changes = HandChanges(self.audit, self.clock, InlineThreads(), self.clock.seconds, sharing)

    def entries(self) -> list[tuple[str, ...]]:
        """What is recorded by now: event, project, file and detail of each."""
        self.audit.close()
        with open(self.audit.path, encoding="ascii") as file:
            found = [json.loads(line) for line in file]
        return [
            tuple(each.get(key, "") for key in ("event", "project", "filename", "detail")) for each in found
        ]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world that ends without anything that waits."""
    world = World(tmp_path)
    yield world
    world.changes.stop()
    world.audit.close()
    assert not world.clock.getDelayedCalls()


def appeared(*names: str) -> FileChanges:
    return FileChanges((), (), names)


def test_what_no_upload_recorded(world: World) -> None:
    """An upload records its file before or after the change is seen; a file of that name that goes was not uploaded away."""
    world.audit.record(AuditEntry("upload", "alice", project="acme", filename="1"))
    world.changes.note("local", ACME, appeared("1", "2", "3"))
    world.clock.advance(1)
    world.audit.record(AuditEntry("copy", "bob", project="acme", filename="2"))
    world.changes.note("staging", ACME, FileChanges(("1", "4"), ("5",), ()))
    world.audit.record(AuditEntry("delete", "bob", project="acme", filename="4"))
    before = len(world.entries())
    world.clock.advance(WAIT_SECONDS - 1)
    assert world.entries()[before:] == [("file-added", "acme", "3", "")]
    world.clock.advance(1)
    assert world.entries()[before + 1 :] == [
        ("file-removed", "acme", "1", "in staging"),
        ("file-changed", "acme", "5", "in staging"),
    ]


def test_changes_of_other_nodes(world: World) -> None:
    """They have recorded them; while it is not known what they have made, nothing is recorded, and later all of it once."""
    is_away, questions = True, []

    def made(project: ProjectName, files: FileChanges) -> frozenset[tuple[bool, str]]:
        questions.append(project)
        if is_away and project == OTHER:
            raise TimeoutError(110, "the store cannot be reached")
        return frozenset({(False, "2"), (True, "3")}) & {
            *((True, each) for each in files.vanished),
            *((False, each) for each in files.appeared),
        }

    world.audit.record(AuditEntry("upload", "alice", project="acme", filename="1"))
    before = len(world.entries())
    world.changes.note("local", ACME, FileChanges(("2", "3"), (), ("1", "2", "4")), made_by_nodes=made)
    world.changes.note("local", OTHER, FileChanges((), ("5",), ()), made_by_nodes=made)
    world.clock.advance(WAIT_SECONDS)
    assert world.entries()[before:] == []
    is_away = False
    world.clock.advance(WAIT_SECONDS)
    assert world.entries()[before:] == [
        ("file-removed", "acme", "2", ""),
        ("file-added", "acme", "4", ""),
        ("file-changed", "other", "5", ""),
    ]
    assert questions == [ACME, OTHER] * 2


def test_many_files(world: World) -> None:
    """A mirror that is filled makes one entry for a project."""
    world.changes.note("local", ACME, appeared(*(str(number) for number in range(1_001))))
    world.changes.note("staging", OTHER, appeared(*(str(number) for number in range(21))))
    world.clock.advance(WAIT_SECONDS)
    assert world.entries() == [
        ("file-added", "acme", "", "1,001 files"),
        ("file-added", "other", "", "21 files, in staging"),
    ]


def test_many_projects(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in memory is bounded; the rest is a number."""
    monkeypatch.setattr(hand_changes, "_MOST_WAITING", 1)
    for _ in range(3):
        world.changes.note("local", ACME, appeared("1"))
    world.clock.advance(WAIT_SECONDS)
    assert world.entries()[1:] == [("file-added", "", "", "changes of 2 projects more have no entries")]


def test_the_end_of_the_server(world: World) -> None:
    """What could be of an upload that is recorded just now is not recorded."""
    world.changes.note("local", ACME, appeared("1"))
    world.changes.stop()
    world.clock.advance(WAIT_SECONDS)
    assert not world.clock.getDelayedCalls()


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceFixture]:
    yield from service_fixture(tmp_path, monkeypatch)


def test_in_a_service(service: ServiceFixture) -> None:
    """A file that is copied into the directory is an entry; with shared records other servers may have taken it."""
    index = service.start(watch="poll").index
    assert index.hand_changes is not None
    (service.root / "acme").mkdir()
    (service.root / "acme" / wheel_name()).write_bytes(wheel_bytes("acme", "1.0"))
    service.ask("/acme/")
    service.reactor.pump([1.0] * 15)
    (entry,) = (
        json.loads(line) for line in (service.resolve().state / "audit.jsonl").read_text().splitlines()
    )
    assert (entry["event"], entry["filename"]) == ("file-added", wheel_name())


def test_without_state(service: ServiceFixture) -> None:
    """A server that keeps nothing records nothing."""
    assert service.make(downloads="off").index.hand_changes is None


def test_several_nodes(postgresql: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sees every change; one records what no node has uploaded. Without the database it is recorded later."""
    url = postgresql.create_database()
    sharings = [AuditSharing(str(tmp_path / name), open_shared_audit(url)) for name in ("one", "two")]
    one, two = (World(tmp_path / name, each) for name, each in zip(("one", "two"), sharings, strict=True))
    one.audit.record(AuditEntry("upload", "alice", project="acme", filename="1"))
    sharings[0].share()
    for each in (one, two):
        each.changes.note("local", ACME, FileChanges(("0",), (), ("1", "2")))
        each.changes.note("local", OTHER, appeared(*(str(number) for number in range(21))))
    with monkeypatch.context() as patch:
        patch.setattr(sharings[0].shared, "alone", away)
        one.clock.advance(WAIT_SECONDS)
    assert len(one.entries()) == 1
    two.clock.advance(WAIT_SECONDS)
    one.clock.advance(WAIT_SECONDS)
    assert two.entries() == [
        ("file-removed", "acme", "0", ""),
        ("file-added", "acme", "2", ""),
        ("file-added", "other", "", "21 files"),
    ]
    assert [entry[0] for entry in one.entries()] == ["upload"]
    for world, sharing in zip((one, two), sharings, strict=True):
        world.changes.stop()
        sharing.end()


def away(*_: object, **__: object) -> None:
    raise OSError(113, "the server cannot be reached")
