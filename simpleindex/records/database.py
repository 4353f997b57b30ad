"""The file behind the records: one SQLite database, found again when it is replaced, never taken for an empty one."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from simpleindex.system.state import make_private, make_state_directory

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_VERSION: Final = 1
"""Raised with every change to the schema, which must then say how older ones are brought up to it."""

_SCHEMA: Final = (
    """
    CREATE TABLE tokens (
        id TEXT NOT NULL PRIMARY KEY, digest BLOB NOT NULL UNIQUE, user TEXT, actions TEXT NOT NULL,
        projects TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER, note TEXT NOT NULL, last_used INTEGER,
        revoked INTEGER
    )
    """,
    "CREATE TABLE owners (project TEXT NOT NULL PRIMARY KEY, user TEXT NOT NULL, since INTEGER NOT NULL)",
    f"PRAGMA user_version = {_VERSION}",
)

_ADDED: Final = (
    """
    CREATE TABLE IF NOT EXISTS allowances (
        project TEXT NOT NULL, version TEXT NOT NULL, until INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (project, version)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS first_seen (
        source TEXT NOT NULL, project TEXT NOT NULL, filename TEXT NOT NULL, mark TEXT NOT NULL, seen INTEGER NOT NULL,
        PRIMARY KEY (source, project, filename, mark)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE IF NOT EXISTS used_names (project TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID",
)
"""Tables that came later; whoever does not know of them is not troubled by them. Made with the first change that finds them
missing; until then they are as good as empty."""


_AGAIN: Final = 0.01
"""Seconds between two tries at what another process is doing as well."""


class RecordsFile:
    """One connection; usable from any thread, one at a time.

    Args:
        path: The database.
        timeout: Seconds to wait for other processes.
        begun: Whether it was made before (:mod:`simpleindex.records.beginning`), so that a missing one is lost, not new.
    """

    def __init__(self, path: str, timeout: float, *, begun: bool = False) -> None:
        self._path = path
        self._begun = begun
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None

    def read(
        self, statement: str, values: tuple[object, ...], *, table: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Ask; where nobody has ever written anything, there are no rows.

        Args:
            statement: The question.
            values: For its question marks.
            table: One that came later, and may be missing.

        Raises:
            sqlite3.Error: The database is damaged, busy, or not ours.
            OSError: It is gone or out of reach.
        """
        with self._lock:
            try:
                connection = self._connected()
                if connection is None or (table is not None and not _has(connection, table)):
                    return []
                return connection.execute(statement, values).fetchall()
            except BaseException:
                self._close()
                raise

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do some work as one transaction; durable once this returns, whatever happens then.

        Raises:
            sqlite3.Error: As for :meth:`read`, or the disk is full.
            OSError: The same.
        """
        with self._lock:
            try:
                connection = self._connected() or self._made()
                connection.execute("BEGIN IMMEDIATE")
                for statement in _ADDED:
                    connection.execute(statement)
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                # Which also rolls back.
                self._close()
                raise
            return result

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            self._close()

    def _connected(self) -> sqlite3.Connection | None:
        """Return a connection to the file that is there now, or None if none was ever written."""
        try:
            # Never opened by ourselves: closing it would drop the locks that SQLite holds in this process (fcntl(2)).
            status = os.lstat(self._path)
        except FileNotFoundError:
            if self._begun or self._inode is not None:
                raise FileNotFoundError(0, "the file is gone") from None
            return None
        inode = status.st_dev, status.st_ino
        if self._connection is None or inode != self._inode:
            self._close()
            self._connection = self._opened()
            if self._connection is not None:
                self._inode = inode
        return self._connection

    def _opened(self) -> sqlite3.Connection | None:
        make_private(self._path)
        connection = sqlite3.connect(
            self._path, timeout=self._timeout, check_same_thread=False, isolation_level=None
        )
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == _VERSION:
                # The default, said because it matters: a token that was revoked stays so after a power cut.
                connection.execute("PRAGMA synchronous = FULL")
                return connection
            if version:
                raise sqlite3.DatabaseError("another version of simpleindex wrote it")
            if self._begun or self._inode is not None:
                raise sqlite3.DatabaseError("it is empty, and was not before")
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _made(self) -> sqlite3.Connection:
        """Make the database, unless another process is faster."""
        make_state_directory(os.path.dirname(self._path))
        make_private(self._path)
        connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
        try:
            self._let_readers_be(connection)
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                for statement in _SCHEMA:
                    connection.execute(statement)
            connection.execute("COMMIT")
        finally:
            connection.close()
        made = self._connected()
        assert made is not None
        return made

    def _let_readers_be(self, connection: sqlite3.Connection) -> None:
        """Choose the journal with which readers and one writer do not wait for each other.

        SQLite does not wait for other processes here, whatever the connection's time for that, and another one may be making
        the same database just now.
        """
        end = time.monotonic() + self._timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(_AGAIN)
            else:
                return

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _has(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None
