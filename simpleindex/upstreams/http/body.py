"""An answer's bytes as they come: never more of them than somebody takes, and not for ever."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from simpleindex.core.errors import UnusableAnswer
from simpleindex.upstreams.http.content_codings import codings, decoder_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IResponse

T = TypeVar("T")

HELD_BYTES: Final = 128 * 1024
"""After so many bytes that nobody has taken the connection is not read; two of what Twisted reads at once."""


async def within(seconds: float, clock: IReactorTime, deferred: Deferred[T]) -> T:
    """Wait for a deferred, but not longer.

    Raises:
        TimeoutError: It took too long, and was cancelled.
    """

    def timed_out(result: Any, _: float) -> Any:
        # Cancelled requests fail with all kinds of errors.
        if isinstance(result, Failure):
            raise TimeoutError
        return result

    result: T = await deferred.addTimeout(max(seconds, 0.0), clock, timed_out)
    return result


class _Receiver(Protocol):
    """Holds what has come until it is taken, and stops reading meanwhile."""

    def __init__(self) -> None:
        self.held: deque[bytes] = deque()
        self.size = 0
        self.is_paused = False
        self.end: Failure | None = None
        self.waiting: Deferred[None] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.held.append(data)
        self.size += len(data)
        if self.size >= HELD_BYTES and not self.is_paused and self.transport is not None:
            self.is_paused = True
            self.transport.pauseProducing()  # type: ignore[attr-defined]
        self._tell()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.end = reason
        self._tell()

    def _tell(self) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.callback(None)

    def take(self) -> bytes:
        data = b"".join(self.held)
        self.held.clear()
        self.size = 0
        if self.is_paused and self.end is None and self.transport is not None:
            self.is_paused = False
            self.transport.resumeProducing()  # type: ignore[attr-defined]
        return data


class ResponseBody:
    """The body of a response.

    Args:
        response: It.
        clock: For the time that it takes.
        idle: Seconds that the next bytes may take.
        patience: Seconds that all waits together may take, by the number of bytes that have come. Only waits count, for
            the client may be slow too.

    Attributes:
        received: Bytes that have come.
        may_be_cut: Whether its end was that of the connection, so that it cannot be told whether it was whole.
    """

    def __init__(
        self, response: IResponse, clock: IReactorTime, *, idle: float, patience: Callable[[int], float]
    ) -> None:
        self._clock = clock
        self._idle = idle
        self._patience = patience
        self._waited = 0.0
        self._is_closed = False
        self.received = 0
        self.may_be_cut = False
        self._receiver = _Receiver()
        response.deliverBody(self._receiver)

    async def read(self) -> bytes:
        """Return the next bytes; empty at the end.

        Raises:
            TimeoutError: They do not come.
            Exception: What Twisted says of a connection that broke off.
        """
        receiver = self._receiver
        while not receiver.held and receiver.end is None:
            began = self._clock.seconds()
            receiver.waiting = Deferred()
            allowed = min(self._idle, self._patience(self.received) - self._waited)
            try:
                await within(allowed, self._clock, receiver.waiting)
            finally:
                receiver.waiting = None
                self._waited += self._clock.seconds() - began
        if receiver.held:
            data = receiver.take()
            self.received += len(data)
            return data
        assert receiver.end is not None
        if receiver.end.check(PotentialDataLoss):
            self.may_be_cut = True
        elif not receiver.end.check(ResponseDone):
            receiver.end.raiseException()
        return b""

    def close(self) -> None:
        """Let go of the connection, if it is not at its end; may be called more than once."""
        if self._is_closed:
            return
        self._is_closed = True
        self._receiver.held.clear()
        if self._receiver.end is None and self._receiver.transport is not None:
            self._receiver.transport.loseConnection()


async def read_decoded(body: ResponseBody, encoding: str, most: int) -> bytes:
    """Read all of a body and undo its content encoding.

    Args:
        body: It.
        encoding: Its Content-Encoding.
        most: Bytes that it may have, as they come and when decoded.

    Raises:
        UnusableAnswer: It is larger, or not whole as it is encoded, or encoded in a way that is not known here.
        TimeoutError: As :meth:`ResponseBody.read`.
        Exception: As :meth:`ResponseBody.read`.
    """
    decoder = decoder_of(codings(encoding), most)
    whole = bytearray()
    while data := await body.read():
        if body.received > most:
            raise UnusableAnswer(f"its page is larger than {most:,} bytes")
        for piece in decoder.feed(data):
            whole += piece
    decoder.finish()
    return bytes(whole)
