"""End the process within its time, even if threads are busy.

Python and Twisted join every thread before a process ends, and a thread that computes in C, or waits for a disk that is
gone, cannot be stopped. So the wait for all of them together is bounded, and a last resort ends the process where even
that is held up.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.threadpool import ThreadPool

SECONDS: Final = 10.0
"""From SIGTERM to the end of the process, at most."""

THREAD_SECONDS: Final = 0.5
"""How much of that is kept for threads that are still at work after the last request."""

_FORCE_SECONDS: Final = SECONDS - 0.1


class Patience:
    """The time that is left to wait for threads; it begins with the first wait.

    Args:
        seconds: How long to wait, for all threads together.
        monotonic: The clock.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._end: float | None = None

    def left(self) -> float:
        """Return the seconds that are left; never less than 0."""
        now = self._monotonic()
        if self._end is None:
            self._end = now + self._seconds
        return max(0.0, self._end - now)


class PatientThread(threading.Thread):
    """A thread that is waited for only as long as patience lasts; a daemon, so that Python's own end leaves it alone.

    Args:
        patience: Shared by all threads of the process.
        named: As :class:`threading.Thread` takes them.
    """

    def __init__(self, patience: Patience, **named: Any) -> None:
        super().__init__(daemon=True, **named)
        self._patience = patience

    def join(self, timeout: float | None = None) -> None:
        super().join(self._patience.left() if timeout is None else timeout)


def bound_joins(pool: ThreadPool, patience: Patience) -> None:
    """Make :meth:`ThreadPool.stop` wait for its threads only as long as patience lasts; call it before any is started."""
    pool.threadFactory = partial(PatientThread, patience)  # type: ignore[assignment]


def end_by_force() -> None:
    """End this process with status 1 just before its time is over, unless it has ended by then.

    The watchdog of :mod:`faulthandler` needs no Python code to run for that. It writes to stderr where every thread was.
    """
    try:
        file = sys.__stderr__.fileno() if sys.__stderr__ is not None else -1
    except (OSError, ValueError):
        file = -1
    if file < 0:
        file = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    faulthandler.dump_traceback_later(_FORCE_SECONDS, exit=True, file=file)
