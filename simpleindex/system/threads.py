"""Pools of threads for calls that block."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")

_LONGEST_HOLD: Final = 0.0005
"""Seconds for which a thread that computes keeps the interpreter while another one waits for it.

An answer waits as long before each of its system calls: with Python's own 5 ms, a dozen of them took 60 to 73 ms beside two threads that
compute (99 %), with 1 ms 16 to 19 ms, with 0.5 ms 10 ms, and the threads got as much done in a second of a processor.
"""


def share_interpreter() -> None:
    """Have threads that compute give way to those that wait soon; in the whole process."""
    sys.setswitchinterval(_LONGEST_HOLD)


class Threads:
    """A pool of threads for one kind of blocking call, so that calls of one kind never wait behind another.

    Args:
        reactor: Where results are delivered.
        name: The threads' name, for debuggers.
        size: The largest number of threads; they are started when they are needed.
    """

    def __init__(self, reactor: Any, name: str, size: int) -> None:
        self._reactor = reactor
        self.pool = ThreadPool(0, size, name)

    def run(
        self, function: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Deferred[Value]:
        """Call a function in a thread.

        Returns:
            Fires in the reactor with the function's value, or fails with what it raised.
        """
        return deferToThreadPool(self._reactor, self.pool, function, *args, **kwargs)

    def start(self) -> None:
        """Take calls; those made before wait until now."""
        self.pool.start()

    def stop(self) -> None:
        """Take no more calls, and wait for the threads that are at work."""
        self.pool.stop()


def core_count() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1
