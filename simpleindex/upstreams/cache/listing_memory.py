"""Listings in memory, within a bound, and the projects that an upstream does not have."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache.cached_listings import CachedListing

_ENTRY: Final = 2048
"""Bytes that a listing takes beside its files."""

_MOST_ABSENT: Final = 10_000


@dataclass(slots=True, eq=False)
class ListingEntry:
    """A project in memory.

    Attributes:
        kept: What the upstream said.
        shown: What is offered of it; the same object as long as nothing changes.
        fresh_until: Until when it need not be asked again, seconds since 1970.
        failing_until: Until when it is not, since it failed.
        stale: The same, marked so; made when it is wanted.
    """

    kept: CachedListing
    shown: Project
    fresh_until: float
    failing_until: float = 0.0
    stale: Project | None = None

    def project(self, *, stale: bool) -> Project:
        """What is offered, and whether that is what the upstream would say now."""
        if not stale:
            return self.shown
        if self.stale is None:
            self.stale = replace(self.shown, stale=True)
        return self.stale

    @property
    def weight(self) -> int:
        """Bytes, about."""
        kept, shown = self.kept.project.files, self.shown.files
        return _ENTRY + sum(len(getattr(files, "packed", b"")) for files in (kept, shown))


class ListingMemory:
    """Listings by project, the least recently used dropped first.

    Args:
        limit: Bytes of all of them.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._entries: OrderedDict[ProjectName, ListingEntry] = OrderedDict()
        self._absent: OrderedDict[ProjectName, float] = OrderedDict()

    def get(self, name: ProjectName) -> ListingEntry | None:
        """Return a project's listing, if it is in memory."""
        return self._entries.get(name)

    def known(self, name: ProjectName) -> ListingEntry:
        """Return a project's listing, which is in memory."""
        return self._entries[name]

    def use(self, name: ProjectName) -> None:
        """Note that a listing was used."""
        self._entries.move_to_end(name)

    def put(self, name: ProjectName, entry: ListingEntry) -> None:
        """Put a listing in the place of the one before."""
        self._absent.pop(name, None)
        before = self._entries.pop(name, None)
        self._size += entry.weight - (before.weight if before else 0)
        self._entries[name] = entry
        while self._size > self._limit and self._entries:
            self._size -= self._entries.popitem(last=False)[1].weight

    def forget(self, name: ProjectName, until: float) -> ListingEntry | None:
        """Note that there is no such project; return the listing that is dropped for it.

        Args:
            name: The project.
            until: When to ask for it again, seconds since 1970.
        """
        self._absent[name] = until
        self._absent.move_to_end(name)
        if len(self._absent) > _MOST_ABSENT:
            self._absent.popitem(last=False)
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._size -= entry.weight
        return entry

    def absent_until(self, name: ProjectName) -> float:
        """Return until when a project is taken to be absent, seconds since 1970; 0 if it is not."""
        return self._absent.get(name, 0.0)
