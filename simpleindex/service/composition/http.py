"""Composition of what is served over HTTP: pages, files, status, changes, and the redirect to HTTPS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from simpleindex.core.addresses import is_within
from simpleindex.service.directory_report import readiness_of, report_of
from simpleindex.service.fast_lane import open_fast_lane
from simpleindex.web.acme_challenges import read_challenge
from simpleindex.web.admission import open_admission
from simpleindex.web.downloads.rights import DownloadRights
from simpleindex.web.files import FileResponses
from simpleindex.web.http.site import IndexSite
from simpleindex.web.listings import Listings
from simpleindex.web.pages.negotiation import available_encodings
from simpleindex.web.pages.notes import IndexDescription
from simpleindex.web.prepared_lists import PreparedLists
from simpleindex.web.refused_log import RefusedDownloads
from simpleindex.web.resource import IndexParts, IndexResource
from simpleindex.web.routing.https_redirect import RedirectResource
from simpleindex.web.status.status import StatusPages

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.service.composition.logins import Logins
    from simpleindex.service.composition.search import ComposedSearch
    from simpleindex.service.composition.sources import ComposedSources
    from simpleindex.service.runtime import Runtime
    from simpleindex.system.troubles import Troubles
    from simpleindex.tls.security import Security
    from simpleindex.web.admission import Admission
    from simpleindex.web.downloads.pages import DownloadPages
    from simpleindex.web.people.pages import PeoplePages
    from simpleindex.web.publish.dispatch import PublishingDispatcher
    from simpleindex.web.pypi_json import PypiJson
    from simpleindex.web.why import WhyPages


@dataclass(frozen=True)
class HttpParts:
    """The parts that answer HTTP.

    Attributes:
        redirect: The resource of plain HTTP beside HTTPS.
        site: Serves ``resource``.
        redirect_site: Serves ``redirect``.
        people: The pages for people; None without the extra ``pages``.
        admission: Decides who reads what.
        refused: Records refused downloads.
        status: The pages below ``/-/``.
        recover: Repairs what crashed uploads left, and returns a sentence for each; None if nothing can be uploaded.
    """

    listings: Listings
    files: FileResponses
    resource: IndexResource
    redirect: RedirectResource
    site: IndexSite
    redirect_site: IndexSite
    people: PeoplePages | None
    admission: Admission
    refused: RefusedDownloads
    status: StatusPages
    recover: Callable[[], list[str]] | None

    @property
    def sites(self) -> tuple[IndexSite, IndexSite]:
        """Both sites."""
        return self.site, self.redirect_site


def compose_http(
    runtime: Runtime,
    security: Security | None,
    sources: ComposedSources,
    logins: Logins | None,
    troubles: Troubles,
    search: ComposedSearch | None,
) -> HttpParts:
    """Create the sites.

    Args:
        runtime: What all parts share.
        security: The certificates; None without ``--https``.
        sources: What is served.
        logins: Users and rights; None if nobody can log in.
        troubles: The machine's troubles, for ``/-/status``.
        search: The search; None without the extra ``pages``.
    """
    settings = runtime.settings
    admission = open_admission(sources.views) if logins is None else logins.admission
    listings = Listings(
        admission.public,
        base_url=settings.url,
        encodings=available_encodings(),
        cache_size=settings.page_cache,
        prepared=PreparedLists(runtime.threads.reads, str(settings.cache / "lists")),
        description=_description(security, sources, has_people_pages=search is not None),
    )
    files = FileResponses(immutable=settings.immutable_files)
    status = _status_pages(security, sources, troubles)
    people = _people(runtime, sources, logins, listings, search, status)
    recover, changes = _changes(runtime, sources, logins, listings, people)
    refused = RefusedDownloads(runtime.reactor.seconds, logins.audit.record if logins else None)
    challenge = _acme_challenge(runtime, security)
    resource = IndexResource(
        IndexParts(
            listings,
            files,
            status,
            _why_pages(admission, sources),
            _pypi_json(runtime, sources, listings),
            changes,
            people,
            _download_pages(runtime, admission),
        ),
        admission,
        acme_challenge=challenge,
        refused=refused,
        trusted=settings.trusted_proxy,
        cors=settings.cors,
    )
    redirect = RedirectResource("", challenge, cors=settings.cors)
    site, redirect_site = _site(runtime, resource), _site(runtime, redirect)
    open_fast_lane(site, listings, people, resource.also)
    site.bodies, site.refusal = changes, resource.presented
    return HttpParts(
        listings, files, resource, redirect, site, redirect_site, people, admission, refused, status, recover
    )


def _changes(
    runtime: Runtime,
    sources: ComposedSources,
    logins: Logins | None,
    listings: Listings,
    people: PeoplePages | None,
) -> tuple[Callable[[], list[str]] | None, PublishingDispatcher | None]:
    if logins is None:
        return None, None
    from simpleindex.service.composition.publishing import compose_publishing  # noqa: PLC0415  (reading needs none of it)

    forms = {} if people is None else people.forms
    return compose_publishing(runtime, sources.directories[0], logins, lambda: listings.base_url, forms)


def _people(
    runtime: Runtime,
    sources: ComposedSources,
    logins: Logins | None,
    listings: Listings,
    search: ComposedSearch | None,
    status: StatusPages,
) -> PeoplePages | None:
    if search is None:
        return None
    from simpleindex.service.composition.people import compose_people  # noqa: PLC0415  (tools need none of it)
    from simpleindex.service.composition.people_parts import PeopleParts  # noqa: PLC0415  (the same)

    return compose_people(PeopleParts(runtime, sources, logins, listings, search, status))


def _why_pages(admission: Admission, sources: ComposedSources) -> Callable[[], WhyPages]:
    @cache
    def composed() -> WhyPages:
        from simpleindex.web.why import WhyPages  # noqa: PLC0415  (installers need none of it)

        return WhyPages(admission, sources.explain)

    return composed


def _pypi_json(runtime: Runtime, sources: ComposedSources, listings: Listings) -> Callable[[], PypiJson]:
    @cache
    def composed() -> PypiJson:
        from simpleindex.service.composition.pypi_json import compose_pypi_json  # noqa: PLC0415  (installers need none of it)

        return compose_pypi_json(runtime, sources, listings)

    return composed


def _download_pages(runtime: Runtime, admission: Admission) -> Callable[[], DownloadPages]:
    @cache
    def composed() -> DownloadPages:
        from simpleindex.web.downloads.pages import DownloadPages  # noqa: PLC0415  (installers need none of it)
        from simpleindex.web.downloads.rights import ReadableDownloads  # noqa: PLC0415

        rights, threads = DownloadRights(admission), runtime.threads.reads
        return DownloadPages(ReadableDownloads(rights, runtime.downloads, threads, runtime.current))

    return composed


def _description(
    security: Security | None, sources: ComposedSources, *, has_people_pages: bool
) -> IndexDescription:
    return IndexDescription(
        has_private_ca=security is not None and security.certificates.clients_need_ca,
        unlisted=sources.unlisted,
        views=tuple(sources.views),
        has_people_pages=has_people_pages,
    )


def _status_pages(security: Security | None, sources: ComposedSources, troubles: Troubles) -> StatusPages:
    return StatusPages(
        lambda: report_of(sources.directories),
        lambda: readiness_of(sources.directories),
        lambda: security.certificates.ca_pem if security else None,
        troubles.shown,
    )


def _acme_challenge(runtime: Runtime, security: Security | None) -> Callable[[str], bytes | None]:
    acme = None if security is None else security.acme

    def challenge(token: str) -> bytes | None:
        if acme is not None and (answer := acme.key_authorization(token)) is not None:
            return answer
        webroot = runtime.current().acme_webroot
        return read_challenge(None if webroot is None else str(webroot), token)

    return challenge


def _site(runtime: Runtime, resource: IndexResource | RedirectResource) -> IndexSite:
    return IndexSite(
        resource,
        runtime.reactor,
        max_connections_per_address=runtime.settings.max_connections_per_address,
        exempt=lambda host: is_within(host, runtime.current().trusted_proxy),
    )
