"""The counts of downloads in PostgreSQL, in a schema beside that of the records. Blocking.

They have connections apart from those of the records, so that no token waits for a batch of counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from simpleindex.records.downloads.database import DownloadsStore
from simpleindex.records.postgresql.schema import VersionedSchema
from simpleindex.records.postgresql.server import PostgreSQLServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.records.interface import RecordsTransaction

DOWNLOADS_LOCK: Final = 0x51_4D_50_44
"""The advisory lock that every batch holds until its end, so that no two wait for each other's rows."""

_NUMBER: Final = "id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"

DOWNLOADS: Final = VersionedSchema(
    "simpleindex_downloads",
    (
        (
            f"""CREATE TABLE files (
            {_NUMBER}, project TEXT NOT NULL, version TEXT NOT NULL, filename TEXT NOT NULL, UNIQUE (project, filename))""",
            f"CREATE TABLE programs ({_NUMBER}, name TEXT NOT NULL UNIQUE)",
            f'CREATE TABLE people ({_NUMBER}, "user" TEXT NOT NULL, token TEXT NOT NULL, UNIQUE ("user", token))',
            f"CREATE TABLE origins ({_NUMBER}, source TEXT NOT NULL, delivery TEXT NOT NULL, UNIQUE (source, delivery))",
            """CREATE TABLE daily (
            file BIGINT NOT NULL, day INTEGER NOT NULL, program INTEGER NOT NULL, person INTEGER NOT NULL, origin INTEGER NOT NULL,
            count BIGINT NOT NULL, PRIMARY KEY (file, day, program, person, origin) INCLUDE (count))""",
            """CREATE TABLE file_days (
            file BIGINT NOT NULL, day INTEGER NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (file, day) INCLUDE (count))""",
            """CREATE TABLE file_months (
            month INTEGER NOT NULL, file BIGINT NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (month, file))""",
            """CREATE TABLE totals (
            kind INTEGER NOT NULL, day INTEGER NOT NULL, key INTEGER NOT NULL, count BIGINT NOT NULL,
            PRIMARY KEY (kind, day, key))""",
            """CREATE TABLE events (
            file BIGINT NOT NULL, time BIGINT NOT NULL, program INTEGER NOT NULL, person INTEGER NOT NULL, origin INTEGER NOT NULL,
            version TEXT NOT NULL, address TEXT NOT NULL)""",
            "CREATE INDEX events_of_files ON events (file, time)",
        ),
    ),
    DOWNLOADS_LOCK,
)
"""The tables are those of the SQLite file."""


class DownloadsServer(DownloadsStore):
    """The counts in a PostgreSQL server; usable from any thread.

    Attributes:
        path: The same, for messages; without a password.
    """

    def __init__(self, url: str) -> None:
        self._reader, self._writer = PostgreSQLServer(url, DOWNLOADS), PostgreSQLServer(url, DOWNLOADS)
        self.path = self._writer.place

    def read(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        Raises:
            OSError: The server is away, or refuses.
        """
        self._writer.require_schema()
        return self._reader.read(statement, values)

    def write(self, work: Callable[[RecordsTransaction], object], *, patience: float) -> None:
        """Run a function in one transaction.

        Raises:
            OSError: The server is away, or refuses, or others write for too long.
        """
        self._writer.require_schema()
        self._writer.write(work, patience=patience)

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self._reader.close()
        self._writer.close()
