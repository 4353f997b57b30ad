"""One worker as its supervisor sees it: its process, and what it reports."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.protocol import ProcessProtocol

from simpleindex.service.workers.messages import (
    FIRST_SOCKET,
    FROM_SUPERVISOR,
    MOST_BYTES,
    TO_SUPERVISOR,
    Message,
    decode,
    encode,
    encode_description,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.python.failure import Failure

    from simpleindex.service.workers.messages import WorkerDescription

MODULE: Final = "simpleindex.service.workers.worker"

_OF_SYSTEMD: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
)
"""Variables that are about the supervisor's process alone (sd_notify(3), sd_listen_fds(3))."""


class WorkerProcess(ProcessProtocol):
    """The process of a worker.

    Args:
        description: What the worker needs at its start.
        received: Called with the worker and each message of it.
        ended: Called with the worker and the reason when its process has ended.
        kill: Sends a signal to a process.

    Attributes:
        number: The worker's number.
        is_ready: Whether it serves.
        is_alive: Whether it gave a sign of life since the last request for one.
    """

    def __init__(
        self,
        description: WorkerDescription,
        received: Callable[[WorkerProcess, Message], None],
        ended: Callable[[WorkerProcess, Failure], None],
        kill: Callable[[int, int], None] = os.kill,
    ) -> None:
        self.number = description.number
        self.is_ready = False
        self.is_alive = True
        self._description = description
        self._received = received
        self._ended = ended
        self._kill = kill
        self._rest = b""
        self._has_ended = False

    @property
    def pid(self) -> int | None:
        """The process's number; None before and after it."""
        return getattr(self.transport, "pid", None)

    def spawn(self, reactor: Any, sockets: Mapping[str, int], environment: Mapping[str, str]) -> None:
        """Start the process.

        Args:
            reactor: Starts it.
            sockets: The listening sockets' descriptors here, by their names in the description.
            environment: Of this process.
        """
        descriptors: dict[int, int | str] = {0: 0, 1: 1, 2: 2, TO_SUPERVISOR: "r", FROM_SUPERVISOR: "w"}
        for name, descriptor in sockets.items():
            descriptors[self._description.sockets[name].descriptor] = descriptor
        # Not the working directory on the path: it may hold directories of packages, as the served one does.
        words = [sys.executable, "-P", "-m", MODULE, f"{self.number}/{self._description.count}"]
        kept = {name: value for name, value in environment.items() if name not in _OF_SYSTEMD}
        reactor.spawnProcess(self, words[0], words, env=kept, childFDs=descriptors)

    def connectionMade(self) -> None:
        self._write(encode_description(self._description))

    def send(self, message: Message) -> None:
        """Send a message; one to a process that has ended is dropped."""
        self._write(encode(message))

    def signal(self, number: int) -> None:
        """Send a signal to the process; one to a process that has ended is dropped."""
        if self.pid is None:
            return
        with suppress(ProcessLookupError):
            self._kill(self.pid, number)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD != TO_SUPERVISOR:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MOST_BYTES:
            self._rest = b""
        for line in lines:
            message = decode(line)
            if message is not None:
                self._received(self, message)

    def processEnded(self, reason: Failure) -> None:
        self._has_ended = True
        self.is_ready = False
        self._ended(self, reason)

    def _write(self, line: bytes) -> None:
        if self.transport is None or self._has_ended:
            return
        try:
            self.transport.writeToChild(FROM_SUPERVISOR, line)
        except KeyError:
            return  # Its end of the connection is closed; the end of the process follows.


def socket_numbers(names: list[str]) -> dict[str, int]:
    """Return the descriptor in the worker of each listening socket."""
    return {name: FIRST_SOCKET + place for place, name in enumerate(names)}
