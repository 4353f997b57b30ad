"""The front page of a view, and the searches in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from simpleindex.archives.description import render_notice
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.people.kept_facts import KeptFacts
from simpleindex.web.people.renderer import PageContent
from simpleindex.web.people.results import RESULTS, ResultsFinder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from simpleindex.access.identity import Identity
    from simpleindex.core.names import ProjectName
    from simpleindex.search.search import Search
    from simpleindex.search.visibility import Hit
    from simpleindex.system.threads import Threads
    from simpleindex.web.http.response import Response
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.renderer import PageRenderer

NEWEST: Final = 20
"""Projects on the front page."""

_MOST_READERS: Final = 64


@dataclass(frozen=True)
class FrontFacts:
    """What the front page shows of a view.

    Attributes:
        projects: The number of projects on the list.
        newest: Those with the newest releases.
        upstreams: The names of the upstreams behind it.
        cached: The number of their projects that the cache holds and the reader may read.
        is_searchable: Whether there is a search index, from which the newest releases come.
    """

    projects: int
    newest: tuple[Hit, ...]
    upstreams: tuple[str, ...]
    cached: int
    is_searchable: bool


@dataclass(frozen=True)
class UpstreamsBehind:
    """What front pages say of upstreams.

    Attributes:
        names: The names of the upstreams of each view whose projects are not on its list.
        readable: Returns those of some projects that somebody may read.
    """

    names: Mapping[str, tuple[str, ...]]
    readable: Callable[[Identity, Sequence[ProjectName]], Sequence[ProjectName]]


class FrontPage:
    """Answers ``/`` and ``/?q=`` of each view.

    Args:
        renderer: Renders the templates.
        search: Searches the index.
        threads: For the notice, which strangers do not write, though it may be long.
        notice: Returns the notice in Markdown; empty for none.
        upstreams: What is behind each view.
        seconds: A clock that is never set back.
    """

    def __init__(
        self,
        renderer: PageRenderer,
        search: Search,
        threads: Threads,
        notice: Callable[[], str],
        upstreams: UpstreamsBehind,
        seconds: Callable[[], float],
    ) -> None:
        self._renderer = renderer
        self._search = search
        self._threads = threads
        self._notice = notice
        self._upstreams = upstreams
        self._finder = ResultsFinder(search, upstreams.names)
        self._facts: KeptFacts[FrontFacts] = KeptFacts(_MOST_READERS, seconds)
        self._rendered_notice = "", ""

    async def answer(self, request: PageRequest) -> Response:
        """Return the front page, or the results of a search."""
        return await (self._results(request) if request.parameter("q").strip() else self._front(request))

    async def _front(self, request: PageRequest) -> Response:
        facts, notice = await self._facts_for(request), await self._notice_html()

        def values() -> Mapping[str, Any]:
            return {
                "facts": facts,
                "notice": notice,
                "feed": feed_url(request),
                "json": results_url(request),
            }

        content = PageContent("front.html", values, "front", (facts, notice))
        return await self._renderer.answer(request, content)

    async def _results(self, request: PageRequest) -> Response:
        results = await self._finder.find(request)

        def values() -> Mapping[str, Any]:
            return {"results": results, "json": results_url(request), "step": RESULTS}

        return await self._renderer.answer(request, PageContent("search.html", values))

    async def _facts_for(self, request: PageRequest) -> FrontFacts:
        listed = await request.source.projects()

        async def find() -> FrontFacts:
            upstreams = self._upstreams.names.get(request.view, ())
            newest = await self._search.newest(request.source, NEWEST)
            cached = await self._search.cached_names(upstreams) if upstreams else frozenset()
            # What is listed is this index's own by now.
            others = self._upstreams.readable(request.reader, [*cached.difference(listed.names)])
            return FrontFacts(len(listed.names), newest, upstreams, len(others), self._search.is_available)

        return await self._facts.get(request, listed, "front", find)

    async def _notice_html(self) -> str:
        text = self._notice()
        if self._rendered_notice[0] != text:
            html = await self._threads.run(render_notice, text) if text else ""
            self._rendered_notice = text, html
        return self._rendered_notice[1]


def feed_url(request: PageRequest) -> str:
    """Return the URL of the feed of a view, relative to the request's."""
    query = "" if request.view == MAIN_VIEW else f"?view={request.view}"
    return f"{request.root}-/feed.xml{query}"


def results_url(request: PageRequest) -> str:
    """Return the URL of the results of a search in a view as JSON, relative to the request's and without the search."""
    return f"{request.root}-/search.json?view={request.view}&q="
