"""The process of a worker: ``python -m simpleindex.service.workers.worker NUMBER/COUNT``, started by the supervisor alone."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.logger import globalLogBeginner

from simpleindex.config.resolution import resolve
from simpleindex.core.errors import RefusedStart
from simpleindex.service.ending import THREAD_SECONDS, Patience, bound_joins, end_by_force
from simpleindex.service.process import ServiceProcess, as_daemon
from simpleindex.service.service import IndexService
from simpleindex.service.workers.link import SupervisorLink, SupervisorLog
from simpleindex.service.workers.messages import (
    FROM_SUPERVISOR,
    MOST_BYTES,
    TO_SUPERVISOR,
    WorkerDescription,
    decode_description,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    """Serve until the supervisor ends this worker, or is gone itself; return the exit status."""
    # Until the service's own is set, a SIGHUP would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    description = decode_description(_first_line(FROM_SUPERVISOR))
    try:
        _serve(description)
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


def _serve(description: WorkerDescription) -> None:
    from twisted.internet import reactor  # noqa: PLC0415  (this module is a program of its own, as twistd is)
    from twisted.internet.stdio import StandardIO  # noqa: PLC0415

    def connect(link: SupervisorLink) -> None:
        StandardIO(link, stdin=FROM_SUPERVISOR, stdout=TO_SUPERVISOR)  # type: ignore[call-arg]  # its type is that of Windows

    serve(description, reactor, connect)


def serve(description: WorkerDescription, reactor: Any, connect: Callable[[SupervisorLink], object]) -> None:
    """Serve until the event loop ends.

    Args:
        description: The worker.
        reactor: The event loop.
        connect: Connects to the supervisor.

    Raises:
        RefusedStart: The index cannot start.
    """

    def supervisor_ended() -> None:
        if reactor.running:
            reactor.stop()

    link = SupervisorLink(description, reactor, supervisor_ended)
    globalLogBeginner.beginLoggingTo([SupervisorLog(link)], redirectStandardIO=False)
    resolve_again = partial(resolve, description.given, os.environ, Path(description.directory))
    process = ServiceProcess(as_daemon, end_by_force, link)
    service = IndexService(resolve_again(), resolve_again, reactor, (None, None), process)
    bound_joins(reactor.getThreadPool(), Patience(THREAD_SECONDS))
    connect(link)
    service.privilegedStartService()
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()


if __name__ == "__main__":
    sys.exit(main())
