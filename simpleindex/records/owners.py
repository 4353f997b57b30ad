"""Owners of projects, a table of the records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import CannotStore
from simpleindex.core.faults import Fault
from simpleindex.core.names import ProjectName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.records.interface import Records, RecordsTransaction

_REMEMBER_SECONDS: Final = 1.0

_EVERY_CLAIM: Final = -(2**62)


class UndecidedClaim(CannotStore):
    """Another user has claimed a name by an upload that may be running, or may have been killed before it stored its file."""

    def __init__(self, name: ProjectName) -> None:
        super().__init__(
            f"Another user is uploading the project {name} for the first time; try again later.",
            fault=Fault.BUSY,
        )


class OwnerTable:
    """The owners; usable from any thread. Queries take microseconds, changes wait for the disk.

    A claim is settled once a file is published under the name; until then its time is negative. Nodes of the release before
    take every claim for a settled one. A column of its own would stop them, because they take over whole rows.
    """

    def __init__(self, database: Records) -> None:
        self._database = database

    def owner(self, name: ProjectName, *, is_settled: bool = False) -> str | None:
        """Return the owner of a project, or None.

        Args:
            name: The project.
            is_settled: Whether a claim counts only if it is settled, because no file of the project is known of.
        """
        least = 0 if is_settled else _EVERY_CLAIM
        rows = self._database.read(
            'SELECT "user" FROM owners WHERE project = ? AND since >= ?', (name, least)
        )
        return rows[0][0] if rows else None

    def owners(self) -> Mapping[ProjectName, str]:
        """Return the owner of every project that has one."""
        rows = self._database.read('SELECT project, "user" FROM owners ORDER BY project', ())
        return {ProjectName(name): user for name, user in rows}

    def unsettled(self) -> Mapping[ProjectName, str]:
        """Return who has claimed each project whose claim is not settled."""
        rows = self._database.read('SELECT project, "user" FROM owners WHERE since < 0', ())
        return {ProjectName(name): user for name, user in rows}

    def claim(
        self,
        name: ProjectName,
        user: str | None,
        now: float,
        *,
        has_files: bool = False,
        may_run_for: float | None = None,
    ) -> str | None:
        """Claim a name that has no owner yet, for an upload; return the owner. If several users claim it at once, one wins.

        Args:
            name: The project.
            user: Who uploads; None for a token of nobody.
            now: Seconds since 1970.
            has_files: Whether the project has files: then nobody becomes its owner.
            may_run_for: Seconds from its claim on that another upload of the project may be running, None for any time: later
                a claim without a file is that of a killed one.

        Raises:
            UndecidedClaim: Another user's claim is not settled, and the project has no files.
        """

        def claim(transaction: RecordsTransaction) -> tuple[str | None, int]:
            if may_run_for is not None and not has_files:
                # Without a time to wait none are compared: clocks of nodes differ.
                least = int(may_run_for - now) if may_run_for else _EVERY_CLAIM
                transaction.execute(
                    "DELETE FROM owners WHERE project = ? AND since < 0 AND since >= ?", (name, least)
                )
            if user is not None and not has_files:
                transaction.execute(
                    "INSERT INTO owners VALUES (?, ?, ?) ON CONFLICT (project) DO UPDATE SET since = excluded.since"
                    ' WHERE owners."user" = excluded."user" AND owners.since < 0',
                    (name, user, -max(int(now), 1)),
                )
            row = transaction.execute(
                'SELECT "user", since FROM owners WHERE project = ?', (name,)
            ).fetchone()
            return row or (None, 0)

        owner, since = self._database.write(claim)
        if since < 0 and owner != user and not has_files:
            raise UndecidedClaim(name)
        return owner

    def settle(self, name: ProjectName, user: str) -> bool:
        """Settle a user's claim, once a file is published; return whether the name is the user's."""

        def settle(transaction: RecordsTransaction) -> bool:
            transaction.execute(
                'UPDATE owners SET since = -since WHERE project = ? AND "user" = ? AND since < 0',
                (name, user),
            )
            owned = 'SELECT 1 FROM owners WHERE project = ? AND "user" = ?'
            return transaction.execute(owned, (name, user)).fetchone() is not None

        return self._database.write(settle)

    def withdraw(self, name: ProjectName, user: str) -> None:
        """End a user's claim that is not settled."""
        statement = 'DELETE FROM owners WHERE project = ? AND "user" = ? AND since < 0'
        self._database.write(lambda transaction: transaction.execute(statement, (name, user)))


class CachedOwners:
    """The owners, remembered for a second where many requests look them up."""

    def __init__(self, table: OwnerTable, seconds: Callable[[], float]) -> None:
        self._table = table
        self._seconds = seconds
        self._owners: Mapping[ProjectName, str] = {}
        self._owners_until = 0.0
        self._owned: dict[ProjectName, bool] = {}
        self._owned_until = 0.0

    def owner(self, name: ProjectName, *, is_settled: bool = False) -> str | None:
        """Return the owner of a project as :meth:`OwnerTable.owner` does; always read, because rights depend on it."""
        return self._table.owner(name, is_settled=is_settled)

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
            is_owned = self._owned[name] = self._table.owner(name, is_settled=True) is not None
        return is_owned
