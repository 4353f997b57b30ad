"""Copy all records from one database to another: from a SQLite file to PostgreSQL, or back. Blocking."""

from __future__ import annotations

import sqlite3
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import RefusedStart
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simpleindex.records.interface import Records, RecordsTransaction

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "tokens": (
        *(
            "id",
            "digest",
            "user",
            "actions",
            "projects",
            "created",
            "expires",
            "note",
            "last_used",
            "revoked",
        ),
    ),
    "owners": ("project", "user", "since"),
    "allowances": ("project", "version", "until", "who", "reason"),
    "first_seen": ("source", "project", "filename", "mark", "seen"),
    "used_names": ("project",),
}
"""Every table of the records, and its columns; forms that were sent are of no use to anybody later."""


SHARED_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    **COLUMNS,
    "acme_files": ("path", "content"),
    "pins": ("upstream", "project", "filename", "sha256", "pinned"),
}
"""The same of records in PostgreSQL; challenges of ACME are of no use to anybody later."""


def copy_records(
    source: Records,
    target: Records,
    tables: Mapping[str, tuple[str, ...]] = COLUMNS,
    given: Mapping[str, Sequence[tuple[object, ...]]] = MappingProxyType({}),
) -> Mapping[str, int]:
    """Copy every table, all or nothing; return the number of rows of each.

    Args:
        source: The records as they are.
        target: Records without a row.
        tables: The tables, and their columns.
        given: Rows of tables that the source has not.

    Raises:
        RefusedStart: The target has records already, or one of the two cannot be used.
    """
    try:
        rows: dict[str, Sequence[tuple[object, ...]]] = {
            table: source.writer.read(f"SELECT {_names(columns)} FROM {table}", (), table=table)  # noqa: S608  (constants)
            for table, columns in tables.items()
            if table not in given
        }
    except (sqlite3.Error, OSError) as error:
        raise RefusedStart(trouble_of(error, source.path).for_operator()) from None

    rows |= given

    def copy(transaction: RecordsTransaction) -> None:
        for table, columns in tables.items():
            if transaction.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None:  # noqa: S608
                raise RefusedStart(
                    f"{target.path} has records already ({table}), which would be mixed with others: name an empty database."
                )
            marks = ", ".join("?" * len(columns))
            transaction.executemany(
                f"INSERT INTO {table} ({_names(columns)}) VALUES ({marks})",  # noqa: S608
                rows[table],
            )

    try:
        target.writer.write(copy)
    except (sqlite3.Error, OSError) as error:
        raise RefusedStart(trouble_of(error, target.path).for_operator()) from None
    return {table: len(each) for table, each in rows.items()}


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
