"""Composition of the pages for people; imported only with the extra ``pages``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.access.identity import ANYONE, Action
from simpleindex.archives.distribution_reader import DistributionReader
from simpleindex.core.views import MAIN_VIEW
from simpleindex.records.audit_reading import uploads_of
from simpleindex.service.composition.account import AccountPages, compose_account
from simpleindex.web.admission import open_admission
from simpleindex.web.downloads.history import DownloadHistory
from simpleindex.web.downloads.readable import ReadableDownloads
from simpleindex.web.downloads.rights import DownloadRights
from simpleindex.web.pages.negotiation import available_encodings
from simpleindex.web.people.front_page import FrontPage
from simpleindex.web.people.pages import PeoplePages
from simpleindex.web.people.program_pages import BadgePage, FeedPage, SearchJson
from simpleindex.web.people.project.difference_page import DifferencePage
from simpleindex.web.people.project.inside_page import InsidePage
from simpleindex.web.people.project.project_page import PageServices, ProjectPage
from simpleindex.web.people.renderer import PageRenderer, SiteDescription
from simpleindex.web.people.setup_page import SetupPage
from simpleindex.web.people.status_page import StatusPage
from simpleindex.web.people.tool_settings import IndexAddress
from simpleindex.web.people.why_page import WhyPage
from simpleindex.web.routes import FEED
from simpleindex.web.why import WhyPages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.records.audit_reading import UploadNote
    from simpleindex.service.composition.logins import Logins
    from simpleindex.service.composition.search import ComposedSearch
    from simpleindex.service.composition.sources import ComposedSources
    from simpleindex.service.runtime import Runtime
    from simpleindex.web.admission import Admission
    from simpleindex.web.listings import Listings
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.pages import PeoplePage
    from simpleindex.web.status import StatusPages

_RENDERED_BYTES = 16 * 1024 * 1024
"""Rendered pages that are kept; a project's has some 20 KiB compressed."""


def compose_pages(
    runtime: Runtime,
    sources: ComposedSources,
    logins: Logins | None,
    listings: Listings,
    search: ComposedSearch,
    status: StatusPages,
) -> PeoplePages:
    """Create the pages.

    Args:
        runtime: What all parts share.
        sources: What is served.
        logins: Users and rights; None if nobody can log in.
        listings: The simple pages, which know the URL of the index.
        search: The search.
        status: The status as JSON.
    """
    return _Composition(runtime, sources, logins, listings, search, status).pages()


@dataclass(frozen=True)
class _Composition:
    """The parts that pages are made of; attributes are the arguments of :func:`compose_pages`."""

    runtime: Runtime
    sources: ComposedSources
    logins: Logins | None
    listings: Listings
    search: ComposedSearch
    status: StatusPages

    @property
    def admission(self) -> Admission:
        """The decision about who reads what."""
        return open_admission(self.sources.views) if self.logins is None else self.logins.admission

    def pages(self) -> PeoplePages:
        renderer = self._renderer()
        services = self._services(renderer)
        account = self._account(renderer)
        return PeoplePages(
            renderer,
            self.admission,
            self._front_page(renderer),
            ProjectPage(services),
            {**self._own_pages(renderer, services), **account.pages},
            account.forms,
        )

    def _renderer(self) -> PageRenderer:
        title, views = self.runtime.settings.title, tuple(self.sources.views)
        site = SiteDescription(title, views, can_log_in=self.logins is not None)
        return PageRenderer(available_encodings(), self.runtime.threads.reads, _RENDERED_BYTES, site)

    def _services(self, renderer: PageRenderer) -> PageServices:
        return PageServices(
            renderer=renderer,
            reader=DistributionReader(self.runtime.examination, self.runtime.threads.wheels),
            threads=self.runtime.threads.reads,
            address=self._address,
            fronts_upstreams=lambda view: bool(self.sources.unlisted.get(view)),
            search=self.search.search,
            uploads=self._uploads,
            cached_files=self._cached_files,
            downloads=self._downloads().of,
        )

    def _downloads(self) -> DownloadHistory:
        rights, threads = DownloadRights(self.admission), self.runtime.threads.reads
        return DownloadHistory(
            ReadableDownloads(rights, self.runtime.downloads, threads, self.runtime.current)
        )

    def _own_pages(self, renderer: PageRenderer, services: PageServices) -> dict[str, PeoplePage]:
        search = self.search.search
        return {
            "setup": SetupPage(services),
            "inside": InsidePage(services),
            "diff": DifferencePage(services),
            "search.json": SearchJson(search),
            FEED: FeedPage(search, lambda: renderer.site.title, lambda: self.listings.base_url or None),
            "badge": BadgePage(),
            "status": StatusPage(services, self.status),
            "why": WhyPage(services, WhyPages(self.admission, self.sources.explain)),
        }

    def _account(self, renderer: PageRenderer) -> AccountPages:
        if self.logins is None:
            return AccountPages({}, {})
        return compose_account(self.runtime, self.logins, renderer, lambda: self.listings.base_url)

    def _front_page(self, renderer: PageRenderer) -> FrontPage:
        return FrontPage(
            renderer,
            self.search.search,
            self.runtime.threads.reads,
            notice=lambda: self.runtime.current().notice,
            upstreams=self.sources.unlisted,
            seconds=self.runtime.reactor.seconds,
        )

    def _address(self, request: PageRequest) -> IndexAddress:
        base = self.listings.base_url or ""
        is_main = request.view == MAIN_VIEW
        return IndexAddress(
            base if is_main else f"{base}{request.view}/",
            upload_url=f"{base}legacy/" if self.logins is not None and is_main else None,
            ca_url=f"{base}-/ca.pem" if self.listings.description.has_private_ca else None,
            needs_login=not self.admission.is_shared(request.route, ANYONE),
        )

    def _cached_files(self, name: ProjectName, files: Sequence[File]) -> dict[str, bool]:
        upstreams = self.sources.upstreams
        return {} if upstreams is None else upstreams.cached_files(name, files)

    async def _uploads(self, request: PageRequest, name: ProjectName) -> Mapping[str, UploadNote]:
        """Return who uploaded what, for those who administer the project."""
        decision = self.admission.decide(request.reader, Action.ADMIN, name, exists=True)
        if self.logins is None or not decision.allowed:
            return {}
        sharing = self.runtime.audit_sharing
        shared = None if sharing is None else sharing.shared.lines
        return await self.runtime.threads.reads.run(uploads_of, self.logins.audit.path, name, shared)
