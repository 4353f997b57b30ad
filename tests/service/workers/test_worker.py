"""The process of a worker, in memory."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogBeginner

from simpleindex.service.shutdown import DRAIN_SECONDS
from simpleindex.service.workers import worker as module
from simpleindex.service.workers.messages import (
    Inherited,
    Message,
    WorkerDescription,
    decode,
    encode,
    encode_description,
)
from simpleindex.service.workers.worker import main, serve
from tests.fixtures.distributions import add_wheel
from tests.fixtures.service import Port, Reactor, ServiceFixture, service_fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from simpleindex.service.workers.link import SupervisorLink


class ThreadPool:
    """The reactor's own."""

    threadFactory: Any = None


class AdoptingReactor(Reactor):
    """One that takes sockets, and runs as long as a test needs it."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self.running = False
        self.adopted: list[int] = []
        self.stops = 0
        self.at_the_end: list[Callable[[], object]] = []
        self._meanwhile = meanwhile

    def getThreadPool(self) -> Any:
        return ThreadPool()

    def adoptStreamPort(self, fileno: int, family: int, factory: object) -> Port:
        self.adopted.append(family)
        self.ports.append(Port(IPv4Address("TCP", "127.0.0.1", 8080)))
        return self.ports[-1]

    def addSystemEventTrigger(self, *arguments: Any, **_: Any) -> None:
        if arguments[:2] == ("before", "shutdown"):
            self.at_the_end.append(arguments[2])

    def run(self) -> None:
        self.running = True
        for function, arguments, named in self.whenRunningHooks:
            function(*arguments, **named)
        self.advance(0)
        self._meanwhile()

    def stop(self) -> None:
        self.stops += 1


class Wire:
    """A worker and the messages that it sends."""

    def __init__(self, fixture: ServiceFixture, meanwhile: Callable[[], None], **further: Any) -> None:
        self.fixture = fixture
        self.transport = StringTransport()
        fixture.reactor = self.reactor = AdoptingReactor(meanwhile)
        descriptor = os.dup(socket.socket(socket.AF_INET).detach())
        given = {
            **fixture.command_line,
            "state": str(fixture.place / "state"),
            "cache": str(fixture.place / "cache"),
        }
        self.description = WorkerDescription(
            further.pop("number", 1),
            2,
            given,
            str(fixture.place),
            {"http 0": Inherited(descriptor, socket.AF_INET)},
            **further,
        )
        self.link: SupervisorLink | None = None

    def connect(self, link: SupervisorLink) -> None:
        self.link = link
        link.makeConnection(self.transport)

    def sent(self, kind: str) -> list[str]:
        messages = [decode(line) for line in self.transport.value().splitlines()]
        return [each.text for each in messages if each is not None and each.kind == kind]


@pytest.fixture
def fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceFixture]:
    """A root; the log is left to the tests' own, and this process does not end by force."""
    monkeypatch.setattr(module, "end_by_force", lambda: None)
    numbers = (signal.SIGTERM, signal.SIGINT)
    former = [signal.getsignal(number) for number in numbers]
    with mock.patch.object(globalLogBeginner, "beginLoggingTo"):
        yield from service_fixture(tmp_path, monkeypatch)
    for number, handler in zip(numbers, former, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "is_waiting"), [(1, False), (2, True)])
def test_a_worker_serves(number: int, is_waiting: bool, fixture: ServiceFixture) -> None:
    """By the socket that it inherited; changes of the others are listed, and its own announced. Several signals end it once."""
    add_wheel(fixture.root, "acme")
    looked: list[Message | None] = []

    def meanwhile() -> None:
        assert wire.link is not None
        assert wire.sent("state") == ["ready"], "nothing is read before it is watched"
        wire.link.dataReceived(encode(Message("watching", detail="local")))
        wire.link.dataReceived(encode(Message("serials", "[]", "local", 7)))
        assert set(wire.sent("state")) == ({"ready"} if is_waiting else {"ready", "complete"})
        wire.transport.clear()
        wire.link.dataReceived(encode(Message("changed", "acme", "local", 3)))
        wire.link.dataReceived(encode(Message("changed", "acme", "elsewhere", 4)))
        wire.reactor.advance(1)
        looked.extend(decode(line) for line in wire.transport.value().splitlines())
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(each)
        wire.reactor.advance(0)

    wire = Wire(fixture, meanwhile, number=number, is_waiting=is_waiting)
    serve(wire.description, wire.reactor, wire.connect)
    assert wire.reactor.adopted == [socket.AF_INET]
    assert looked == [Message("seen", number=3), Message("seen", number=4)]
    assert wire.link is not None
    (stop,) = wire.reactor.at_the_end
    stop()
    wire.reactor.advance(DRAIN_SECONDS)
    assert wire.sent("state")[-1] == "stopping"
    wire.link.connectionLost()
    assert wire.reactor.stops == 1


def test_a_start_that_is_refused(capfd: pytest.CaptureFixture[str], fixture: ServiceFixture) -> None:
    """With a sentence, and status 1."""
    description = WorkerDescription(1, 2, {"path": str(fixture.place / "missing")}, "/")
    near, far = socket.socketpair()
    near.sendall(encode_description(description))
    with near, far, mock.patch.object(module, "_show_number"):
        assert main([far.fileno()]) == 1
        assert decode(near.recv(1000)) == Message("started", number=os.getpid())
    assert "missing" in capfd.readouterr().err


def test_a_supervisor_that_has_ended() -> None:
    """While the worker was forked."""
    near, far = socket.socketpair()
    near.close()
    with far:
        assert main([far.fileno()]) == 1


def test_the_first_line() -> None:
    """And nothing behind it, which belongs to the connection."""
    reading, writing = os.pipe()
    os.write(writing, b"one\ntwo\n")
    assert module._first_line(reading) == b"one\n"
    assert os.read(reading, 10) == b"two\n"
    os.close(writing)
    with pytest.raises(SystemExit, match="started by its supervisor alone"):
        module._first_line(reading)
    os.close(reading)
