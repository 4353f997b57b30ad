"""Composition of each page for people; imported when one is first requested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.access.identity import ANYONE, Action
from simpleindex.archives.distribution_reader import DistributionReader
from simpleindex.records.audit.audited_uploads import AuditedUploads
from simpleindex.web.downloads.history import DownloadHistory
from simpleindex.web.downloads.rights import DownloadRights, ReadableDownloads
from simpleindex.web.people.front_page import FrontPage, UpstreamsBehind
from simpleindex.web.people.guide_page import GuidePage
from simpleindex.web.people.index_address import address_of_view
from simpleindex.web.people.program_pages import BadgePage, FeedPage, SearchJson
from simpleindex.web.people.project.difference_page import DifferencePage
from simpleindex.web.people.project.inside_page import InsidePage
from simpleindex.web.people.project.project_page import NO_UPLOADS, NONE_CACHED, PageServices, ProjectPage
from simpleindex.web.people.setup_page import SetupPage
from simpleindex.web.people.status_page import StatusPage
from simpleindex.web.people.why_page import WhyPage
from simpleindex.web.routing.routes import FEED, OwnPageRoute
from simpleindex.web.why import WhyPages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.records.audit.audited_uploads import UploadNote
    from simpleindex.service.composition.people_parts import PeopleParts
    from simpleindex.web.people.index_address import IndexAddress
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.pages import PeoplePage
    from simpleindex.web.people.renderer import PageRenderer


@dataclass(frozen=True)
class ComposedPages:
    """The pages.

    Attributes:
        front: The page of a view, and of searches in it.
        project: The pages of projects and of their versions.
        own: The pages below ``/-/``, by the first segment behind it.
    """

    front: PeoplePage
    project: PeoplePage
    own: Mapping[str, PeoplePage]


def compose_pages(parts: PeopleParts, renderer: PageRenderer) -> ComposedPages:
    """Create the pages."""
    return _Composition(parts, renderer).pages()


class _Composition:
    def __init__(self, parts: PeopleParts, renderer: PageRenderer) -> None:
        self._parts = parts
        self._renderer = renderer
        self._audited = _audited_uploads(parts)

    def pages(self) -> ComposedPages:
        services = self._services()
        return ComposedPages(self._front_page(), ProjectPage(services), self._own_pages(services))

    def _services(self) -> PageServices:
        return PageServices(
            renderer=self._renderer,
            reader=DistributionReader(self._parts.runtime.examination, self._parts.runtime.threads.looks),
            threads=self._parts.runtime.threads.pages,
            address=self._address,
            fronts_upstreams=lambda view: bool(self._parts.sources.unlisted.get(view)),
            may_have=lambda request, name: self._parts.sources.may_offer(request.view, name),
            search=self._parts.search.search,
            seconds=self._parts.runtime.reactor.seconds,
            uploads=self._uploads,
            cached_files=self._cached_files,
            downloads=self._downloads().of,
        )

    def _downloads(self) -> DownloadHistory:
        rights, threads = DownloadRights(self._parts.admission), self._parts.runtime.threads.reads
        return DownloadHistory(
            ReadableDownloads(rights, self._parts.runtime.downloads, threads, self._parts.runtime.current)
        )

    def _own_pages(self, services: PageServices) -> dict[str, PeoplePage]:
        search = self._parts.search.search
        return {
            "setup": SetupPage(services),
            "inside": InsidePage(services),
            "diff": DifferencePage(services),
            "search.json": SearchJson(search, self._parts.sources.unlisted),
            FEED: FeedPage(
                search, lambda: self._renderer.site.title, lambda: self._parts.listings.base_url or None
            ),
            "badge": BadgePage(),
            "status": StatusPage(services, self._parts.status),
            "docs": GuidePage(services),
            "why": WhyPage(services, WhyPages(self._parts.admission, self._parts.sources.explain)),
        }

    def _front_page(self) -> FrontPage:
        return FrontPage(
            self._renderer,
            self._parts.search.search,
            self._parts.runtime.threads.reads,
            notice=lambda: self._parts.runtime.current().notice,
            upstreams=UpstreamsBehind(self._parts.sources.unlisted, self._parts.admission.readable),
            seconds=self._parts.runtime.reactor.seconds,
        )

    def _address(self, request: PageRequest) -> IndexAddress:
        admission, listings = self._parts.admission, self._parts.listings
        # Who has logged in sets up tools for private projects too.
        may_read_more = (
            isinstance(request.route, OwnPageRoute)
            and request.reader.authenticated
            and not admission.access.everything_public
        )
        return address_of_view(
            listings.base_url or "",
            request.view,
            takes_uploads=self._parts.logins is not None,
            has_private_ca=listings.description.has_private_ca,
            needs_login=not admission.is_shared(request.route, ANYONE) or may_read_more,
            has_public_packages=bool(self._parts.sources.unlisted.get(request.view)),
        )

    def _cached_files(self, name: ProjectName, files: Sequence[File]) -> Mapping[str, bool]:
        upstreams = self._parts.sources.upstreams
        return NONE_CACHED if upstreams is None else upstreams.cached_files(name, files)

    async def _uploads(self, request: PageRequest, name: ProjectName) -> Mapping[str, UploadNote]:
        """Return who uploaded what, for those who administer the project."""
        if self._audited is None or not request.reader.authenticated:
            return NO_UPLOADS
        decision = self._parts.admission.decide(request.reader, Action.ADMIN, name, exists=True)
        if not decision.allowed:
            return NO_UPLOADS
        return await self._parts.runtime.threads.reads.run(self._audited.of, name)


def _audited_uploads(parts: PeopleParts) -> AuditedUploads | None:
    """Return the uploads in the audit; None where nobody can log in to see them."""
    if parts.logins is None:
        return None
    sharing = parts.runtime.audit_sharing
    return AuditedUploads(parts.logins.audit.path, None if sharing is None else sharing.shared.lines)
