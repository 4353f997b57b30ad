"""What programs read of people's pages: search results as JSON, feeds of releases and yanks, badges."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.errors import InvalidProjectName, NotHere
from simpleindex.core.model import Status
from simpleindex.core.names import parse_project_name
from simpleindex.core.selection import latest_release
from simpleindex.core.text import timestamp
from simpleindex.web.conditional import not_modified
from simpleindex.web.http.response import Response
from simpleindex.web.people import badge, feed_document
from simpleindex.web.people.feed_document import Feed, write_feed
from simpleindex.web.people.front_page import feed_url
from simpleindex.web.people.results import ResultsFinder
from simpleindex.web.routing.routes import FileRoute, OwnPageRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.core.model import Project
    from simpleindex.search.search import Search
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.results import FoundProjects

FEED_LENGTH: Final = 50
"""Entries of a feed."""

_BADGE_PREFIX: Final = "badge/"
_SVG: Final = ".svg"


class SearchJson:
    """Answers ``/-/search.json?q=``.

    Args:
        search: Searches the index.
        upstreams: The names of the upstreams of each view whose projects are not on its list.
    """

    def __init__(self, search: Search, upstreams: Mapping[str, tuple[str, ...]]) -> None:
        self._finder = ResultsFinder(search, upstreams)

    async def answer(self, request: PageRequest) -> Response:
        """Return the results of a search."""
        _require(request, "search.json")
        found = await self._finder.find(request)
        content = json.dumps(_results(found, request.addresses["home"])).encode() + b"\n"
        return _document(request, "application/json", content)


class FeedPage:
    """Answers ``/-/feed.xml`` and ``/<project>/feed.xml``.

    Args:
        search: Knows releases and yanks.
        title: Returns the title of the index.
        base_url: Returns the URL of the index's root; None if it is not known.
    """

    def __init__(self, search: Search, title: Callable[[], str], base_url: Callable[[], str | None]) -> None:
        self._search = search
        self._title = title
        self._base_url = base_url

    async def answer(self, request: PageRequest) -> Response:
        """Return a feed of the index, or of a project."""
        base = self._base_url()
        addresses = request.addresses
        # Where no URL is known, links are relative, which programs resolve against where they found the feed.
        root = addresses["root"] if base is None else base
        home = f"{root}{addresses['home'].removeprefix(addresses['root'])}"
        if isinstance(request.route, FileRoute):
            project = await request.source.project(request.route.name)
            events = await self._search.events_of(project, FEED_LENGTH)
            title, page = f"{project.name} on {self._title()}", f"{home}{project.name}/"
            url = f"{page}feed.xml"
        else:
            _require(request, "feed.xml")
            # A reader who may not enter learns that here.
            await request.source.projects()
            events = await self._search.events(request.source, FEED_LENGTH)
            title, page = self._title(), home
            url = f"{root}{feed_url(request).removeprefix(request.root)}"
        content = write_feed(Feed(title, url, home, page, events))
        return _document(request, feed_document.CONTENT_TYPE, content)


class BadgePage:
    """Answers ``/-/badge/<project>.svg``."""

    async def answer(self, request: PageRequest) -> Response:
        """Return an image with the project's latest release."""
        name = request.route.name if isinstance(request.route, OwnPageRoute) else ""
        if not name.endswith(_SVG):
            raise NotHere("page")
        try:
            parsed = parse_project_name(name.removeprefix(_BADGE_PREFIX).removesuffix(_SVG))
        except InvalidProjectName:
            raise NotHere("page") from None
        project = await request.source.project(parsed)
        return _document(request, badge.CONTENT_TYPE, badge.draw_badge(project.name, _badge_text(project)))


def _badge_text(project: Project) -> str:
    if project.status is Status.QUARANTINED:
        return "quarantined"
    version = latest_release(project.files)
    return "no release" if version is None else f"v{version}"


def _results(found: FoundProjects, home: str) -> dict[str, Any]:
    """Return the results of a search in terms of JSON."""

    def link(name: str) -> dict[str, Any]:
        return {"project": name, "url": f"{home}{name}/"}

    direct = None if found.direct is None else link(found.direct) | {"upstreams": list(found.upstreams)}
    return {
        "query": found.text,
        "start": found.start,
        "sentence": found.sentence,
        "results": [
            {
                "name": hit.title,
                "project": hit.project,
                "version": hit.version,
                "summary": hit.summary,
                "uploaded": None if hit.uploaded_ns is None else timestamp(hit.uploaded_ns / 1e9),
                "yanked": hit.is_yanked,
                "source": hit.source,
                "url": f"{home}{hit.project}/",
                "excerpt": list(hit.excerpt),
            }
            for hit in found.hits
        ],
        "more": found.has_next,
        "near": [link(name) for name in found.near],
        "direct": direct,
    }


def _require(request: PageRequest, name: str) -> None:
    if not isinstance(request.route, OwnPageRoute) or request.route.name != name:
        raise NotHere("page")


def _document(request: PageRequest, content_type: str, content: bytes) -> Response:
    """Return a document that clients may keep, and ask each time whether it has changed."""
    response = _response(request.info, content_type, content)
    return response.for_this_reader() if request.reader.authenticated else response


def _response(info: RequestInfo, content_type: str, content: bytes) -> Response:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = (("ETag", tag), ("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding"))
    if not_modified(info.header("if-none-match"), None, tag, None):
        return Response(304, headers)
    return Response(
        200,
        (
            *headers,
            ("Content-Type", content_type),
            # An image or a feed that is opened as a page runs nothing either.
            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
            ("X-Content-Type-Options", "nosniff"),
        ),
        content,
    )
