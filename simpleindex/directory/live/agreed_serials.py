"""Serials of projects on which several processes agree, so that a mirror may read from any of them in turn.

A serial belongs to a listing of a project, of which processes compare digests: the process that lists it first gets a serial for it, and
every other one takes over the same. A mirror keeps the largest serial that it has seen and never looks at smaller ones again, so a process
that does not list yet what has a smaller serial shows none of those that came later.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from simpleindex.directory.live.serials import ListedSerials, ProjectSerials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.live.snapshot_table import SnapshotTable


class SerialRow(NamedTuple):
    """The serial of a project's listing."""

    project: ProjectName
    listing: int
    serial: int


class AgreedSerials(ProjectSerials):
    """The serials as one process shows them; for the reactor's thread.

    Args:
        snapshots: Returns what this process lists now.
        has_changed: Called when a serial changed.
    """

    are_shared = True

    def __init__(self, snapshots: Callable[[], SnapshotTable], has_changed: Callable[[], object]) -> None:
        self._snapshots = snapshots
        self._has_changed = has_changed
        self._newest = -1
        self._first = 0
        self._changed: dict[ProjectName, int] = {}
        self._last_changed = -1
        # In the order of serials; the smallest of them ends what may be shown. In a dict it would be
        # behind the gaps of all that were taken out before it: of 160,000 rows that took 7 s of processor time, so 0.5 s.
        self._behind: OrderedDict[ProjectName, SerialRow] = OrderedDict()
        self._end: int | None = None
        self._shown: Mapping[ProjectName, int] | None = None

    def now(self) -> Mapping[ProjectName, int] | None:
        """Return the serials of all projects; None until they are known."""
        if self._shown is None and self._end is not None:
            end = self._end
            shown = {name: serial for name, serial in self._changed.items() if serial < end}
            self._shown = ListedSerials(shown, self._first)
        return self._shown

    def of(self, name: ProjectName) -> int | None:
        """Return the serial of a project; None until it is known."""
        return None if self._end is None else self._changed.get(name, self._first)

    def take(self, rows: Iterable[SerialRow]) -> None:
        """Take over rows, in the order of their serials, and show what may be shown."""
        rows = [*rows]
        self._add(rows)
        self._compare([row.project for row in rows])

    def _add(self, rows: Iterable[SerialRow]) -> None:
        for row in rows:
            self._newest = max(self._newest, row.serial)
            self._behind.pop(row.project, None)
            self._behind[row.project] = row

    def _compare(self, names: Iterable[ProjectName]) -> None:
        """Compare what is listed of projects with the rows about them, and show what may be shown from then on.

        Only of some, for thousands may be behind while a directory is filled, and each row comes by itself.
        """
        rows = [self._behind[name] for name in names if name in self._behind]
        self._show(self._listed(rows))

    def _listed(self, rows: Iterable[SerialRow]) -> list[SerialRow]:
        """Return the rows about projects that are listed as they say; usable from any thread."""
        return [row for row in rows if not self._is_behind(row)]

    def _show(self, listed: Iterable[SerialRow]) -> None:
        """Show what may be shown once projects are listed as these rows say, unless there are newer ones."""
        has_changed, end_before = self._end is None, self._end or 0
        for row in listed:
            if self._behind.get(row.project) is row:
                del self._behind[row.project]
                if row.serial > self._first:
                    self._changed[row.project] = row.serial
                    self._last_changed = max(self._last_changed, row.serial)
                    has_changed = True
        first = next(iter(self._behind.values()), None)
        self._end = self._newest + 1 if first is None else first.serial
        if has_changed or (self._end > end_before and self._last_changed >= end_before):
            self._shown = None
            self._has_changed()

    def _is_behind(self, row: SerialRow) -> bool:
        """Return whether this process does not list yet what a row is about."""
        snapshots = self._snapshots()
        listing = snapshots.listing_digest(row.project)
        if listing is None and (snapshot := snapshots.unpacked.get(row.project)) is not None:
            # A mirror gets an error for a project that cannot be read, and requests it again; other projects do not wait for it.
            return not snapshot.trouble
        return listing != row.listing
