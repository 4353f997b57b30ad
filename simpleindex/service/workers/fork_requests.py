"""Requests to the fork server for a new worker, with the descriptors that the worker gets; over a Unix socket."""

from __future__ import annotations

import json
import os
import signal
import socket
from dataclasses import asdict, dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

REPORTS: Final = 3
"""The fork server's descriptor of its reports to the supervisor."""

REQUESTS: Final = 4
"""The fork server's descriptor of requests of the supervisor."""

MOST_DESCRIPTORS: Final = 253
"""Linux takes no more at once (SCM_MAX_FD)."""

SIGNALS_TO_ALL: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Terminals and systemd send them to every process at once. The fork server ignores them, for it must report how the workers end;
it is started while they are blocked, for by default they would end it while it imports its modules."""

_LENGTH: Final = Struct("!I")


@dataclass(frozen=True)
class ForkRequest:
    """A request for a new worker.

    Attributes:
        modules: The names of modules that it will need and that no request before named, in the order of their import.
    """

    worker: int
    modules: Sequence[str] = ()


def send_request(connection: socket.socket, request: ForkRequest, descriptors: Sequence[int]) -> None:
    """Send a request.

    Args:
        connection: To the fork server.
        request: The request.
        descriptors: Those of the worker: its connection to the supervisor, then its listening sockets.

    Raises:
        OSError: The fork server is gone, or has not read for long.
    """
    body = json.dumps(asdict(request)).encode()
    # The descriptors come with the first byte.
    socket.send_fds(connection, [_LENGTH.pack(len(body))], descriptors)
    connection.sendall(body)


def receive_request(connection: socket.socket) -> tuple[ForkRequest, list[int]] | None:
    """Return the next request with its descriptors; None after the last one."""
    head, descriptors, _, _ = socket.recv_fds(connection, _LENGTH.size, MOST_DESCRIPTORS, socket.MSG_WAITALL)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = b""
    while len(body) < length:
        # A signal ends even a call that waits for all: of a worker that ends, for example.
        part = connection.recv(length - len(body))
        if not part:
            return None
        body += part
    for each in descriptors:
        os.set_inheritable(each, False)
    return ForkRequest(**json.loads(body)), descriptors
