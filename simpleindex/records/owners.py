"""Owners of projects, a table of the records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.names import ProjectName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.records.interface import Records, RecordsTransaction

_REMEMBER_SECONDS: Final = 1.0


class OwnerTable:
    """The owners; usable from any thread. Queries take microseconds, changes wait for the disk."""

    def __init__(self, database: Records) -> None:
        self._database = database

    def owner(self, name: ProjectName) -> str | None:
        """Return the owner of a project, or None."""
        rows = self._database.read('SELECT "user" FROM owners WHERE project = ?', (name,))
        return rows[0][0] if rows else None

    def owners(self) -> Mapping[ProjectName, str]:
        """Return the owner of every project that has one."""
        rows = self._database.read('SELECT project, "user" FROM owners ORDER BY project', ())
        return {ProjectName(name): user for name, user in rows}

    def claim(self, name: ProjectName, user: str, now: float) -> str:
        """Make a user the owner of a project that has none; return the owner. If several users claim it at once, one wins."""

        def claim(transaction: RecordsTransaction) -> str:
            # A further upload of the owner relies on the claim of the first one, which cannot be released from then on: its time
            # is another one. A column of its own for that would stop nodes of the release before, which take over whole rows.
            transaction.execute(
                "INSERT INTO owners VALUES (?, ?, ?) ON CONFLICT (project) DO UPDATE SET since = owners.since - 1"
                ' WHERE owners."user" = excluded."user"',
                (name, user, int(now)),
            )
            row = transaction.execute('SELECT "user" FROM owners WHERE project = ?', (name,)).fetchone()
            owner: str = row[0]
            return owner

        return self._database.write(claim)

    def release(self, name: ProjectName, user: str, now: float) -> None:
        """Take back a user's claim, unless another upload relies on it too."""
        statement = 'DELETE FROM owners WHERE project = ? AND "user" = ? AND since = ?'
        self._database.write(lambda transaction: transaction.execute(statement, (name, user, int(now))))

    def give(self, name: ProjectName, user: str | None, now: float) -> None:
        """Change the owner of a project; None leaves it without one."""

        def give(transaction: RecordsTransaction) -> None:
            transaction.execute("DELETE FROM owners WHERE project = ?", (name,))
            if user is not None:
                transaction.execute("INSERT INTO owners VALUES (?, ?, ?)", (name, user, int(now)))

        self._database.write(give)


class CachedOwners:
    """The owners, remembered for a second where many requests look them up."""

    def __init__(self, table: OwnerTable, seconds: Callable[[], float]) -> None:
        self._table = table
        self._seconds = seconds
        self._owners: Mapping[ProjectName, str] = {}
        self._owners_until = 0.0
        self._owned: dict[ProjectName, bool] = {}
        self._owned_until = 0.0

    def owner(self, name: ProjectName) -> str | None:
        """Return the owner of a project, or None; always read, because rights depend on it."""
        return self._table.owner(name)

    def owners(self) -> Mapping[ProjectName, str]:
        """Return the owner of every project that has one, for lists; the same object while nothing changes."""
        now = self._seconds()
        if now >= self._owners_until:
            self._owners_until = now + _REMEMBER_SECONDS
            owners = self._table.owners()
            if owners != self._owners:
                self._owners = owners
        return self._owners

    def has_owner(self, name: ProjectName) -> bool:
        """Return whether a project has an owner.

        Each page of an upstream's project needs it, and a query takes as long as all else of a warm answer. A project that is
        published meanwhile is found in the directory before this is needed.
        """
        now = self._seconds()
        if now >= self._owned_until:
            self._owned.clear()
            self._owned_until = now + _REMEMBER_SECONDS
        is_owned = self._owned.get(name)
        if is_owned is None:
            is_owned = self._owned[name] = self._table.owner(name) is not None
        return is_owned
