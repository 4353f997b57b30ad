"""The program of a worker, which the fork server runs in a process that it has forked."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Factory
from twisted.logger import globalLogBeginner

from simpleindex.config.resolution import resolve
from simpleindex.core.errors import RefusedStart
from simpleindex.service.ending import THREAD_SECONDS, Patience, bound_joins, end_by_force
from simpleindex.service.process import ServiceProcess, as_daemon
from simpleindex.service.service import IndexService
from simpleindex.service.workers.link import SupervisorLink, SupervisorLog
from simpleindex.service.workers.messages import MOST_BYTES, Message, decode_description, encode
from simpleindex.system.clocks import keep_steady

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.service.workers.messages import WorkerDescription


def main(descriptors: Sequence[int]) -> int:
    """Serve until the supervisor ends this worker, or is gone itself; return the exit status.

    Args:
        descriptors: The connection to the supervisor, then the listening sockets.
    """
    # Until the service's own is set, a SIGHUP would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    connection, *sockets = descriptors
    try:
        os.write(connection, encode(Message("started", number=os.getpid())))
    except BrokenPipeError:
        return 1  # The supervisor has ended.
    description = decode_description(_first_line(connection), sockets)
    _show_number(description)
    try:
        _serve(description, connection)
    except RefusedStart as error:
        sys.stderr.write(f"simpleindex: {error}\n")
        return 1
    return 0


def _first_line(descriptor: int) -> bytes:
    """Read a line, and nothing behind it."""
    line = b""
    while not line.endswith(b"\n") and len(line) < MOST_BYTES:
        byte = os.read(descriptor, 1)
        if not byte:
            raise SystemExit("simpleindex: a worker is started by its supervisor alone")
        line += byte
    return line


def _show_number(description: WorkerDescription) -> None:
    """Let ``ps -o comm`` and ``top`` tell the workers apart, where the system can."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"worker {description.number}/{description.count}")


def _serve(description: WorkerDescription, connection: int) -> None:
    from twisted.internet import reactor  # noqa: PLC0415  (made in each worker, never in the fork server)

    keep_steady(reactor)

    def connect(link: SupervisorLink) -> None:
        os.set_blocking(connection, False)
        reactor.adoptStreamConnection(connection, socket.AF_UNIX, Factory.forProtocol(lambda: link))  # type: ignore[attr-defined]
        os.close(connection)

    serve(description, reactor, connect)


def serve(description: WorkerDescription, reactor: Any, connect: Callable[[SupervisorLink], object]) -> None:
    """Serve until the event loop ends.

    Raises:
        RefusedStart: The index cannot start.
    """
    is_ending = False

    def end() -> None:
        # systemd and terminals signal all processes, and so does the supervisor.
        nonlocal is_ending
        if reactor.running and not is_ending:
            is_ending = True
            reactor.stop()

    link = SupervisorLink(description, reactor, end)
    globalLogBeginner.beginLoggingTo([SupervisorLog(link)], redirectStandardIO=False)
    resolve_again = partial(resolve, description.given, os.environ, Path(description.directory))
    process = ServiceProcess(as_daemon, end_by_force, link)
    service = IndexService(resolve_again(), resolve_again, reactor, (None, None), process)
    bound_joins(reactor.getThreadPool(), Patience(THREAD_SECONDS))
    connect(link)
    service.privilegedStartService()
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    # In place of the reactor's own, by which a second signal is an error.
    for number in (signal.SIGTERM, signal.SIGINT):
        reactor.callWhenRunning(signal.signal, number, lambda *_: reactor.callFromThread(end))
    reactor.run()
