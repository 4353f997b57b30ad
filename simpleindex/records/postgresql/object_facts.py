"""Facts about the objects of a bucket that nodes share, so that each object is read by one of them only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from simpleindex.records.postgresql.schema import VersionedSchema
from simpleindex.records.postgresql.server import PostgreSQLServer
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_log = logger(__name__)

SCHEMA: Final = VersionedSchema(
    "simpleindex_objects",
    (
        (
            """
            CREATE TABLE object_facts (
                place TEXT NOT NULL, path TEXT NOT NULL, state TEXT NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (place, path)
            )
            """,
        ),
        (
            """
            CREATE TABLE project_serials (
                place TEXT NOT NULL, project TEXT NOT NULL, listing BIGINT NOT NULL, serial BIGINT NOT NULL,
                PRIMARY KEY (place, project)
            )
            """,
            "CREATE INDEX project_serials_by_serial ON project_serials (place, serial)",
        ),
    ),
    0x51_4D_50_4F,
)

PAUSE_SECONDS: Final = 30.0
"""How long nothing is requested of a server that was away: a connection to one that is cut off takes seconds to fail."""


class ObjectFacts:
    """Facts about objects, by path; every method blocks, and may be called from any thread.

    They are a cache: while the server is away there are none.

    Args:
        url: The PostgreSQL database.
        place: The bucket.
        monotonic: A clock that is never set back.
    """

    def __init__(self, url: str, place: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.server = PostgreSQLServer(url, SCHEMA)
        self._place = place
        self._monotonic = monotonic
        self._pause_end = 0.0

    def all(self) -> Mapping[str, tuple[str, str]]:
        """Return the state and the facts of every object."""
        return self._read("SELECT path, state, facts FROM object_facts WHERE place = ?", (self._place,))

    def of(self, paths: Iterable[str]) -> Mapping[str, tuple[str, str]]:
        """Return the state and the facts of some objects."""
        return self._read(
            "SELECT path, state, facts FROM object_facts WHERE place = ? AND path = ANY(?)",
            (self._place, [*paths]),
        )

    def remember(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Keep path, state and facts of objects."""
        values = [(self._place, *row) for row in rows]
        self._try(
            lambda: self.server.write(
                lambda transaction: transaction.executemany(
                    "INSERT INTO object_facts VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (place, path) DO UPDATE SET state = excluded.state, facts = excluded.facts",
                    values,
                )
            )
        )

    def save(self) -> None:
        """Do nothing: rows are written at once."""

    def forget(self, paths: Iterable[str]) -> None:
        """Delete the facts about objects that are gone."""
        values = (self._place, [*paths])
        self._try(
            lambda: self.server.write(
                lambda transaction: transaction.execute(
                    "DELETE FROM object_facts WHERE place = ? AND path = ANY(?)", values
                )
            )
        )

    def close(self) -> None:
        """Close the connection."""
        self.server.close()

    def _read(self, statement: str, values: tuple[object, ...]) -> Mapping[str, tuple[str, str]]:
        rows: list[tuple[str, str, str]] = []
        self._try(lambda: rows.extend(self.server.read(statement, values)))
        return {path: (state, facts) for path, state, facts in rows}

    def _try(self, work: Callable[[], object]) -> None:
        if self._monotonic() < self._pause_end:
            return
        try:
            self.server.require_schema()
            work()
        except OSError as error:
            self._pause_end = self._monotonic() + PAUSE_SECONDS
            _log.info(
                "Facts about objects are not shared with other nodes for now: {place}: {cause}.",
                place=self.server.place,
                cause=error.strerror,
            )
