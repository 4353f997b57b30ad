"""The records in a SQLite file: its two connections, for queries and for changes, and what is logged while it cannot be used."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any, Final, TypeVar

from simpleindex.core.errors import Unavailable
from simpleindex.core.text import printable
from simpleindex.records.interface import Records
from simpleindex.records.sqlite_connection import MeasuredConnection, RecordsConnection
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.records.interface import RecordsTransaction
    from simpleindex.system.operation_times import OperationTimes

T = TypeVar("T")

_log = logger(__name__)

RECORDS_FILENAME: Final = "records.sqlite3"

_READ_TIMEOUT: Final = 1.0
"""Seconds that a query may wait for another process; it holds up the reactor."""

_WRITE_TIMEOUT: Final = 10.0


class RecordsDatabase(Records):
    """The records, shared by all of their tables; usable from any thread.

    Several processes use the database at once, servers and commands; a change in one is seen by all of them with their next
    query. What cannot be read is never taken for "nobody" or "allowed": it raises Unavailable.

    Args:
        state_directory: The directory of the database; the first change makes it if it is missing.
        initialized: Whether the database was made before (:mod:`simpleindex.records.start_check`), so that a missing one is
            lost, not new.
    """

    @property
    def reader(self) -> RecordsConnection:
        """The connection for short queries, which may be made in the reactor."""
        return self._reader

    @property
    def writer(self) -> RecordsConnection:
        """The connection for changes, and for queries in threads. Because it is apart, no short query waits for a change."""
        return self._writer

    @property
    def changes(self) -> int:
        """0, because every query finds the changes of other processes."""
        return 0

    def __init__(self, state_directory: str, *, initialized: bool = False, is_logged: bool = True) -> None:
        self.path = os.path.join(state_directory, RECORDS_FILENAME)
        self._initialized = initialized
        self._is_logged = is_logged
        self._reader: RecordsConnection = RecordsConnection(self.path, _READ_TIMEOUT, initialized=initialized)
        self._writer: RecordsConnection = RecordsConnection(
            self.path, _WRITE_TIMEOUT, initialized=initialized
        )
        self.is_copy = False
        self.listeners = []
        self._logged: str | None = None

    def measure(self, times: OperationTimes) -> None:
        """Measure reads and writes from now on."""
        self.close()
        self._reader = MeasuredConnection(times, self.path, _READ_TIMEOUT, initialized=self._initialized)
        self._writer = MeasuredConnection(times, self.path, _WRITE_TIMEOUT, initialized=self._initialized)

    def read(
        self,
        statement: str,
        values: tuple[object, ...],
        *,
        table: str | None = None,
        current: bool = False,  # noqa: ARG002  (every query of the file is)
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query, as :meth:`RecordsConnection.read` does.

        Raises:
            Unavailable: The database cannot be read.
        """
        try:
            rows = self._reader.read(statement, values, table=table)
        except (sqlite3.Error, OSError) as error:
            raise self.unavailable(error) from error
        self._logged = None
        return rows

    def write(self, work: Callable[[RecordsTransaction], T]) -> T:
        """Make a change, as :meth:`RecordsConnection.write` does.

        Raises:
            Unavailable: The change cannot be made.
        """
        try:
            return self._writer.write(work)
        except (sqlite3.Error, OSError) as error:
            raise self.unavailable(error) from error

    def unavailable(self, error: sqlite3.Error | OSError) -> Unavailable:
        """Return the error for clients; it is logged once until the database can be read again."""
        trouble = trouble_of(error, self.path)
        if not self._is_logged:
            return Unavailable(trouble.for_operator())
        if trouble.cause != self._logged:
            self._logged = trouble.cause
            _log.error(
                "The records {path} cannot be used ({cause}), so requests that need a token or an owner get 503: {remedy}",
                path=printable(self.path),
                cause=trouble.cause,
                remedy=trouble.remedy,
            )
        return Unavailable(f"The records of tokens and owners cannot be used now: {trouble.for_client()}")

    def prepare(self) -> None:
        """Do nothing: the first change makes the file."""

    def follow(self) -> None:
        """Do nothing: every query finds the changes of other processes."""

    def catch_up(self) -> None:
        """Do nothing: every query finds the changes of other processes."""

    def announce(self, place: str, project: str) -> None:
        """Do nothing: there are no other nodes."""

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self._reader.close()
        self._writer.close()
