"""A whole service in memory: its reactor is a clock, its threads run at once, its log is a list."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher

from simpleindex.config.settings import Settings, resolve
from simpleindex.service import compose as composition
from simpleindex.service import service
from simpleindex.service.service import IndexService
from simpleindex.system import threads
from tests.examining import ExaminesHere
from tests.web.memory_client import NEAR, Reply, Transport, read, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest
    from twisted.internet.interfaces import IAddress
    from twisted.internet.protocol import Factory
    from twisted.python.failure import Failure


class Port:
    """A port that knows its address, and whether it is open."""

    def __init__(self, address: IAddress) -> None:
        self._address = address
        self.is_open = True

    def getHost(self) -> IAddress:
        return self._address

    def stopListening(self) -> Deferred[None]:
        self.is_open = False
        return succeed(None)


class Reactor(MemoryReactorClock):
    """One that is called from signals too, and whose ports say where they are."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[Port] = []

    def listenTCP(self, port: int, factory: Factory, backlog: int = 50, interface: str = "") -> Any:
        super().listenTCP(port, factory, backlog, interface)
        self.ports.append(Port(IPv4Address("TCP", interface, port)))
        return self.ports[-1]

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        self.callLater(0, function, *arguments)


class Pool:
    """A pool without threads."""

    def __init__(self, least: int, most: int, name: str) -> None:
        self.started = False
        self.was_stopped = False

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        assert self.started
        self.was_stopped = True


def at_once(
    reactor: object, pool: object, function: Callable[..., object], *arguments: Any, **named: Any
) -> Deferred[Any]:
    """Run in no thread."""
    return execute(function, *arguments, **named)


class ServiceWorld:
    """Services of one root.

    Attributes:
        given: The command line, as it is read at the start and at each reload.
        environment: Of the settings.
        said: What the log says.
        failures: What should never happen and did; a test that wants some takes them away.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "root"
        self.root.mkdir()
        self.certs = place / "certs"
        self.given: dict[str, object] = {
            "path": str(self.root),
            "certs": str(self.certs),
            "http": ("tcp:8080:interface=127.0.0.1",),
        }
        self.environment = {
            "STATE_DIRECTORY": str(place / "state"),
            "CACHE_DIRECTORY": str(place / "cache"),
        }
        self.reactor = Reactor()
        self.said: list[str] = []
        self.failures: list[Failure] = []
        self.made: list[IndexService] = []

    def resolve(self, **options: bool) -> Settings:
        """Decide the settings, as twistd's options do."""
        return resolve(self.given, self.environment, self.place, **options)

    def make(self, **given: object) -> IndexService:
        """Make a service with further options."""
        self.give(**given)
        made = IndexService(self.resolve(), self.resolve, self.reactor, (None, None))
        self.made.append(made)
        return made

    def start(self, **given: object) -> IndexService:
        """Make a service and start it as twistd does."""
        made = self.make(**given)
        made.privilegedStartService()
        made.startService()
        self.reactor.advance(0)
        return made

    def give(self, **given: object) -> None:
        """Change the command line; None takes an option away."""
        for field, value in given.items():
            self.given[field.replace("_", "-")] = value
        self.given = {name: value for name, value in self.given.items() if value is not None}

    def reload(self, **given: object) -> list[str]:
        """Change the command line and send SIGHUP; what is said of it."""
        self.give(**given)
        self.taken()
        signal.raise_signal(signal.SIGHUP)
        self.reactor.advance(0)
        return self.taken()

    def taken(self) -> list[str]:
        """What was said since the last time."""
        said, self.said[:] = list(self.said), []
        return said

    def connect(self, server: int = 0, peer: IAddress = NEAR) -> Transport:
        """Open a connection to one of what is listened on."""
        protocol = self.reactor.tcpServers[server][1].buildProtocol(peer)
        assert protocol is not None
        transport = Transport(self.reactor, protocol, peer)
        protocol.makeConnection(transport)
        return transport

    def ask(self, target: str, *headers: tuple[str, str], method: str = "GET", server: int = 0) -> Reply:
        """Send a request on a connection of its own and take the whole answer."""
        transport = self.connect(server)
        transport.protocol.dataReceived(request(method, target, *headers))
        self.reactor.advance(0)
        try:
            return read(transport, method)
        finally:
            transport.leave()

    def observe(self, event: dict[str, Any]) -> None:
        """Take note of what is logged."""
        if "log_failure" in event:
            self.failures.append(event["log_failure"])
        elif event.get("log_namespace", "").startswith("simpleindex"):
            self.said.append(str(formatEvent(event)))


def service_world(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceWorld]:
    """Make a world and leave nothing of it behind; a fixture's body."""
    world = ServiceWorld(place)
    for module in (composition, service, threads):
        monkeypatch.setattr(module, "deferToThreadPool", at_once)
    for module in (composition, threads):
        monkeypatch.setattr(module, "ThreadPool", Pool)
    monkeypatch.setattr(composition, "open_examination", lambda _: ExaminesHere())
    for variable in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(variable, raising=False)
    former = signal.getsignal(signal.SIGHUP)
    observer: Any = world.observe
    globalLogPublisher.addObserver(observer)
    try:
        yield world
    finally:
        for made in world.made:
            if made.running:
                made.stopService()
                world.reactor.advance(service.DRAIN_SECONDS)
        globalLogPublisher.removeObserver(observer)
        signal.signal(signal.SIGHUP, former)
    assert world.failures == []
