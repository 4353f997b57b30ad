"""The SQLite file of the counts, ``downloads.sqlite3`` in the state directory. Blocking.

It lies apart from that of the records: there are millions of rows, so a backup may leave them out; a row lost in a power cut costs
a count, so writing need not wait for the disk; and a long write holds up no token.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from simpleindex.records.downloads.database import DownloadsStore
from simpleindex.records.sqlite_connection import use_wal
from simpleindex.system.ownership import make_directories, make_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.records.interface import RecordsTransaction

DOWNLOADS_FILENAME: Final = "downloads.sqlite3"

_VERSION: Final = 1
"""Raised with every change to the schema, which must then say how older ones are brought up to it."""

_READ_PATIENCE: Final = 5.0  # seconds

_SCHEMA: Final = (
    """CREATE TABLE files (
    id INTEGER PRIMARY KEY, project TEXT NOT NULL, version TEXT NOT NULL, filename TEXT NOT NULL, UNIQUE (project, filename))""",
    "CREATE TABLE programs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    'CREATE TABLE people (id INTEGER PRIMARY KEY, "user" TEXT NOT NULL, token TEXT NOT NULL, UNIQUE ("user", token))',
    "CREATE TABLE origins (id INTEGER PRIMARY KEY, source TEXT NOT NULL, delivery TEXT NOT NULL, UNIQUE (source, delivery))",
    """CREATE TABLE daily (
    file INTEGER NOT NULL, day INTEGER NOT NULL, program INTEGER NOT NULL, person INTEGER NOT NULL, origin INTEGER NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (file, day, program, person, origin)) WITHOUT ROWID""",
    """CREATE TABLE file_days (
    file INTEGER NOT NULL, day INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (file, day)) WITHOUT ROWID""",
    """CREATE TABLE file_months (
    month INTEGER NOT NULL, file INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (month, file)) WITHOUT ROWID""",
    """CREATE TABLE totals (
    kind INTEGER NOT NULL, day INTEGER NOT NULL, key INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (kind, day, key)) WITHOUT ROWID""",
    """CREATE TABLE events (
    file INTEGER NOT NULL, time INTEGER NOT NULL, program INTEGER NOT NULL, person INTEGER NOT NULL, origin INTEGER NOT NULL,
    version TEXT NOT NULL, address TEXT NOT NULL)""",
    "CREATE INDEX events_of_files ON events (file, time)",
    f"PRAGMA user_version = {_VERSION}",
)


class DownloadsFile(DownloadsStore):
    """The file; usable from any thread, and by several processes at once.

    Args:
        state_directory: Its directory; the first count makes it if it is missing.
    """

    def __init__(self, state_directory: str) -> None:
        self.path = os.path.join(state_directory, DOWNLOADS_FILENAME)

    def read(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of a query; there are none where nothing was ever counted.

        Raises:
            sqlite3.Error: The file cannot be read.
        """
        if not os.path.lexists(self.path):
            return []
        with closing(self._opened(_READ_PATIENCE)) as connection:
            if _is_empty(connection):
                # Another process makes the tables just now.
                return []
            return connection.execute(statement, values).fetchall()

    def write(self, work: Callable[[RecordsTransaction], object], *, patience: float) -> None:
        """Run a function in one transaction.

        Raises:
            sqlite3.Error: The disk is full, the file is damaged, or others write for too long.
            OSError: The file cannot be made.
        """
        with closing(self._opened_to_write(patience)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            work(connection)
            connection.execute("COMMIT")

    def close(self) -> None:
        """Do nothing: the file is open only while it is used."""

    def _opened_to_write(self, patience: float) -> sqlite3.Connection:
        if not os.path.lexists(self.path):
            make_directories(os.path.dirname(self.path))
            make_private(self.path)
        connection = self._opened(patience)
        try:
            if _is_empty(connection):
                use_wal(connection, patience)
                connection.execute("BEGIN IMMEDIATE")
                if _is_empty(connection):
                    for statement in _SCHEMA:
                        connection.execute(statement)
                connection.execute("COMMIT")
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _opened(self, patience: float) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=patience, isolation_level=None)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError("another version of simpleindex wrote it")
        except BaseException:
            connection.close()
            raise
        return connection


def _is_empty(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA user_version").fetchone() == (0,))
