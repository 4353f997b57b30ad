"""The one resource: from a Twisted request to a route, to an answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from twisted.web.resource import Resource

from simpleindex.core.errors import NotHere, SimpleIndexError
from simpleindex.web.guides import DOCS_PREFIX, document_response
from simpleindex.web.http.hosts import is_own_host
from simpleindex.web.http.presenting import presented
from simpleindex.web.http.request_info import READ_METHODS, request_info
from simpleindex.web.http.respond import error_response, respond
from simpleindex.web.http.response import RequestInfo, Response, sentence
from simpleindex.web.pages.site_files import site_file
from simpleindex.web.routing.allowed_methods import (
    cors_headers,
    is_upload,
    nothing_changes,
    preflight,
    upload_refused,
)
from simpleindex.web.routing.routes import (
    DOWNLOAD_PAGES,
    FEED,
    STATIC_PREFIX,
    WHY_PREFIX,
    AcmeRoute,
    FileRoute,
    OwnPageRoute,
    ProjectRoute,
    PypiJsonRoute,
    RedirectRoute,
    ReleaseRoute,
    RootRoute,
    SiteFileRoute,
    UploadRoute,
    first_segment,
)
from simpleindex.web.routing.targets import relative_location, route
from simpleindex.web.status.status import OPEN_PAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.web.server import Request

    from simpleindex.access.identity import Identity
    from simpleindex.core.addresses import Network
    from simpleindex.web.admission import Admission
    from simpleindex.web.downloads.pages import DownloadPages
    from simpleindex.web.files import FileResponses
    from simpleindex.web.listings import Listings
    from simpleindex.web.people.pages import PeoplePages
    from simpleindex.web.pypi_json import PypiJson
    from simpleindex.web.routing.routes import Route
    from simpleindex.web.status.metrics_page import MetricsPage
    from simpleindex.web.status.status import StatusPages
    from simpleindex.web.why import WhyPages


API_PREFIX = "api/"


_TELLING: Final = frozenset({401, 403})
"""Refusals that show that there is something: pages below ``/-/``, such as badges, name projects too."""


class WriteResponder(Protocol):
    """Answers requests that change something."""

    async def answer(self, request: RequestInfo) -> Response:
        """Answer a request.

        Raises:
            SimpleIndexError: See the table in :mod:`simpleindex.web.http.respond`.
        """
        ...


@dataclass(frozen=True)
class IndexParts:
    """The parts of an index that make its answers.

    Attributes:
        listings: Pages of projects, and their list.
        status: The pages below ``/-/``.
        why: Returns the pages that explain what is not offered, which are made when they are used first.
        pypi_json: Returns what answers for PyPI's JSON API, which is made when it is used first.
        changes: Uploads and other changes; None if nothing can be changed.
        people: The pages for people; None without the extra ``pages``.
        downloads: Returns the pages about downloads, which are made when they are used first; None where nothing is known of them.
    """

    listings: Listings
    files: FileResponses
    status: StatusPages
    why: Callable[[], WhyPages]
    pypi_json: Callable[[], PypiJson]
    changes: WriteResponder | None
    people: PeoplePages | None
    downloads: Callable[[], DownloadPages] | None = None


class IndexResource(Resource):
    """Everything that an index serves.

    Args:
        parts: Make the answers.
        admission: Decides who reads what.
        acme_challenge: Returns the answer to a certificate authority's challenge token, or None.
        refused: Records a download that was refused.
        trusted: Networks of the proxies that may state the client's address.
        cors: The origin whose pages may read the index, ``*`` for all, None for none.

    Attributes:
        metrics: The page of metrics; None while there are none.
    """

    isLeaf = True  # noqa: N815  (Twisted's name)

    def __init__(
        self,
        parts: IndexParts,
        admission: Admission,
        *,
        acme_challenge: Callable[[str], bytes | None],
        refused: Callable[[SimpleIndexError, FileRoute, RequestInfo], None],
        trusted: Sequence[Network],
        cors: str | None,
    ) -> None:
        super().__init__()
        self._refused = refused
        self.listings = parts.listings
        self.files = parts.files
        self.trusted = trusted
        self.cors = cors
        self._status = parts.status
        self._admission = admission
        self._why = parts.why
        self._pypi_json = parts.pypi_json
        self._changing = parts.changes
        self._people = parts.people
        self._downloads = parts.downloads
        self.metrics: MetricsPage | None = None
        self._acme_challenge = acme_challenge

    def render(self, request: Request) -> int:
        info = request_info(request, self.trusted)
        if info.is_local and not is_own_host(info.header("host"), self.listings.base_url):
            info = replace(info, is_local=False)
        return respond(request, self.answer(info), also=self.also(), refusal=partial(self._refusal, info))

    def presented(self, refused: Response, request: Request) -> Response:
        """Return the refusal of a request's head in the form that its reader gets."""
        return presented(self._refusal(request_info(request, self.trusted), refused), request)

    def also(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that every response carries."""
        return cors_headers(self.cors)

    async def answer(self, request: RequestInfo) -> Response:
        """Answer one request.

        Raises:
            SimpleIndexError: See the table in :mod:`simpleindex.web.http.respond`.
        """
        if request.method in READ_METHODS:
            return await self._read(request)
        if request.method == "OPTIONS":
            return self._options(request)
        if self._changing is None:
            return nothing_changes(request)
        return await self._changing.answer(request)

    def _refusal(self, request: RequestInfo, refused: Response) -> Response:
        """Return a refusal as its reader gets it: a page for people, or what it is for tools."""
        return refused if self._people is None else self._people.problem(refused, request)

    async def _read(self, request: RequestInfo) -> Response:
        try:
            target = route(request.target, self.listings.views)
        except NotHere:
            # A private index does not tell anonymous clients which pages could exist.
            target = None
        if request.record is not None:
            request.record.route = target
        match target:
            case AcmeRoute(token):
                return acme_response(self._acme_challenge(token))
            case SiteFileRoute(name):
                return site_file(name)
            case OwnPageRoute(page) if page in OPEN_PAGES:
                return await self._status.answer(page, request)
            case OwnPageRoute(page) if self._people is not None and page.startswith(STATIC_PREFIX):
                return self._people.static(page.removeprefix(STATIC_PREFIX), request)
            case OwnPageRoute("metrics") if self.metrics is not None and self.metrics.admits(request):
                return await self.metrics.answer()
        reader = await self._admission.identify(request)
        try:
            self._admission.refuse_entry(reader)
            response = await self._read_as(reader, target, request)
        except SimpleIndexError as error:
            if isinstance(target, FileRoute):
                self._refused(error, target, request)
            refused = error_response(error)
            if refused is None:
                raise
            if isinstance(target, OwnPageRoute) and refused.status in _TELLING:
                return refused.for_this_reader()
            response = _naming_project(refused, target)
        # A refusal shows that the project exists, so no other site's page may read it either.
        return response if self._admission.is_shared(target, reader) else response.for_this_reader()

    async def _read_as(self, reader: Identity, target: Route | None, request: RequestInfo) -> Response:
        match target:
            case RootRoute() | ProjectRoute():
                if self._people is not None and self._people.shows(target, request):
                    return await self._people.answer(target, reader, request)
                source = self._admission.reading(reader, target.view)
                return await self.listings.answer(target, request, source)
            case ReleaseRoute() if self._people is not None and self._people.shows(target, request):
                return await self._people.answer(target, reader, request)
            case FileRoute(filename=filename) if filename == FEED and self._people is not None:
                return await self._people.answer(target, reader, request)
            case FileRoute(name, filename, view):
                if self._people is not None and (version := self._people.with_slash(target, request)):
                    return version
                if target.is_trial:
                    return await self._trial(target, reader, request)
                source = self._admission.reading(reader, view)
                return await self.files.answer(name, filename, request, source)
            case PypiJsonRoute(view=view):
                source = self._admission.reading(reader, view)
                return await self._pypi_json().answer(target, request, source)
            case RedirectRoute(location):
                return moved(301, relative_location(request.target, location))
            case UploadRoute():
                return upload_refused(("OPTIONS",) if self._changing is None else ("POST", "OPTIONS"))
            case OwnPageRoute():
                return await self._read_own_page(target, reader, request)
        raise NotHere("page")

    async def _read_own_page(self, target: OwnPageRoute, reader: Identity, request: RequestInfo) -> Response:
        """Answer a page below ``/-/`` that only those may read who may enter."""
        page, segment = target.name, first_segment(target)
        if self._people is not None and segment in self._people.own:
            return await self._people.answer(target, reader, request)
        if page.startswith(API_PREFIX) and self._changing is not None:
            return await self._changing.answer(request)
        if page.startswith(WHY_PREFIX):
            return await self._why().answer(page.removeprefix(WHY_PREFIX), reader, request)
        if self._downloads is not None and segment in DOWNLOAD_PAGES:
            return await self._downloads().answer(page, reader, request)
        if page == "metrics":
            if self.metrics is None:
                raise NotHere("page of metrics (it needs the extra metrics, and no --metrics-for off)")
            return await self.metrics.answer_reader(reader)
        if page == "docs" or page.startswith(DOCS_PREFIX):
            return document_response(page[len(DOCS_PREFIX) :], request)
        return await self._status.answer(page, request)

    async def _trial(self, target: FileRoute, reader: Identity, request: RequestInfo) -> Response:
        """Answer the request of a trial on this machine: a file as everywhere, which is not counted as a download."""
        if not request.is_local and not request.has_own_address:
            raise NotHere("page")
        source = self._admission.reading(reader, target.view)
        response = await self.files.answer(target.name, target.filename, request, source)
        if request.record is not None:
            request.record.download = None
        return response

    def _options(self, request: RequestInfo) -> Response:
        if self._changing is None:
            return Response(204, (("Allow", "OPTIONS"),)) if is_upload(request) else preflight(self.cors)
        # Nothing that changes is open to other sites' pages, so a browser's preflight allows reading only.
        return (
            Response(204, (("Allow", "POST, OPTIONS"),))
            if is_upload(request)
            else preflight(self.cors, "GET, HEAD, OPTIONS, POST, PUT")
        )


def acme_response(content: bytes | None) -> Response:
    """Answer a certificate authority's challenge."""
    if content is None:
        raise NotHere("challenge")
    return Response(
        200, (("Content-Type", "application/octet-stream"), ("Cache-Control", "no-store")), content
    )


def moved(status: int, location: str) -> Response:
    """Return a permanent redirect, which clients may keep (docs/protocol.md)."""
    response = sentence(status, f"It is at {location}")
    headers = tuple(item for item in response.headers if item[0] != "Cache-Control")
    return Response(
        status, (("Location", location), ("Vary", "Accept, Accept-Encoding"), *headers), response.body
    )


def _naming_project(refused: Response, target: Route | None) -> Response:
    """Let a refusal's page link to the explanation of the requested project."""
    if refused.problem is None or not isinstance(target, ProjectRoute | FileRoute):
        return refused
    is_of_file = isinstance(target, FileRoute)
    problem = replace(refused.problem, project=target.name, view=target.view, is_of_file=is_of_file)
    return replace(refused, problem=problem)
