"""One request of an HTTP/2 connection and its answer: what a request takes for its channel."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from simpleindex.web.http import limits
from simpleindex.web.http.response import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet.interfaces import IProducer
    from twisted.python.failure import Failure
    from twisted.web.http_headers import Headers

    from simpleindex.web.http.response import Response
    from simpleindex.web.http.site import IndexRequest

PROTOCOL: Final = b"HTTP/2.0"
"""As access logs have it."""

_OF_CONNECTIONS: Final = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
"""RFC 9113 section 8.2.2: they must not be sent."""


class Http2Stream:
    """A stream as the channel of a request: bounds on what comes, back-pressure on what goes.

    Attributes:
        stream_id: Its number.
        is_whole: Whether the request has come to its end.
        is_working: Whether the request is being answered.
        is_ready: Whether the connection has it among those that may send.
    """

    chunk_bytes = limits.STREAM_CHUNK_BYTES

    def __init__(self, connection: Any, stream_id: int) -> None:
        self.stream_id = stream_id
        self.site = self.factory = connection.site
        self.transport = connection.transport
        self.is_whole = self.is_working = self.is_ready = False
        self._connection = connection
        self._over = False
        self._refused = False
        self._answered = False
        self._head: list[tuple[bytes, bytes]] | None = None
        self._outbox: deque[memoryview] = deque()
        self._producer: Any = None
        self._paused = False
        self._body_bytes = 0
        self._sent_bytes = 0
        self._marks: dict[str, tuple[float, int]] = {}
        self._request: IndexRequest | None = self.site.requestFactory(self)
        self._method, self._target = b"-", b"-"
        self._expects = False
        self._holds = False
        self._held_bytes = 0

    # The request

    def take_head(self, headers: Iterable[tuple[bytes, bytes]], *, is_whole: bool) -> None:
        """Take the request's headers, and see whether it may go on."""
        assert self._request is not None
        pseudo: dict[bytes, bytes] = {}
        fields = self._request.requestHeaders
        size = lines = 0
        for name, value in headers:
            if name.startswith(b":"):
                pseudo[name] = value
                continue
            lines += 1
            size += len(name) + len(value) + 4
            fields.addRawHeader(name, value)
        if b":authority" in pseudo:
            # The library has seen that a Host beside it is the same.
            fields.setRawHeaders(b"host", [pseudo[b":authority"]])
        self._method, self._target = pseudo[b":method"], pseudo.get(b":path", b"-")
        request = self._request
        request.method, request.uri, request.clientproto = self._method, self._target, PROTOCOL
        request.gotLength(None)
        length = request.getHeader(b"content-length")
        # The library has seen that it is one number.
        self._judge_head(lines, size, 0 if is_whole else int(length) if length else None)

    def _judge_head(self, lines: int, size: int, length: int | None) -> None:
        assert self._request is not None
        if len(self._method) + len(self._target) + len(PROTOCOL) > limits.REQUEST_LINE_BYTES:
            self.refuse(414, f"The request line is longer than {limits.REQUEST_LINE_BYTES} bytes.")
        elif lines > limits.HEADER_LINES or size > limits.HEADER_BYTES:
            self.refuse(
                431,
                f"The request's headers are more than {limits.HEADER_LINES} or longer than {limits.HEADER_BYTES} bytes.",
            )
        elif not self._target.startswith(b"/") and self._target != b"*":
            # RFC 9113 section 8.3.1; a CONNECT has none.
            self.refuse(400, "The request has no path.")
        else:
            self._judge_body(length)

    def _judge_body(self, length: int | None) -> None:
        assert self._request is not None
        self._expects = (self._request.getHeader(b"expect") or b"").lower() == b"100-continue"
        if self._request.open_intake(length) is not None:
            if self._connection.uploads > limits.STREAM_UPLOADS:
                self.refuse(503, "Too many uploads at once on one connection.", ("Retry-After", "1"))
            else:
                self._request.begin_intake(length)
        elif length is not None and length > self.site.max_body:
            self.refuse_with(self.site.body_refusal(self._method))
        else:
            self.invite_body()

    @property
    def is_upload(self) -> bool:
        """Whether somebody takes the request's body."""
        return self._request is not None and self._request.intake is not None

    def take(self, data: bytes, size: int) -> bool:
        """Take some of the request's body; tells whether it was wanted.

        Args:
            data: It.
            size: By how much it has narrowed the client's window.
        """
        is_wanted = self._request is not None and not self._refused
        if self._request is not None and is_wanted:
            self._request.handleContentChunk(data)
        if self._holds:
            self._held_bytes += size
        else:
            self._connection.acknowledge(self, size)
        return is_wanted

    def body_received(self, size: int, *, is_taken: bool) -> None:
        """Take note of so many bytes of a body, which are taken by somebody or dropped."""
        self._body_bytes += size
        if self._body_bytes > self.site.max_body and not is_taken:
            self.refuse_with(self.site.body_refusal(self._method))

    def hold_body(self) -> None:
        """Let the client's window close."""
        self._holds = True

    def go_on_with_body(self) -> None:
        """Open it again."""
        self._holds = False
        size, self._held_bytes = self._held_bytes, 0
        self._connection.acknowledge(self, size)

    def invite_body(self) -> None:
        """Tell a client that waits for a word before it sends the body (RFC 9110 section 10.1.1)."""
        if self._expects and not self.is_whole:
            self._connection.send_continue(self)

    @property
    def is_waiting(self) -> bool:
        """Whether the request is whole and nothing has been done for it."""
        return self.is_whole and not (self.is_working or self._refused)

    def begin(self) -> None:
        """Answer the request."""
        assert self._request is not None
        self.is_working = True
        self._request.requestReceived(self._method, self._target, PROTOCOL)

    def refuse(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        """Answer a request that is not read further."""
        self.refuse_with(sentence(status, text, *headers))

    def refuse_with(self, response: Response) -> None:
        """As :meth:`refuse`, with any answer whose body is bytes."""
        if self._request is None or self._refused:
            return
        self._refused = True
        self.go_on_with_body()
        self._request.refuse(response)

    # The answer, as Twisted's request gives it

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:  # noqa: ARG002
        headers.setRawHeaders(b"Server", [b"simpleindex"])
        fields = ((name.lower(), value) for name, values in headers.getAllRawHeaders() for value in values)
        self._head = [(b":status", code), *(field for field in fields if field[0] not in _OF_CONNECTIONS)]
        self._connection.schedule(self)

    def write(self, data: bytes) -> None:
        if self._over or not data:
            return
        self._outbox.append(memoryview(data))
        self._connection.schedule(self)
        if self._producer is not None and not self._paused:
            # One piece at a time, whatever the client would take.
            self._paused = True
            self._producer.pauseProducing()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:  # noqa: ARG002
        self._producer, self._paused = producer, False

    def unregisterProducer(self) -> None:
        self._producer = None

    def requestDone(self, request: IndexRequest) -> None:  # noqa: ARG002
        self._request = None
        self._answered = True
        self._connection.schedule(self)

    def loseConnection(self) -> None:
        """Break the answer off: only that says that it is not whole."""
        self._connection.break_off(self)

    def getPeer(self) -> Any:
        return self.transport.getPeer()

    def getHost(self) -> Any:
        return self.transport.getHost()

    def isSecure(self) -> bool:
        return True

    # Sending, as the connection has room

    @property
    def has_piece(self) -> bool:
        """Whether some of the answer's body waits."""
        return bool(self._outbox)

    @property
    def is_done(self) -> bool:
        """Whether everything of the answer has been given to the connection."""
        return self._answered and self._head is None and not self._outbox

    def next_head(self) -> list[tuple[bytes, bytes]] | None:
        """Give the answer's headers, once."""
        head, self._head = self._head, None
        return head

    def next_piece(self, most: int) -> memoryview:
        """Give some of the answer's body, of so many bytes at most, and ask for more where that was the last."""
        piece = self._outbox.popleft()
        if len(piece) > most:
            self._outbox.appendleft(piece[most:])
            piece = piece[:most]
        self._sent_bytes += len(piece)
        if not self._outbox and self._paused and self._producer is not None:
            self._paused = False
            self._producer.resumeProducing()
        return piece

    # The end

    def judge(self, now: float) -> bool:
        """Look at the deadlines; tells whether the client still deserves this stream."""
        if self.is_whole or self._refused or self._holds:
            self._marks.pop("body", None)
        elif (
            self._advance("body", self._body_bytes, now, limits.BODY_WINDOW_SECONDS)
            < limits.BODY_WINDOW_BYTES
        ):
            self.refuse(408, "The request's body arrived too slowly; the least is 1 KiB per second.")
        if not self._outbox:
            self._marks.pop("write", None)
            return True
        sent = self._advance("write", self._sent_bytes, now, limits.WRITE_SECONDS)
        return sent >= limits.STREAM_WRITE_BYTES

    def _advance(self, what: str, count: int, now: float, seconds: float) -> float:
        """How far a count has come in a window that is over now; endlessly far while it is not."""
        then, before = self._marks.setdefault(what, (now, count))
        if now - then < seconds:
            return float("inf")
        self._marks[what] = (now, count)
        return count - before

    def lose(self, reason: Failure) -> None:
        """Let go of everything; the client will see no more of it."""
        self._over = True
        self._outbox.clear()
        self.go_on_with_body()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        request, self._request = self._request, None
        if request is not None:
            request.connectionLost(reason)
