"""Listings in memory, within a bound, and the names of projects that an upstream does not have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cachetools import FIFOCache

from simpleindex.core.caches import SizedCache

if TYPE_CHECKING:
    from simpleindex.core.files import File
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
        listing: What the upstream listed, with corrections.
        offered: What is offered from it; the same object as long as nothing changes.
        fresh_until: Until when it need not be requested again, by the reactor's time; 0 once it has left memory.
        failing_until: Until when it is not requested since a request failed, by the reactor's time.
        stale: What is offered, marked as stale; made when it is first needed.
    """

    listing: CachedListing
    offered: Project
    fresh_until: float
    failing_until: float = 0.0
    stale: Project | None = None

    def project(self, *, stale: bool) -> Project:
        """Return what is offered, marked if it may not be what the upstream lists now."""
        if not stale:
            return self.offered
        if self.stale is None:
            self.stale = replace(self.offered, stale=True)
        return self.stale

    def offered_file(self, filename: str) -> File | None:
        """Return a file as it is offered."""
        return self.offered.file(filename)

    @property
    def weight(self) -> int:
        """The bytes that it takes, about."""
        return _ENTRY + self.listing.project.memory + self.offered.memory


class ListingMemory:
    """Listings by project, the least recently used dropped first.

    Args:
        limit: Bytes of all of them.
    """

    def __init__(self, limit: int) -> None:
        self._entries: SizedCache[ProjectName, ListingEntry] = SizedCache(
            limit, lambda entry: entry.weight, _end
        )
        self._absent: FIFOCache[ProjectName, float] = FIFOCache(_MOST_ABSENT)

    def get(self, name: ProjectName) -> ListingEntry | None:
        """Return a project's listing, if it is in memory."""
        return self._entries.get(name)

    def put(self, name: ProjectName, entry: ListingEntry) -> None:
        """Put a listing in the place of the one before."""
        self._absent.pop(name, None)
        if self._entries.get(name) is not entry:
            self._entries.put(name, entry)

    def forget(self, name: ProjectName, until: float) -> ListingEntry | None:
        """Note that there is no such project; return the listing that is dropped for it.

        Args:
            name: The project.
            until: When to ask for it again, by the reactor's time.
        """
        self._absent[name] = until
        return self._entries.pop(name)

    def absent_until(self, name: ProjectName) -> float:
        """Return until when a project is taken to be absent, by the reactor's time; 0 if it is not."""
        return self._absent.get(name, 0.0)


def _end(entry: ListingEntry) -> None:
    """Mark a listing that is no longer in memory as not fresh."""
    entry.fresh_until = 0.0
