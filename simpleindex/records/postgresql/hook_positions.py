"""How far each hook has read the audit of all nodes. One node notifies a hook, and another one goes on if it dies. Blocking."""

from __future__ import annotations

import threading
from contextlib import suppress
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg

from simpleindex.records.postgresql.audit import AUDIT, SharedAudit
from simpleindex.records.postgresql.locks import SESSION_SETTINGS
from simpleindex.records.postgresql.server import PostgreSQLServer, portable


class SharedAuditLine(NamedTuple):
    """A line of the audit of all nodes."""

    text: bytes
    end: int


class SharedHookPositions:
    """The positions of the hooks of all nodes; usable from any thread.

    The node that notifies a hook holds an advisory lock as long as its connection lives.
    """

    def __init__(self, url: str) -> None:
        self._audit = SharedAudit(url)
        self._server = PostgreSQLServer(url, AUDIT)
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._number = 0
        self._locked: set[str] = set()

    def tail(self, name: str) -> SharedAuditTail:
        """Return what a hook reads: from where it ended, whichever node it was; a new hook reads what is new."""
        return SharedAuditTail(self, self._audit, name)

    def save(self, name: str, position: int) -> None:
        """Note how far a hook has read. What cannot be noted costs that events are sent twice."""
        with suppress(OSError):
            self._audit.save_hook_position(name, position)

    def keep_only(self, names: frozenset[str]) -> None:
        """Do nothing: other nodes may have hooks that this one does not have."""

    def hold(self, name: str) -> int | None:
        """Begin to notify a hook, or go on; return the number of the connection, with which the lock ends.

        Returns:
            None while another node notifies it.

        Raises:
            OSError: The server is away, or refuses.
        """
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._server.connect()
                    for statement in SESSION_SETTINGS:
                        self._connection.execute(statement.encode())
                    self._number += 1
                # Also of a lock that is held: it is lost with the connection.
                lock = "true" if name in self._locked else f"pg_try_advisory_lock({_key(name)})"
                row = self._connection.execute(f"SELECT {lock}".encode()).fetchone()
            except psycopg.Error as error:
                self._close()
                raise portable(error, self._server.place) from None
            if row is not None and row[0]:
                self._locked.add(name)
                return self._number
            return None

    def close(self) -> None:
        """Let other nodes notify the hooks; those that go on here are held again with their next look."""
        with self._lock:
            if self._connection is not None:
                # At once: the server notices the end of a connection only some time after it.
                with suppress(psycopg.Error):
                    self._connection.execute(b"SELECT pg_advisory_unlock_all()")
            self._close()
        self._audit.close()

    def _close(self) -> None:
        self._locked.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class SharedAuditTail:
    """New lines of the audit of all nodes as one hook reads them; none while another node notifies the hook."""

    def __init__(self, positions: SharedHookPositions, audit: SharedAudit, name: str) -> None:
        self._positions = positions
        self._audit = audit
        self._name = name
        self._last = 0
        self._holding: int | None = None

    def read(self, most: int) -> list[SharedAuditLine]:
        """Return lines that were added since.

        Args:
            most: Bytes after which it is enough.

        Raises:
            OSError: The server is away, or refuses.
        """
        holding = self._positions.hold(self._name)
        if holding is None:
            return []
        if holding != self._holding:
            # Another node may have notified the hook meanwhile.
            self._last = self._audit.hook_position(self._name)
            self._holding = holding
        lines = []
        for number, text in self._audit.lines_after(self._last):
            lines.append(SharedAuditLine(text, number))
            most -= len(text)
            if most <= 0:
                break
        if lines:
            self._last = lines[-1].end
        return lines

    def close(self) -> None:
        """Let another node notify the hook."""
        self._positions.close()


def _key(name: str) -> int:
    return int.from_bytes(sha256(f"hook\0{name}".encode()).digest()[:8], signed=True)
