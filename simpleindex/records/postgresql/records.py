"""The records in PostgreSQL as the tables use them: changes go to the server, queries to a copy that follows it."""

from __future__ import annotations

import errno
import json
import secrets
import sqlite3
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg import sql

from simpleindex.core.errors import Unavailable
from simpleindex.records.interface import Records
from simpleindex.records.postgresql.replica import RecordsReplica
from simpleindex.records.postgresql.schema import CHANNEL, FEED_HOURS, PROJECTS_CHANNEL
from simpleindex.records.postgresql.server import PostgreSQLServer, portable
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.records.interface import RecordsTransaction
    from simpleindex.system.operation_times import OperationTimes

T = TypeVar("T")

_log = logger(__name__)

POLL_SECONDS: Final = 5.0
"""At most between two looks at the feed while no notification comes, so that a connection that is dead is noticed."""

WAKE_SECONDS: Final = 0.5
"""Between two looks whether the service ends."""

_TRY_LATER: Final = "The records of this index cannot be used now; try again later."

RETRY_SECONDS: Final = 1.0
"""Between two tries to reach a server that is away."""


def forget_old_changes(transaction: RecordsTransaction) -> None:
    """Shorten the feed; its last change stays, so that a copy can tell that it is up to date."""
    transaction.execute(
        f"DELETE FROM feed WHERE at < now() - interval '{FEED_HOURS} hours' AND serial < (SELECT max(serial) FROM feed)"  # noqa: S608
    )


class PostgreSQLRecords(Records):
    """The records in PostgreSQL.

    Args:
        url: The server and database.
        memory: Seconds for which tokens count without the server.
        monotonic: A clock that is never set back.
        is_logged: As for :func:`~simpleindex.records.opening.open_records`.
    """

    def __init__(
        self,
        url: str,
        memory: float,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        is_logged: bool = True,
    ) -> None:
        self._server = PostgreSQLServer(url)
        self.path = self._server.place
        self.replica = RecordsReplica()
        self._memory = memory
        self._is_logged = is_logged
        self._monotonic = monotonic
        self.is_copy = True
        self._heard = -memory
        self.listeners: list[Callable[[str, str], object]] = []
        self._node = secrets.token_hex(8)
        self._logged: str | None = None
        self._synchronizing = threading.Lock()
        self._follower: threading.Thread | None = None
        self._is_closed = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None

    @property
    def reader(self) -> PostgreSQLRecords:
        """The way for short queries: the copy."""
        return self

    @property
    def writer(self) -> PostgreSQLServer:
        """The way for changes, and for queries in threads: the server."""
        return self._server

    def measure(self, times: OperationTimes) -> None:
        """Measure reads and writes of the server from now on; the copy is in memory."""
        self._server.times = times

    @property
    def changes(self) -> int:
        """Rises with every change that became known here."""
        return self.replica.changes

    def prepare(self) -> None:
        """Make or renew the schema, and read everything.

        Raises:
            RefusedStart: A newer release has changed it.
            OSError: The server is away, or refuses.
        """
        self._server.prepare()
        self._server.write(forget_old_changes)
        self._synchronize()

    def follow(self) -> None:
        """Follow changes of other processes from now on, in a thread, until :meth:`close`."""
        self._is_closed.clear()
        self._follower = threading.Thread(target=self._follow, name="records", daemon=True)
        self._follower.start()

    def read(
        self,
        statement: str,
        values: tuple[object, ...],
        *,
        table: str | None = None,  # noqa: ARG002  (every table is there)
        current: bool = False,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query, from the copy.

        Raises:
            Unavailable: The server is away, and the copy is empty, or too old for a query that must be current.
        """
        try:
            self._require_replica(current=current)
            rows = self.replica.read(statement, values)
        except (sqlite3.Error, OSError) as error:
            raise self.unavailable(error) from error
        return rows

    def write(self, work: Callable[[RecordsTransaction], T]) -> T:
        """Make a change; it is in the copy, too, once this returns, unless the server went away meanwhile.

        Raises:
            Unavailable: The change cannot be made.
        """
        try:
            result = self._server.write(work)
        except OSError as error:
            raise self.unavailable(error) from error
        # The change is made; a copy that cannot be read just now follows later.
        with suppress(OSError, sqlite3.Error):
            self._synchronize()
        return result

    def unavailable(self, error: sqlite3.Error | OSError) -> Unavailable:
        """Return the error for clients; it is logged once until the server can be used again."""
        trouble = trouble_of(error, self.path)
        if not self._is_logged:
            return Unavailable(trouble.for_operator())
        if (cause := trouble.cause) != self._logged:
            self._logged = cause
            _log.error(
                "The records {path} cannot be used ({cause}). Nothing can be changed now, and logins by token end {memory} s after "
                "the server was last heard of: see that it runs and lets this node in.",
                path=self.path,
                cause=cause,
                memory=round(self._memory),
            )
        return Unavailable(_TRY_LATER)

    def catch_up(self) -> None:
        """Bring the copy up to date.

        Raises:
            Unavailable: The server is away.
        """
        if self._logged is not None:
            # Who follows the changes tries again every second: a thread that also waits for the server helps nobody.
            raise Unavailable(_TRY_LATER)
        try:
            self._synchronize()
        except (sqlite3.Error, OSError) as error:
            raise self.unavailable(error) from error

    def announce(self, place: str, project: str) -> None:
        """Tell other nodes that a project changed; see :meth:`Records.announce`."""
        message = json.dumps([self._node, place, project])
        with suppress(OSError):
            self._server.read("SELECT pg_notify(?, ?)", (PROJECTS_CHANNEL, message))

    def close(self) -> None:
        """Close the connections."""
        self._is_closed.set()
        if self._follower is not None:
            self._follower.join(2 * WAKE_SECONDS)
            self._follower = None
        with self._synchronizing:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        self._server.close()

    def _require_replica(self, *, current: bool) -> None:
        if self._follower is None:
            # A command: what it prints is what the server has now.
            self._synchronize()
            return
        if self.replica.serial is None:
            raise OSError(errno.EHOSTDOWN, "the server could not be reached yet", self.path)
        if current and self._monotonic() - self._heard > self._memory:
            raise OSError(
                errno.EHOSTDOWN, f"the server has been away for more than {self._memory:.0f} s", self.path
            )

    def _synchronize(self) -> None:
        with self._synchronizing:
            was_open = self._connection is not None
            try:
                self._take_changes()
            except psycopg.Error as error:
                if not was_open:
                    raise portable(error, self.path) from None
                try:
                    # The connection may have broken long ago, as with a restart of the server.
                    self._take_changes()
                except psycopg.Error as again:
                    raise portable(again, self.path) from None
            self._heard = self._monotonic()
            self._logged = None

    def _take_changes(self) -> None:
        if self._connection is None:
            self._connection = self._server.connect()
        try:
            self.replica.synchronize(self._connection)
        except psycopg.Error:
            self._connection.close()
            self._connection = None
            raise

    def _follow(self) -> None:
        while not self._is_closed.is_set():
            try:
                self._follow_notifications()
            except psycopg.Error as error:
                self.unavailable(portable(error, self.path))
            except (OSError, sqlite3.Error) as error:
                self.unavailable(error)
            self._is_closed.wait(RETRY_SECONDS)

    def _follow_notifications(self) -> None:
        # A connection apart, for it is busy while it waits.
        with self._server.connect() as listening:
            for channel in (CHANNEL, PROJECTS_CHANNEL):
                listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            if self.replica.serial is None:
                # The server was away at the start.
                self._server.require_schema()
            # What was announced while nobody listened.
            self._tell("", "")
            while not self._is_closed.is_set():
                self._synchronize()
                self._await_notification(listening)

    def _await_notification(self, listening: psycopg.Connection[Any]) -> None:
        # Twice within the memory, so that no token is refused while the server is only quiet.
        end = time.monotonic() + min(POLL_SECONDS, self._memory / 2)
        has_changed = False
        while not has_changed and not self._is_closed.is_set() and time.monotonic() < end:
            # One packet may bring several of both kinds.
            for notification in listening.notifies(timeout=WAKE_SECONDS, stop_after=1):
                if notification.channel == CHANNEL:
                    has_changed = True
                else:
                    self._take_announcement(notification.payload)

    def _take_announcement(self, message: str) -> None:
        try:
            node, place, project = json.loads(message)
        except (ValueError, TypeError):
            return  # Not of a node.
        if node != self._node and isinstance(place, str) and isinstance(project, str):
            self._tell(place, project)

    def _tell(self, place: str, project: str) -> None:
        for listener in self.listeners:
            listener(place, project)
