"""An index in memory and a client of it: requests go in as bytes, answers come out as bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from simpleindex.core.views import MAIN_VIEW
from simpleindex.views.explain import SourceNote
from simpleindex.web.admission import open_admission
from simpleindex.web.files import FileResponses
from simpleindex.web.http.channel import IndexChannel
from simpleindex.web.http.site import IndexSite
from simpleindex.web.listings import Listings, available_encodings
from simpleindex.web.resource import IndexResource
from simpleindex.web.status import StatusPages, StatusReport
from simpleindex.web.why import WhyPages
from tests.web.stub_source import StubSource
from tests.web.wire import SocketTransport, answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress
    from twisted.python.failure import Failure
    from twisted.web.resource import IResource

    from simpleindex.core.errors import SimpleIndexError
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.web.admission import Admission
    from simpleindex.web.publish.dispatch import WriteRequests

FAR = IPv4Address("TCP", "192.0.2.7", 50000)
NEAR = IPv4Address("TCP", "127.0.0.1", 50000)
PIP = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
JSON = "application/vnd.pypi.simple.v1+json"
V1_HTML = "application/vnd.pypi.simple.v1+html"


@dataclass(frozen=True)
class Reply:
    """One answer, read; header names in lower case, each of which came once."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """What it says: a problem's sentence, where it is one in JSON."""
        if self.headers.get("content-type") == "application/problem+json" and self.body:
            return f"{self.json['detail']}\n"
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Transport(SocketTransport):
    """As ``FileDescriptor``, which tells its producer before its protocol that the connection is gone."""

    @property
    def channel(self) -> IndexChannel:
        assert isinstance(self.protocol, IndexChannel)
        return self.protocol

    def _lose(self, reason: Exception) -> None:
        if not self.gone and self.producer is not None:
            self.producer.stopProducing()
            self.producer = None
        super()._lose(reason)


class Client:
    """A client of one resource.

    Attributes:
        logged: Target and status of each request that is over.
    """

    def __init__(self, resource: IResource) -> None:
        self.logged: list[tuple[bytes, int]] = []
        self.clock = Clock()
        self.site = IndexSite(
            resource,
            self.clock,
            log=lambda request: self.logged.append((request.uri, request.code)),
        )

    def connect(self, peer: IAddress = FAR) -> Transport:
        """Open a connection."""
        protocol = self.site.buildProtocol(peer)
        assert protocol is not None
        transport = Transport(self.clock, protocol, peer)
        protocol.makeConnection(transport)
        return transport

    def begin(
        self, method: str, target: str | bytes, *headers: tuple[str, str | bytes], peer: IAddress = FAR
    ) -> Transport:
        """Send a request on a connection of its own, and take nothing of the answer yet."""
        transport = self.connect(peer)
        transport.protocol.dataReceived(request(method, target, *headers))
        return transport

    def ask(
        self, method: str, target: str | bytes, *headers: tuple[str, str | bytes], peer: IAddress = FAR
    ) -> Reply:
        """Send a request on a connection of its own and take the whole answer."""
        transport = self.begin(method, target, *headers, peer=peer)
        try:
            return read(transport, method)
        finally:
            transport.leave()

    def get(self, target: str | bytes, *headers: tuple[str, str | bytes], peer: IAddress = FAR) -> Reply:
        return self.ask("GET", target, *headers, peer=peer)

    def head(self, target: str | bytes, *headers: tuple[str, str | bytes], peer: IAddress = FAR) -> Reply:
        return self.ask("HEAD", target, *headers, peer=peer)


class Index(Client):
    """A client of a whole index over a source; the arguments are those of the objects that it is made of."""

    def __init__(
        self,
        source: Source | None = None,
        *,
        views: dict[str, Source] | None = None,
        cors: str | None = "*",
        trusted: tuple[Any, ...] = (),
        immutable: bool = False,
        cache_size: int = 1_000_000,
        base_url: str | None = None,
        report: Callable[[], StatusReport] | None = None,
        ca_certificate: bytes | None = None,
        challenges: dict[str, bytes] | None = None,
        admission: Admission | None = None,
        changes: Callable[[Index], WriteRequests] | None = None,
    ) -> None:
        self.source = StubSource()
        self.failures: list[Failure] = []
        self.refused: list[SimpleIndexError] = []
        self.in_thread: list[Callable[..., Any]] = []
        admission = admission or open_admission({MAIN_VIEW: source or self.source, **(views or {})})
        changing = changes(self) if changes else None
        self.listings = Listings(
            admission.public,
            base_url=base_url,
            encodings=available_encodings(),
            cache_size=cache_size,
            in_thread=self._in_thread,
        )
        self.resource = IndexResource(
            listings=self.listings,
            files=FileResponses(immutable=immutable),
            status=_status(report or (lambda: REPORT), ca_certificate),
            admission=admission,
            why=WhyPages(admission, self._words),
            changing=changing,
            acme_challenge=(challenges or {}).get,
            trusted=trusted,
            cors=cors,
            refused=lambda error, *_: self.refused.append(error),
            failed=self.failures.append,
        )
        super().__init__(self.resource)
        self.site.bodies = changing

    async def _words(self, view: str, name: ProjectName) -> tuple[SourceNote, ...]:
        return (SourceNote(view, f"was asked for {name}."),)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.in_thread.append(function)
        return function(*arguments)


def _status(report: Callable[[], StatusReport], ca_certificate: bytes | None) -> StatusPages:
    return StatusPages(report, lambda: (report().ready, report().suspended), lambda: ca_certificate)


REPORT = StatusReport(
    ready=True,
    suspended=None,
    projects=2,
    files=3,
    size=4096,
    withheld=(("acme", "acme-2.0.zip", "archive", "it is incomplete"),),
    watch="inotify",
    version="1.0",
)


def request(method: str, target: str | bytes, *headers: tuple[str, str | bytes]) -> bytes:
    """A request as bytes."""
    raw = target if isinstance(target, bytes) else target.encode()
    lines = [method.encode() + b" " + raw + b" HTTP/1.1"]
    if all(name != "Host" for name, _ in headers):
        lines.append(b"Host: attacker.example")
    lines += [
        name.encode() + b": " + (value if isinstance(value, bytes) else value.encode())
        for name, value in headers
    ]
    return b"\r\n".join((*lines, b"", b""))


def read(transport: SocketTransport, *methods: str) -> Reply:
    """Take everything from a connection; it has to be exactly one whole answer."""
    (answer,) = answers(transport.take(), *(method.encode() for method in methods))
    headers = {name.decode(): value.decode("latin-1") for name, value in answer.headers.items()}
    return Reply(answer.status, headers, answer.body)
