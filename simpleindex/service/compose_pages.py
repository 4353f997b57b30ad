"""Composition of the pages for people; imported only with the extra ``pages``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.access.identity import ANYONE, Action
from simpleindex.archives.distribution_reader import DistributionReader
from simpleindex.core.views import MAIN_VIEW
from simpleindex.records.audit_reading import uploads_of
from simpleindex.web.pages.negotiation import available_encodings
from simpleindex.web.people.difference_page import DifferencePage
from simpleindex.web.people.front_page import FrontPage
from simpleindex.web.people.inside_page import InsidePage
from simpleindex.web.people.pages import PeoplePages
from simpleindex.web.people.program_pages import BadgePage, FeedPage, SearchJson
from simpleindex.web.people.project_page import PageServices, ProjectPage
from simpleindex.web.people.renderer import PageRenderer, SiteDescription
from simpleindex.web.people.setup_page import SetupPage
from simpleindex.web.people.tool_settings import IndexAddress
from simpleindex.web.people.why_page import WhyPage
from simpleindex.web.routes import FEED
from simpleindex.web.why import WhyPages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.records.audit_reading import UploadNote
    from simpleindex.search.search import Search
    from simpleindex.service.compose_logins import Logins
    from simpleindex.service.compose_search import ComposedSearch
    from simpleindex.service.composed_sources import ComposedSources
    from simpleindex.service.runtime import Runtime
    from simpleindex.web.admission import Admission
    from simpleindex.web.listings import Listings
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.pages import PeoplePage

_RENDERED_BYTES = 16 * 1024 * 1024
"""Rendered pages that are kept; a project's has some 20 KiB compressed."""


def compose_pages(
    runtime: Runtime,
    sources: ComposedSources,
    logins: Logins | None,
    admission: Admission,
    listings: Listings,
    search: ComposedSearch,
) -> PeoplePages:
    """Create the pages.

    Args:
        runtime: What all parts share.
        sources: What is served.
        logins: Users and rights; None if nobody can log in.
        admission: Decides who reads what.
        listings: The simple pages, which know the URL of the index.
        search: The search.
    """
    site = SiteDescription(runtime.settings.title, tuple(sources.views), can_log_in=logins is not None)
    renderer = PageRenderer(available_encodings(), runtime.threads.reads, _RENDERED_BYTES, site)

    def address(request: PageRequest) -> IndexAddress:
        base = listings.base_url or ""
        is_main = request.view == MAIN_VIEW
        return IndexAddress(
            base if is_main else f"{base}{request.view}/",
            upload_url=f"{base}legacy/" if logins is not None and is_main else None,
            ca_url=f"{base}-/ca.pem" if listings.description.has_private_ca else None,
            needs_login=not admission.is_shared(request.route, ANYONE),
        )

    async def uploads(request: PageRequest, name: ProjectName) -> Mapping[str, UploadNote]:
        """Return who uploaded what, for those who administer the project."""
        if logins is None or not admission.decide(request.reader, Action.ADMIN, name, exists=True).allowed:
            return {}
        return await runtime.threads.reads.run(uploads_of, logins.audit.path, name)

    services = PageServices(
        renderer=renderer,
        reader=DistributionReader(runtime.examination, runtime.threads.wheels),
        threads=runtime.threads.reads,
        address=address,
        fronts_upstreams=lambda view: bool(sources.unlisted.get(view)),
        search=search.search,
        uploads=uploads,
    )
    own: dict[str, PeoplePage] = {
        "setup": SetupPage(services),
        "inside": InsidePage(services),
        "diff": DifferencePage(services),
        "search.json": SearchJson(search.search),
        FEED: FeedPage(search.search, lambda: renderer.site.title, lambda: listings.base_url or None),
        "badge": BadgePage(),
        "why": WhyPage(services, WhyPages(admission, sources.explain)),
    }
    return PeoplePages(
        renderer,
        admission,
        front=_front_page(runtime, sources, renderer, search.search),
        project=ProjectPage(services),
        own=own,
    )


def _front_page(
    runtime: Runtime, sources: ComposedSources, renderer: PageRenderer, search: Search
) -> FrontPage:
    return FrontPage(
        renderer,
        search,
        runtime.threads.reads,
        notice=lambda: runtime.current().notice,
        upstreams=sources.unlisted,
        seconds=runtime.reactor.seconds,
    )
