"""The HTTP client for one upstream index: it parses listings, streams files, and turns every failure into one error.

It stores nothing between requests but connections and the links of the list of projects. Whatever the server does, a request ends in
bounded time and memory, with an answer or with :class:`~simpleindex.upstreams.errors.UpstreamFailed`.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.errors import NotHere
from simpleindex.system.clocks import wall_clock
from simpleindex.system.single_flight import SingleFlight
from simpleindex.upstreams.errors import InvalidUpstreamPage, UpstreamFailed
from simpleindex.upstreams.http.file_requests import FileRequests
from simpleindex.upstreams.http.logins import FixedLogin
from simpleindex.upstreams.http.page_requests import PageRequests
from simpleindex.upstreams.http.requests import UpstreamRequests
from simpleindex.upstreams.interface import Listing, Validators
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME
from simpleindex.upstreams.pages.project_parser import parse_flat, parse_project
from simpleindex.upstreams.pages.roots import UpstreamRoot, parse_root
from simpleindex.upstreams.pages.signed_urls import seconds_left, shorter

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IAgent

    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.system.operation_times import OperationTimes
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.client_options import ClientOptions
    from simpleindex.upstreams.http.file_streams import HttpStream
    from simpleindex.upstreams.http.logins import Login
    from simpleindex.upstreams.http.page_requests import UpstreamPage
    from simpleindex.upstreams.pages.urls import HostPolicy

_PARSED_HERE: Final = 64 * 1024
"""Bytes; a page up to this size is parsed within some milliseconds, a larger one in a thread."""

_ROOT_SECONDS: Final = 3600.0
"""Seconds for which the links in the list of projects are fresh."""

_ROOT_RETRY_SECONDS: Final = 60.0
"""Seconds after which the list of projects is requested again if that failed."""


class HttpUpstream:
    """An upstream index.

    Its project :data:`~simpleindex.upstreams.pages.flat.FLAT_PAGE_NAME` is the page at its URL itself, with the files of many projects.

    Args:
        host_policy: Its URL, and where its links and redirects may lead.
        agent: Requests one URL without following redirects; an :class:`~simpleindex.upstreams.http.agent.OutgoingAgent` with the
            same policy.
        clock: For timeouts.
        threads: For pages that take long to parse.
        options: Its name, timeouts, and how its answers are read.
        login: The credentials for the upstream's own origin; they are sent nowhere else.
    """

    def __init__(
        self,
        host_policy: HostPolicy,
        agent: IAgent,
        clock: IReactorTime,
        threads: Threads,
        *,
        options: ClientOptions,
        login: Login | None = None,
    ) -> None:
        self._host_policy = host_policy
        self._clock = clock
        self._now = wall_clock(clock)
        self._threads = threads
        self._name = options.name
        self._limits = options.limits
        self._missing = options.missing
        self._lists = options.lists
        self._root = UpstreamRoot()
        self._root_until = 0.0
        self._flights = SingleFlight()
        requests = UpstreamRequests(host_policy, agent, clock, login or FixedLogin(), options)
        self._requests = requests
        self._failed = requests.failed
        self._pages = PageRequests(requests, clock, options)
        self._files = FileRequests(requests, clock, options)

    @property
    def name(self) -> str:
        """Its name in the sources file."""
        return self._name

    def measure(self, times: OperationTimes) -> None:
        """Measure requests from now on."""
        self._requests.times = times

    async def projects(self) -> tuple[ProjectName, ...]:
        """Return the names of its projects."""
        page = await self._pages.get(self._host_policy.url, Validators(), self._limits.projects_bytes)
        if page is None:
            raise self._failed("it has no index at its URL")
        self._root = await self._parsed(page, parse_root, page.content_type, page.body, page.url)
        self._root_until = self._clock.seconds() + _ROOT_SECONDS
        return self._root.names

    async def project(self, name: ProjectName, validators: Validators | None) -> Listing | None:
        """Return the listing of a project; None if it has not changed."""
        validators = validators or Validators()
        if name == FLAT_PAGE_NAME:
            return await self._flat_page(validators)
        size = self._limits.project_bytes
        url = f"{self._host_policy.url}{name}/"
        page = await self._pages.get(url, validators, size, missing=self._missing)
        if page is None and (place := await self._place_of(name)) is not None:
            page = await self._pages.get(place, validators, size, missing=self._missing)
        if page is None:
            raise NotHere(f"project {name}")
        return await self._listing(page, partial(parse_project, name=name))

    async def _flat_page(self, validators: Validators) -> Listing | None:
        page = await self._pages.get(self._host_policy.url, validators, self._limits.flat_bytes)
        if page is None:
            # It may list any project.
            raise self._failed("it has no page at its URL")
        return await self._listing(page, parse_flat)

    async def _listing(self, page: UpstreamPage, parse: Callable[..., Project]) -> Listing | None:
        if page.is_unchanged:
            return None
        project = await self._parsed(page, parse, page.content_type, page.body, page.url, source=self._name)
        signed_for = seconds_left((file.url for file in project.files), self._now())
        return Listing(project, page.validators, shorter(page.fresh_for, signed_for))

    async def _place_of(self, name: ProjectName) -> str | None:
        """Return the URL of a project's page as the list of projects links it, if installers do not find it at the usual URL."""
        if not self._lists:
            return None
        if self._clock.seconds() >= self._root_until:
            with suppress(UpstreamFailed):
                await self._flights.run("root", self._read_root)
        return self._root.places.get(name)

    async def _read_root(self) -> None:
        try:
            await self.projects()
        except UpstreamFailed:
            self._root_until = self._clock.seconds() + _ROOT_RETRY_SECONDS
            raise

    async def open(
        self, url: str, offset: int = 0, validators: Validators | None = None, *, size: int | None = None
    ) -> HttpStream:
        """Begin to fetch a file or the rest of one."""
        return await self._files.open(url, offset, validators, size=size)

    async def modified(self, url: str) -> int | None:
        """Return when a file was last modified, nanoseconds since 1970; None if that is not stated."""
        return await self._files.modified(url)

    async def _parsed(
        self, page: UpstreamPage, parse: Callable[..., Any], *arguments: Any, **further: Any
    ) -> Any:
        try:
            if len(page.body) <= _PARSED_HERE:
                return parse(*arguments, **further)
            return await self._threads.run(parse, *arguments, **further)
        except InvalidUpstreamPage as error:
            raise self._failed(str(error)) from None
