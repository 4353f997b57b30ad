"""Read the body of an answer: with back-pressure, timeouts and a bounded size."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from simpleindex.upstreams.errors import UnusableAnswer
from simpleindex.upstreams.http.content_codings import codings, decoder_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IResponse

T = TypeVar("T")

MOST_BUFFERED: Final = 256 * 1024
"""Unread bytes after which the connection is paused. So much arrives while a thread hashes and writes what came before. With a
megabyte a file of 300 MB takes as much processor time, and the process 2 to 3 MB more memory."""


async def within(seconds: float, clock: IReactorTime, deferred: Deferred[T]) -> T:
    """Wait for a Deferred, for a limited time.

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
    """Buffers bytes until they are read, and pauses the connection meanwhile."""

    def __init__(self) -> None:
        self.buffered: deque[bytes] = deque()
        self.size = 0
        self.is_paused = False
        self.end: Failure | None = None
        self.waiting: Deferred[None] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.buffered.append(data)
        self.size += len(data)
        if self.size >= MOST_BUFFERED and not self.is_paused and self.transport is not None:
            self.is_paused = True
            self.transport.pauseProducing()  # type: ignore[attr-defined]
        self._wake()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.end = reason
        self._wake()

    def _wake(self) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.callback(None)

    def take(self) -> bytes:
        data = b"".join(self.buffered)
        self.buffered.clear()
        self.size = 0
        if self.is_paused and self.end is None and self.transport is not None:
            self.is_paused = False
            self.transport.resumeProducing()  # type: ignore[attr-defined]
        return data


class ResponseBody:
    """The body of a response.

    Args:
        response: The response.
        clock: For timeouts.
        idle: Seconds that the next bytes may take.
        patience: Returns the seconds that all waits together may take, from the number of bytes so far. Only waits count,
            since the client may be slow too.

    Attributes:
        received: Bytes so far.
        may_be_cut: Whether the end of the connection was its end, so that it may be incomplete.
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
            Exception: Twisted's errors of a connection that broke off.
        """
        receiver = self._receiver
        while not receiver.buffered and receiver.end is None:
            began = self._clock.seconds()
            receiver.waiting = Deferred()
            allowed = min(self._idle, self._patience(self.received) - self._waited)
            try:
                await within(allowed, self._clock, receiver.waiting)
            finally:
                receiver.waiting = None
                self._waited += self._clock.seconds() - began
        if receiver.buffered:
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
        """Close the connection unless the body has ended; may be called more than once."""
        if self._is_closed:
            return
        self._is_closed = True
        self._receiver.buffered.clear()
        if self._receiver.end is None and self._receiver.transport is not None:
            self._receiver.transport.loseConnection()


async def read_decoded(body: ResponseBody, encoding: str, most: int) -> bytes:
    """Read all of a body and decode it.

    Args:
        body: The body.
        encoding: Its Content-Encoding.
        most: Bytes that it may have, encoded and decoded.

    Raises:
        UnusableAnswer: It is larger, cut short, or has an unknown encoding.
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
