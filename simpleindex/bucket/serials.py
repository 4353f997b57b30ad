"""Serials of projects that the nodes of a bucket share, so that a mirror may read from any of them in turn.

A serial belongs to a listing of a project, of which nodes compare digests: the node that lists it first gives it a serial, and every
other one takes over the same. A mirror keeps the largest serial that it has seen and never looks at smaller ones again, so a node that
does not list yet what has a smaller serial shows none of those that came later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from twisted.internet.defer import Deferred, DeferredLock

from simpleindex.core.names import ProjectName
from simpleindex.directory.live.serials import ListedSerials, ProjectSerials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from twisted.python.failure import Failure

    from simpleindex.directory.live.snapshot_table import SnapshotTable
    from simpleindex.system.threads import Threads


class SerialRow(NamedTuple):
    """The serial of a project's listing."""

    project: ProjectName
    listing: int
    serial: int


class SharedSerials(Protocol):
    """Where nodes keep serials of a bucket. Blocking."""

    def note(self, listings: Mapping[ProjectName, int], after: int) -> Iterable[tuple[str, int, int]]:
        """Give a new serial to projects whose listing is another one than was noted last.

        Return project, listing and serial of all projects with a larger serial than a given one.

        Raises:
            OSError: The server is away, or refuses; nothing was noted.
        """
        ...


class BucketSerials(ProjectSerials):
    """The serials as one node shows them; for the reactor's thread.

    Args:
        shared: Where all nodes keep them.
        snapshots: Returns what this node lists now.
        threads: Call the server.
        has_changed: Called when a serial changed.
    """

    are_shared = True

    def __init__(
        self,
        shared: SharedSerials,
        snapshots: Callable[[], SnapshotTable],
        threads: Threads,
        has_changed: Callable[[], object],
    ) -> None:
        self._shared = shared
        self._snapshots = snapshots
        self._threads = threads
        self._has_changed = has_changed
        self._newest = -1
        self._first = 0
        self._changed: dict[ProjectName, int] = {}
        self._behind: dict[ProjectName, SerialRow] = {}
        self._due: set[ProjectName] = set()
        self._shown: Mapping[ProjectName, int] | None = None
        self._has_begun = False
        self._turns = DeferredLock()

    def note(self, name: ProjectName) -> None:
        """Have a project's listing noted, because it has changed."""
        self._due.add(name)
        if self._has_begun and not self._turns.waiting:
            Deferred.fromCoroutine(self.catch_up()).addErrback(_leave_due)

    def now(self) -> Mapping[ProjectName, int] | None:
        """Return the serials of all projects; None until they are known."""
        return self._shown

    def of(self, name: ProjectName) -> int | None:
        """Return the serial of a project; None until it is known."""
        return None if self._shown is None else self._changed.get(name, self._first)

    async def catch_up(self) -> None:
        """Note what is due, and take over what other nodes have noted since; the first call, all serials that there are.

        Raises:
            OSError: The server is away, or refuses; it is to be tried again.
        """
        # One after the other: of two answers, the older one must not come last and hide the newer serial of a project.
        await self._turns.run(lambda: Deferred.fromCoroutine(self._catch_up()))

    async def _catch_up(self) -> None:
        if not self._has_begun:
            rows = await self._threads.run(self._begin, self._snapshots())
            self._has_begun = True
            self._first = min((row.serial for row in rows), default=0)
            self._take(rows)
        due, self._due = self._due, set()
        try:
            rows = await self._threads.run(self._note, due, self._snapshots())
        except OSError:
            self._due |= due
            raise
        self._take(rows)

    def _begin(self, snapshots: SnapshotTable) -> list[SerialRow]:
        """Return all rows, of which those are new whose listings differ; blocking."""
        rows = {row.project: row for row in self._rows({}, -1)}
        listings = {name: snapshots.listing_digest(name) for name in {*rows, *snapshots}}
        changed = {
            name: listing
            for name, listing in listings.items()
            if listing is not None and listing != (rows[name].listing if name in rows else 0)
        }
        newest = max((row.serial for row in rows.values()), default=-1)
        if changed:
            rows.update((row.project, row) for row in self._rows(changed, newest))
        return [*rows.values()]

    def _note(self, due: Iterable[ProjectName], snapshots: SnapshotTable) -> list[SerialRow]:
        listings = ((name, snapshots.listing_digest(name)) for name in due)
        return self._rows({name: listing for name, listing in listings if listing is not None}, self._newest)

    def _rows(self, listings: Mapping[ProjectName, int], after: int) -> list[SerialRow]:
        return [
            SerialRow(ProjectName(project), *further)
            for project, *further in self._shared.note(listings, after)
        ]

    def _take(self, rows: Iterable[SerialRow]) -> None:
        """Take over rows, and show what may be shown."""
        for row in rows:
            self._newest = max(self._newest, row.serial)
            self._behind[row.project] = row
        for row in [*self._behind.values()]:
            if not self._is_behind(row):
                del self._behind[row.project]
                if row.serial > self._first:
                    self._changed[row.project] = row.serial
        end = min((row.serial for row in self._behind.values()), default=self._newest + 1)
        shown = {name: serial for name, serial in self._changed.items() if serial < end}
        if self._shown is None or shown != self._shown:
            self._shown = ListedSerials(shown, self._first)
            self._has_changed()

    def _is_behind(self, row: SerialRow) -> bool:
        """Return whether this node does not list yet what a row is about."""
        snapshots = self._snapshots()
        listing = snapshots.listing_digest(row.project)
        if listing is None and (snapshot := snapshots.unpacked.get(row.project)) is not None:
            # A mirror gets an error for a project that cannot be read, and requests it again; other projects do not wait for it.
            return not snapshot.trouble
        return listing != row.listing


def _leave_due(failure: Failure) -> None:
    """Pass over a server that is away: what is due is noted after the next listing."""
    failure.trap(OSError)
