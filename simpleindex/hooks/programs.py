"""Run a program for an event: the event as JSON on its standard input, a bounded time, an environment of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from simpleindex.core.text import duration
from simpleindex.hooks.delivery import DeliveryOutcome

if TYPE_CHECKING:
    from simpleindex.hooks.notification import Notification
    from simpleindex.system.threads import Threads

_ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
"""All that a program gets of an environment: what the server has there may be secret."""

TRY_AGAIN: Final = 75
"""The exit status by which a program wants to be run again (EX_TEMPFAIL of sysexits.h)."""


class ProgramTarget:
    """A program that is run for each event, one at a time; what it writes to standard error goes where the server's goes.

    Args:
        command: The program and its arguments.
        threads: Threads that wait for it.
        timeout: Seconds after which it is killed, with all that it has started.
    """

    def __init__(self, command: tuple[str, ...], threads: Threads, timeout: float) -> None:
        self._command = command
        self._threads = threads
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    async def notify(self, notification: Notification) -> DeliveryOutcome:
        """Run it, once."""
        return await self._threads.run(self.run, notification)

    def run(self, notification: Notification) -> DeliveryOutcome:
        """Do the same; blocking."""
        try:
            process = self._begin(notification)
        except OSError as error:
            return DeliveryOutcome(f"its program cannot be run: {error.strerror}")
        with process:
            try:
                process.communicate(notification.body, self._timeout)
            except subprocess.TimeoutExpired:
                _kill(process)
                return DeliveryOutcome(
                    f"its program took longer than {duration(self._timeout)}, and was killed"
                )
        status = process.returncode
        if status < 0:
            return DeliveryOutcome(f"its program was ended by signal {-status}")
        if status:
            return DeliveryOutcome(f"its program ended with status {status}", is_passing=status == TRY_AGAIN)
        return DeliveryOutcome()

    def close(self) -> None:
        """Kill it, if it runs."""
        with self._lock:
            self._is_closed = True
            if self._process is not None and self._process.poll() is None:
                _kill(self._process)

    def _begin(self, notification: Notification) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise OSError(0, "the server ends")
            self._process = subprocess.Popen(  # noqa: S603  (the operator's own, without a shell)
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env={**_ENVIRONMENT, "SIMPLEINDEX_EVENT": notification.event},
                start_new_session=True,
            )
            return self._process


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
