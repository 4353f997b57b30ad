"""Copy the counts of downloads from one database to another: from a SQLite file to PostgreSQL, or back. Blocking."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Final, TypeVar

from simpleindex.core.errors import RefusedStart
from simpleindex.records.downloads.keys import ORIGIN, PERSON, PROGRAM
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from simpleindex.records.downloads.database import DownloadsDatabase
    from simpleindex.records.interface import RecordsTransaction

T = TypeVar("T")

Numbers = dict[str, dict[int, int]]
"""The number in the target of each number in the source, by table: each database numbers its rows itself."""

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "files": ("project", "version", "filename"),
    "programs": ("name",),
    "people": ('"user"', "token"),
    "origins": ("source", "delivery"),
}
"""The tables of what has a number, and their other columns."""

_COUNTS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "daily": ("file", ("day", "program", "person", "origin", "count")),
    "file_days": ("file", ("day", "count")),
    "file_months": ("month", ("file", "count")),
    "totals": ("day", ("kind", "key", "count")),
    "events": ("file", ("time", "program", "person", "origin", "version", "address")),
}
"""The other tables, with the column by which they are read in parts, and the other columns."""

_REFERENCES: Final = {"file": "files", "program": "programs", "person": "people", "origin": "origins"}
_KINDS: Final = {PROGRAM: "programs", PERSON: "people", ORIGIN: "origins"}
_ROWS_AT_ONCE: Final = 10_000
_PATIENCE: Final = 60.0


def copy_downloads(
    source: DownloadsDatabase, target: DownloadsDatabase, finish: Callable[[], T]
) -> tuple[int, T]:
    """Copy all counts, and do what belongs together with it; return the number of downloads, and what that returned.

    Args:
        source: The counts as they are.
        target: Counts without a row.
        finish: Called before the counts are kept; if it fails they are not.

    Raises:
        RefusedStart: The target has counts already, or one of the two cannot be used.
    """
    if not any(_read(each, "SELECT 1 FROM files LIMIT 1") for each in (source, target)):
        # A file of counts is not made for none.
        return 0, finish()
    finished: list[T] = []

    def copy(transaction: RecordsTransaction) -> None:
        if transaction.execute("SELECT 1 FROM files LIMIT 1").fetchone() is not None:
            raise RefusedStart(
                f"{target.path} has counts of downloads already, which would be mixed with others: name an empty database."
            )
        numbers = {table: _copy_names(source, transaction, table) for table in _NAMES}
        for table in _COUNTS:
            _copy_counts(source, transaction, table, numbers)
        finished.append(finish())

    try:
        target.write(copy, patience=_PATIENCE)
    except (sqlite3.Error, OSError) as error:
        raise RefusedStart(trouble_of(error, target.path).for_operator()) from None
    total = sum(count for (count,) in _read(source, "SELECT count FROM totals WHERE kind = ?", PROGRAM))
    return total, finished[0]


def _copy_names(source: DownloadsDatabase, transaction: RecordsTransaction, table: str) -> dict[int, int]:
    columns = ", ".join(_NAMES[table])
    rows = _read(source, f"SELECT id, {columns} FROM {table}")
    marks = ", ".join("?" * len(_NAMES[table]))
    transaction.executemany(
        f"INSERT INTO {table} ({columns}) VALUES ({marks})",
        [row[1:] for row in rows],
    )
    after = transaction.execute(f"SELECT id, {columns} FROM {table}").fetchall()
    numbers = {tuple(names): number for number, *names in after}
    return {number: numbers[tuple(names)] for number, *names in rows}


def _copy_counts(
    source: DownloadsDatabase, transaction: RecordsTransaction, table: str, numbers: Numbers
) -> None:
    part, others = _COUNTS[table]
    columns = (part, *others)
    marks = ", ".join("?" * len(columns))
    for low, high in _parts(source, table, part):
        rows = _read(
            source,
            f"SELECT {', '.join(columns)} FROM {table} WHERE {part} > ? AND {part} <= ?",
            *(low, high),
        )
        transaction.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
            [_renumbered(columns, row, numbers) for row in rows],
        )


def _parts(source: DownloadsDatabase, table: str, column: str) -> Iterator[tuple[int, int]]:
    """Return spans of a column with a bounded number of rows, or with one value: above the first, up to the second."""
    counts = _read(source, f"SELECT {column}, COUNT(*) FROM {table} GROUP BY {column} ORDER BY {column}")
    low, last, rows = -1, -1, 0
    for value, count in counts:
        if rows and rows + count > _ROWS_AT_ONCE:
            yield low, last
            low, rows = last, 0
        last, rows = value, rows + count
    if rows:
        yield low, last


def _renumbered(columns: tuple[str, ...], row: tuple[Any, ...], numbers: Numbers) -> tuple[Any, ...]:
    """Return a row with the numbers that the target has for the same names."""
    values = dict(zip(columns, row, strict=True))
    for column, table in _REFERENCES.items():
        if column in values:
            values[column] = numbers[table][values[column]]
    if "kind" in values:
        values["key"] = numbers[_KINDS[values["kind"]]][values["key"]]
    return tuple(values.values())


def _read(source: DownloadsDatabase, statement: str, *values: object) -> list[tuple[Any, ...]]:
    try:
        return source.read(statement, values)
    except (sqlite3.Error, OSError) as error:
        raise RefusedStart(trouble_of(error, source.path).for_operator()) from None
