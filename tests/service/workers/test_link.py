"""A worker's end of the connection to its supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import Logger, LogLevel, LogPublisher

from simpleindex.core.errors import NotHere
from simpleindex.service.workers.link import (
    COLLECT_SECONDS,
    SEEN_SECONDS,
    SupervisorLink,
    SupervisorLog,
    SupervisorNotifier,
)
from simpleindex.service.workers.messages import Message, WorkerDescription, decode, encode

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName


class Wire:
    """A worker's connection in memory."""

    def __init__(self, count: int = 2) -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self.ended = 0
        self.link = SupervisorLink(WorkerDescription(1, count, {}, "/"), self.clock, self._end)

    def _end(self) -> None:
        self.ended += 1

    def connect(self) -> None:
        self.link.makeConnection(self.transport)

    def sent(self) -> list[Message | None]:
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [decode(line) for line in lines]

    def receive(self, message: Message) -> None:
        self.link.dataReceived(encode(message))


@pytest.fixture
def wire() -> Wire:
    """One that is not connected yet."""
    return Wire()


def announce(wire: Wire, project: str = "acme") -> list[str]:
    """Announce a change; a word comes into the list once it is known everywhere."""
    outcome: list[str] = []
    change = Deferred.fromCoroutine(wire.link.announce("local", project))  # type: ignore[arg-type]
    change.addCallback(lambda _: outcome.append("listed"))
    return outcome


def test_the_state_is_reported(wire: Wire) -> None:
    """What comes before the connection is sent with it."""
    notifier = SupervisorNotifier(wire.link)
    notifier.status("3 projects")
    wire.connect()
    notifier.ready()
    notifier.reloading()
    notifier.stopping()
    notifier.watchdog()
    wire.link.complete()
    assert wire.sent() == [
        Message("status", "3 projects"),
        *(Message("state", word) for word in ("ready", "reloading", "stopping", "complete")),
    ]


def test_the_log_goes_to_the_supervisor(wire: Wire) -> None:
    """Without Twisted's own account of itself."""
    wire.connect()
    publisher = LogPublisher(SupervisorLog(wire.link))
    log = Logger("simpleindex.x", observer=publisher)
    log.warn("{what} is wrong", what="it")
    log.info("")
    Logger("twisted.x", observer=publisher).info("Starting factory")
    Logger("twisted.x", observer=publisher).info("Received SIGTERM, shutting down.")
    publisher({"log_level": LogLevel.info, "isError": 1, "log_format": "boom", "log_namespace": "log_legacy"})
    assert wire.sent() == [Message("log", "it is wrong", "warn"), Message("log", "boom", "critical")]


def test_a_change_waits_for_the_others(wire: Wire) -> None:
    wire.connect()
    outcome = announce(wire)
    assert wire.sent() == [Message("changed", "acme", "local", 1)]
    wire.receive(Message("seen", number=2))
    assert outcome == []
    wire.receive(Message("seen", number=1))
    assert outcome == ["listed"]


def test_a_change_does_not_wait_for_ever(wire: Wire) -> None:
    """A worker that hangs lists it later."""
    wire.connect()
    outcome = announce(wire)
    wire.clock.advance(SEEN_SECONDS)
    assert outcome == ["listed"]
    wire.receive(Message("seen", number=1))


@pytest.mark.parametrize("count", [1, 2])
def test_a_change_without_others_is_complete(count: int) -> None:
    """One worker, or one whose supervisor is gone."""
    wire = Wire(count)
    if count == 1:
        wire.connect()
    assert announce(wire) == ["listed"]


def test_changes_of_others_are_looked_at(wire: Wire) -> None:
    """And answered when they are listed, whatever comes of it."""
    looked: list[tuple[str, str]] = []

    async def changed(directory: str, project: ProjectName) -> None:
        looked.append((directory, project))
        if project == "broken":
            raise NotHere("project")

    wire.connect()
    wire.receive(Message("changed", "early", "local", 1))
    wire.link.changed = changed
    for number, name in enumerate(("Acme", "broken", "../no"), 2):
        wire.receive(Message("changed", name, "local", number))
    assert looked == [("local", "acme"), ("local", "broken")]
    assert wire.sent() == [Message("seen", number=number) for number in (1, 2, 3, 4)]


def collect(wire: Wire) -> list[object]:
    """Collect the metrics of the others; they come into the list."""
    outcome: list[object] = []
    Deferred.fromCoroutine(wire.link.collect("metrics")).addCallback(outcome.append)
    return outcome


def test_metrics_of_the_others(wire: Wire) -> None:
    """Those that come until the supervisor has no more; what comes later is for nobody."""
    wire.connect()
    outcome = collect(wire)
    assert wire.sent() == [Message("collect", "metrics", number=1)]
    wire.receive(Message("report", "[1]", "2", 1))
    assert outcome == []
    wire.receive(Message("collected", number=1))
    wire.receive(Message("report", "[1]", "3", 1))
    assert outcome == [(1, {2: "[1]"})]


def test_metrics_are_not_waited_for_for_ever(wire: Wire) -> None:
    wire.connect()
    outcome = collect(wire)
    wire.receive(Message("report", "[1]", "2", 1))
    wire.clock.advance(COLLECT_SECONDS)
    assert outcome == [(1, {2: "[1]"})]


@pytest.mark.parametrize("count", [1, 2])
def test_metrics_without_others(count: int) -> None:
    """There are none, or the supervisor is gone."""
    assert collect(Wire(count)) == [(1, {})]


def test_metrics_for_another(wire: Wire) -> None:
    """As they are, or none where metrics are off."""
    wire.connect()
    wire.receive(Message("collect", "metrics", number=4))

    async def report() -> str:
        return "[2]"

    wire.link.reports["metrics"] = report
    wire.receive(Message("collect", "metrics", number=5))
    assert wire.sent() == [Message("report", "[]", number=4), Message("report", "[2]", number=5)]


def test_signs_of_life(wire: Wire) -> None:
    """And what is no message is passed over."""
    wire.connect()
    wire.link.dataReceived(b"hello\n")
    wire.receive(Message("unknown"))
    wire.receive(Message("ping"))
    assert wire.sent() == [Message("alive")]


def test_without_its_supervisor_a_worker_ends(wire: Wire) -> None:
    wire.connect()
    wire.link.connectionLost()
    assert wire.ended == 1
    assert announce(wire) == ["listed"]
