"""Accept connections only while enough file descriptors are left to serve them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from twisted.python.failure import Failure

from simpleindex.system.descriptors import bounds, next_descriptor, no_descriptor
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

_log = logger(__name__)

AGAIN_SECONDS: Final = 0.2
"""Between two looks whether connections can be accepted again; those that wait meanwhile are held by the kernel."""

BACKLOG: Final = 1024
"""Connections that wait for one worker to accept them."""

CLOSED_AT_ONCE: Final = 16
"""Idle connections that are closed each time that descriptors are short, the oldest first; clients open them again."""


class AcceptGate:
    """Stops the accepting of connections while descriptors are short, and begins it again."""

    def __init__(
        self,
        reactor: IReactorTime,
        free: Callable[[], int] = next_descriptor,
    ) -> None:
        self.ports: Sequence[Any] = ()
        self.close_idle: Callable[[int], None] = lambda _: None
        self._reactor = reactor
        self._free = free
        self._look: IDelayedCall | None = None

    def admits(self) -> bool:
        """Return whether a connection that was just accepted may stay; if descriptors are short no more are accepted for a while."""
        free, most = self._free(), bounds()
        if free < most.waiting:
            return True
        _log.failure("", Failure(no_descriptor()))
        self.close_idle(CLOSED_AT_ONCE)
        if self._look is None:
            self._pause()
        return free < most.closing

    def wait(self, seconds: float) -> None:
        """Accept no connections until :meth:`end_wait`, or for so long."""
        self._pause(seconds)

    def end_wait(self) -> None:
        """Accept connections again after :meth:`wait`."""
        if self._look is not None:
            self._look.cancel()
            self._look_again()

    def stop(self) -> None:
        """Let go of what is scheduled."""
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _pause(self, seconds: float = AGAIN_SECONDS) -> None:
        for port in self.ports:
            if hasattr(port, "stopReading"):
                port.stopReading()
        self._look = self._reactor.callLater(seconds, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        if self._free() >= bounds().waiting:
            self.close_idle(CLOSED_AT_ONCE)
            self._pause()
            return
        for port in self.ports:
            if hasattr(port, "startReading"):
                _let_listen(port)
                port.startReading()


def _let_listen(port: Any) -> None:
    """Let a worker's socket listen that does not yet, because connections would have waited there while other workers served."""
    shared = getattr(port, "socket", None)
    if shared is not None and not shared.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        shared.listen(BACKLOG)
