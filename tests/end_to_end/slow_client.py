"""A client that reads a download as slowly as a test wants."""

from __future__ import annotations

import http.client
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.end_to_end.running import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.running import Server


class Slow:
    """A client that has asked for a file and reads it as slowly as the test wants."""

    def __init__(self, channel: socket.socket) -> None:
        self.response = http.client.HTTPResponse(channel)

    def rest(self) -> bytes:
        """Everything up to the end, or to where the connection breaks."""
        try:
            return self.response.read()
        except http.client.IncompleteRead as error:
            return error.partial
        except ConnectionError:
            return b""


@contextmanager
def slowly(server: Server, path: str) -> Iterator[Slow]:
    """Ask for a file; only its head is read."""
    plain = socket.socket()
    # The kernel must not swallow the file on behalf of a client that does not read.
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    plain.settimeout(PATIENCE)
    plain.connect(("127.0.0.1", server.port))
    with server.trust.wrap_socket(plain, server_hostname="localhost") as channel:
        channel.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        client = Slow(channel)
        client.response.begin()
        assert client.response.status == 200
        yield client
