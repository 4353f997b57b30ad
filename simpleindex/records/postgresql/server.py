"""The connection to PostgreSQL: opened when it is needed (when a lost server is tried again: ``records.py``), with bounds on every wait."""

from __future__ import annotations

import errno
import re
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from simpleindex.core.errors import RefusedStart
from simpleindex.records.postgresql.schema import RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from simpleindex.records.interface import RecordsCursor, RecordsTransaction
    from simpleindex.records.postgresql.schema import VersionedSchema
    from simpleindex.system.operation_times import OperationTimes

T = TypeVar("T")

CONNECT_SECONDS: Final = 5
"""How long a connection may take; a server that is away answers at once or never."""

_BOUNDS: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_SECONDS,
    # A server whose machine lost its power sends nothing more, not even an end (tcp(7)).
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "application_name": "simpleindex",
}
"""Parameters of libpq (its documentation, "Parameter Key Words") unless the URL has them."""


_UNKNOWN: Final = re.compile(r'invalid URI query parameter: "(\w{1,40})"', re.ASCII)


def parse_url(url: str) -> dict[str, Any]:
    """Return the parameters of libpq that a URL has.

    Raises:
        RefusedStart: It is none. Of libpq's reason only the name of a parameter is shown: the rest may quote a secret.
    """
    try:
        return conninfo_to_dict(url)
    except psycopg.Error as error:
        unknown = _UNKNOWN.search(str(error))
        reason = (
            f"has the unknown parameter {unknown[1]!r}" if unknown else "is not written as libpq reads it"
        )
        raise RefusedStart(
            f"--records: the URL {reason}; write it like 'postgresql://db.example.org/simpleindex?sslmode=verify-full'"
        ) from None


def without_password(parts: Mapping[str, Any]) -> str:
    """Return where a server and database are, for messages; arguments: the parameters of a URL."""
    host, port, name = (parts.get(key) for key in ("host", "port", "dbname"))
    return f"postgresql://{host or 'localhost'}{f':{port}' if port else ''}/{name or ''}"


def with_bounds(parts: Mapping[str, Any], schema: str) -> str:
    """Return the connection string for the tables of a schema: with our bounds where the URL has none of its own.

    Args:
        parts: The parameters of the URL. The last of equal options counts, so its own may change the time limits, but
            never the schema: tables of all schemas would meet in one.
        schema: Its name.
    """
    times = "-c statement_timeout=10000 -c lock_timeout=10000"
    options = f"{times} {parts.get('options', '')} -c search_path={schema}"
    return make_conninfo("", **{**_BOUNDS, **parts, "options": options})


def portable(error: psycopg.Error, place: str) -> OSError:
    """Return an error of the driver as one of the operating system, which all tables of records expect.

    The text of the driver may show values of a statement, so only its class and the server's code are kept.
    """
    code = error.sqlstate
    if code is None:
        return OSError(errno.EHOSTDOWN, "the server cannot be reached", place)
    number = errno.EAGAIN if code.startswith(("40", "53", "55", "57")) else errno.EHOSTDOWN
    return OSError(number, f"the server refused it with SQLSTATE {code}", place)


class PostgreSQLServer:
    """A connection for changes, and for queries in threads; usable from any thread, one at a time.

    One is enough, because changes wait for each other anyway, so that the feed has them in the order of commits.

    Args:
        url: As libpq takes it (``postgresql://host/database``).
        schema: The schema of the tables.

    Raises:
        RefusedStart: The URL is none.

    Attributes:
        times: Durations of reads and writes; None where nothing is measured.
    """

    def __init__(self, url: str, schema: VersionedSchema = RECORDS) -> None:
        parts = parse_url(url)
        self.place = without_password(parts)
        self._schema = schema
        self._url = with_bounds(parts, schema.name)
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._preparing = threading.Lock()
        self._is_prepared = False
        self.times: OperationTimes | None = None

    def connect(self) -> psycopg.Connection[Any]:
        """Return a connection of its own.

        Raises:
            psycopg.Error: The server is away, or refuses.
        """
        return psycopg.connect(self._url, autocommit=True)

    def prepare(self) -> None:
        """Make the schema, or bring it up to this release; several nodes may do so at once.

        Raises:
            RefusedStart: A newer release has changed it.
            OSError: The server is away, or refuses.
        """

        def bring_up(connection: psycopg.Connection[Any]) -> None:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (self._schema.lock,))
            name = sql.Identifier(self._schema.name)
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
            connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
            row = connection.execute("SELECT max(version) FROM schema_version").fetchone()
            version = (row and row[0]) or 0
            for number, step in enumerate(self._schema.steps_from(version, self.place), version + 1):
                for statement in step:
                    connection.execute(statement.encode())
                connection.execute("INSERT INTO schema_version VALUES (%s)", (number,))

        self._transact(bring_up)

    def require_schema(self) -> None:
        """Prepare the schema with the first use: the server may be away when the index starts.

        Raises:
            OSError: The server is away, or refuses, or a newer release has changed the schema.
        """
        with self._preparing:
            if not self._is_prepared:
                try:
                    self.prepare()
                except RefusedStart as error:
                    raise OSError(errno.EPROTONOSUPPORT, str(error), self.place) from None
                self._is_prepared = True

    def read(
        self,
        statement: str,
        values: tuple[object, ...],
        *,
        table: str | None = None,  # noqa: ARG002  (every table is there)
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        Raises:
            OSError: The server is away, or refuses.
        """
        with self._measuring("read"):
            return self._transact(
                lambda connection: Transaction(connection).execute(statement, values).fetchall()
            )

    def write(self, work: Callable[[RecordsTransaction], T], *, patience: float | None = None) -> T:
        """Run a function in one transaction; its changes are durable once this returns.

        Args:
            work: Makes the change.
            patience: Seconds to wait for other changes; None for as long as other waits are bounded.

        Raises:
            OSError: The server is away, or refuses.
        """

        def change(connection: psycopg.Connection[Any]) -> T:
            if patience is not None:
                connection.execute(
                    "SELECT set_config('lock_timeout', %s, true)", (f"{patience * 1000:.0f}ms",)
                )
            # Before any row is locked, so that no two changes wait for each other.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (self._schema.lock,))
            return work(Transaction(connection))

        with self._measuring("write"):
            return self._transact(change)

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            self._close()

    def _measuring(self, operation: str) -> AbstractContextManager[None]:
        return nullcontext() if self.times is None else self.times.measuring(operation)

    def _transact(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        with self._lock:
            try:
                connection = self._begun()
                result = work(connection)
                connection.execute("COMMIT")
            except psycopg.Error as error:
                self._close()
                raise portable(error, self.place) from None
            except BaseException:
                self._close()
                raise
            return result

    def _begun(self) -> psycopg.Connection[Any]:
        """Return a connection in a transaction; one that broke while nothing was done is replaced."""
        if self._connection is not None:
            try:
                self._connection.execute("BEGIN")
            except psycopg.OperationalError:
                self._close()
            else:
                return self._connection
        self._connection = self.connect()
        self._connection.execute("BEGIN")
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Transaction:
    """A transaction of PostgreSQL for statements with ``?``."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> RecordsCursor:
        """Run a statement."""
        return self._connection.execute(_translated(statement), values)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> object:
        """Run a statement once for each row."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_translated(statement), rows)
        return None


def _translated(statement: str) -> bytes:
    # As bytes, because the type of a text is that of a literal; all statements are constants of this project.
    return statement.replace("?", "%s").encode()
