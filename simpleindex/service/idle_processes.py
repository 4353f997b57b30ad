"""End examining processes that are idle; no timer runs while there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from simpleindex.system.log import logger

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from simpleindex.archives.examination.pool import ExaminationPool
    from simpleindex.system.threads import Threads

_log = logger(__name__)

INTERVAL: Final = 15.0
"""Seconds between two looks."""


class IdleProcesses:
    """Look for idle processes of a pool as long as it has any.

    Args:
        pool: The pool; it is to call :meth:`begun` for every process.
        reactor: Runs everything.
        threads: Threads for short blocking calls.
    """

    def __init__(
        self,
        pool: ExaminationPool,
        reactor: Any,
        threads: Threads,
    ) -> None:
        self._pool = pool
        self._reactor = reactor
        self._threads = threads
        self._call: IDelayedCall | None = None
        self._is_stopped = False

    def begun(self) -> None:
        """Start to look, because the pool has a new process; in any thread."""
        self._reactor.callFromThread(self._wait)

    def stop(self) -> None:
        """Stop looking."""
        self._is_stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wait(self) -> None:
        if self._call is None and not self._is_stopped:
            self._call = self._reactor.callLater(INTERVAL, self._look)

    def _look(self) -> None:
        self._call = None
        Deferred.fromCoroutine(self._end_idle()).addErrback(lambda failure: _log.failure("", failure))

    async def _end_idle(self) -> None:
        await self._threads.run(self._pool.end_idle)
        if self._pool.pids:
            self._wait()
