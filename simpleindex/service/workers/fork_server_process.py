"""The fork server as the supervisor sees it: its process, requests for workers, and what it reports of them."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.protocol import ProcessProtocol

from simpleindex.service.workers.fork_requests import (
    REPORTS,
    REQUESTS,
    SIGNALS_TO_ALL,
    ForkRequest,
    send_request,
)
from simpleindex.service.workers.messages import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from twisted.python.failure import Failure

MODULE: Final = "simpleindex.service.workers.fork_server"

_OF_SYSTEMD: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
)
"""Variables that are about the supervisor's process alone (sd_notify(3), sd_listen_fds(3))."""

_OF_A_REACTOR: Final = "twisted.internet.reactor"
"""Its import makes the reactor, which each worker does for itself."""

_OF_WORKERS_ALONE: Final = (
    "simpleindex.service.workers.membership",
    "simpleindex.service.workers.supervised_watch",
    "simpleindex.service.composition.pages",
    "simpleindex.search.search",
    "simpleindex.metrics.exposition",
    "simpleindex.web.fast.tls",
)
"""What the supervisor does not need, and workers import when they start or with their first requests. What is not installed is left out."""

_LARGE_BLOCK: Final = str(2 * 1024 * 1024)

_OF_WORKERS: Final = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": _LARGE_BLOCK,
    "MALLOC_TRIM_THRESHOLD_": _LARGE_BLOCK,
}
"""Threads share one heap, for Python lets one run at a time, and the large tables of a start go back to the system when they
are freed (mallopt(3))."""

_SEND_SECONDS: Final = 5.0
"""A request fits into the socket's buffer; where the fork server has not read for so long, it is ended."""


class ForkServerProcess(ProcessProtocol):
    """The process of the fork server.

    Args:
        worker_ended: Called with the number of a worker that has ended, and how.
        ended: Called with this object when it has ended itself, and how.
        kill: Sends a signal to a process.
    """

    def __init__(
        self,
        worker_ended: Callable[[int, str], None],
        ended: Callable[[ForkServerProcess, str], None],
        kill: Callable[[int, int], None] = os.kill,
    ) -> None:
        self.has_ended = False
        self._worker_ended = worker_ended
        self._ended = ended
        self._kill = kill
        self._rest = b""
        self._modules: set[str] = set()
        self._requests, self._other_end = socket.socketpair()
        self._requests.settimeout(_SEND_SECONDS)

    def spawn(self, reactor: Any, environment: Mapping[str, str]) -> None:
        """Start the process."""
        descriptors: dict[int, int | str] = {
            0: 0,
            1: 1,
            2: 2,
            REPORTS: "r",
            REQUESTS: self._other_end.fileno(),
        }
        # Not the working directory on the path: it may hold directories of packages, as the served one does.
        words = [sys.executable, "-P", "-m", MODULE]
        kept = {name: value for name, value in environment.items() if name not in _OF_SYSTEMD}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS_TO_ALL)
        try:
            reactor.spawnProcess(self, words[0], words, env={**_OF_WORKERS, **kept}, childFDs=descriptors)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._other_end.close()

    def fork(self, worker: int, descriptors: Sequence[int]) -> None:
        """Request a worker.

        Args:
            worker: Its number.
            descriptors: Its connection to this process, then its listening sockets.
        """
        names = (*importable(sys.modules), *_OF_WORKERS_ALONE)
        modules = [name for name in names if name not in self._modules]
        self._modules.update(modules)
        try:
            send_request(self._requests, ForkRequest(worker, modules), descriptors)
        except OSError:
            self.kill()

    def kill(self) -> None:
        """End the process at once; the workers go on."""
        pid = getattr(self.transport, "pid", None)
        if pid is not None:
            with suppress(ProcessLookupError):
                self._kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the process end."""
        self._requests.close()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD != REPORTS:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if (message := decode(line)) is not None:
                self._worker_ended(message.number, end_of(int(message.text)))

    def processEnded(self, reason: Failure) -> None:
        self.has_ended = True
        self._requests.close()
        status = reason.value
        number = getattr(status, "signal", None)
        self._ended(self, end_of(-number if number else getattr(status, "exitCode", 0) or 0))


def importable(modules: Mapping[str, ModuleType]) -> list[str]:
    """Return the names of modules that another process can import, in the order of their import."""
    return [
        name
        for name, module in modules.items()
        if getattr(module, "__spec__", None) is not None and name not in ("__main__", _OF_A_REACTOR)
    ]


def end_of(status: int) -> str:
    """Return how a process ended, in words.

    Args:
        status: Its exit status; below 0 the signal that ended it.
    """
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
