"""The counts of downloads, in an SQLite file of their own, ``downloads.sqlite3`` in the state directory. Blocking.

They lie apart from the other records (:mod:`simpleindex.records.database`): there are millions of rows, so a backup may leave them
out; a row lost in a power cut costs a count, so writing need not wait for the disk; and a long write holds up no token.

One row of ``daily`` stands for all downloads of a file on one day by one program, for one user, from one origin. Sums of them by
file and by day are kept beside it, from which most questions are answered (docs/measurements.md, "Downloads").
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import parse_distribution_name
from simpleindex.records.database import use_wal
from simpleindex.system.ownership import make_private, make_state_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from simpleindex.core.names import ProjectName

Value = TypeVar("Value")

FILENAME: Final = "downloads.sqlite3"

SECONDS_OF_DAY: Final = 86_400

_VERSION: Final = 1
"""Raised with every change to the schema, which must then say how older ones are brought up to it."""

PROGRAM, PERSON, ORIGIN = 1, 2, 3
"""The kinds of daily totals: what their key stands for."""

_SCHEMA: Final = (
    """CREATE TABLE files (
    id INTEGER PRIMARY KEY, project TEXT NOT NULL, version TEXT NOT NULL, filename TEXT NOT NULL, UNIQUE (project, filename))""",
    "CREATE TABLE programs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE people (id INTEGER PRIMARY KEY, user TEXT NOT NULL, token TEXT NOT NULL, UNIQUE (user, token))",
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

_ADD_DAILY: Final = """INSERT INTO daily VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (file, day, program, person, origin) DO UPDATE SET count = count + excluded.count"""
_ADD_FILE_DAY: Final = """INSERT INTO file_days VALUES (?, ?, ?)
    ON CONFLICT (file, day) DO UPDATE SET count = count + excluded.count"""
_ADD_FILE_MONTH: Final = """INSERT INTO file_months VALUES (?, ?, ?)
    ON CONFLICT (month, file) DO UPDATE SET count = count + excluded.count"""
_ADD_TOTAL: Final = """INSERT INTO totals VALUES (?, ?, ?, ?)
    ON CONFLICT (kind, day, key) DO UPDATE SET count = count + excluded.count"""

_FILES_AT_ONCE: Final = 2_000
"""Files whose old counts are removed in one transaction; writers wait for no longer than that takes."""


class DownloadKey(NamedTuple):
    """What is counted together.

    Attributes:
        day: Days since 1970, UTC.
        project: The project.
        filename: The distribution file.
        program: The name of the client's program.
        user: The user; empty without one.
        token: The public id of the token; empty without one.
        source: The name of the directory or upstream that the file is from.
        delivery: How its bytes came: a value of :class:`simpleindex.core.source.Delivery`.
    """

    day: int
    project: ProjectName
    filename: str
    program: str
    user: str
    token: str
    source: str
    delivery: str


class DownloadEvent(NamedTuple):
    """One download with its address, as it is kept where the operator wants addresses.

    Attributes:
        key: What it was counted as.
        time: When it ended, seconds since 1970.
        version: Of the client's program, as it states it.
        address: The client's.
    """

    key: DownloadKey
    time: int
    version: str
    address: str


class DownloadsDatabase:
    """The counts; usable from any thread, and by several processes at once.

    Args:
        state_directory: The directory of the database; the first count makes it if it is missing.

    Attributes:
        path: The database's file.
    """

    def __init__(self, state_directory: str) -> None:
        self.path = os.path.join(state_directory, FILENAME)

    def add(
        self, counts: Mapping[DownloadKey, int], events: Sequence[DownloadEvent], *, patience: float
    ) -> None:
        """Add downloads to the counts, in one transaction.

        Args:
            counts: How many of each.
            events: Those of them that are kept singly.
            patience: Seconds to wait for other processes.

        Raises:
            sqlite3.Error: They cannot be written: the disk is full, the file is damaged, or others write for too long.
            OSError: The file cannot be made.
        """
        with closing(self._opened_to_write(patience)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            numbers = _Numbers(connection)
            for key, count in counts.items():
                _add(connection, numbers.of(key), key.day, count)
            connection.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
                [_event_row(numbers.of(event.key), event) for event in events],
            )
            connection.execute("COMMIT")

    def prune(self, before: int, *, patience: float) -> None:
        """Remove the counts of days before one; a few files at a time, so that no writer waits long.

        Args:
            before: The first day that is kept, days since 1970.
            patience: As for :meth:`add`.

        Raises:
            sqlite3.Error: As for :meth:`add`.
            OSError: The same.
        """
        if not os.path.lexists(self.path):
            return
        with closing(self._opened_to_write(patience)) as connection:
            last: int | None = 0
            while last is not None:
                connection.execute("BEGIN IMMEDIATE")
                last = _prune_files(connection, last, before)
                connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM totals WHERE day < ?", (before,))
            connection.execute("DELETE FROM file_months WHERE month < ?", (month_of(before),))
            connection.execute("DELETE FROM files WHERE id NOT IN (SELECT file FROM file_months)")
            connection.execute("COMMIT")

    def read(self, query: Callable[[sqlite3.Connection], Value], default: Value) -> Value:
        """Return what a query finds; the default where nothing was ever counted.

        Raises:
            sqlite3.Error: The file cannot be read.
        """
        if not os.path.lexists(self.path):
            return default
        with closing(self._opened(_READ_PATIENCE)) as connection:
            return query(connection)

    def _opened_to_write(self, patience: float) -> sqlite3.Connection:
        if not os.path.lexists(self.path):
            make_state_directory(os.path.dirname(self.path))
            make_private(self.path)
        connection = self._opened(patience)
        try:
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                use_wal(connection, patience)
                connection.execute("BEGIN IMMEDIATE")
                if connection.execute("PRAGMA user_version").fetchone() == (0,):
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


_READ_PATIENCE: Final = 5.0  # seconds


def day_of(seconds: float) -> int:
    """Return the day of a moment, days since 1970, UTC."""
    return int(seconds // SECONDS_OF_DAY)


def month_of(day: int) -> int:
    """Return the month of a day, months since the year 0."""
    date = datetime.fromtimestamp(day * SECONDS_OF_DAY, UTC)
    return date.year * 12 + date.month - 1


def first_day_of(month: int) -> int:
    """Return the first day of a month, days since 1970."""
    return day_of(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp())


class _Row(NamedTuple):
    file: int
    program: int
    person: int
    origin: int


class _Numbers:
    """The numbers under which names are kept, within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kept: dict[tuple[str, ...], int] = {}

    def of(self, key: DownloadKey) -> _Row:
        return _Row(
            self._number("files", ("project", "filename"), (key.project, key.filename)),
            self._number("programs", ("name",), (key.program,)),
            self._number("people", ("user", "token"), (key.user, key.token)),
            self._number("origins", ("source", "delivery"), (key.source, key.delivery)),
        )

    def _number(self, table: str, columns: tuple[str, ...], values: tuple[str, ...]) -> int:
        kept = self._kept.get((table, *values))
        if kept is None:
            kept = self._kept[table, *values] = self._find(table, columns, values)
        return kept

    def _find(self, table: str, columns: tuple[str, ...], values: tuple[str, ...]) -> int:
        where = " AND ".join(f"{column} = ?" for column in columns)
        row = self._connection.execute(f"SELECT id FROM {table} WHERE {where}", values).fetchone()
        if row is not None:
            return int(row[0])
        if table == "files":
            columns, values = (*columns, "version"), (*values, _version_of(*values))
        marks = ", ".join("?" * len(values))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        return int(self._connection.execute(statement, values).lastrowid or 0)


def _version_of(project: str, filename: str) -> str:
    try:
        return parse_distribution_name(filename, project).version  # type: ignore[arg-type]  # it was a ProjectName
    except InvalidFilename:
        return ""


def _add(connection: sqlite3.Connection, row: _Row, day: int, count: int) -> None:
    daily = (row.file, day, row.program, row.person, row.origin, count)
    connection.execute(_ADD_DAILY, daily)
    connection.execute(_ADD_FILE_DAY, (row.file, day, count))
    connection.execute(_ADD_FILE_MONTH, (month_of(day), row.file, count))
    totals = ((PROGRAM, row.program), (PERSON, row.person), (ORIGIN, row.origin))
    connection.executemany(_ADD_TOTAL, [(kind, day, key, count) for kind, key in totals])


def _event_row(row: _Row, event: DownloadEvent) -> tuple[object, ...]:
    return (row.file, event.time, row.program, row.person, row.origin, event.version, event.address)


def _prune_files(connection: sqlite3.Connection, last: int, before: int) -> int | None:
    """Remove old counts of the files that follow one; return the last of these, or None if they were the last of all."""
    files = connection.execute(
        "SELECT id FROM files WHERE id > ? ORDER BY id LIMIT ?", (last, _FILES_AT_ONCE)
    ).fetchall()
    connection.executemany(
        "DELETE FROM daily WHERE file = ? AND day < ?", [(*file, before) for file in files]
    )
    connection.executemany(
        "DELETE FROM file_days WHERE file = ? AND day < ?", [(*file, before) for file in files]
    )
    connection.executemany(
        "DELETE FROM events WHERE file = ? AND time < ?", [(*file, before * SECONDS_OF_DAY) for file in files]
    )
    return int(files[-1][0]) if len(files) == _FILES_AT_ONCE else None
