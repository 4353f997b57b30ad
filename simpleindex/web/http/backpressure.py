"""The sending half of a connection: no faster than the client reads, and with a bounded end.

Twisted's channel goes on to the next request while its transport is full; a client that sends 1,500 requests and never
reads made it hold 87 MB (docs/measurements.md). Here an answer that is not taken stops the reading of further requests, and
goes to the transport slice by slice, so that a connection never holds more than two slices, however long the response is.

Deadlines: a connection is always in one :class:`Phase`, and one alarm ends every phase but the resource's own time.
The numbers and their evidence are in :mod:`simpleindex.web.http.limits`.
"""

from __future__ import annotations

import math
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.protocol import connectionDone
from twisted.web import http

from simpleindex.core.addresses import unmapped
from simpleindex.system.log import logger
from simpleindex.web.http import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twisted.internet.interfaces import IDelayedCall, IProducer
    from twisted.python.failure import Failure
    from twisted.web.http_headers import Headers
    from twisted.web.server import Request

    from simpleindex.core.source import Body
    from simpleindex.web.http.connections import Connections
    from simpleindex.web.http.finished_requests import RequestCounts
    from simpleindex.web.http.response import Response
    from simpleindex.web.http.sending import Sending


_log: Final = logger(__name__)

_ROUNDING_SECONDS: Final = 0.001
"""By which an alarm may ring before its deadline, for times are no exact numbers."""


class Phase(Enum):
    """The state of a connection.

    Attributes:
        seconds: How long it may take. An attribute, because a mapping by phase would call a function for each look-up.
    """

    READY = "no byte of its first request has come", limits.HEAD_SECONDS
    HEAD = "a request's line and headers are coming", limits.HEAD_SECONDS
    BODY = "a request's body is coming", limits.BODY_WINDOW_SECONDS
    BUSY = "a request is being answered", math.inf
    IDLE = "an answer was given, no byte of the next request has come", limits.IDLE_SECONDS
    REFUSED = "the last answer was given, what still comes is dropped", limits.DISCARD_SILENCE_SECONDS
    CLOSED = "it is over but for what the transport still holds", limits.WRITE_SECONDS

    def __init__(self, _: str, seconds: float) -> None:
        self.seconds = seconds


WITHOUT_REQUEST: Final = (Phase.READY, Phase.IDLE)
"""The phases in which no request is under way."""


class FastLane(Protocol):
    """Answers some requests before they are parsed."""

    def serve(self, channel: Any, data: bytes) -> None:
        """Answer what came at the beginning of a request, or have the channel parse it."""


class ChannelSite(Protocol):
    """The site that a channel belongs to; see :class:`simpleindex.web.http.site.IndexSite`."""

    connections: Connections
    fast_lane: FastLane | None
    sending: Sending
    request_over: Callable[[Any], None] | None
    request_counts: RequestCounts | None
    max_body: int
    reactor: Any
    bodies: Any
    refusal: Callable[[Response, Any], Response]

    def end_request(self, request: http.Request) -> None:
        """Report a request that is over to those who record requests."""
        ...

    def body_refusal(self, method: bytes) -> Response:
        """Answer a request whose body is longer than is read."""
        ...


class PacedChannel(http.HTTPChannel):
    """Twisted's channel with deadlines and back-pressure.

    Attributes:
        site: Its site, which knows the other connections.
        phase: What it is about.
        deadline: When the phase is over, in seconds of the reactor's clock.
    """

    site: ChannelSite
    # Whatever listens: Twisted's type for it lacks abortConnection.
    transport: Any

    def __init__(self) -> None:
        super().__init__()
        self.phase = Phase.READY
        self._alarm: IDelayedCall | None = None
        self._rings_at = self.deadline = 0.0
        self._head = b""
        self._outbox: deque[memoryview] = deque()
        self._slices_at_once = 0
        self._finished: Request | None = None

    # Beginning and end

    @property
    def peer(self) -> str | None:
        """The other end's address; None for a Unix socket."""
        host = getattr(self.transport.getPeer(), "host", None)
        return None if host is None else unmapped(host)

    def connectionMade(self) -> None:
        if self.site.connections.admit(self, self.peer):
            super().connectionMade()
            self.enter(Phase.READY)
        else:
            self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._let_go()
        super().connectionLost(reason)
        self.site.connections.leave(self)

    def loseConnection(self) -> None:
        if self.phase is Phase.CLOSED:
            return
        self._let_go()
        self.enter(Phase.CLOSED)
        super().loseConnection()
        # TLS would now wait for the client's own close_notify, which a pool of connections never sends. RFC 8446
        # section 6.1 asks us only to send ours, and that is in the lower transport's buffer already.
        lower = getattr(self.transport, "transport", None)
        if lower is not None:
            lower.loseConnection()

    def abort(self) -> None:
        """Close now, without waiting for anything."""
        self._let_go()
        self.transport.abortConnection()

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self.phase in WITHOUT_REQUEST

    def retire(self) -> None:
        """Close now if no request has begun; otherwise the answer says ``Connection: close`` and is the last."""
        if self.is_idle:
            self.loseConnection()

    def _let_go(self) -> None:
        self.phase = Phase.CLOSED
        self._arm(None)
        self._head = b""
        self._outbox.clear()
        self._finished = None

    # Deadlines

    def enter(self, phase: Phase) -> None:
        """Change the phase and set its alarm, unless that of a full transport is running."""
        self.phase = phase
        # While BUSY an alarm is left to ring and does nothing then: that is cheaper than to cancel it.
        if phase is Phase.CLOSED or (phase is not Phase.BUSY and not self._waitingForTransport):
            self._arm(phase.seconds)

    def expired(self) -> None:
        """End a phase that took too long."""
        if self._waitingForTransport or self.phase is Phase.CLOSED:
            _log.warn(
                "{peer} took nothing for {seconds:.0f} seconds; closed the connection.",
                peer=self.peer or "A client",
                seconds=limits.WRITE_SECONDS,
            )
            self.abort()
        elif self.phase is not Phase.BUSY:
            self.loseConnection()

    def stay_idle(self, now: float) -> None:
        """Be idle again after an answer during which the phase was READY or IDLE.

        Args:
            now: When the request came, in seconds of the reactor's clock.
        """
        self.phase = Phase.IDLE
        self.deadline = now + limits.IDLE_SECONDS  # The alarm of either phase rings no later.

    def _arm(self, seconds: float | None) -> None:
        """Set the deadline.

        An alarm that rings before it is left as it is, and set again when it rings: to set one with each page takes 1 us of 15.
        """
        if seconds is None:
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            return
        self.deadline = self.site.reactor.seconds() + seconds
        if self._alarm is None:
            self._alarm = self.callLater(seconds, self._ring)
        elif self.deadline < self._rings_at:
            self._alarm.reset(seconds)
        else:
            return
        self._rings_at = self.deadline

    def _ring(self) -> None:
        self._alarm = None
        left = self.deadline - self.site.reactor.seconds()
        if left > _ROUNDING_SECONDS:
            self._arm(left)
        else:
            self.expired()

    # The answer

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        if self.site.connections.draining:
            self.persistent = False
        if not self.persistent:
            headers.setRawHeaders(b"Connection", [b"close"])
        headers.setRawHeaders(b"Server", [b"simpleindex"])
        lines = [b"%b %b %b\r\n" % (version, code, reason)]
        lines += [
            b"%b: %b\r\n" % (name, value) for name, values in headers.getAllRawHeaders() for value in values
        ]
        # It leaves with the first bytes of the body: what the transport holds until the next turn takes three system calls more.
        self._head = b"".join((*lines, b"\r\n"))

    def write(self, data: bytes) -> None:
        if self.phase is Phase.CLOSED:
            return
        head, self._head = self._head, b""
        if head and len(data) < limits.SLICE_BYTES and not self._outbox:
            self.site.sending.write(self.transport, head + data)
            return
        if head:
            self.transport.write(head)
        if not self._outbox and len(data) <= limits.SLICE_BYTES:
            self._give(data)
        else:
            self._outbox.append(memoryview(data))
            self._send()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def _send(self) -> None:
        while self._outbox and not self._waitingForTransport:
            data = self._outbox.popleft()
            if len(data) > limits.SLICE_BYTES:
                self._outbox.appendleft(data[limits.SLICE_BYTES :])
            self._give(bytes(data[: limits.SLICE_BYTES]))

    def _give(self, data: bytes) -> None:
        if len(data) < limits.SLICE_BYTES:
            self.transport.write(data)
        elif self._slices_at_once < limits.SLICES_AT_ONCE:
            self._slices_at_once += 1
            self.site.sending.write(self.transport, data)
        else:
            # This fills the transport, so that the next one waits until others have had their turn.
            self._slices_at_once = 0
            self.transport.write(data)

    def send_file(self, body: Body, offset: int, length: int) -> int | None:
        """Let the kernel send a part of a response's body; see :class:`~simpleindex.web.http.sending.Sending`."""
        if self._outbox or self._waitingForTransport or self.phase is Phase.CLOSED:
            return None
        return self.site.sending.send_file(
            self.transport, lambda socket: body.send_to(socket, offset, length)
        )

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        super().registerProducer(producer, streaming)
        # A full transport has paused already; over TLS it does not pause again.
        if self._waitingForTransport and self._requestProducer is not None:
            self._requestProducer.pauseProducing()

    def pauseProducing(self) -> None:
        # Plain TCP says so again at every write: only the first time starts the alarm.
        if not self._waitingForTransport:
            self._arm(limits.WRITE_SECONDS)
        super().pauseProducing()

    def resumeProducing(self) -> None:
        self._waitingForTransport = False
        self._send()
        if self._waitingForTransport or self.phase is Phase.CLOSED:
            return
        self.enter(self.phase)
        super().resumeProducing()
        if self._finished is not None and not self._waitingForTransport:
            request, self._finished = self._finished, None
            self._conclude(request)

    def requestDone(self, request: Request) -> None:
        if self._head:
            self.write(b"")  # An answer without a body.
        if self.phase is Phase.CLOSED:
            self.requests.remove(request)
        elif self._waitingForTransport:
            self._finished = request
            self._networkProducer.pauseProducing()
        else:
            self._conclude(request)

    def _conclude(self, request: Request) -> None:
        if self.phase is Phase.REFUSED:
            self.requests.remove(request)
            return
        if self.site.connections.draining:
            self.persistent = False
        self.enter(Phase.IDLE)
        super().requestDone(request)
