"""End examining processes that are idle; no timer runs while there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure

    from simpleindex.archives.examination.pool import ExaminationPool

INTERVAL: Final = 15.0
"""Seconds between two looks."""


class IdleProcesses:
    """Looks for idle processes of a pool for as long as it has any.

    Args:
        pool: The pool; it is to call :meth:`begun` for every process.
        reactor: Runs everything.
        in_thread: Calls a blocking function in a thread.
        failed: Told of what should never happen.
    """

    def __init__(
        self,
        pool: ExaminationPool,
        reactor: Any,
        in_thread: Callable[..., Awaitable[Any]],
        failed: Callable[[Failure], None],
    ) -> None:
        self._pool = pool
        self._reactor = reactor
        self._in_thread = in_thread
        self._failed = failed
        self._call: IDelayedCall | None = None
        self._is_stopped = False

    def begun(self) -> None:
        """Take note that the pool has a further process; in any thread."""
        self._reactor.callFromThread(self._wait)

    def stop(self) -> None:
        """Look no more."""
        self._is_stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wait(self) -> None:
        if self._call is None and not self._is_stopped:
            self._call = self._reactor.callLater(INTERVAL, self._look)

    def _look(self) -> None:
        self._call = None
        Deferred.fromCoroutine(self._end_idle()).addErrback(self._failed)

    async def _end_idle(self) -> None:
        await self._in_thread(self._pool.end_idle)
        if self._pool.pids:
            self._wait()
