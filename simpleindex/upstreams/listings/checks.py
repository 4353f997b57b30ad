"""Checks that begin with each new listing: missing metadata, missing upload times, and faults that are due again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.model import Status
from simpleindex.policy.messages import no_upload_times
from simpleindex.system.clocks import wall_clock
from simpleindex.system.log import logger
from simpleindex.upstreams.pages.enrich import files_without_dates, wheels_without_metadata
from simpleindex.upstreams.pages.listing_faults import without_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache_context import CacheContext
    from simpleindex.upstreams.fetching.range_metadata_queue import RangeMetadataQueue
    from simpleindex.upstreams.listings.fault_rechecker import FaultRechecker
    from simpleindex.upstreams.listings.memory import ListingEntry
    from simpleindex.upstreams.listings.modification_times import ModificationTimes
    from simpleindex.upstreams.listings.store import ListingStore

_log: Final = logger(__name__)


class ListingChecks:
    """Begins the checks of a project's files.

    Args:
        context: The upstream.
        store: Its listings.
        judges_age: Returns the names of the rules that judge the age of a project's files.
        times: Requests modification times.
        rechecker: Checks faults again.
        wheel_ends: Reads metadata from the ends of wheels; None if that is off.
    """

    def __init__(
        self,
        context: CacheContext,
        store: ListingStore,
        judges_age: Callable[[ProjectName], tuple[str, ...]],
        times: ModificationTimes,
        *,
        rechecker: FaultRechecker,
        wheel_ends: RangeMetadataQueue | None,
    ) -> None:
        self._upstream = context.upstream.name
        self._now = wall_clock(context.clock)
        self._store = store
        self._judges_age = judges_age
        self._times = times
        self._rechecker = rechecker
        self._wheel_ends = wheel_ends
        self._has_warned = False

    async def begin(self, name: ProjectName) -> bool:
        """Begin to check a project's files; wait only for modification times, if rules need them before they judge.

        Returns:
            Whether the listing may have been corrected meanwhile.
        """
        if (entry := self._store.memory.get(name)) is not None:
            self._begin_wheel_ends(name, entry)
        if (entry := self._store.memory.get(name)) is not None:
            self._rechecker.begin(entry.listing.project, entry.listing.faults, self._now())
        if (entry := self._store.memory.get(name)) is not None:
            return await self._read_times(name, entry)
        return False

    def _begin_wheel_ends(self, name: ProjectName, entry: ListingEntry) -> None:
        listing = entry.listing
        if self._wheel_ends is not None and listing.project.status is not Status.QUARANTINED:
            listed = without_faults(listing.project, listing.faults)
            self._wheel_ends.begin(name, wheels_without_metadata(listed, listing.file_facts))

    async def _read_times(self, name: ProjectName, entry: ListingEntry) -> bool:
        rules = self._judges_age(name)
        if not rules:
            return False
        listing = entry.listing
        files = files_without_dates(listing.project, listing.file_facts, listing.modified)
        if not files:
            return False
        if not self._has_warned:
            self._has_warned = True
            _log.warn("{warning}", warning=no_upload_times(self._upstream, rules))
        await self._times.read(name, files)
        return True
