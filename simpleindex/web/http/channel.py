"""The receiving half of a connection: Twisted's, with bounds on time and size.

Parsing and its defences against smuggling stay Twisted's. A request's line, headers and body have each a deadline and
a bound, and what goes beyond is refused with a sentence. The numbers are in :mod:`simpleindex.web.http.limits`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.web.http import limits
from simpleindex.web.http.backpressure import WITHOUT_REQUEST, PacedChannel, Phase
from simpleindex.web.http.response import sentence

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress

    from simpleindex.web.http.response import Response

_LENGTH_DIGITS: Final = 18
"""Decimal digits beyond which a Content-Length is no file's any more; int() itself raises beyond 4300."""


class IndexChannel(PacedChannel):
    """The server's side of one HTTP/1.1 connection."""

    # Never reached, because ours are narrower; Twisted answers them with 400.
    totalHeadersSize = limits.REQUEST_LINE_BYTES + limits.HEADER_BYTES  # noqa: N815 (Twisted's name)
    maxHeaders = limits.HEADER_LINES  # noqa: N815 (Twisted's name)
    MAX_LENGTH = limits.HEADER_BYTES

    def __init__(self) -> None:
        super().__init__()
        self._lines = 0
        self._header_bytes = 0
        self._body_bytes = 0
        self._body_bytes_before = 0
        self._discarded_bytes = 0
        self._discard_until = 0.0
        self._pauses_body = False
        self._continues_later = False
        self._address: IAddress | None = None

    def dataReceived(self, data: bytes) -> None:
        lane = self.site.fast_lane
        if (
            lane is None
            or self.phase not in WITHOUT_REQUEST
            or self._buffer
            or self._waitingForTransport
            or self.site.connections.draining
        ):
            self.parse(data)
        else:
            lane.serve(self, data)

    def parse(self, data: bytes) -> None:
        """Take bytes of requests the ordinary way."""
        if self.is_idle:
            self._begin_head()
        if self.phase is Phase.REFUSED:
            self._discard(len(data))
        elif self.phase is not Phase.CLOSED:
            super().dataReceived(data)
            if self.phase is Phase.IDLE and self._buffer:
                self._begin_head()  # Some bytes of it came together with the request before it.

    @property
    def address(self) -> IAddress:
        """The client's address."""
        if self._address is None:
            self._address = self.transport.getPeer()
        return self._address

    def send_whole(self, wire: bytes, now: float) -> None:
        """Send all of an answer to a request that was not parsed, and expect the next one.

        Args:
            wire: All its bytes.
            now: When it came, in seconds of the reactor's clock.
        """
        if len(wire) <= limits.SLICE_BYTES:
            self.site.sending.write(self.transport, wire)
        else:
            self.write(wire)
        if self._waitingForTransport:
            self._pass_on()
        else:
            self.stay_idle(now)

    def _pass_on(self) -> None:
        """Go on as if an ordinary request were done, which waits until the client has taken its answer."""
        self.enter(Phase.BUSY)
        self._handlingRequest = True
        self.setRawMode()
        self.requests.append(self.requestFactory(self))
        self.requestDone(self.requests[0])

    def expired(self) -> None:
        if self._waitingForTransport:
            super().expired()
        elif self.phase is Phase.HEAD:
            self.refuse(
                408, f"The request's headers did not arrive within {limits.HEAD_SECONDS:.0f} seconds."
            )
        elif self.phase is Phase.BODY:
            self._judge_body()
        else:
            super().expired()

    # The request's head

    def _begin_head(self) -> None:
        if self.phase is Phase.READY:
            self.phase = Phase.HEAD  # Its deadline is running since the connection was made.
        else:
            self.enter(Phase.HEAD)
        self._lines = self._header_bytes = self._body_bytes = self._body_bytes_before = 0
        self._pauses_body = self._continues_later = False

    def lineReceived(self, line: bytes) -> None:
        if self.phase is Phase.IDLE:
            self._begin_head()
        if self._lines == 0:
            if len(line) > limits.REQUEST_LINE_BYTES:
                self._refuse_request_line()
                return
            self._lines = int(line != b"")  # Twisted forgives one empty line before a request.
        elif line:
            self._lines += 1
            self._header_bytes += len(line) + 2
            if self._header_bytes > limits.HEADER_BYTES or self._lines > limits.HEADER_LINES + 1:
                self._refuse_headers()
                return
        super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002 (Twisted's signature)
        if self.phase is Phase.IDLE or self._lines == 0:
            self._refuse_request_line()
        else:
            self._refuse_headers()

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:
        if header == b"Transfer-Encoding" and data.lower() != b"chunked":
            # RFC 9112 section 6.1; Twisted passes over "identity", which a proxy before us could read in another way.
            self.refuse(501, "The request has a Transfer-Encoding other than chunked.")
            return False
        if header == b"Content-Length" and len(data) > _LENGTH_DIGITS and data.isdigit():
            # The target has not been read yet, and no upload may be so long.
            self.refuse(413, "The request's Content-Length is larger than any file.")
            return False
        return bool(super()._maybeChooseTransferDecoder(header, data))

    def allHeadersReceived(self) -> None:
        if (
            self._version == b"HTTP/1.1"
            and len(self.requests[-1].requestHeaders.getRawHeaders(b"Host", ())) != 1
        ):
            # RFC 9112 section 3.2; a proxy before us could otherwise mean another host than we do.
            self.refuse(400, "The request has no Host header, or several.")
            return
        request = self.requests[-1]
        request.method, request.uri = self._command, self._path
        intake = request.open_intake(self.length)
        if intake is None and self.length is not None and self.length > self.site.max_body:
            self._refuse_body()
            return
        if self.length != 0:
            self.enter(Phase.BODY)
        super().allHeadersReceived()
        if intake is not None:
            request.begin_intake(self.length)

    # The request's body

    def body_received(self, size: int, *, is_taken: bool) -> None:
        """Take note of so many bytes of a body, which are taken or dropped."""
        self._body_bytes += size
        if self._body_bytes > self.site.max_body and not is_taken:
            self._refuse_body()

    def pause_body(self) -> None:
        self._pauses_body = True
        self._networkProducer.pauseProducing()

    def resume_body(self) -> None:
        self._pauses_body = False
        # Once all of it is here the connection is read again when the answer is given.
        if self.phase is Phase.BODY:
            self.enter(Phase.BODY)
            self._networkProducer.resumeProducing()

    def send_continue(self) -> None:
        if self._continues_later and self.phase is Phase.BODY:
            super()._send100Continue()

    def _send100Continue(self) -> None:
        # Where the body is taken, 100 Continue follows once the head has been judged (RFC 9110 section 10.1.1).
        self._continues_later = self.requests[-1].intake is not None
        if not self._continues_later:
            super()._send100Continue()

    def _judge_body(self) -> None:
        if self._pauses_body:
            self.enter(Phase.BODY)
        elif self._body_bytes - self._body_bytes_before < limits.BODY_WINDOW_BYTES:
            self.refuse(408, "The request's body arrived too slowly; the least is 1 KiB per second.")
        else:
            self._body_bytes_before = self._body_bytes
            self.enter(Phase.BODY)

    def allContentReceived(self) -> None:
        if self.phase is not Phase.REFUSED:
            self.enter(Phase.BUSY)
            super().allContentReceived()

    def rawDataReceived(self, data: bytes) -> None:
        if self.phase is Phase.BUSY:
            # Twisted keeps these pieces one by one, and any number of them while the transport is full.
            self._dataBuffer = [b"".join((*self._dataBuffer, data))]
            if len(self._dataBuffer[0]) > self._optimisticEagerReadSize:
                self._networkProducer.pauseProducing()
        elif self.phase is Phase.BODY:
            super().rawDataReceived(data)

    # Refusals

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(400, "The request is not well-formed HTTP/1.1.")

    def _refuse_request_line(self) -> None:
        self.refuse(414, f"The request line is longer than {limits.REQUEST_LINE_BYTES} bytes.")

    def _refuse_headers(self) -> None:
        self.refuse(
            431,
            f"The request's headers are more than {limits.HEADER_LINES} or longer than {limits.HEADER_BYTES} bytes.",
        )

    def _refuse_body(self) -> None:
        self.refuse_with(self.site.body_refusal(self._command))

    def refuse(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        """Answer a request that is not read further, drop the rest of it within bounds, and close (docs/protocol.md).

        The sentence is the reason phrase too: that is what twine shows of a refused upload (docs/protocol.md).
        """
        self.refuse_with(sentence(status, text, *headers))

    def refuse_with(self, response: Response) -> None:
        """As :meth:`refuse`, with any answer whose body is bytes."""
        if self.phase in (Phase.REFUSED, Phase.CLOSED):
            return
        self.enter(Phase.REFUSED)
        self._discard_until = self.site.reactor.seconds() + limits.DISCARD_SECONDS
        self.persistent = False
        self.setRawMode()  # Lines that came already are lines no more.
        if not self.requests:
            self.requests.append(self.requestFactory(self))
        request = self.requests[0]
        # What Twisted has parsed of it so far, for the access log and for HEAD.
        request.method = getattr(self, "_command", request.method)
        request.uri = getattr(self, "_path", request.uri)
        if self._pauses_body:
            self._pauses_body = False
            self._networkProducer.resumeProducing()
        request.refuse(response)

    def _discard(self, size: int) -> None:
        self._discarded_bytes += size
        left = self._discard_until - self.site.reactor.seconds()
        if self._discarded_bytes > limits.DISCARD_BYTES or left <= 0:
            self.loseConnection()
        elif not self._waitingForTransport:
            self._arm(min(left, limits.DISCARD_SILENCE_SECONDS))
