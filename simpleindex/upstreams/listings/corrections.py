"""Correct an upstream's listings by what its files themselves show: digests, metadata, upload times, and faults."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from simpleindex.core.files import FIRST_SEEN
from simpleindex.core.names import METADATA_SUFFIX
from simpleindex.system.clocks import wall_clock
from simpleindex.system.log import logger
from simpleindex.upstreams.pages.enrich import enriched_file, identity_of
from simpleindex.upstreams.pages.listing_faults import renewed_fault, why_not_offered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.errors import SimpleIndexError
    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache.cached_listings import CachedListing
    from simpleindex.upstreams.cache_context import CacheContext
    from simpleindex.upstreams.listings.memory import ListingEntry
    from simpleindex.upstreams.listings.store import ListingStore
    from simpleindex.upstreams.pages.enrich import FileFacts

_log: Final = logger(__name__)


class ListingCorrections:
    """Writes corrections into the stored listings of one upstream."""

    def __init__(self, context: CacheContext, store: ListingStore) -> None:
        self._upstream = context.upstream.name
        self._now = wall_clock(context.clock)
        self._store = store

    # -- facts ------------------------------------------------------------------------------------------------------

    async def add_facts(self, name: ProjectName, file: File, facts: FileFacts) -> None:
        """Offer a file with what reading all of it showed."""

        def change(entry: ListingEntry) -> CachedListing | None:
            listing = entry.listing
            if listing.file(file.filename) != file:
                return None
            offered = entry.offered_file(file.filename)
            seen = offered.uploaded_ns if offered is not None and offered.dated_by == FIRST_SEEN else None
            if enriched_file(file, facts, seen) == offered and file.filename not in listing.faults:
                return None
            before = listing.file_facts.get(file.filename)
            if before is not None and before.sha256 is None and before.sidecar != facts.sidecar:
                _log.warn(
                    "{filename} of {upstream} has other metadata than a part of it that was read before had.",
                    filename=file.filename,
                    upstream=self._upstream,
                )
            faults = {key: fault for key, fault in listing.faults.items() if key != file.filename}
            return replace(listing, file_facts={**listing.file_facts, file.filename: facts}, faults=faults)

        await self._store.update(name, change)

    async def add_partial_facts(self, name: ProjectName, facts: Mapping[File, FileFacts]) -> None:
        """Offer wheels with what reading their ends showed, unless more is known of them by now."""

        def change(entry: ListingEntry) -> CachedListing | None:
            listing = entry.listing
            more = {
                file.filename: each
                for file, each in facts.items()
                if file.filename not in listing.file_facts and listing.file(file.filename) == file
            }
            return replace(listing, file_facts={**listing.file_facts, **more}) if more else None

        await self._store.update(name, change)

    async def add_modification_times(self, name: ProjectName, times: Mapping[str, int]) -> None:
        """Offer files with their modification times, nanoseconds since 1970; by file name."""

        def change(entry: ListingEntry) -> CachedListing | None:
            listing = entry.listing
            listed = {file.filename for file in listing.project.files}
            more = {key: time for key, time in times.items() if key in listed and key not in listing.modified}
            return replace(listing, modified={**listing.modified, **more}) if more else None

        await self._store.update(name, change)

    # -- faults -----------------------------------------------------------------------------------------------------

    async def report_file(self, name: ProjectName, file: File, error: SimpleIndexError) -> None:
        """Withhold a file that the upstream lists but does not give, or not as listed; request its listing again soon."""
        entry = self._store.memory.get(name)
        if entry is None:
            return
        entry.fresh_until = 0.0
        facts = entry.listing.file_facts.get(file.filename)
        if facts is None or None not in (file.sha256, facts.sha256):
            await self.set_fault(name, file, file.filename, why_not_offered(self._upstream, file, error))
            return

        def change(entry: ListingEntry) -> CachedListing | None:
            # The earlier facts may be what is wrong.
            before = entry.listing.file_facts
            if before.get(file.filename) is not facts:
                return None
            others = {key: each for key, each in before.items() if key != file.filename}
            return replace(entry.listing, file_facts=others)

        await self._store.update(name, change)

    async def report_metadata(
        self, name: ProjectName, file: File, error: SimpleIndexError | None, facts: FileFacts | None
    ) -> None:
        """Withhold metadata that the upstream lists but does not give; offer those of the wheel itself instead.

        Args:
            name: The project.
            file: The wheel.
            error: Why there are none, or others than listed; None if they are right.
            facts: What the wheel's end showed, if it was read.
        """
        if facts is not None:
            await self.add_partial_facts(name, {file: facts})
        reason = (
            None if error is None else f"{file.filename} is listed with metadata that are not there: {error}"
        )
        await self.set_fault(name, file, file.filename + METADATA_SUFFIX, reason)

    async def report_recheck(
        self, name: ProjectName, file: File, key: str, error: SimpleIndexError | None
    ) -> None:
        """Withhold or offer a file again after it was checked once more; the error is None if it is right."""
        reason = None if error is None else why_not_offered(self._upstream, file, error)
        await self.set_fault(name, file, key, reason)

    async def set_fault(self, name: ProjectName, file: File, key: str, reason: str | None) -> None:
        """Note what is wrong with a listed file or its metadata.

        Args:
            name: The project.
            file: The file as it was listed.
            key: Its name, or that of its metadata.
            reason: What is wrong, as a sentence; None if it is right.
        """

        def change(entry: ListingEntry) -> CachedListing | None:
            before = entry.listing.faults.get(key)
            listed = entry.listing.file(file.filename)
            if listed is None or identity_of(listed) != identity_of(file):
                return None
            faults = {other: fault for other, fault in entry.listing.faults.items() if other != key}
            if reason is not None:
                faults[key] = renewed_fault(before, reason, self._now())
            return None if faults.get(key) == before else replace(entry.listing, faults=faults)

        await self._store.update(name, change)
