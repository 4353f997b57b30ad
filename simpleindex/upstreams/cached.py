"""A source over an upstream index that caches its listings and files."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.internet.defer import Deferred

from simpleindex.core.errors import NotAllowed, NotHere, SimpleIndexError
from simpleindex.core.model import Status
from simpleindex.core.names import METADATA_SUFFIX, Kind
from simpleindex.core.source import AnswerLifetime, Delivery, FileOrigin
from simpleindex.system.bodies import FileBody
from simpleindex.system.log import logger
from simpleindex.system.single_flight import SingleFlight
from simpleindex.upstreams.errors import FileRefused
from simpleindex.upstreams.fetching.fetch import facts_of_file, open_in_thread
from simpleindex.upstreams.fetching.fetches import Fetches
from simpleindex.upstreams.fetching.metadata import MetadataFiles
from simpleindex.upstreams.fetching.range_metadata_queue import RangeMetadataQueue
from simpleindex.upstreams.listings.checks import ListingChecks
from simpleindex.upstreams.listings.corrections import ListingCorrections
from simpleindex.upstreams.listings.fault_rechecker import FaultRechecker
from simpleindex.upstreams.listings.modification_times import ModificationTimes
from simpleindex.upstreams.listings.refresh import ListingRefresher
from simpleindex.upstreams.listings.store import MEMORY, ListingHooks, ListingStore
from simpleindex.upstreams.pages.enrich import Ttls, enriched_file, metadata_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simpleindex.archives.archive_info import ArchiveInfo
    from simpleindex.core.files import File
    from simpleindex.core.model import Project, ProjectList
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body
    from simpleindex.upstreams.cache_context import CacheContext
    from simpleindex.upstreams.pages.enrich import FileFacts

_log: Final = logger(__name__)


def _no_rules(_: object) -> tuple[str, ...]:
    return ()


class _Absence(NamedTuple):
    """The answer that there is no such project, which is believed until some time."""

    fresh_until: float


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """How one upstream is cached.

    Attributes:
        ttls: How long answers are fresh.
        listings: How listings become projects on offer.
        range_metadata: Reads the metadata of a wheel from its end, where an upstream has none beside it; None if that is off.
        judges_age: Returns the names of the rules that judge the age of a project's files.
        background: How many fetches may wait for their first byte although no client waits any more.
        memory: Bytes of listings in memory.
    """

    ttls: Ttls = field(default_factory=Ttls)
    listings: ListingHooks = field(default_factory=ListingHooks)
    range_metadata: Callable[[ProjectName, File], Awaitable[FileFacts]] | None = None
    judges_age: Callable[[ProjectName], tuple[str, ...]] = _no_rules
    background: int = 8
    memory: int = MEMORY


@dataclass(slots=True)
class ListingAnswers:
    """How often a listing was needed, for a page or for a file.

    Attributes:
        fresh: It was in the cache, or that there is none, and needed no request.
        requested: It was requested.
        stale: An older one was used, because the upstream failed or was slow.
    """

    fresh: int = 0
    requested: int = 0
    stale: int = 0


class CachedSource:
    """Offers the projects of an upstream. It requests each listing and file once for all clients, and survives its outages."""

    def __init__(self, context: CacheContext, options: CacheOptions) -> None:
        self.answers = ListingAnswers()
        self._context = context
        self._origin = FileOrigin(context.upstream.name, Delivery.CACHED)
        flights = SingleFlight()
        self._store = store = ListingStore(context, options.listings, options.ttls, options.memory)
        self._corrections = corrections = ListingCorrections(context, store)
        self._fetches = fetches = Fetches(
            context,
            report_facts=corrections.add_facts,
            report_fault=corrections.report_file,
            failing_for=options.ttls.failing,
            background=options.background,
        )
        wheel_ends = options.range_metadata and RangeMetadataQueue(
            options.range_metadata, context.clock, corrections.add_partial_facts
        )
        self._metadata = MetadataFiles(context, fetches, flights, wheel_ends, corrections.report_metadata)
        times = ModificationTimes(
            context.upstream.modified, context.clock, corrections.add_modification_times
        )
        rechecker = FaultRechecker(fetches.probe, self._metadata.fetch, corrections.report_recheck)
        checks = ListingChecks(
            context, store, options.judges_age, times, rechecker=rechecker, wheel_ends=wheel_ends
        )
        self._listings = ListingRefresher(context, store, flights, checks.begin)

    @property
    def ttls(self) -> Ttls:
        """How long answers are fresh. A change does not concern those that are fresh already."""
        return self._store.ttls

    @ttls.setter
    def ttls(self, ttls: Ttls) -> None:
        self._store.ttls = ttls

    def keeping(self) -> list[Deferred[None]]:
        """Return a Deferred for each file that is complete, which fires once it is in the cache."""
        return self._fetches.keeping()

    def stop(self) -> None:
        """Stop every fetch."""
        self._fetches.stop()

    async def projects(self) -> ProjectList:
        """Return every project of the upstream."""
        return await self._listings.projects()

    async def project(self, name: ProjectName) -> Project:
        """Return a project as the upstream lists it, or listed it before it failed."""
        try:
            project = self._listings.fresh_project(name)
        except NotHere:
            self.answers.fresh += 1
            raise
        if project is not None:
            self.answers.fresh += 1
            return project
        self.answers.requested += 1
        entry, stale = await self._listings.current(name)
        if stale:
            self.answers.requested -= 1
            self.answers.stale += 1
        return entry.project(stale=stale)

    def lifetime(self, name: ProjectName) -> AnswerLifetime | None:
        """Return how long a listing is fresh, or the answer that there is no such project."""
        memory = self._store.memory
        entry, absent_until = memory.get(name), memory.absent_until(name)
        if entry is not None:
            return AnswerLifetime(listing=entry)
        return AnswerLifetime(listing=_Absence(absent_until)) if absent_until else None

    def revision(self) -> None:
        """Return None: nothing but listings changes answers."""

    async def file(self, name: ProjectName, filename: str) -> Body:
        """Open a file or a wheel's metadata: from the cache, or while it is being fetched."""
        file, offered = await self._find(name, filename)
        try:
            return await self._open(name, filename, file, offered)
        except (NotHere, FileRefused):
            # Signed links live for some minutes; pip and uv request the page each time they run.
            renewed = await self._find_again(name, filename, file)
            if renewed is None:
                raise
        return await self._open(name, filename, *renewed)

    async def location(self, name: ProjectName, filename: str) -> str:
        """Return the upstream's URL of a file or of a wheel's metadata."""
        file, offered = await self._find(name, filename)
        assert file.url is not None
        if filename == file.filename:
            return file.url
        if offered.metadata is None:
            raise NotHere(f"file {filename}")
        return metadata_url(file.url)

    async def _find(self, name: ProjectName, filename: str) -> tuple[File, File]:
        """Return a distribution, as the upstream lists it and as it is offered."""
        entry, _ = await self._listings.current(name)
        listing = entry.listing
        if listing.project.status is Status.QUARANTINED:
            raise NotAllowed(f"The project {name} is quarantined; no file of it is offered.")
        distribution = filename.removesuffix(METADATA_SUFFIX)
        file, offered = listing.file(distribution), entry.offered_file(distribution)
        if file is not None and offered is None and distribution in listing.faults:
            # It may be right by now, and a client that has its URL from elsewhere gets a true answer either way.
            offered = enriched_file(file, listing.file_facts.get(distribution))
        if file is None or offered is None or file.url is None:
            # Public reasons are for everybody who may read the project.
            reasons = (
                item.reason
                for item in entry.offered.withheld
                if item.public and item.filename == distribution
            )
            if (reason := next(reasons, None)) is not None:
                raise NotAllowed(reason)
            raise NotHere(f"file {filename}")
        return file, offered

    async def _find_again(self, name: ProjectName, filename: str, file: File) -> tuple[File, File] | None:
        """Request the listing and find a distribution in it; return None unless it has another URL there."""
        entry = self._store.memory.get(name)
        if entry is not None:
            now = entry.listing.file(file.filename)
            if now is not None and now.url == file.url:
                entry.fresh_until = 0.0
        try:
            renewed = await self._find(name, filename)
        except SimpleIndexError:
            return None
        return None if renewed[0].url == file.url else renewed

    async def _open(self, name: ProjectName, filename: str, file: File, offered: File) -> Body:
        if filename != file.filename:
            return await self._metadata.body(name, file, offered)
        body = await self._open_cached(name, file, offered)
        return body or await self._fetches.body(name, file, offered)

    async def _open_cached(self, name: ProjectName, file: File, offered: File) -> Body | None:
        """Open a file if it is in the cache."""
        files, sha256, key = self._context.cache.files, offered.sha256, self._context.key(name, file.filename)
        if sha256 is None or self._fetches.is_under_way(name, file) or not files.may_have(key):
            return None
        needs_facts = offered.size is None or (offered.metadata is None and file.kind is Kind.WHEEL)
        descriptor = None if needs_facts else files.open_verified(key, sha256)
        if descriptor is None:
            opened = await open_in_thread(lambda: files.open(key, sha256), self._context.threads)
            if opened is None:
                return None
            descriptor, archive = opened
            self._add_facts(name, file, offered, archive, os.fstat(descriptor).st_size)
        body = FileBody(descriptor, file.filename, sha256, self._context.threads.run)
        body.modified_ns = offered.uploaded_ns
        body.origin = self._origin
        body.is_immutable = True  # Files of the cache are replaced, and never written into.
        return body

    def _add_facts(
        self, name: ProjectName, file: File, offered: File, archive: ArchiveInfo, size: int
    ) -> None:
        """Add what a cached file showed to its listing, unless that has it."""
        if offered.size is not None and (archive.sidecar is None or offered.metadata is not None):
            return
        entry = self._store.memory.get(name)
        before = None if entry is None else entry.listing.file_facts.get(file.filename)
        facts = facts_of_file(archive, size, None if before is None else before.modified_ns)
        adding = Deferred.fromCoroutine(self._corrections.add_facts(name, file, facts))
        adding.addErrback(lambda failure: _log.failure("", failure))
