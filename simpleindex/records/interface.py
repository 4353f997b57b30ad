"""What the tables of records need of a database, whichever keeps them: a SQLite file, or a PostgreSQL server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

    from simpleindex.core.errors import Unavailable
    from simpleindex.system.operation_times import OperationTimes

T = TypeVar("T")


class RecordsCursor(Protocol):
    """The outcome of a statement (PEP 249)."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows."""
        ...


class RecordsTransaction(Protocol):
    """A transaction. Statements have ``?`` for values, and are written in the SQL that SQLite and PostgreSQL share."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> RecordsCursor:
        """Run a statement."""
        ...

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> object:
        """Run a statement once for each row."""
        ...


class RecordsAccess(Protocol):
    """A way to the records that raises errors as they come."""

    def read(
        self, statement: str, values: tuple[object, ...], *, table: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        Raises:
            sqlite3.Error: The database is damaged, busy, or not ours.
            OSError: It is gone or out of reach.
        """
        ...

    def write(self, work: Callable[[RecordsTransaction], T]) -> T:
        """Run a function in one transaction; its changes are durable once this returns.

        Raises:
            sqlite3.Error: As for :meth:`read`, or the disk is full.
            OSError: The same.
        """
        ...


class Records(Protocol):
    """The records, shared by all of their tables; usable from any thread.

    Attributes:
        path: Where they are, for messages; without a password.
        is_copy: Whether queries go to a copy, which hears of the changes of other processes a moment later.
        listeners: Each is called in a thread with place and project when another node announces a change, and with two empty
            texts when announcements may have been missed.
    """

    path: str
    is_copy: bool
    listeners: list[Callable[[str, str], object]]

    def measure(self, times: OperationTimes) -> None:
        """Measure reads and writes from now on."""
        ...

    @property
    def changes(self) -> int:
        """Rises with every change of another node that became known here."""
        ...

    @property
    def reader(self) -> RecordsAccess:
        """The way for short queries, which may be made in the reactor."""
        ...

    @property
    def writer(self) -> RecordsAccess:
        """The way for changes, and for queries in threads."""
        ...

    def read(
        self, statement: str, values: tuple[object, ...], *, table: str | None = None, current: bool = False
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        Args:
            statement: The query.
            values: For its question marks.
            table: A table that a later release added, which may be missing.
            current: Whether rows that may be out of date must not be returned, as of tokens that may be revoked.

        Raises:
            Unavailable: The records cannot be read.
        """
        ...

    def write(self, work: Callable[[RecordsTransaction], T]) -> T:
        """Make a change; blocking.

        Raises:
            Unavailable: The change cannot be made.
        """
        ...

    def unavailable(self, error: sqlite3.Error | OSError) -> Unavailable:
        """Return the error for clients; it is logged once until the records can be read again."""
        ...

    def prepare(self) -> None:
        """Bring what is shared with other nodes up to this release; blocking.

        Raises:
            RefusedStart: A newer release has changed it.
            OSError: It is out of reach.
        """
        ...

    def follow(self) -> None:
        """Follow changes of other nodes from now on, until :meth:`close`."""
        ...

    def catch_up(self) -> None:
        """Read what other processes changed until now, for queries that are to find it; blocking.

        Raises:
            Unavailable: The records cannot be read.
        """
        ...

    def announce(self, place: str, project: str) -> None:
        """Tell other nodes that a project changed; blocking, and never fails: they find it at their next listing.

        Args:
            place: Where the project is: a bucket that nodes share.
            project: Its name.
        """
        ...

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        ...
