"""The serials of a bucket's projects in PostgreSQL, by which mirrors find out what has changed. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.records.interface import RecordsTransaction
    from simpleindex.records.postgresql.server import PostgreSQLServer


class ProjectSerialTable:
    """The serials of one bucket; usable from any thread."""

    def __init__(self, server: PostgreSQLServer, place: str) -> None:
        self._server = server
        self._place = place

    def note(self, listings: Mapping[ProjectName, int], after: int) -> list[tuple[Any, ...]]:
        """Give a new serial to projects whose listing is another one than was noted last.

        It is the time in microseconds, as that of a directory, and larger than all before. Changes wait for each other, so no
        smaller one can become visible later.

        Returns:
            Project, listing and serial of all projects with a larger serial.

        Raises:
            OSError: The server is away, or refuses; nothing was noted.
        """
        self._server.require_schema()
        query = "SELECT project, listing, serial FROM project_serials WHERE place = ? AND serial > ?"
        if not listings:
            return self._server.read(query, (self._place, after))

        def write(transaction: RecordsTransaction) -> list[tuple[Any, ...]]:
            transaction.execute(
                """
                INSERT INTO project_serials (place, project, listing, serial)
                SELECT ?, given.project, given.listing, (
                    SELECT greatest(coalesce(max(serial), 0) + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
                    FROM project_serials WHERE place = ?
                )
                FROM unnest(?::text[], ?::bigint[]) AS given (project, listing)
                ON CONFLICT (place, project) DO UPDATE SET listing = excluded.listing, serial = excluded.serial
                WHERE project_serials.listing <> excluded.listing
                """,
                (self._place, self._place, [*listings], [*listings.values()]),
            )
            return transaction.execute(query, (self._place, after)).fetchall()

        return self._server.write(write)
