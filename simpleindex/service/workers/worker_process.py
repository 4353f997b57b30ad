"""One worker as its supervisor sees it: its process, and what it reports."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineReceiver

from simpleindex.service.workers.messages import MOST_BYTES, Message, decode, encode, encode_description

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twisted.python.failure import Failure

    from simpleindex.service.workers.fork_server_process import ForkServerProcess
    from simpleindex.service.workers.messages import WorkerDescription


class WorkerProcess(LineReceiver):
    """The process of a worker, and the connection to it.

    Args:
        description: What the worker needs at its start.
        fork_server: The process that forks it, and reports its end.
        received: Called with the worker and each message of it.
        ended: Called with the worker when its process has ended, and how.
        kill: Sends a signal to a process.

    Attributes:
        fork_server: See above.
        pid: The process's number; None before and after it.
        is_ready: Whether it serves.
        is_alive: Whether it gave a sign of life since the last request for one.
        has_ended: Whether the process has ended.
    """

    delimiter = b"\n"
    MAX_LENGTH = MOST_BYTES

    def __init__(
        self,
        description: WorkerDescription,
        fork_server: ForkServerProcess,
        received: Callable[[WorkerProcess, Message], None],
        ended: Callable[[WorkerProcess, str], None],
        kill: Callable[[int, int], None] = os.kill,
    ) -> None:
        self.number = description.number
        self.fork_server = fork_server
        self.pid: int | None = None
        self.is_ready = False
        self.is_alive = True
        self.has_ended = False
        self._is_connected = True
        self._early_signals: list[int] = []
        self._end: str | None = None
        self._description = description
        self._received = received
        self._ended = ended
        self._kill = kill

    def connectionMade(self) -> None:
        self._write(encode_description(self._description))

    def send(self, message: Message) -> None:
        """Send a message; one to a process that has ended is dropped."""
        self._write(encode(message))

    def signal(self, number: int) -> None:
        """Send a signal to the process, as soon as there is one; to a process that has ended nothing is sent."""
        if self.pid is None:
            self._early_signals.append(number)
            return
        with suppress(ProcessLookupError):
            self._kill(self.pid, number)

    def lineReceived(self, line: bytes) -> None:
        message = decode(line)
        if message is None:
            return
        if message.kind == "started":
            self.pid = message.number
            for number in self._early_signals:
                self.signal(number)
        else:
            self._received(self, message)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Drop what is no message."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002 (Twisted's signature)
        self._is_connected = False
        self.judge_end()

    def process_ended(self, how: str) -> None:
        """Take note of how the process ended, as the fork server reports it."""
        self._end = how
        self.judge_end()

    def judge_end(self) -> None:
        """Report the end, once: when all is read that the process wrote, and it is known how it ended, or nobody will report that."""
        is_known = self._end is not None or self.fork_server.has_ended
        if self.has_ended or self._is_connected or not is_known:
            return
        self.has_ended = True
        self.pid = None
        self.is_ready = False
        self._ended(self, self._end or "its status is not known")

    def _write(self, line: bytes) -> None:
        if self._is_connected and self.transport is not None:
            self.transport.write(line)


@contextmanager
def connected(reactor: Any, worker: WorkerProcess) -> Iterator[int]:
    """Connect a worker that is about to be forked.

    Args:
        reactor: Reads from the connection and writes to it.
        worker: The worker as it is seen here.

    Yields:
        The descriptor of the process's end; it is closed here afterwards.
    """
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        # It makes a duplicate of the descriptor.
        reactor.adoptStreamConnection(near.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: worker))
        yield far.fileno()
