"""The server as a factory: the requests and connections of one site of resources."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Protocol

from twisted.web import http, server

from simpleindex.web.http import limits
from simpleindex.web.http.channel import IndexChannel
from simpleindex.web.http.connections import Connections
from simpleindex.web.http.finished_requests import is_finished_download
from simpleindex.web.http.presenting import presented
from simpleindex.web.http.response import reason_phrase, sentence
from simpleindex.web.http.sending import PlainSending

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure
    from twisted.web.resource import IResource

    from simpleindex.web.http.backpressure import FastLane
    from simpleindex.web.http.finished_requests import RequestCounts
    from simpleindex.web.http.request_body import IncomingBody
    from simpleindex.web.http.response import RequestRecord, Response, Sink
    from simpleindex.web.http.sending import Sending

_CLIENT_LEFT = 499
"""What nginx logs for a client that left before it got an answer."""


class IndexRequest(server.Request):
    """A request whose body is taken as it comes, or counted and dropped: never kept, never parsed by Twisted.

    Attributes:
        intake: Takes the body; None where it is dropped.
        record: What the access log and the audit record of it beside the request line; None where there is nothing.
        received: When its head had come whole, in seconds of the reactor's clock; None before.
    """

    channel: IndexChannel
    method = b"-"
    uri = b"-"
    clientproto = b"HTTP/1.1"
    intake: IncomingBody | None = None
    record: RequestRecord | None = None
    received: float | None = None

    def open_intake(self, length: int | None) -> IncomingBody | None:
        """Return what takes the body, if anything does; the method and the target have arrived.

        Args:
            length: Its bytes; None if that is not stated.
        """
        bodies = self.channel.site.bodies
        if bodies is not None and length != 0:
            self.intake = bodies.intake(self)
        return self.intake

    def begin_intake(self, length: int | None) -> None:
        """Begin to take the body, now that reading can be paused."""
        assert self.intake is not None  # open_intake returned it
        assert self.channel.site.bodies is not None  # the same
        self.intake.begin(self.channel.site.bodies.judge(self, length))

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self.intake is not None:
            self.intake.ended()
        super().requestReceived(command, path, version)

    def finish(self) -> None:
        super().finish()
        if self.intake is not None:
            self.intake.lost()

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002 (Twisted's signature)
        self.received = self.channel.site.reactor.seconds()
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        # A decoder goes on with what it holds after a refusal, when the channel is gone already.
        if not self.finished:
            self.channel.body_received(len(data), is_taken=self.intake is not None)
            if self.intake is not None:
                self.intake.received(data)

    def refuse(self, response: Response) -> None:
        """Give an answer whose body is bytes instead of being processed."""
        response = self.channel.site.refusal(response, self)
        assert isinstance(response.body, bytes)
        self.setResponseCode(response.status, reason_phrase(response))
        self.setHeader(b"Date", http.datetimeToString())
        for name, value in response.headers:
            self.responseHeaders.addRawHeader(name.encode("latin-1"), value.encode("latin-1", "replace"))
        self.setHeader(b"Content-Length", b"%d" % len(response.body))
        self.write(response.body)
        self.finish()

    def connectionLost(self, reason: Failure) -> None:
        # One that was not read to its end was none; one that was answered is logged already.
        if self.path is not None and not self.finished:
            if not self.startedWriting:
                self.code = _CLIENT_LEFT
            self.channel.site.end_request(self)
        if self.intake is not None:
            self.intake.lost()
        super().connectionLost(reason)


class BodyReceiver(Protocol):
    """Takes the bodies of uploads and of other changes."""

    def intake(self, request: IndexRequest) -> IncomingBody | None:
        """Return what takes the body of a request; None for a body that is dropped."""
        ...

    def judge(self, request: IndexRequest, length: int | None) -> Coroutine[Any, Any, Sink]:
        """Judge a request's head, and return what takes its body.

        Raises:
            SimpleIndexError: It is refused.
        """
        ...


class IndexSite(server.Site):
    """A site that speaks HTTP/1.1, whatever is installed beside it.

    Attributes:
        connections: Those that are open.
        max_body: How much of a request's body is read, in bytes.
        request_over: Called once with each request that is over: answered, refused, or left by its client.
        request_counts: Counts each request that is over, and costs less than ``request_over``; None if nothing does.
        download_over: Called once with each request that is over and gave a whole distribution.
        bodies: Takes the bodies of uploads, if anything does.
        refusal: Returns the refusal of a request's head in the form that its client reads.
        fast_lane: Answers simple requests before they are parsed, if there is one.
        sending: How bytes are handed to the transport.
    """

    # Without the wrapper of Twisted's own, which puts HTTP/2 in its place.
    protocol = IndexChannel  # type: ignore[assignment]  # Twisted names its wrapper as the type
    requestFactory = IndexRequest  # noqa: N815 (Twisted's name)
    noisy = False

    def __init__(
        self,
        resource: IResource,
        reactor: IReactorTime,
        *,
        request_over: Callable[[Any], None] | None = None,
        max_connections_per_address: int = 0,
        exempt: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Serve a resource.

        Args:
            resource: Answers the requests.
            reactor: For every deadline.
            request_over: See above.
            max_connections_per_address: 0 for any number; loopback and Unix sockets are never counted.
            exempt: Tells of an address whether it is not counted either (a trusted proxy).
        """
        # Without Twisted's timeout: it starts again with every byte, and stops while an answer is written.
        super().__init__(resource, reactor=reactor, timeout=None, parsePOSTFormSubmission=False)
        self.request_over = request_over
        self.request_counts: RequestCounts | None = None
        self.download_over: Callable[[Any], None] | None = None
        self.fast_lane: FastLane | None = None
        self.sending: Sending = PlainSending()
        self.max_body = limits.BODY_BYTES
        self.bodies: BodyReceiver | None = None
        self.refusal: Callable[[Response, Any], Response] = presented
        self.connections = Connections(reactor.seconds, max_connections_per_address, exempt)

    def acceptableProtocols(self) -> list[bytes]:
        # Twisted's own offers HTTP/2 too where its library is installed.
        return [b"http/1.1"]

    def body_refusal(self, method: bytes) -> Response:
        """Answer a request whose body is longer than is read."""
        if method in (b"GET", b"HEAD"):
            text = f"The request's body is longer than the {self.max_body} bytes that are read here."
            return sentence(413, text)
        # A body that is too long to be read is an upload; its answer says so.
        text = "This index is read-only: uploads are not enabled on it."
        if self.bodies is not None:
            text = "This URL is for reading; uploads go to /legacy/."
        return sentence(405, text, ("Allow", "GET, HEAD, OPTIONS"))

    def startFactory(self) -> None:
        """Leave out Twisted's own access log, which wakes up every second."""

    def log(self, request: http.Request) -> None:
        """Count a request as over; Twisted calls this where its own site writes its log."""
        self.end_request(request)

    def end_request(self, request: http.Request) -> None:
        """Report a request that is over to those who record requests."""
        if self.request_over is not None:
            self.request_over(request)
        if self.request_counts is not None:
            self.request_counts.record(request)
        if self.download_over is not None and is_finished_download(request):
            self.download_over(request)

    def drain(self) -> Deferred[None]:
        """Bring every connection to its end; see :meth:`Connections.drain`."""
        return self.connections.drain()

    def abort_all(self) -> None:
        """Close every connection now, without waiting for anything."""
        self.connections.abort_all()
