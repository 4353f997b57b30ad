"""A network in memory: names, addresses, servers that are scripts, and a clock that only the tests move."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

STEP = 0.25
"""Seconds by which the clock moves at a time."""

MOST = 8_000_000
"""Bytes that a client may take from one connection; a script without an end must be left long before."""


@dataclass(frozen=True)
class Request:
    """What a server was asked.

    Attributes:
        host: The address that was connected to.
        port: There.
        method: Of the request.
        path: Its target.
        headers: By lower-case name.
    """

    host: str
    port: int
    method: str
    path: str
    headers: dict[str, str]


class Close:
    """A step of a script: the server closes the connection."""


@dataclass(frozen=True)
class Pause:
    """A step of a script: nothing happens for so many seconds."""

    seconds: float


Step = bytes | Close | Pause


class Connection(StringTransport):
    """A connection to a script; it delivers only while the client reads."""

    def __init__(self, network: Network, host: str, port: int) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, port))
        self.network = network
        self.where = (host, port)
        self.received = b""
        self.steps: Iterator[Step] = iter(())
        self.protocol: Any = None
        self.delivered = 0
        self.is_gone = False
        self.ready_at = 0.0
        self.busy = False

    def write(self, data: bytes) -> None:
        if self.is_gone:
            return
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").split("\r\n")
            method, path, _ = line.split(" ")
            headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
            request = Request(*self.where, method, path, headers)
            self.network.requests.append(request)
            self.steps = self.network.answer(request)

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def pauseProducing(self) -> None:
        self.producerState = "paused"

    def resumeProducing(self) -> None:
        self.producerState = "producing"

    def loseConnection(self) -> None:
        self.lose(ConnectionDone())

    def abortConnection(self) -> None:
        self.lose(ConnectionAborted())

    def lose(self, reason: Exception) -> None:
        if not self.is_gone:
            self.is_gone = True
            self.network.clock.callLater(0, self.protocol.connectionLost, Failure(reason))

    def pump(self) -> None:
        """Deliver as much as the client takes."""
        while not self.is_gone and self.producerState == "producing":
            if self.network.clock.seconds() < self.ready_at:
                return
            step = next(self.steps, None)
            if step is None:
                return
            if isinstance(step, Pause):
                self.ready_at = self.network.clock.seconds() + step.seconds
            elif isinstance(step, Close):
                self.lose(ConnectionDone())
            else:
                self.delivered += len(step)
                assert self.delivered <= MOST, "the client reads without end"
                self.protocol.dataReceived(step)


class _Resolution:
    name = ""

    def cancel(self) -> None:
        pass


@implementer(IReactorPluggableNameResolver)
@dataclass
class Network:
    """Reactor, resolver and every server there is.

    Attributes:
        answer: What servers do with a request.
        names: Addresses by host; an address is its own.
        closed: Addresses where nobody listens.
        clock: Its time.
        requests: All that arrived.
        connections: All that were made.
    """

    answer: Callable[[Request], Iterator[Step]]
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    clock: Clock = field(default_factory=Clock)
    requests: list[Request] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    @property
    def nameResolver(self) -> Any:
        return self

    def installNameResolver(self, resolver: Any) -> Any:
        raise NotImplementedError

    def resolveHostName(self, receiver: Any, hostName: str, portNumber: int = 0, **_: Any) -> Any:
        receiver.resolutionBegan(_Resolution())
        literal = (hostName,) if ":" in hostName or hostName.replace(".", "").isdigit() else ()
        for address in self.names.get(hostName, literal):
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, portNumber))
        receiver.resolutionComplete()
        return _Resolution()

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Any:
        factory.doStart()
        factory.startedConnecting(self)
        if host in self.closed:
            factory.clientConnectionFailed(self, Failure(ConnectError()))
            return self
        connection = Connection(self, host, port)
        self.connections.append(connection)
        connection.protocol = factory.buildProtocol(connection.getPeer())
        connection.protocol.makeConnection(connection)
        return self

    def stopConnecting(self) -> None:
        pass

    def callLater(self, *arguments: Any, **further: Any) -> Any:
        return self.clock.callLater(*arguments, **further)

    def seconds(self) -> float:
        return self.clock.seconds()

    def getDelayedCalls(self) -> Any:
        return self.clock.getDelayedCalls()

    def run(self, question: Coroutine[Any, Any, Any], *, within: float = 120.0) -> Any:
        """Let time pass until a question is answered; raises what it raises."""
        outcome: list[Any] = []
        deferred: Deferred[Any] = Deferred.fromCoroutine(question)
        deferred.addBoth(outcome.append)
        end = self.clock.seconds() + within
        while not outcome:
            assert self.clock.seconds() < end, "it waits without end"
            before = sum(connection.delivered for connection in self.connections)
            for connection in list(self.connections):
                connection.pump()
            moved = sum(connection.delivered for connection in self.connections) > before
            self.clock.advance(0 if moved else STEP)
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        return outcome[0]

    def settle(self) -> None:
        """Let what is due now happen."""
        for _ in range(3):
            for connection in list(self.connections):
                connection.pump()
            self.clock.advance(0)


def response(body: bytes = b"", *lines: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """An answer as bytes."""
    size = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", *lines, f"Content-Length: {size}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body
