"""The open connections of a site: how many one address may hold, and how all of them end."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.defer import Deferred

from simpleindex.core.addresses import counted_as, is_loopback
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

_log: Final = logger(__name__)

_SAY_AGAIN_SECONDS: Final = 60

_SETTLED_SECONDS: Final = 2.0
"""After which a connection that asks for nothing counts as idle."""


class Connection(Protocol):
    """A connection that can be closed."""

    @property
    def is_idle(self) -> bool:
        """Whether no request of it is under way."""
        ...

    def retire(self) -> None:
        """Close now if no request has begun, else after the answer."""
        ...

    def abort(self) -> None:
        """Close now, without waiting for anything."""
        ...


class Connections:
    """Counts connections per address and drains them.

    Not counted are Unix sockets and loopback (a reverse proxy on this machine holds everybody's connections), and
    what ``exempt`` names (trusted proxies elsewhere).

    Attributes:
        draining: Whether connections are being brought to an end; none is admitted any more.
        has_room: Tells whether the process has descriptors for another connection.
    """

    def __init__(self, seconds: Callable[[], float], bound: int, exempt: Callable[[str], bool]) -> None:
        """Start without connections.

        Args:
            seconds: The time.
            bound: Connections that one address (one /64 of IPv6) may hold; 0 for any number.
            exempt: Tells of an address whether it is not counted.
        """
        self.draining = False
        self.has_room: Callable[[], bool] = lambda: True
        self._seconds = seconds
        self.bound = bound
        self._exempt = exempt
        self._open: dict[Connection, str | None] = {}
        self._since: dict[Connection, float] = {}
        self._count: Counter[str] = Counter()
        self._logged: dict[str, float] = {}
        self._drained: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection, host: str | None) -> bool:
        """Take note of a new connection, or return that it is one too many.

        Args:
            connection: It.
            host: Its peer's address; None for a Unix socket.
        """
        if self.draining or not self.has_room():
            return False
        name = None if host is None or is_loopback(host) or self._exempt(host) else counted_as(host)
        if name is not None:
            if self.bound and self._count[name] >= self.bound:
                self._say(name)
                return False
            self._count[name] += 1
        self._open[connection] = name
        self._since[connection] = self._seconds()
        return True

    def leave(self, connection: Connection) -> None:
        """Take note that a connection is over; one that was not admitted is nothing to forget."""
        self._since.pop(connection, None)
        name = self._open.pop(connection, None)
        if name is not None:
            self._count[name] -= 1
            if not self._count[name]:
                del self._count[name]
        self._tell_drained()

    def drain(self) -> Deferred[None]:
        """Close idle connections at once and the others after their answer.

        Returns:
            Fires when no connection is left. It may be cancelled when the caller's time is over; then
            :meth:`abort_all` ends what remains.
        """
        self.draining = True
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        for connection in tuple(self._open):
            connection.retire()
        self._tell_drained()
        return drained

    def retire_idle(self, number: int) -> None:
        """Close so many idle connections, the oldest first; new ones are about to send their first request."""
        young = self._seconds() - _SETTLED_SECONDS
        idle = (
            connection for connection, since in self._since.items() if since <= young and connection.is_idle
        )
        for connection in tuple(islice(idle, number)):
            connection.retire()

    def abort_all(self) -> None:
        """Close every connection now, without waiting for anything."""
        for connection in tuple(self._open):
            connection.abort()

    def _tell_drained(self) -> None:
        if not self._open:
            waiting, self._drained = self._drained, []
            for drained in waiting:
                drained.callback(None)

    def _say(self, name: str) -> None:
        now = self._seconds()
        self._logged = {
            other: when for other, when in self._logged.items() if now - when < _SAY_AGAIN_SECONDS
        }
        if name not in self._logged:
            self._logged[name] = now
            _log.warn(
                "{name} holds {bound} connections, the most that one address may; closed a further one "
                "(logged once a minute).",
                name=name,
                bound=self.bound,
            )
