"""Search as one reader may, find the newest projects and the events of feeds: every answer is checked against the reader's own source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.defer import Deferred, TimeoutError, gatherResults  # noqa: A004  (Twisted's own name)

from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.names import ProjectName
from simpleindex.core.near_names import MOST_NEAR
from simpleindex.core.stepping import Started
from simpleindex.search.candidates import (
    MOST,
    dependents,
    excerpts,
    find_candidates,
    near_projects,
    newest,
    recent_yanks,
    yanks_of,
)
from simpleindex.search.release_events import Event, newest_events, release_events, yank_event
from simpleindex.search.visibility import (
    Dependent,
    Hit,
    hit_of,
    is_shown,
    is_visible,
    newest_release,
    visible_dependent,
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
        wanted = start + limit + 1
        found: dict[ProjectName, tuple[Candidate, Project]] = {}
        seen: set[Candidate] = set()
        # What only the second finds comes after everything that the first finds, so that pages of results have one order.
        for most in (MOST, _MOST_CHECKED):
            candidates = await self._threads.run(find_candidates, self._database, query, most)
            visible = await self._visible(
                source,
                [candidate for candidate in candidates if candidate not in seen],
                lambda candidate: candidate.project,
                lambda candidate, project: (
                    (candidate, project) if is_visible(candidate, project, query) else None
                ),
                wanted,
            )
            for candidate, project in visible:
                found.setdefault(project.name, (candidate, project))
            if len(found) >= wanted or len(candidates) < most:
                break
            seen.update(candidates)
        hits = [hit_of(*each) for each in islice(found.values(), start, start + limit)]
        return SearchResults(await self._with_excerpts(hits, query), len(found) > start + limit)

    async def near(self, source: Source, query: Query) -> tuple[ProjectName, ...]:
        """Return projects that a reader is offered and that a search for another name probably means, by name."""
        if not query.is_for_names_only:
            return ()
        names = await self._threads.run(near_projects, self._database, query.name, MOST)
        return tuple(
            await self._visible(
                source, names, str, lambda _, project: project.name if is_shown(project) else None, MOST_NEAR
            )
        )

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
            (project,) = await self._offered(source, [hit.project], self._clock.seconds() + PATIENCE)
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

    async def _with_excerpts(self, hits: Sequence[Hit], query: Query) -> tuple[Hit, ...]:
        """Return hits with the text around what neither their names nor their summaries show."""
        hidden = {hit.indexed: hit.hidden_terms(query) for hit in hits if hit.indexed is not None}
        hidden = {candidate: terms for candidate, terms in hidden.items() if terms}
        if not hidden:
            return tuple(hits)
        found = await self._threads.run(excerpts, self._database, hidden)
        return tuple(
            replace(hit, excerpt=found[hit.indexed]) if hit.indexed in found else hit for hit in hits
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
            names = [ProjectName(name_of(row)) for row in part]
            projects = await self._offered(source, names, end)
            for row, project in zip(part, projects, strict=True):
                if project is not None and (seen := judge(row, project)) is not None:
                    visible.append(seen)
            if len(visible) >= limit:
                break
        return visible[:limit]

    async def _offered(
        self, source: Source, names: Sequence[ProjectName], end: float
    ) -> list[Project | None]:
        """Return projects as a reader is offered them; None for one that is not, or whose answer comes after the end."""
        # Most answers need no waiting, and a Deferred costs more than such an answer.
        started = [Started(_project(source, name)) for name in names]
        waiting = [self._in_time(each, end) for each in started if not each.is_finished]
        late = iter(await gatherResults(waiting) if waiting else ())
        return [each.value if each.is_finished else next(late) for each in started]

    def _in_time(self, started: Started[Project | None], end: float) -> Deferred[Project | None]:
        """Return the rest of an answer; None if it comes after the end."""
        answer = Deferred.fromCoroutine(started.rest())
        answer.addTimeout(max(0.0, end - self._clock.seconds()), self._clock)
        answer.addErrback(lambda failure: failure.trap(TimeoutError) and None)
        return answer


async def _project(source: Source, name: ProjectName) -> Project | None:
    try:
        return await source.project(name)
    except SimpleIndexError:
        return None
