"""When an upstream is requested, and what is served instead while it fails: freshness of listings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from simpleindex.core.errors import NotHere
from simpleindex.core.model import Project, ProjectList
from simpleindex.system.log import logger
from simpleindex.upstreams.errors import UpstreamBusy, UpstreamFailed
from simpleindex.upstreams.interface import Validators

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simpleindex.core.names import ProjectName
    from simpleindex.system.single_flight import SingleFlight
    from simpleindex.upstreams.cache_context import CacheContext
    from simpleindex.upstreams.interface import Listing
    from simpleindex.upstreams.listings.memory import ListingEntry
    from simpleindex.upstreams.listings.store import ListingStore

_log: Final = logger(__name__)


class ListingRefresher:
    """Requests listings that are no longer fresh, each once for all clients that wait for it.

    Args:
        context: The upstream.
        store: Stores the listings.
        flights: Does work once.
        check: Begins to check a project whose listing was requested; returns whether the listing may have been corrected.
    """

    def __init__(
        self,
        context: CacheContext,
        store: ListingStore,
        flights: SingleFlight,
        check: Callable[[ProjectName], Awaitable[bool]],
    ) -> None:
        self._context = context
        self._clock = context.clock
        self._store = store
        self._memory = store.memory
        self._flights = flights
        self._check = check
        self._list: ProjectList | None = None
        self._list_until = self._unreachable_until = 0.0
        self._is_failing = False

    # -- the list of projects ---------------------------------------------------------------------------------------

    async def projects(self) -> ProjectList:
        """Return every project of the upstream."""
        fresh = self.fresh_projects()
        if fresh is None:
            fresh = await self._flights.run("projects", self._request_projects)
        return fresh

    def fresh_projects(self) -> ProjectList | None:
        """Return the list of projects while it is fresh."""
        is_fresh = self._list is not None and self._clock.seconds() < self._list_until
        return self._list if is_fresh else None

    async def _request_projects(self) -> ProjectList:
        try:
            names = await self._context.upstream.projects()
        except UpstreamFailed as error:
            self._note_failure(error)
            if self._list is None:
                raise
            return replace(self._list, stale=True)
        self._note_answer()
        if self._list is None or self._list.names != names:
            self._list = ProjectList(names)
        self._list_until = self._clock.seconds() + self._store.ttls.projects
        return self._list

    # -- a project --------------------------------------------------------------------------------------------------

    def fresh_project(self, name: ProjectName) -> Project | None:
        """Return a project on offer while its listing is fresh.

        Raises:
            NotHere: The upstream had no such project a moment ago.
        """
        entry = self._memory.get(name)
        if entry is not None and self._clock.seconds() < entry.fresh_until:
            return entry.offered
        if self._clock.seconds() < self._memory.absent_until(name):
            raise NotHere(f"project {name}")
        return None

    async def current(self, name: ProjectName) -> tuple[ListingEntry, bool]:
        """Return a project's entry, and whether it is stale.

        Raises:
            NotHere: The upstream has no such project.
            UpstreamFailed: It cannot be requested, and the cache does not have the project.
        """
        entry = self._memory.get(name)
        if self.fresh_project(name) is not None:
            assert entry is not None
            return entry, False
        request: Deferred[tuple[ListingEntry, bool]] = self._flights.run(name, lambda: self._refresh(name))
        if entry is not None:
            # Half of the time that pip waits for an answer.
            request.addTimeout(self._store.ttls.patience, self._clock)
        try:
            return await request
        except TookTooLong:
            assert entry is not None
            return entry, True

    async def _refresh(self, name: ProjectName) -> tuple[ListingEntry, bool]:
        entry = self._memory.get(name) or await self._store.recall(name)
        now = self._clock.seconds()
        if entry is not None:
            if now < entry.fresh_until:
                return entry, False
            if now < max(entry.failing_until, self._unreachable_until):
                return entry, True
        try:
            listing = await self._request(name, entry)
        except NotHere:
            self._note_answer()
            await self._store.forget(name)
            raise
        except UpstreamFailed as error:
            self._note_failure(error)
            if entry is None:
                raise
            # It may have been corrected meanwhile.
            entry = self._memory.get(name) or entry
            entry.failing_until = self._clock.seconds() + self._store.ttls.failing
            return entry, True
        self._note_answer()
        if listing is None:
            assert entry is not None
            entry = self._memory.get(name) or entry
            entry.fresh_until = self._clock.seconds() + self._store.ttls.fresh_for(entry.listing.fresh_for)
        else:
            entry = await self._store.refresh(name, listing, entry)
        self._memory.put(name, entry)
        if await self._check(name):
            entry = self._memory.get(name) or entry
        return entry, False

    async def _request(self, name: ProjectName, entry: ListingEntry | None) -> Listing | None:
        """Request a project's page; None if it has not changed."""
        upstream = self._context.upstream
        validators = None if entry is None else Validators(entry.listing.etag, entry.listing.last_modified)
        listing = await upstream.project(name, validators)
        if listing is None and entry is None:
            raise UpstreamFailed(
                upstream.name, "it says that nothing has changed, although nothing was requested before."
            )
        if listing is not None and listing.project.name != name:
            raise UpstreamFailed(upstream.name, f"it answers with {listing.project.name} instead of {name}.")
        return listing

    # -- failures ---------------------------------------------------------------------------------------------------

    def _note_failure(self, error: UpstreamFailed) -> None:
        if isinstance(error, UpstreamBusy):
            # The upstream itself is well.
            return
        if error.timed_out:
            # Else each of a hundred projects would be waited for as long.
            self._unreachable_until = self._clock.seconds() + self._store.ttls.failing
        if not self._is_failing:
            self._is_failing = True
            _log.warn("{error} Until it answers again, the cache is served.", error=str(error))

    def _note_answer(self) -> None:
        if self._is_failing:
            self._is_failing = False
            _log.info("The upstream index {name} answers again.", name=self._context.upstream.name)
        self._unreachable_until = 0.0
