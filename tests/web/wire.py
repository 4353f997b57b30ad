"""A connection in memory: a transport that fills up as a socket does, and a client that reads answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from simpleindex.web.http.site import IndexSite

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress, IProtocol
    from twisted.web.http import Request

FULL = 64 * 1024
"""``twisted.internet.abstract.FileDescriptor.bufferSize``."""


class SocketTransport(StringTransport):
    """As ``FileDescriptor``: full beyond 64 KiB, says so at every write, and asks for more only when it is empty.

    Attributes:
        held: What the client has not taken.
        most: The most that was ever held.
    """

    def __init__(self, clock: Clock, protocol: IProtocol, peer: IAddress) -> None:
        super().__init__(peerAddress=peer)
        self.clock = clock
        self.protocol = protocol
        self.held = bytearray()
        self.most = 0
        self.aborted = False
        self.gone = False
        self.full = False

    @property
    def reading(self) -> bool:
        return self.producerState == "producing" and not self.disconnecting

    def write(self, data: bytes) -> None:
        if self.gone or self.aborted:
            return
        self.held += data
        self.most = max(self.most, len(self.held))
        if self.producer is not None and len(self.held) > FULL:
            self.full = True
            self.producer.pauseProducing()

    def writeSequence(self, data: list[bytes]) -> None:
        self.write(b"".join(data))

    def take(self, size: int | None = None) -> bytes:
        """Be the client's kernel: take so many bytes, or all that comes."""
        taken = bytearray()
        while True:
            piece = bytes(self.held[: None if size is None else size - len(taken)])
            del self.held[: len(piece)]
            taken += piece
            if self.held:
                break
            if self.producer is not None and self.full:
                self.full = False
                self.producer.resumeProducing()
            elif self.disconnecting:
                self._lose(ConnectionDone())
                break
            else:
                break
        return bytes(taken)

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def pauseProducing(self) -> None:
        self.producerState = "paused"

    def resumeProducing(self) -> None:
        if not self.disconnecting:
            self.producerState = "producing"

    def unregisterProducer(self) -> None:
        self.producer = None

    def abortConnection(self) -> None:
        self.aborted = True  # But not disconnecting: that is what a socket says too.
        self.held.clear()
        self.clock.callLater(0, self._lose, ConnectionAborted())

    def leave(self) -> None:
        """Be a client that goes away."""
        self._lose(ConnectionDone())

    def _lose(self, reason: Exception) -> None:
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(reason))


class Pages(Resource):
    """Answers every request at once with its path, or with what was put there; ``/later`` when told to.

    Attributes:
        bodies: What was put there.
        seen: The requests.
        read: What each brought: its body and its arguments.
        meanwhile: Is called in the midst of each.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.bodies: dict[bytes, bytes] = {}
        self.seen: list[Request] = []
        self.read: list[tuple[bytes, dict[bytes, list[bytes]]]] = []
        self.meanwhile: Callable[[], object] = bool

    def render(self, request: Request) -> Any:
        self.seen.append(request)
        self.meanwhile()
        assert request.content is not None
        self.read.append((request.content.read(), request.args or {}))
        if request.path == b"/later":
            return NOT_DONE_YET
        return self.bodies.get(request.path, request.path)


@dataclass(frozen=True)
class Answer:
    """One response as a client sees it."""

    status: int
    reason: bytes
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def text(self) -> str:
        """What it says: a problem's sentence, where it is one in JSON."""
        if self.headers.get(b"content-type") == b"application/problem+json" and self.body:
            return f"{json.loads(self.body)['detail']}\n"
        return self.body.decode()


def get(path: bytes = b"/", *lines: bytes) -> bytes:
    """A request."""
    return b"\r\n".join((b"GET " + path + b" HTTP/1.1", b"Host: example.org", *lines, b"", b""))


def answers(data: bytes, *methods: bytes) -> list[Answer]:
    """Read responses off the wire; the methods asked for, if there are others than GET."""
    found: list[Answer] = []
    start = 0
    while start < len(data):
        stop = data.index(b"\r\n\r\n", start)
        head = data[start:stop]
        start = stop + 4
        status_line, *lines = head.split(b"\r\n")
        _, status, reason = status_line.split(b" ", 2)
        headers = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
        assert len(headers) == len(lines), head
        size = int(headers.get(b"content-length", 0))
        if methods[len(found) : len(found) + 1] == (b"HEAD",):
            size = 0
        assert len(data) >= start + size, (head, len(data))
        found.append(Answer(int(status), reason, headers, data[start : start + size]))
        start += size
    return found


class LinesTestCase(SynchronousTestCase):
    """Keeps what we say in the server's log; errors are left to trial, which fails on them."""

    def setUp(self) -> None:
        self.lines: list[str] = []
        observer: Any = self._observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _observe(self, event: dict[str, Any]) -> None:
        if event.get("log_namespace", "").startswith("simpleindex"):
            self.lines.append(event["log_format"].format(**event))


class Wire:
    """A site, its clock, and connections to it."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.pages = Pages()
        self.logged: list[tuple[bytes, int]] = []
        self.site = IndexSite(
            self.pages,
            self.clock,
            log=lambda request: self.logged.append((request.uri, request.code)),
            **options,
        )

    def connect(self, peer: IAddress | None = None) -> SocketTransport:
        peer = peer or IPv4Address("TCP", "192.0.2.7", 50000)
        protocol = self.site.buildProtocol(peer)
        transport = SocketTransport(self.clock, protocol, peer)
        protocol.makeConnection(transport)
        return transport

    def send(self, transport: SocketTransport, data: bytes, *, size: int | None = None) -> None:
        """Send in pieces of a size, or whole."""
        size = size or len(data) or 1
        for start in range(0, len(data), size):
            if transport.gone:
                return
            transport.protocol.dataReceived(data[start : start + size])

    def wait(self, seconds: float, step: float = 1.0) -> None:
        self.clock.pump([step] * round(seconds / step))
