"""A copy of the records in memory, which follows the feed of changes; queries in the reactor are answered from it."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from simpleindex.records.database_copy import SHARED_COLUMNS
from simpleindex.records.postgresql.schema import ONLY_SHARED, REPLICATED
from simpleindex.records.sqlite_connection import CREATE_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "tokens": ("id",),
    "owners": ("project",),
    "allowances": ("project", "version"),
    "used_names": ("project",),
    "acme_challenges": ("kind", "name"),
    "pins": ("upstream", "project", "filename"),
}

_COLUMNS: Final = {**SHARED_COLUMNS, "acme_challenges": ("kind", "name", "request", "content")}

_BINARY: Final = frozenset({"digest"})
"""Columns of bytes, which JSON has as hexadecimal digits behind a ``\\x`` (PostgreSQL, "bytea Hex Format")."""


class RecordsReplica:
    """The copy; usable from any thread.

    Attributes:
        serial: The feed's number of the last change in it; None before everything was read.
        changes: How often it changed.
    """

    def __init__(self) -> None:
        self.serial: int | None = None
        self.changes = 0
        self._lock = threading.Lock()
        self._database = self._empty()

    def read(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    def synchronize(self, connection: psycopg.Connection[Any]) -> None:
        """Take over what has changed since the last time, or everything if the feed does not reach so far back.

        Raises:
            psycopg.Error: The server is away, or refuses.
        """
        with connection.transaction():
            # One view of feed and tables, whatever is committed meanwhile.
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            row = connection.execute(
                "SELECT coalesce(min(serial), 0), coalesce(max(serial), 0) FROM feed"
            ).fetchone()
            assert row is not None  # an aggregate
            oldest, newest = row
            if self.serial == newest:
                return
            if self.serial is None or self.serial > newest or self.serial < oldest - 1:
                query = sql.SQL("SELECT to_jsonb(t) FROM {} t")
                rows = {
                    table: connection.execute(query.format(sql.Identifier(table))) for table in REPLICATED
                }
                self._replace({table: [content for (content,) in cursor] for table, cursor in rows.items()})
            else:
                self._apply(
                    connection.execute(
                        "SELECT changed_table, is_deleted, content FROM feed WHERE serial > %s ORDER BY serial",
                        (self.serial,),
                    )
                )
            self.serial = newest
            self.changes += 1

    def _replace(self, tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
        database = self._empty()
        for table, rows in tables.items():
            for row in rows:
                _put(database, table, row)
        with self._lock:
            self._database.close()
            self._database = database

    def _apply(self, changes: Iterable[tuple[str, bool, Mapping[str, Any]]]) -> None:
        with self._lock:
            # Whole or not at all: a query never sees half of another node's transaction.
            self._database.execute("BEGIN")
            try:
                for table, is_deleted, row in changes:
                    if table not in _KEYS:
                        continue
                    if is_deleted:
                        condition = " AND ".join(f'"{key}" = ?' for key in _KEYS[table])
                        self._database.execute(
                            f"DELETE FROM {table} WHERE {condition}",  # noqa: S608  (constants)
                            [row[key] for key in _KEYS[table]],
                        )
                    else:
                        _put(self._database, table, row)
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    @staticmethod
    def _empty() -> sqlite3.Connection:
        database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        for statement in (*CREATE_TABLES, *ONLY_SHARED):
            database.execute(statement)
        return database


def _put(database: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    # A node of a later release may have added columns; this one goes on without them until it is upgraded.
    row = {name: value for name, value in row.items() if name in _COLUMNS[table]}
    columns = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" * len(row))
    values = [bytes.fromhex(value[2:]) if name in _BINARY else value for name, value in row.items()]
    database.execute(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})", values)  # noqa: S608  (names of our columns)
