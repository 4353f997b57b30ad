"""Which page stands at which address: the front, the projects, and pages below ``/-/``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from packaging.version import InvalidVersion

from simpleindex.access.identity import ANYONE
from simpleindex.core.errors import NotHere, SimpleIndexError
from simpleindex.core.near_names import near_names
from simpleindex.core.parsing.version_texts import parse_version
from simpleindex.core.stepping import WorkInProgress
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.http.response import Response, sentence
from simpleindex.web.pages.negotiation import names_representation
from simpleindex.web.people.account.login_page import is_login
from simpleindex.web.people.navigation import is_navigation
from simpleindex.web.people.page_request import PageRequest, query_of
from simpleindex.web.routing.routes import (
    FEED,
    FileRoute,
    OwnPageRoute,
    ProjectRoute,
    RootRoute,
    first_segment,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from simpleindex.access.identity import Identity
    from simpleindex.core.source import Source
    from simpleindex.web.admission import Admission
    from simpleindex.web.http.response import OwnPageChanges, RequestInfo
    from simpleindex.web.people.page_request import PageForm, PageRoute
    from simpleindex.web.people.renderer import PageRenderer
    from simpleindex.web.routing.routes import ReleaseRoute

    ViewRoute = RootRoute | ProjectRoute | ReleaseRoute


class PeoplePage(Protocol):
    """Answers the requests for one kind of page."""

    def answer(self, request: PageRequest) -> Coroutine[Any, Any, Response]:
        """Return the page.

        Raises:
            SimpleIndexError: The page, or what it shows, is not here, or the reader may not read it.
        """
        ...


class LatePage:
    """A page that is made when it is requested."""

    def __init__(self, made: Callable[[], PeoplePage]) -> None:
        self._made = made

    def answer(self, request: PageRequest) -> Coroutine[Any, Any, Response]:
        """Return the answer of the page."""
        return self._made().answer(request)


@dataclass(frozen=True)
class PeoplePages:
    """The pages for people.

    Attributes:
        renderer: Returns what renders their templates; only who reads a page pays for it.
        admission: Decides who reads what.
        front: The page of a view, and of searches in it; None where the simple page is shown.
        project: The pages of projects and of their versions.
        own: The pages below ``/-/``, by the first segment behind it; tools get them as well. One of them is the feed, which also
            answers for single projects.
        forms: Take the forms that such pages send, by the same segment.
    """

    renderer: Callable[[], PageRenderer]
    admission: Admission
    front: PeoplePage | None
    project: PeoplePage
    own: Mapping[str, PeoplePage] = field(default_factory=dict)
    forms: Mapping[str, OwnPageChanges] = field(default_factory=dict)
    _in_progress: WorkInProgress[Response] = field(default_factory=WorkInProgress, init=False)

    def shows(self, route: PageRoute, info: RequestInfo) -> bool:
        """Tell whether a request gets a page for people, and not the simple page."""
        if isinstance(route, RootRoute) and self.front is None and not self._is_login(info):
            return False
        if isinstance(route, RootRoute | ProjectRoute) and route.is_simple:
            return False
        return is_navigation(info.method, info.header) and not (
            b"format=" in info.target and names_representation(query_of(info).get("format", [""])[-1])
        )

    def choose(self, header: Callable[[str], str | None]) -> PageForm | None:
        """Return the form in which the sender of a GET gets pages; None for who gets the simple pages.

        Args:
            header: Returns a field's value by its name in lower case, or None.
        """
        return self.renderer().choose(header) if is_navigation("GET", header) else None

    def begin(self, route: ViewRoute, info: RequestInfo, form: PageForm) -> Response | None:
        """Return the page for an anonymous request that is not parsed yet, or None if it has to be waited for.

        An answer that has to wait is continued by :meth:`answer` for the same request, which must follow in the same turn
        of the reactor; :meth:`drop_started` comes after that.

        Args:
            route: An address at which there are pages for people, of a target without a query.
            info: The request.
            form: Chosen by :meth:`choose`.

        Raises:
            SimpleIndexError: As :meth:`answer`, if that is known at once.
        """
        page = self.front if route.name is None else self.project
        if page is None:
            return None
        self.admission.refuse_entry(ANYONE)
        request = PageRequest(route, info, ANYONE, self.admission.public[route.view], route.view, form)
        return self._in_progress.begin((route, info.target), page.answer(request))

    def drop_started(self) -> None:
        """Drop an answer that was started, if nothing has continued it."""
        self._in_progress.drop()

    def with_slash(self, route: FileRoute, info: RequestInfo) -> Response | None:
        """Return a redirect for a person who typed a version's address without its slash, which is that of a file; else None."""
        if route.filename[0] not in "0123456789v" or not is_navigation(info.method, info.header):
            return None
        try:
            parse_version(route.filename)
        except InvalidVersion:
            return None
        # To tools there is nothing at this address, so no cache may keep it.
        headers = (("Location", f"./{quote(route.filename)}/"), ("Cache-Control", "no-store"))
        return Response(302, headers)

    async def answer(self, route: PageRoute, reader: Identity, info: RequestInfo) -> Response:
        """Return the page at an address.

        Raises:
            SimpleIndexError: As :meth:`PeoplePage.answer`.
        """
        if isinstance(route, OwnPageRoute):
            page = self.own[first_segment(route)]
            view = query_of(info).get("view", [MAIN_VIEW])[-1]
            if view not in self.admission.public:
                raise NotHere("view")
        else:
            page, view = self._page_of_view(route, info), route.view
        source = self.admission.reading(reader, view)
        started = self._in_progress.take((route, info.target)) if reader is ANYONE else None
        try:
            if started is not None:
                return await started.rest()
            return await page.answer(PageRequest(route, info, reader, source, view))
        except NotHere as error:
            if not isinstance(route, ProjectRoute):
                raise
            return await _missing(error, route, source)

    def _page_of_view(
        self, route: RootRoute | ProjectRoute | ReleaseRoute | FileRoute, info: RequestInfo
    ) -> PeoplePage:
        match route:
            case RootRoute() if self._is_login(info):
                return self.own["login"]
            case RootRoute() if self.front is not None:
                return self.front
            case FileRoute():
                return self.own[FEED]
        return self.project

    def _is_login(self, info: RequestInfo) -> bool:
        return "login" in self.own and is_login(info)

    def static(self, name: str, info: RequestInfo) -> Response:
        """Return a file of ``/-/static/``.

        Raises:
            NotHere: There is no such file.
        """
        from simpleindex.web.people.static_files import static_response  # noqa: PLC0415  (only people get them)

        return static_response(name, info)

    def problem(self, response: Response, info: RequestInfo) -> Response:
        """Return a refusal as the request's reader gets it: a page for people, or the response as it is for tools."""
        if response.problem is None or not is_navigation(info.method, info.header):
            return response
        return self.renderer().problem(response, response.problem, info)


async def _missing(error: NotHere, route: ProjectRoute, source: Source) -> Response:
    """Return the refusal of a project that is not here, with the names of that reader's list that were probably meant."""
    refused = sentence(404, str(error))
    assert refused.problem is not None  # sentence makes one
    try:
        near = near_names(route.name, (await source.projects()).names)
    except SimpleIndexError:
        near = ()
    problem = replace(refused.problem, project=route.name, view=route.view, near=near)
    return replace(refused, problem=problem)
