"""A request's body on its way: not before the head is judged, and no faster than it is taken.

An upload has gigabytes. What arrives is handed on in pieces to a :class:`Sink`, which blocks and so runs in a thread; while
that is busy the connection is read no further, so memory stays the same whatever is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.defer import Deferred

from simpleindex.core.errors import SimpleIndexError
from simpleindex.system.errors import own_trouble
from simpleindex.system.log import logger
from simpleindex.web.http.response import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from twisted.python.failure import Failure

    from simpleindex.system.threads import Threads
    from simpleindex.web.http.response import Response, Sink

_log = logger(__name__)

MOST_WAITING: Final = 256 * 1024
"""Bytes that wait for the sink at most, beside what one read of the socket brings on top; as much again is in its hands."""


class BodyConnection(Protocol):
    """The connection that brings a body."""

    def pause_body(self) -> None:
        """Stop reading for now."""
        ...

    def resume_body(self) -> None:
        """Read on."""
        ...

    def send_continue(self) -> None:
        """Send 100 Continue to a client that waits for it: the head is accepted (RFC 9110 section 10.1.1)."""
        ...

    def refuse_with(self, response: Response) -> None:
        """Answer now, take nothing more, and close."""
        ...


class IncomingBody:
    """One body.

    Args:
        connection: Brings it.
        threads: Call the sink, which blocks.
        error_response: Returns the answer to an error, or None for an error that should never happen.
    """

    def __init__(
        self,
        connection: BodyConnection,
        threads: Threads,
        error_response: Callable[[BaseException | None], Response | None],
    ) -> None:
        self._connection = connection
        self._threads = threads
        self._error_response = error_response
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_paused = False
        self._has_ended = False
        self._is_lost = False
        self._is_handed_over = False
        self._news: Deferred[None] | None = None
        self._outcome: Deferred[Sink] = Deferred()

    def begin(self, judging: Coroutine[Any, Any, Sink]) -> None:
        """Judge the head, and take the body if that gives a sink for it."""
        running = Deferred.fromCoroutine(self._run(judging))
        running.addCallbacks(self._outcome.callback, self._refuse)

    def received(self, data: bytes) -> None:
        """Take note of a piece that has arrived."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > MOST_WAITING and not self._is_paused:
            self._is_paused = True
            self._connection.pause_body()
        self._wake()

    def ended(self) -> None:
        """Take note that this was all."""
        self._has_ended = True
        self._wake()

    def lost(self) -> None:
        """Take note that the client has left; nothing happens to a sink that was handed over."""
        if self._is_lost:
            return
        self._is_lost = True
        self._pieces.clear()
        # Nothing else will look at it.
        if not self._is_handed_over:
            self._outcome.addCallbacks(self._close, lambda _: None)
        self._wake()

    async def sink(self) -> Sink:
        """Wait until the sink has all of the body; the caller closes it.

        Raises:
            SimpleIndexError: It was refused.
        """
        self._is_handed_over = True
        return await self._outcome

    async def _run(self, judging: Coroutine[Any, Any, Sink]) -> Sink:
        sink = await judging
        try:
            if not self._has_ended:
                self._connection.send_continue()
            while not self._is_lost:
                if self._pieces:
                    await self._threads.run(sink.feed, self._take())
                elif self._has_ended:
                    return sink
                else:
                    self._news = Deferred()
                    await self._news
            raise ClientLeft
        except BaseException:
            await self._threads.run(sink.close)
            raise

    def _take(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._is_paused:
            self._is_paused = False
            self._connection.resume_body()
        return data

    def _wake(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            news.callback(None)

    def _close(self, sink: Sink) -> None:
        async def close() -> None:
            await self._threads.run(sink.close)

        Deferred.fromCoroutine(close()).addErrback(lambda failure: _log.failure("", failure))

    def _refuse(self, failure: Failure) -> None:
        if self._has_ended or self._is_lost:
            self._outcome.errback(failure)
            return
        response = self._error_response(failure.value)
        if response is None or own_trouble(failure.value) is not None:
            _log.failure("", failure)
        if response is None:
            response = sentence(500, "Something went wrong here; the server's log says what.")
        self._connection.refuse_with(response)


class ClientLeft(SimpleIndexError):
    """The client closed its connection before the answer."""

    template = "The client has left."
