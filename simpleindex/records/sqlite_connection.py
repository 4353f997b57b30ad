"""A connection to the SQLite file of the records, with its schema: a file that is gone or empty is never taken for a new one."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from simpleindex.records.interface import RecordsAccess, RecordsTransaction
from simpleindex.system.ownership import make_directories, make_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.system.operation_times import OperationTimes

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
    "CREATE TABLE IF NOT EXISTS token_forms (form TEXT NOT NULL PRIMARY KEY, token TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS tokens_of_user ON tokens (user)",
)
"""Tables that later releases added; an older release ignores them. The first change that finds one missing makes it; until
then it counts as empty."""

CREATE_TABLES: Final = (*(statement for statement in _SCHEMA if "CREATE" in statement), *_ADDED)
"""Makes every table of a new database."""

_RETRY_SECONDS: Final = 0.01
"""Between two tries at what another process is doing as well."""


class RecordsConnection(RecordsAccess):
    """A connection to the database; usable from any thread, one at a time.

    Args:
        path: The database's file.
        timeout: Seconds to wait for other processes.
        initialized: As for :class:`~simpleindex.records.database.RecordsDatabase`.
    """

    def __init__(self, path: str, timeout: float, *, initialized: bool) -> None:
        self._path = path
        self._initialized = initialized
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None

    def read(
        self, statement: str, values: tuple[object, ...], *, table: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query; there are none before the first change.

        Args:
            statement: The query.
            values: For its question marks.
            table: A table that a later release added, which may be missing.

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

    def write(self, work: Callable[[RecordsTransaction], T]) -> T:
        """Run a function in one transaction; its changes are durable once this returns.

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
            # Never opened here: closing it would drop the locks that SQLite holds in this process (fcntl(2)).
            status = os.lstat(self._path)
        except FileNotFoundError:
            if self._initialized or self._inode is not None:
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
                # The default, written down because it matters: a revoked token stays revoked after a power cut.
                connection.execute("PRAGMA synchronous = FULL")
                return connection
            if version:
                raise sqlite3.DatabaseError("another version of simpleindex wrote it")
            if self._initialized or self._inode is not None:
                raise sqlite3.DatabaseError("it is empty, and was not before")
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _made(self) -> sqlite3.Connection:
        """Make the database, unless another process is faster."""
        make_directories(os.path.dirname(self._path))
        make_private(self._path)
        connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
        try:
            use_wal(connection, self._timeout)
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

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class MeasuredConnection(RecordsConnection):
    """A connection whose reads and writes are measured; apart, because pages of upstreams read the records with each request.

    Args:
        times: Counts them.
        path: As for :class:`RecordsConnection`, and so the rest.
    """

    def __init__(self, times: OperationTimes, path: str, timeout: float, *, initialized: bool) -> None:
        super().__init__(path, timeout, initialized=initialized)
        self._times = times

    def read(
        self, statement: str, values: tuple[object, ...], *, table: str | None = None
    ) -> list[tuple[Any, ...]]:
        with self._times.measuring("read"):
            return super().read(statement, values, table=table)

    def write(self, work: Callable[[RecordsTransaction], T]) -> T:
        with self._times.measuring("write"):
            return super().write(work)


def use_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Choose the journal (WAL) with which readers and one writer do not wait for each other.

    SQLite does not wait for other processes here, whatever the connection's time for that, and another one may be making the
    same database just now.

    Args:
        connection: To the database.
        patience: Seconds to wait for other processes.

    Raises:
        sqlite3.Error: The database is busy for longer, or cannot be changed.
    """
    end = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _has(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None
