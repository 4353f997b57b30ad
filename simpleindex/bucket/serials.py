"""Serials of projects that the nodes of a bucket share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred, DeferredLock

from simpleindex.core.names import ProjectName
from simpleindex.directory.live.agreed_serials import AgreedSerials, SerialRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from twisted.python.failure import Failure

    from simpleindex.directory.live.snapshot_table import SnapshotTable
    from simpleindex.system.threads import Threads


class SharedSerials(Protocol):
    """Where nodes keep serials of a bucket. Blocking."""

    def note(self, listings: Mapping[ProjectName, int], after: int) -> Iterable[tuple[str, int, int]]:
        """Give a new serial to projects whose listing is another one than was noted last.

        Return project, listing and serial of all projects with a larger serial than a given one.

        Raises:
            OSError: The server is away, or refuses; nothing was noted.
        """
        ...


class BucketSerials(AgreedSerials):
    """The serials as one node shows them; for the reactor's thread.

    Args:
        shared: Where all nodes keep them.
        snapshots: Returns what this node lists now.
        threads: Call the server.
        has_changed: Called when a serial changed.
    """

    def __init__(
        self,
        shared: SharedSerials,
        snapshots: Callable[[], SnapshotTable],
        threads: Threads,
        has_changed: Callable[[], object],
    ) -> None:
        super().__init__(snapshots, has_changed)
        self._shared = shared
        self._threads = threads
        self._due: set[ProjectName] = set()
        self._has_begun = False
        self._turns = DeferredLock()

    def note(self, name: ProjectName) -> None:
        """Have a project's listing noted, because it has changed."""
        self._due.add(name)
        if self._has_begun and not self._turns.waiting:
            Deferred.fromCoroutine(self._take_turn()).addErrback(_leave_due)

    async def catch_up(self) -> None:
        """Note what is due, and take over what other nodes have noted since; the first call, all serials that there are.

        Raises:
            OSError: The server is away, or refuses; it is to be tried again.
        """
        await self._take_turn()
        if self._behind:
            # They may be thousands, while another node lists what came by hand.
            self._show(await self._threads.run(self._listed, [*self._behind.values()]))

    async def _take_turn(self) -> None:
        # One after the other: of two answers, the older one must not come last and hide the newer serial of a project.
        await self._turns.run(lambda: Deferred.fromCoroutine(self._catch_up()))

    async def _catch_up(self) -> None:
        if not self._has_begun:
            rows, listed = await self._threads.run(self._begin, self._snapshots())
            self._has_begun = True
            self._first = min((row.serial for row in rows), default=0)
            self._add(rows)
            self._show(listed)
        due, self._due = self._due, set()
        try:
            rows = await self._threads.run(self._note, due, self._snapshots())
        except OSError:
            self._due |= due
            raise
        self.take(sorted(rows, key=lambda row: row.serial))
        self._compare(due)

    def _begin(self, snapshots: SnapshotTable) -> tuple[list[SerialRow], list[SerialRow]]:
        """Return all rows in their order, of which those are new whose listings differ, and those that are listed so; blocking."""
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
        in_order = sorted(rows.values(), key=lambda row: row.serial)
        return in_order, self._listed(in_order)

    def _note(self, due: Iterable[ProjectName], snapshots: SnapshotTable) -> list[SerialRow]:
        listings = ((name, snapshots.listing_digest(name)) for name in due)
        return self._rows({name: listing for name, listing in listings if listing is not None}, self._newest)

    def _rows(self, listings: Mapping[ProjectName, int], after: int) -> list[SerialRow]:
        return [
            SerialRow(ProjectName(project), *further)
            for project, *further in self._shared.note(listings, after)
        ]


def _leave_due(failure: Failure) -> None:
    """Ignore a server that is away: what is due is noted after the next listing."""
    failure.trap(OSError)
