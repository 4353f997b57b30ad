"""The listings of one upstream, in memory and in the cache, each with the project that is offered from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from simpleindex.core.files import file_order
from simpleindex.system.clocks import wall_clock
from simpleindex.upstreams.cache.cached_listings import CachedListing
from simpleindex.upstreams.listings.changes import listing_change
from simpleindex.upstreams.listings.memory import ListingEntry, ListingMemory
from simpleindex.upstreams.pages.enrich import (
    FileFacts,
    enriched,
    files_without_upload_times,
    unchanged_facts,
    with_modification_times,
)
from simpleindex.upstreams.pages.listing_faults import unchanged_faults, without_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache_context import CacheContext
    from simpleindex.upstreams.interface import Listing
    from simpleindex.upstreams.listings.changes import ListingChange
    from simpleindex.upstreams.pages.enrich import Ttls

MEMORY: Final = 64 * 1024 * 1024
"""Bytes of listings that each upstream has in memory: those of some 3,000 projects."""


def _nothing_seen(*_: object) -> Mapping[str, int]:
    return {}


@dataclass(frozen=True, slots=True)
class ListingHooks:
    """How listings become projects on offer, and what happens when files leave them or are yanked.

    Attributes:
        offer: Makes the project that is offered from an upstream's listing; called like
            :func:`simpleindex.upstreams.pages.enrich.enriched`.
        first_seen: Returns when files without an upload time were first seen here; blocking. Called like
            :meth:`simpleindex.records.first_seen.FirstSeen.times`.
        changed: Called with what the upstream has taken away, and with the last listing that had it; blocking.
    """

    offer: Callable[[Project, Mapping[str, FileFacts], Mapping[str, int]], Project] = enriched
    first_seen: Callable[[str, ProjectName, Mapping[str, str], int], Mapping[str, int]] = _nothing_seen
    changed: Callable[[str, CachedListing, ListingChange], None] | None = None


class ListingStore:
    """Stores listings; what is not in memory is read from the cache.

    Args:
        context: The upstream and its cache.
        hooks: How listings become projects on offer.
        ttls: How long listings are fresh.
        memory_size: Bytes of listings in memory.

    Attributes:
        ttls: How long listings are fresh; may be replaced at any time.
    """

    def __init__(self, context: CacheContext, hooks: ListingHooks, ttls: Ttls, memory_size: int) -> None:
        self.ttls = ttls
        self._context = context
        self._now = wall_clock(context.clock)
        self._hooks = hooks
        self.memory = ListingMemory(memory_size)

    async def recall(self, name: ProjectName) -> ListingEntry | None:
        """Read a project's listing from the cache into memory."""
        cached: tuple[CachedListing, Project] | None = await self._context.threads.run(self._read, name)
        if cached is None:
            return None
        listing, offered = cached
        # A clock that was put back must not make it fresh for years.
        age = self._now() - listing.fetched_at
        left = self.ttls.fresh_for(listing.fresh_for) - age if age >= 0 else 0.0
        entry = ListingEntry(listing, offered, self._context.clock.seconds() + left)
        self.memory.put(name, entry)
        return entry

    def _read(self, name: ProjectName) -> tuple[CachedListing, Project] | None:
        listing = self._context.cache.listing(self._context.identity, name)
        return None if listing is None else (listing, self._offer(listing))

    async def refresh(self, name: ProjectName, listing: Listing, entry: ListingEntry | None) -> ListingEntry:
        """Replace a project's listing with the one that the upstream sent now.

        Args:
            name: The project.
            listing: The new listing.
            entry: The one before, if it may have left memory; None if there is none.
        """
        fetched_at = self._now()
        while True:
            before = self.memory.get(name) or entry
            new = _cached_listing(listing, fetched_at, None if before is None else before.listing)
            cached, offered = await self._context.threads.run(self._replace, new, before)
            # A file of it may have been corrected meanwhile.
            if (self.memory.get(name) or entry) is before:
                fresh_for = self.ttls.fresh_for(listing.fresh_for)
                return ListingEntry(cached, offered, self._context.clock.seconds() + fresh_for)

    def _replace(self, listing: CachedListing, before: ListingEntry | None) -> tuple[CachedListing, Project]:
        if before is None:
            return self._keep(listing, None)
        self._report(before.listing, listing.project)
        return self._keep(listing, before.offered)

    def _keep(self, listing: CachedListing, before: Project | None) -> tuple[CachedListing, Project]:
        files = sorted(listing.project.files, key=file_order)
        listing = replace(listing, project=replace(listing.project, files=files))
        self._context.cache.store_listing(self._context.identity, listing)
        offered = self._offer(listing)
        return listing, before if before is not None and before == offered else offered

    def _offer(self, listing: CachedListing) -> Project:
        now_ns = int(self._now() * 1e9)
        project, facts = listing.project, listing.file_facts
        undated = files_without_upload_times(project)
        seen = self._hooks.first_seen(self._context.identity, project.name, undated, now_ns)
        listed = with_modification_times(without_faults(project, listing.faults), facts, listing.modified)
        return self._hooks.offer(listed, facts, seen)

    async def forget(self, name: ProjectName) -> None:
        """Drop a project's listing, since the upstream has no such project."""
        entry = self.memory.forget(name, self._context.clock.seconds() + self.ttls.absent)
        if entry is not None:
            await self._context.threads.run(self._remove, name, entry.listing)

    def _remove(self, name: ProjectName, listing: CachedListing) -> None:
        self._report(listing, None)
        self._context.cache.remove_listing(self._context.identity, name)

    def _report(self, before: CachedListing, now: Project | None) -> None:
        if self._hooks.changed is not None:
            change = listing_change(before.project, now)
            if change is not None:
                self._hooks.changed(self._context.identity, before, change)

    async def update(self, name: ProjectName, change: Callable[[ListingEntry], CachedListing | None]) -> None:
        """Correct a project's listing; nothing happens if it is not in memory.

        Args:
            name: The project.
            change: Returns the corrected listing, None if nothing is to change. Called again if another correction came first.
        """
        while (entry := self.memory.get(name)) is not None:
            changed = change(entry)
            if changed is None:
                return
            listing, offered = await self._context.threads.run(self._keep, changed, entry.offered)
            if self.memory.get(name) is entry:
                new = ListingEntry(listing, offered, entry.fresh_until, entry.failing_until)
                self.memory.put(name, new)
                return


def _cached_listing(listing: Listing, fetched_at: float, before: CachedListing | None) -> CachedListing:
    """Return a new listing with what the one before says of files that have not changed."""
    project, validators = listing.project, listing.validators
    cached = CachedListing(
        project, validators.etag, validators.last_modified, listing.fresh_for, fetched_at, {}
    )
    if before is None:
        return cached
    return replace(
        cached,
        file_facts=unchanged_facts(before.file_facts, before.project, project),
        faults=unchanged_faults(before.faults, before.project, project),
        modified=unchanged_facts(before.modified, before.project, project),
    )
