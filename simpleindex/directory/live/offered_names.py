"""The names of the projects that are offered, kept in their order: to sort very many takes longer than a client should wait."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from simpleindex.directory.scan.name_sets import sorted_in_parts
from simpleindex.directory.scan.snapshot import is_offered
from simpleindex.system.collector import collector_paused

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.live.snapshot_table import SnapshotTable
    from simpleindex.directory.scan.batches import RunInThread

_MANY: Final = 5_000
"""Projects; fewer are gathered and sorted in a few milliseconds."""


class OfferedNames:
    """The names of projects on offer; made when they are first needed, and changed one by one from then on."""

    def __init__(self) -> None:
        self._names: list[ProjectName] | None = None
        # The same for those who list them; None once they have changed.
        self._listed: tuple[ProjectName, ...] | None = None
        # While a thread gathers the names: what has changed since it began; and who waits for it.
        self._changed: dict[ProjectName, bool] = {}
        self._waiting: list[Deferred[None]] | None = None

    def forget(self) -> None:
        """Make them again when they are needed next."""
        self._names = self._listed = None
        self._waiting = None

    def note(self, name: ProjectName, *, is_offered: bool) -> None:
        """Add a name, or remove it; to be called with every new snapshot, also where nothing changes."""
        if self._names is None:
            if self._waiting is not None:
                self._changed[name] = is_offered
            return
        place = bisect_left(self._names, name)
        is_there = self._names[place : place + 1] == [name]
        if is_offered == is_there:
            return
        self._listed = None
        if is_offered:
            self._names.insert(place, name)
        else:
            del self._names[place]

    async def gather(self, snapshots: SnapshotTable, run_in_thread: RunInThread) -> None:
        """Make very many names in a thread, if they are not made yet: where requests would wait for it otherwise."""
        while self._names is None and len(snapshots) > _MANY:
            if self._waiting is not None:
                done: Deferred[None] = Deferred()
                self._waiting.append(done)
                await done
                continue
            waiting: list[Deferred[None]] = []
            self._waiting, self._changed = waiting, {}
            try:
                gathered = await run_in_thread(_gathered, snapshots)
                if self._waiting is waiting:  # else forgotten meanwhile
                    self._names, self._listed = gathered
                    for name, is_now_offered in self._changed.items():
                        self.note(name, is_offered=is_now_offered)
            finally:
                if self._waiting is waiting:
                    self._waiting = None
                for each in waiting:
                    each.callback(None)

    def of(self, snapshots: SnapshotTable) -> tuple[ProjectName, ...]:
        """Return the names in their order."""
        if self._names is None:
            self._names = sorted(_unsorted(snapshots))
        if self._listed is None:
            self._listed = tuple(self._names)
        return self._listed


def _gathered(snapshots: SnapshotTable) -> tuple[list[ProjectName], tuple[ProjectName, ...]]:
    """Return the names in their order, to be changed and to be listed; in a thread."""
    with collector_paused(freezes=True):
        names = sorted_in_parts(_unsorted(snapshots))
        return names, tuple(names)


def _unsorted(snapshots: SnapshotTable) -> list[ProjectName]:
    # In this order, and each once: in another thread one may be found in both. One that is found in neither is noted.
    in_flux = {name: is_offered(snapshot) for name, snapshot in snapshots.in_flux()}
    offered = [name for name, is_one in in_flux.items() if is_one]
    return [*offered, *(name for name in snapshots.at_rest if name not in in_flux)]
