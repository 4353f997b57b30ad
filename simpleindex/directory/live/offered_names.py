"""The names of the projects that are offered, kept in their order: to sort very many takes longer than a client should wait."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from simpleindex.directory.scan.snapshot import is_offered

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.live.snapshot_table import SnapshotTable


class OfferedNames:
    """The names, made when they are needed first, and changed one by one from then on."""

    def __init__(self) -> None:
        self._names: list[ProjectName] | None = None

    def forget(self) -> None:
        """Make them again when they are needed next."""
        self._names = None

    def note(self, name: ProjectName, *, is_offered: bool) -> None:
        """Add a name, or remove it."""
        if self._names is None:
            return
        place = bisect_left(self._names, name)
        is_there = self._names[place : place + 1] == [name]
        if is_offered and not is_there:
            self._names.insert(place, name)
        elif is_there and not is_offered:
            del self._names[place]

    def of(self, snapshots: SnapshotTable) -> tuple[ProjectName, ...]:
        """Return the names in their order."""
        if self._names is None:
            in_flux = (name for name, snapshot in snapshots.in_flux() if is_offered(snapshot))
            self._names = sorted([*snapshots.at_rest, *in_flux])
        return tuple(self._names)
