"""The server as a factory: the requests and connections of one site of resources."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from twisted.web import http, server

from simpleindex.web import limits
from simpleindex.web.channel import IndexChannel
from simpleindex.web.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure
    from twisted.web.resource import IResource

    from simpleindex.web.express import Express

_CLIENT_LEFT = 499
"""What nginx logs for a client that left before it got an answer."""


class IndexRequest(server.Request):
    """A request whose body is counted and dropped: never kept, never a temporary file, never parsed as a form."""

    channel: IndexChannel
    method = b"-"
    uri = b"-"
    clientproto = b"HTTP/1.1"

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002 (Twisted's signature)
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        # A decoder goes on with what it holds after a refusal, when the channel is gone already.
        if not self.finished:
            self.channel.body_received(len(data))

    def refuse(self, status: int, sentence: str, *headers: tuple[bytes, bytes]) -> None:
        """Answer with a sentence instead of being processed.

        The sentence is the reason phrase too: that is what twine shows of a refused upload (SPEC P44).
        """
        body = f"{sentence}\n".encode()
        self.setResponseCode(status, sentence.encode("ascii"))
        self.setHeader(b"Date", http.datetimeToString())
        self.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        self.setHeader(b"Content-Length", str(len(body)).encode())
        self.setHeader(b"Cache-Control", b"no-store")
        for name, value in headers:
            self.setHeader(name, value)
        self.write(body)
        self.finish()

    def connectionLost(self, reason: Failure) -> None:
        # One that was not read to its end was none; one that was answered is logged already.
        if self.path is not None and not self.finished:
            if not self.startedWriting:
                self.code = _CLIENT_LEFT
            self.channel.site.log(self)
        super().connectionLost(reason)


class IndexSite(server.Site):
    """A site that offers HTTP/1.1 only: Twisted's HTTP/2 is three times slower, and knows nothing of our bounds.

    Attributes:
        connections: Those that are open.
        max_body: How much of a request's body is read, in bytes.
        access_log: Called once with each request that is over: answered, refused, or left by its client.
    """

    # Twisted's own wraps the channel, to put HTTP/2 in its place.
    protocol = IndexChannel  # type: ignore[assignment]  # Twisted names its wrapper as the type
    requestFactory = IndexRequest  # noqa: N815 (Twisted's name)

    def __init__(
        self,
        resource: IResource,
        reactor: IReactorTime,
        *,
        log: Callable[[Any], None] | None = None,
        max_body: int = limits.BODY_BYTES,
        max_connections_per_address: int = limits.CONNECTIONS_PER_ADDRESS,
        exempt: Callable[[str], bool] = lambda _: False,
        express: Express | None = None,
    ) -> None:
        """Serve a resource.

        Args:
            resource: What is asked.
            reactor: For every deadline.
            log: See ``access_log``.
            max_body: See above.
            max_connections_per_address: 0 for any number; loopback and Unix sockets are never counted.
            exempt: Tells of an address whether it is not counted either (a trusted proxy).
            express: Answers simple requests before they are parsed, if given.
        """
        # Without Twisted's timeout: it starts anew with every byte, and stops while an answer is written.
        super().__init__(resource, reactor=reactor, timeout=None, parsePOSTFormSubmission=False)
        self.access_log = log
        self.express = express
        self.max_body = max_body
        self.connections = Connections(reactor.seconds, max_connections_per_address, exempt)

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """Leave out Twisted's own access log, which wakes up every second."""

    def log(self, request: http.Request) -> None:
        if self.access_log is not None:
            self.access_log(request)

    def drain(self) -> Deferred[None]:
        """Bring every connection to its end; see :meth:`Connections.drain`."""
        return self.connections.drain()

    def abort_all(self) -> None:
        """Close every connection now, whatever is lost."""
        self.connections.abort_all()
