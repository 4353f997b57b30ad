"""The supervisor's queue of events, as workers see it by themselves: whether events wait in it, and how often some were taken.

The kernel queues an event before the call that causes it returns. So a worker that finds nothing waiting, and has a report of all that
was taken, knows the disk as well as a process that watches for itself.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTES: Final = 8
_NUMBER: Final = "Q"


class SharedQueue:
    """The queue as its owner shows it.

    It can be shown where the system has the means (Linux) and grants them; where it refuses, pages of a worker may be older than
    the last change until that is reported, which takes milliseconds.

    Attributes:
        descriptors: What a worker needs to see it; none where it cannot be shown.
    """

    def __init__(self) -> None:
        self.descriptors: tuple[int, ...] = ()
        self._taken = memoryview(bytearray(_BYTES)).cast(_NUMBER)
        if hasattr(select, "epoll") and hasattr(os, "memfd_create"):
            # Containers refuse memfd_create(2) (vm.memfd_noexec, seccomp), and descriptors may have run out.
            with contextlib.suppress(OSError):
                self._show()

    def _show(self) -> None:
        with contextlib.ExitStack() as undone:
            # Around the queue, for another one takes its place after an overflow; a worker that held the former one itself would
            # keep all its watches.
            self._epoll = undone.enter_context(select.epoll())
            memory = os.memfd_create("simpleindex-events", os.MFD_CLOEXEC)
            undone.callback(os.close, memory)
            os.ftruncate(memory, _BYTES)
            self._taken = memoryview(mmap.mmap(memory, _BYTES)).cast(_NUMBER)
            self.descriptors = (self._epoll.fileno(), memory)
            undone.pop_all()

    @property
    def taken(self) -> int:
        """How often events were taken."""
        return self._taken[0]

    def opened(self, descriptor: int) -> None:
        """Show this queue from now on, where the system lets us; one that is closed is not shown any more."""
        if self.descriptors:
            # A limit may be reached (fs.epoll.max_user_watches). Workers then see no events wait, but still that some were taken.
            with contextlib.suppress(OSError):
                self._epoll.register(descriptor, select.EPOLLIN)

    def taking(self) -> None:
        """Count, before it is done, that events are taken or dropped: a worker that finds none waiting afterwards sees the new number."""
        self._taken[0] += 1


class QueueView:
    """The queue as a worker sees it.

    Args:
        descriptors: Those of :class:`SharedQueue`.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        epoll, memory = descriptors
        waiting = select.poll()
        # Not epoll_wait(2), which can find nothing while another process looks at the same moment.
        waiting.register(epoll, select.POLLIN)
        self._waiting = waiting.poll
        self._taken = memoryview(mmap.mmap(memory, _BYTES, prot=mmap.PROT_READ)).cast(_NUMBER)

    def is_ahead_of(self, taken: int) -> bool:
        """Return whether events wait, or were taken since this number was reported; every page calls it, and it takes 0.5 us."""
        # In this order: see SharedQueue.taking.
        return bool(self._waiting(0)) or self._taken[0] != taken


def queue_view(descriptors: Sequence[int]) -> QueueView | None:
    """Return what a worker sees of a queue; None where it is not shown."""
    return QueueView(descriptors) if descriptors else None
