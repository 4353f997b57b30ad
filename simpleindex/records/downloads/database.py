"""The counts of downloads: written in batches, removed when they are old, and read by queries. Blocking.

One row of ``daily`` stands for all downloads of a file on one day by one program, for one user, from one origin. Sums of them by
file and by day are kept beside it, from which most questions are answered (docs/measurements.md, "Downloads").
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import parse_distribution_name
from simpleindex.records.downloads.keys import ORIGIN, PERSON, PROGRAM, SECONDS_OF_DAY, month_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from simpleindex.records.downloads.keys import DownloadEvent, DownloadKey
    from simpleindex.records.interface import RecordsTransaction

_ADD_DAILY: Final = """INSERT INTO daily VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (file, day, program, person, origin) DO UPDATE SET count = daily.count + excluded.count"""
_ADD_FILE_DAY: Final = """INSERT INTO file_days VALUES (?, ?, ?)
    ON CONFLICT (file, day) DO UPDATE SET count = file_days.count + excluded.count"""
_ADD_FILE_MONTH: Final = """INSERT INTO file_months VALUES (?, ?, ?)
    ON CONFLICT (month, file) DO UPDATE SET count = file_months.count + excluded.count"""
_ADD_TOTAL: Final = """INSERT INTO totals VALUES (?, ?, ?, ?)
    ON CONFLICT (kind, day, key) DO UPDATE SET count = totals.count + excluded.count"""

_FILES_AT_ONCE: Final = 2_000
"""Files whose old counts are removed in one transaction; writers wait for no longer than that takes."""


class DownloadsStore(Protocol):
    """Where the counts are: a SQLite file, or a PostgreSQL server; usable from any thread.

    Attributes:
        path: The place, for messages; without a password.
    """

    path: str

    def read(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of a query; there are none where nothing was ever counted.

        Raises:
            sqlite3.Error: The file is damaged, or busy.
            OSError: The file or the server is out of reach.
        """
        ...

    def write(self, work: Callable[[RecordsTransaction], object], *, patience: float) -> None:
        """Run a function in one transaction.

        Args:
            work: Makes the change.
            patience: Seconds to wait for other processes.

        Raises:
            sqlite3.Error: As for :meth:`read`, or the disk is full.
            OSError: The same.
        """
        ...

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        ...


class DownloadsDatabase:
    """The counts; usable from any thread, and by several processes at once.

    Attributes:
        read: Returns the rows of a query, as :meth:`DownloadsStore.read`.
        write: Runs a function in a transaction, as :meth:`DownloadsStore.write`.
        close: Closes the connections.
    """

    def __init__(self, store: DownloadsStore) -> None:
        self.path = store.path
        self.read = store.read
        self.write = store.write
        self.close = store.close

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
            OSError: The file cannot be made, or the server is out of reach.
        """

        def write(transaction: RecordsTransaction) -> None:
            numbers = _Numbers(transaction)
            _add(transaction, [(numbers.of(key), key.day, count) for key, count in counts.items()])
            transaction.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (row.file, each.time, row.program, row.person, row.origin, each.version, each.address)
                    for row, each in ((numbers.of(event.key), event) for event in events)
                ],
            )

        self.write(write, patience=patience)

    def prune(self, before: int, *, patience: float) -> None:
        """Remove the counts of days before a given one; a few files at a time, so that no writer waits long.

        Args:
            before: The first day that is kept, days since 1970.
            patience: As for :meth:`add`.

        Raises:
            sqlite3.Error: As for :meth:`add`.
            OSError: The same.
        """
        if not self.read("SELECT 1 FROM totals WHERE kind = ? AND day < ? LIMIT 1", (PROGRAM, before)):
            return
        last = 0
        while files := self.read(
            "SELECT id FROM files WHERE id > ? ORDER BY id LIMIT ?", (last, _FILES_AT_ONCE)
        ):
            first, last = last, files[-1][0]
            self.write(partial(_prune_files, (first, last), before), patience=patience)
        # Last of all, so that what breaks off is begun again.
        self.write(partial(_prune_sums, before), patience=patience)


class _Row(NamedTuple):
    file: int
    program: int
    person: int
    origin: int


class _Numbers:
    """The numbers under which names are kept, within one transaction."""

    def __init__(self, transaction: RecordsTransaction) -> None:
        self._transaction = transaction
        self._kept: dict[tuple[str, ...], int] = {}

    def of(self, key: DownloadKey) -> _Row:
        return _Row(
            self._number("files", ("project", "filename"), (key.project, key.filename)),
            self._number("programs", ("name",), (key.program,)),
            self._number("people", ('"user"', "token"), (key.user, key.token)),
            self._number("origins", ("source", "delivery"), (key.source, key.delivery)),
        )

    def _number(self, table: str, columns: tuple[str, ...], values: tuple[str, ...]) -> int:
        kept = self._kept.get((table, *values))
        if kept is None:
            kept = self._find(table, columns, values)
            if kept is None:
                self._insert(table, columns, values)
                kept = self._find(table, columns, values)
                assert kept is not None  # it was inserted just now
            self._kept[table, *values] = kept
        return kept

    def _find(self, table: str, columns: tuple[str, ...], values: tuple[str, ...]) -> int | None:
        where = " AND ".join(f"{column} = ?" for column in columns)
        row = self._transaction.execute(f"SELECT id FROM {table} WHERE {where}", values).fetchone()
        return None if row is None else int(row[0])

    def _insert(self, table: str, columns: tuple[str, ...], values: tuple[str, ...]) -> None:
        if table == "files":
            columns, values = (*columns, "version"), (*values, _version_of(*values))
        marks = ", ".join("?" * len(values))
        self._transaction.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)


def _version_of(project: str, filename: str) -> str:
    try:
        return parse_distribution_name(filename, project).version  # type: ignore[arg-type]  # it was a ProjectName
    except InvalidFilename:
        return ""


def _add(transaction: RecordsTransaction, rows: Iterable[tuple[_Row, int, int]]) -> None:
    rows = [*rows]
    transaction.executemany(
        _ADD_DAILY, [(row.file, day, row.program, row.person, row.origin, count) for row, day, count in rows]
    )
    transaction.executemany(_ADD_FILE_DAY, [(row.file, day, count) for row, day, count in rows])
    transaction.executemany(_ADD_FILE_MONTH, [(month_of(day), row.file, count) for row, day, count in rows])
    transaction.executemany(
        _ADD_TOTAL,
        [
            (kind, day, key, count)
            for row, day, count in rows
            for kind, key in ((PROGRAM, row.program), (PERSON, row.person), (ORIGIN, row.origin))
        ],
    )


def _prune_files(span: tuple[int, int], before: int, transaction: RecordsTransaction) -> None:
    """Remove old counts of the files whose numbers are above the first and not above the last."""
    for table in ("daily", "file_days"):
        transaction.execute(
            f"DELETE FROM {table} WHERE file > ? AND file <= ? AND day < ?",
            (*span, before),
        )
    transaction.execute(
        "DELETE FROM events WHERE file > ? AND file <= ? AND time < ?", (*span, before * SECONDS_OF_DAY)
    )


def _prune_sums(before: int, transaction: RecordsTransaction) -> None:
    transaction.execute("DELETE FROM totals WHERE day < ?", (before,))
    transaction.execute("DELETE FROM file_months WHERE month < ?", (month_of(before),))
    # Not "NOT IN", which PostgreSQL compares row by row when there are many.
    transaction.execute(
        "DELETE FROM files WHERE id IN (SELECT id FROM files EXCEPT SELECT file FROM file_months)"
    )
