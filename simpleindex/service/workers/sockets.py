"""Listening sockets for workers: one for each worker where the kernel spreads connections over them, else one for all."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.error import CannotListenError

from simpleindex.service.ports.accepting import BACKLOG

if TYPE_CHECKING:
    from collections.abc import Sequence


class SharedSocket:
    """A listening socket for the workers, as Twisted's ports show themselves.

    Args:
        sockets: One for each worker, or one for all.
        port: The port of Twisted that keeps a single socket open; None where the sockets are of this module.
    """

    def __init__(self, sockets: Sequence[socket.socket], port: Any = None) -> None:
        self._sockets = sockets
        self._port = port

    def of(self, worker: int, *, listens: bool = True) -> socket.socket:
        """Return the socket of a worker.

        Args:
            worker: Its number, from 1 on.
            listens: Whether the socket gets connections from now on; else the worker lets it listen when it accepts them.
        """
        shared = self._sockets[(worker - 1) % len(self._sockets)]
        if self._port is None and listens:
            # Again after the worker was started again, which changes nothing (listen(2)).
            shared.listen(BACKLOG)
        return shared

    def others_listen(self, worker: int) -> bool:
        """Return whether another worker than this one gets connections."""
        mine = self.of(worker, listens=False)
        return self._port is not None or any(_listens(each) for each in self._sockets if each is not mine)

    def leave_out(self, worker: int) -> None:
        """Have the kernel give connections to the other workers alone, for this one has ended; those that it had are reset."""
        mine = self.of(worker, listens=False)
        # Linux ends all later connections of a socket on which this is called while it does not listen.
        if self._port is None and _listens(mine):
            with suppress(OSError):  # Others refuse it, and the connections wait.
                mine.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the sockets; those that workers inherited stay open in the workers."""
        for each in self._sockets:
            each.close()
        if self._port is not None:
            self._port.stopListening()


class SharingReactor:
    """A reactor for endpoints that listens for workers, and accepts nothing.

    An endpoint calls the method that fits it, so every kind that Twisted can listen on works.

    Args:
        reactor: Listens where sockets cannot be made here: Unix sockets, and those of systemd.
        workers: Their number.
    """

    def __init__(self, reactor: Any, workers: int) -> None:
        self._reactor = reactor
        self._workers = workers

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> SharedSocket:  # noqa: ARG002
        """Listen with one socket for each worker; the kernel spreads connections over them (SO_REUSEPORT, socket(7))."""
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        sockets: list[socket.socket] = []
        try:
            # Without SO_REUSEPORT, which would let this server join another one's port and take a part of its connections.
            with _bound(family, interface, port, reuse=False) as probe:
                probe.listen(1)
                # One that the system chose would be lost with the first pause in listening.
                port = probe.getsockname()[1]
            sockets.extend(_bound(family, interface, port) for _ in range(self._workers))
        except OSError as error:
            for each in sockets:
                each.close()
            raise CannotListenError(interface, port, error) from error
        return SharedSocket(sockets)

    def __getattr__(self, name: str) -> Any:
        """Return a method of the reactor, made to share its port."""
        method = getattr(self._reactor, name)
        if name not in ("listenUNIX", "adoptStreamPort"):
            return method

        def listen(*arguments: Any, **named: Any) -> SharedSocket:
            port = method(*arguments, **named)
            port.stopReading()
            return SharedSocket([port.socket], port)

        return listen


def _listens(shared: socket.socket) -> bool:
    return shared.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0


def _bound(family: int, interface: str, port: int, *, reuse: bool = True) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # As Twisted's: a :: socket serves both families.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.setblocking(False)
        made.bind((interface, port))
    except OSError:
        made.close()
        raise
    return made
