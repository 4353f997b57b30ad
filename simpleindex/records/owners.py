"""Owners of projects, a table of the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.core.names import ProjectName

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from simpleindex.records.database import RecordsDatabase


class OwnerTable:
    """The owners; usable from any thread. Queries take microseconds, changes wait for the disk.

    Args:
        database: The records.
    """

    def __init__(self, database: RecordsDatabase) -> None:
        self._database = database

    def owner(self, name: ProjectName) -> str | None:
        """Return the owner of a project, or None."""
        rows = self._database.read("SELECT user FROM owners WHERE project = ?", (name,))
        return rows[0][0] if rows else None

    def owners(self) -> Mapping[ProjectName, str]:
        """Return the owner of every project that has one."""
        rows = self._database.read("SELECT project, user FROM owners ORDER BY project", ())
        return {ProjectName(name): user for name, user in rows}

    def claim(self, name: ProjectName, user: str, now: float) -> str:
        """Make a user the owner of a project that has none; return the owner. If several users claim it at once, one wins."""

        def claim(connection: sqlite3.Connection) -> str:
            connection.execute("INSERT OR IGNORE INTO owners VALUES (?, ?, ?)", (name, user, int(now)))
            row = connection.execute("SELECT user FROM owners WHERE project = ?", (name,)).fetchone()
            owner: str = row[0]
            return owner

        return self._database.write(claim)

    def give(self, name: ProjectName, user: str | None, now: float) -> None:
        """Change the owner of a project; None leaves it without one."""

        def give(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM owners WHERE project = ?", (name,))
            if user is not None:
                connection.execute("INSERT INTO owners VALUES (?, ?, ?)", (name, user, int(now)))

        self._database.write(give)
