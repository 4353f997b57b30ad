"""The results of a search, as the page for people and the document for programs both show them."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.names import parse_project_name
from simpleindex.core.text import plural
from simpleindex.search.query import parse_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.model import ProjectList
    from simpleindex.core.names import ProjectName
    from simpleindex.search.query import Query
    from simpleindex.search.search import Search, SearchResults
    from simpleindex.search.visibility import Hit
    from simpleindex.web.people.page_request import PageRequest

RESULTS: Final = 20
"""Projects on a page of results."""

_MOST_RESULTS: Final = 1_000
"""The last result that can be reached page by page."""


@dataclass(frozen=True, slots=True)
class FoundProjects:
    """One page of the results of a search.

    Attributes:
        text: What was typed.
        hits: The projects on this page.
        start: How many are on the pages before it.
        has_next: Whether there is a page after it.
        is_cut: Whether more match than can be reached page by page.
        sentence: How many match, or why none does.
        near: Projects with names of which the one that was typed is probably a slip, if nothing was found.
        direct: The project with exactly the name that was typed, if it is not among the hits and may be here nevertheless.
        upstreams: The names of the upstreams behind the view, of which only what somebody requested is searched.
    """

    text: str
    hits: tuple[Hit, ...]
    start: int
    has_next: bool
    is_cut: bool
    sentence: str
    near: tuple[ProjectName, ...]
    direct: ProjectName | None
    upstreams: tuple[str, ...]


class ResultsFinder:
    """Finds what ``?q=`` and ``&start=`` request.

    Args:
        search: Searches the index.
        upstreams: The names of the upstreams of each view whose projects are not on its list.
    """

    def __init__(self, search: Search, upstreams: Mapping[str, tuple[str, ...]]) -> None:
        self._search = search
        self._upstreams = upstreams

    async def find(self, request: PageRequest) -> FoundProjects:
        """Return the page of results that a request is for.

        Raises:
            SimpleIndexError: The reader may not enter.
        """
        listed = await request.source.projects()
        text, start = request.parameter("q").strip(), _results_start(request)
        query = parse_query(text)
        found = await self._search.search(request.source, query, limit=RESULTS, start=start)
        near = () if found.hits or start else await self._search.near(request.source, query)
        upstreams = self._upstreams.get(request.view, ())
        has_next = found.has_more and start < _MOST_RESULTS
        direct = None if start else _direct(text, found, listed, is_behind=bool(upstreams))
        sentence = (
            _sentence(text, query, found, start)
            if self._search.is_available
            else "There is no search index now; the log says why."
        )
        if self._search.is_behind():
            sentence += " The search index is being made: more will be found in some minutes."
        return FoundProjects(
            *(text, found.hits, start, has_next, found.has_more and not has_next),
            sentence,
            near,
            direct,
            upstreams,
        )


def _sentence(text: str, query: Query, found: SearchResults, start: int) -> str:
    if query.invalid:
        return (
            f"{' '.join(query.invalid)} matches nothing: after author: comes a name, after depends: the name of a project, "
            "after python: a version such as 3.12."
        )
    count = len(found.hits)
    if not text:
        return "Nothing was searched for: give it with ?q=."
    if not count:
        return "There are no more results." if start else f"No project matches {text}."
    if not start and not found.has_more:
        return f"{plural(count, 'project')} {'matches' if count == 1 else 'match'}."
    whole = "" if found.has_more else f" of {start + count}"
    return f"Results {start + 1} to {start + count}{whole}."


def _direct(text: str, found: SearchResults, listed: ProjectList, *, is_behind: bool) -> ProjectName | None:
    """Return the project of the name that was typed, if it was not found though it may be here.

    Upstreams have more than somebody requested, and what is listed may not be indexed yet.
    """
    try:
        name = parse_project_name(text)
    except InvalidProjectName:
        return None
    if any(hit.project == name for hit in found.hits):
        return None
    place = bisect_left(listed.names, name)
    return name if is_behind or listed.names[place : place + 1] == (name,) else None


def _results_start(request: PageRequest) -> int:
    """Return how many results a request leaves out."""
    text = request.parameter("start")
    return min(int(text), _MOST_RESULTS) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
