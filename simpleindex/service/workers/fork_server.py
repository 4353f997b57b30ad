"""The program of the fork server: it imports what workers need, and forks each of them; started by the supervisor alone.

It has no event loop, no threads, no database and no TLS connection, so a fork copies nothing that must not be in two processes.
The modules that it has imported are in memory once for all workers.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
from contextlib import suppress
from select import select
from typing import TYPE_CHECKING

from simpleindex.service.workers.fork_requests import (
    REPORTS,
    REQUESTS,
    SIGNALS_TO_ALL,
    receive_request,
)
from simpleindex.service.workers.messages import Message, encode
from simpleindex.service.workers.worker import main as serve

if TYPE_CHECKING:
    from collections.abc import Iterable


class ForkServer:
    """The fork server: it forks workers, and reports how they end."""

    def __init__(self, requests: socket.socket, reports: int) -> None:
        self._requests = requests
        self._reports = reports
        self._awake, self._wake = os.pipe()
        self._workers: dict[int, int] = {}

    def run(self) -> list[int] | None:
        """Fork workers until the supervisor is gone.

        Returns:
            The descriptors of a worker, in its process; None in the fork server's own.
        """
        self._follow_children()
        while True:
            ready, _, _ = select([self._requests.fileno(), self._awake], [], [])
            if self._awake in ready:
                os.read(self._awake, 1000)
                self._report_ends()
            if self._requests.fileno() in ready:
                received = receive_request(self._requests)
                if received is None:
                    return None
                request, descriptors = received
                import_modules(request.modules)
                if self._fork(request.worker) == 0:
                    return descriptors
                for each in descriptors:
                    os.close(each)

    def _fork(self, worker: int) -> int:
        """Fork a worker; return the number of its process, and 0 there."""
        # A signal that comes before the worker's own dispositions are set waits until they are.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS_TO_ALL)
        pid = os.fork()
        if pid == 0:
            self._leave()
        else:
            self._workers[pid] = worker
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS_TO_ALL)
        return pid

    def _leave(self) -> None:
        """Give up in the worker what is the fork server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Python's own would write a traceback for a ^C that comes before the worker has one.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        self._requests.close()
        for each in (self._reports, self._awake, self._wake):
            os.close(each)
        gc.enable()

    def _follow_children(self) -> None:
        for number in SIGNALS_TO_ALL:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS_TO_ALL)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _report_ends(self) -> None:
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            report = Message("ended", str(os.waitstatus_to_exitcode(status)), number=self._workers.pop(pid))
            # Where the supervisor is gone, there is no further request either.
            with suppress(BrokenPipeError):
                os.write(self._reports, encode(report))


def import_modules(names: Iterable[str]) -> None:
    """Import modules so that workers share them; those that cannot be imported here are left out."""
    missing = [name for name in names if name not in sys.modules]
    for name in missing:
        # Plugins of twistd and the like exist in the supervisor alone.
        with suppress(Exception):
            importlib.import_module(name)
    if missing:
        # The collector of a worker then leaves alone what was here before, so that it stays shared.
        gc.collect()
        gc.freeze()


def main() -> int:
    """Fork workers until the supervisor is gone; in a worker, serve. Return the exit status."""
    # An automatic collection would leave holes between the shared objects, for a worker to write into.
    gc.disable()
    descriptors = ForkServer(socket.socket(fileno=REQUESTS), REPORTS).run()
    return 0 if descriptors is None else serve(descriptors)


if __name__ == "__main__":
    sys.exit(main())
