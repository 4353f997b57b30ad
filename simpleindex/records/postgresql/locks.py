"""Locks by name that all nodes share: advisory locks of PostgreSQL, each held by a connection. Blocking."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import psycopg

from simpleindex.core.errors import CannotStore, Unavailable
from simpleindex.core.faults import Fault
from simpleindex.records.postgresql.server import PostgreSQLServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE: Final = 60.0
"""Seconds to wait for other nodes; a large file takes as long as it takes to send it to the store."""

SESSION_SETTINGS: Final = (
    "SET statement_timeout = 0",
    # A node whose machine lost its power sends nothing more; the server must let go of its locks all the same (tcp(7)).
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)
"""What a connection needs that holds locks for long."""


class AdvisoryLocks:
    """Locks of all nodes; usable from any thread.

    The locks are those of sessions, so that no transaction is open meanwhile, and they end with their connection. Connections
    are kept for later locks; there are as many as threads that hold some at once.

    Args:
        url: The PostgreSQL database.
        place: What the names are below, as a bucket; several places have locks of their own.
        patience: Seconds to wait for others.
    """

    def __init__(self, url: str, place: str, patience: float = PATIENCE) -> None:
        self._server = PostgreSQLServer(url)
        self._place = place
        self._patience = patience
        self._lock = threading.Lock()
        self._idle: list[psycopg.Connection[Any]] = []
        self._is_closed = False

    @contextmanager
    def held(self, exclusive: str, shared: str | None = None) -> Iterator[None]:
        """Hold one lock alone, and before it another one together with those who hold it shared as well.

        Raises:
            CannotStore: Others hold one of them for too long.
            Unavailable: The server is away, or refuses.
        """
        connection = self._locked(exclusive, shared)
        try:
            yield
        finally:
            self._release(connection)

    def close(self) -> None:
        """Close the connections; one that holds a lock is closed with its end."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _locked(self, exclusive: str, shared: str | None) -> psycopg.Connection[Any]:
        try:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is not None:
                try:
                    connection.execute("SELECT 1")
                except psycopg.Error:
                    # It broke while nothing was done, as with a restart of the server.
                    connection.close()
                    connection = None
            return self._acquire(connection or self._connected(), exclusive, shared)
        except psycopg.errors.LockNotAvailable:
            project = (shared or exclusive).partition(" ")[0]
            raise CannotStore(
                f"Another node is busy with the project {project}; try again later.", fault=Fault.BUSY
            ) from None
        except psycopg.Error:
            raise Unavailable("The records of this index cannot be used now; try again later.") from None

    def _connected(self) -> psycopg.Connection[Any]:
        connection = self._server.connect()
        for statement in SESSION_SETTINGS:
            connection.execute(statement.encode())
        connection.execute(
            "SELECT set_config('lock_timeout', %s, false)", (f"{self._patience * 1000:.0f}ms",)
        )
        return connection

    def _acquire(
        self, connection: psycopg.Connection[Any], exclusive: str, shared: str | None
    ) -> psycopg.Connection[Any]:
        try:
            if shared is not None:
                connection.execute("SELECT pg_advisory_lock_shared(%s)", (self._key(shared),))
            connection.execute("SELECT pg_advisory_lock(%s)", (self._key(exclusive),))
        except BaseException:
            connection.close()
            raise
        return connection

    def _release(self, connection: psycopg.Connection[Any]) -> None:
        try:
            connection.execute("SELECT pg_advisory_unlock_all()")
        except psycopg.Error:
            # The server lets go of the locks of a connection that is gone.
            connection.close()
            return
        with self._lock:
            if not self._is_closed:
                self._idle.append(connection)
                return
        connection.close()

    def _key(self, name: str) -> int:
        """Return the number of a lock: PostgreSQL has no names for them."""
        return int.from_bytes(sha256(f"{self._place}\0{name}".encode()).digest()[:8], signed=True)
