"""Search as one reader may, find the newest projects and the events of feeds: every answer is checked against the reader's own source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.defer import Deferred, TimeoutError, gatherResults  # noqa: A004  (Twisted's own name)

from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.names import ProjectName
from simpleindex.search.candidates import (
    MOST,
    dependents,
    find_candidates,
    newest,
    recent_yanks,
    yanks_of,
)
from simpleindex.search.release_events import Event, newest_events, release_events, yank_event
from simpleindex.search.visibility import (
    Dependent,
    Hit,
    newest_release,
    visible_dependent,
    visible_hit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.core.model import Project
    from simpleindex.core.source import Source
    from simpleindex.search.database import SearchDatabase
    from simpleindex.search.query import Query
    from simpleindex.search.ranking import Candidate
    from simpleindex.system.threads import Threads

PATIENCE: Final = 2.0
"""Seconds that upstreams may take to answer for the projects of one search; what is not answered by then is not shown."""

_AT_ONCE: Final = 20
_MOST_CHECKED: Final = 2_000
"""Projects that are checked for a list of the newest ones, of which a reader may see few."""

Row = TypeVar("Row")
Visible = TypeVar("Visible")


@dataclass(frozen=True, slots=True)
class SearchResults:
    """A page of results."""

    hits: tuple[Hit, ...]
    has_more: bool


class Search:
    """Searches the index for readers.

    Args:
        database: The search index.
        directories: Names of the local directories, whose newest projects are listed.
        clock: The reactor.
        threads: For queries to the index.
        is_behind: Returns whether projects are still missing in the index.
    """

    def __init__(
        self,
        database: SearchDatabase,
        directories: tuple[str, ...],
        clock: Any,
        threads: Threads,
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self.is_behind = is_behind
        self._database = database
        self._directories = directories
        self._clock = clock
        self._threads = threads

    @property
    def is_available(self) -> bool:
        """Whether there is a search index."""
        return self._database.is_open

    async def search(self, source: Source, query: Query, *, limit: int = 20, start: int = 0) -> SearchResults:
        """Return projects that match.

        Args:
            source: The reader's.
            query: What is searched for.
            limit: The most hits.
            start: How many hits are left out.
        """
        wanted, hits = start + limit + 1, list[Hit]()
        seen: set[Candidate] = set()
        # What only the second finds comes after everything that the first finds, so that pages of results have one order.
        for most in (MOST, _MOST_CHECKED):
            candidates = await self._threads.run(find_candidates, self._database, query, most)
            visible = await self._visible(
                source,
                [candidate for candidate in candidates if candidate not in seen],
                lambda candidate: candidate.project,
                lambda candidate, project: visible_hit(candidate, project, query),
                wanted,
            )
            hits = _first_of_each([*hits, *visible])
            if len(hits) >= wanted or len(candidates) < most:
                break
            seen.update(candidates)
        return SearchResults(tuple(hits[start : start + limit]), len(hits) > start + limit)

    async def newest(self, source: Source, limit: int, *, yanked: bool = False) -> tuple[Hit, ...]:
        """Return the projects of the local directories with the newest releases that a reader is offered, newest first.

        Args:
            source: The reader's.
            limit: The most hits.
            yanked: Whether a release counts that is yanked by now.
        """
        hits: dict[ProjectName, Hit] = {}
        count = max(2 * limit, _AT_ONCE)
        while True:
            candidates = await self._threads.run(newest, self._database, self._directories, count)
            visible = await self._visible(
                source,
                candidates,
                lambda candidate: candidate.project,
                lambda candidate, project: newest_release(candidate, project, yanked=yanked),
                len(candidates),
            )
            hits = {hit.project: hit for hit in visible}
            if len(hits) >= limit or len(candidates) < count or count >= _MOST_CHECKED:
                break
            count = min(_MOST_CHECKED, 5 * count)
        ordered = sorted(hits.values(), key=lambda hit: (-(hit.uploaded_ns or 0), hit.project))
        return tuple(ordered[:limit])

    async def events(self, source: Source, limit: int) -> tuple[Event, ...]:
        """Return the newest releases and yanks in the local directories that a reader is offered, newest first."""
        # A release that is among the newest is of a project that is among those with the newest files.
        events: list[Event] = []
        for hit in await self.newest(source, limit, yanked=True):
            project = await self._project(source, hit.project, self._clock.seconds() + PATIENCE)
            events += [] if project is None else release_events(project, hit.summary)
        yanks = await self._threads.run(recent_yanks, self._database, self._directories, limit)
        events += await self._visible(source, yanks, lambda yank: yank.project, yank_event, limit)
        return newest_events(events, limit)

    async def events_of(self, project: Project, limit: int) -> tuple[Event, ...]:
        """Return the newest releases and yanks of a project."""
        yanks = await self._threads.run(yanks_of, self._database, project.name)
        events = [yank_event(yank, project) for yank in yanks]
        return newest_events((*release_events(project), *(event for event in events if event)), limit)

    async def dependents(self, source: Source, name: ProjectName, limit: int = 100) -> tuple[Dependent, ...]:
        """Return the projects that require another one and that a reader is offered, by name."""
        rows = await self._threads.run(dependents, self._database, name, _MOST_CHECKED)
        visible = await self._visible(
            source, rows, lambda row: row.candidate.project, visible_dependent, limit
        )
        return tuple({dependent.project: dependent for dependent in visible}.values())

    async def cached_names(self, upstreams: Sequence[str]) -> frozenset[ProjectName]:
        """Return the projects of some upstreams that the cache holds, also those that a reader may not read."""
        return await self._threads.run(
            lambda: frozenset(
                ProjectName(name) for upstream in upstreams for name in self._database.indexed_names(upstream)
            )
        )

    async def _visible(
        self,
        source: Source,
        rows: Sequence[Row],
        name_of: Callable[[Row], str],
        judge: Callable[[Row, Project], Visible | None],
        limit: int,
    ) -> list[Visible]:
        """Return what a reader may see of some rows, until there is enough.

        Args:
            source: The reader's.
            rows: In order.
            name_of: Returns the project of a row.
            judge: Returns a row as the reader may see it.
            limit: How many are enough.
        """
        visible: list[Visible] = []
        end = self._clock.seconds() + PATIENCE
        for first in range(0, len(rows), _AT_ONCE):
            if self._clock.seconds() >= end:
                break
            part = rows[first : first + _AT_ONCE]
            projects = await gatherResults(
                [self._project(source, ProjectName(name_of(row)), end) for row in part]
            )
            for row, project in zip(part, projects, strict=True):
                if project is not None and (seen := judge(row, project)) is not None:
                    visible.append(seen)
            if len(visible) >= limit:
                break
        return visible[:limit]

    def _project(self, source: Source, name: ProjectName, end: float) -> Deferred[Project | None]:
        """Return a project as a reader is offered it; None if it is not, or its answer comes after the end."""

        async def ask() -> Project | None:
            try:
                return await source.project(name)
            except SimpleIndexError:
                return None

        asking = Deferred.fromCoroutine(ask())
        if not asking.called:
            asking.addTimeout(max(0.0, end - self._clock.seconds()), self._clock)
            asking.addErrback(lambda failure: failure.trap(TimeoutError) and None)
        return asking


def _first_of_each(hits: Sequence[Hit]) -> list[Hit]:
    """Return the first hit of each project."""
    first: dict[ProjectName, Hit] = {}
    for hit in hits:
        first.setdefault(hit.project, hit)
    return list(first.values())
