"""The composition root: every real object is made and put together here, and nowhere else.

Read :func:`compose` as a picture: directories -> sources -> views -> pages and files -> HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from simpleindex.archives.examination.pool import core_count, open_examination
from simpleindex.core.addresses import is_within
from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.views import LOCAL, MAIN_VIEW
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.first_seen import FirstSeen
from simpleindex.records.used_names import UsedNames
from simpleindex.service.compose_directory import OwnDirectory
from simpleindex.service.ending import THREAD_SECONDS, Patience, bound_joins
from simpleindex.service.fast_lane import open_fast_lane
from simpleindex.service.idle_processes import IdleProcesses
from simpleindex.service.places import own_directory, refuse_unreadable
from simpleindex.service.report import readiness_of, report_of
from simpleindex.system.threads import Threads
from simpleindex.tls.security import Security
from simpleindex.upstreams.fetching.wheel_examiner import WheelExaminer
from simpleindex.views.explain import SourceNote, what_is_there
from simpleindex.web.acme import read_challenge
from simpleindex.web.admission import open_admission
from simpleindex.web.files import FileResponses
from simpleindex.web.http.site import IndexSite
from simpleindex.web.https_redirect import RedirectResource
from simpleindex.web.listings import Listings, available_encodings
from simpleindex.web.pages.notes import IndexDescription
from simpleindex.web.refused_log import RefusedDownloads
from simpleindex.web.resource import IndexResource
from simpleindex.web.status import StatusPages
from simpleindex.web.why import WhyPages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from simpleindex.archives.examination.pool import ExaminationPool
    from simpleindex.config.settings import Settings
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.service.compose_publishing import Logins
    from simpleindex.service.compose_upstreams import Upstreams
    from simpleindex.system.troubles import Troubles
    from simpleindex.tls.private_ca import Owner

READ_THREADS: Final = 8
"""Threads for short blocking calls; they wait for disks, not for processors."""


@dataclass
class ComposedIndex:
    """The parts that the service starts, changes and stops.

    Attributes:
        security: Certificates; None without ``--https``.
        own: One's own directories, that of ``--path`` first.
        listings: The pages.
        files: The files.
        resource: All of it over HTTP.
        redirect: What plain HTTP is answered beside HTTPS.
        site: Serves ``resource``.
        redirect_site: Serves ``redirect``.
        read_pool: Threads for short blocking calls.
        digest_pool: Threads for reading whole files.
        look_pool: Threads that wait for small files to be examined; other short calls do not wait behind them.
        wheel_pool: Threads that wait for upstreams' wheels to be examined.
        examination: The processes that examine files.
        idle_processes: Ends those that have nothing to do.
        logins: People and what they change; None where nobody can log in.
        upstreams: The indexes behind this one; None without a sources file.
        records: The records; their connections open with the first query.
    """

    security: Security | None
    own: tuple[OwnDirectory, ...]
    listings: Listings
    files: FileResponses
    resource: IndexResource
    redirect: RedirectResource
    site: IndexSite
    redirect_site: IndexSite
    read_pool: ThreadPool
    digest_pool: ThreadPool
    look_pool: ThreadPool
    wheel_pool: ThreadPool
    examination: ExaminationPool
    idle_processes: IdleProcesses
    logins: Logins | None
    upstreams: Upstreams | None
    records: RecordsDatabase


def compose(  # noqa: PLR0915
    settings: Settings,
    current: Callable[[], Settings],
    reactor: Any,
    *,
    owner: Owner,
    say: Callable[[str], None],
    failed: Callable[[Any], None],
    troubles: Troubles,
) -> ComposedIndex:
    """Make an index.

    Args:
        settings: What it is told to do now.
        current: Gives the settings at any later time; some change while it runs.
        reactor: Runs everything.
        owner: The user and group that the service will become, where it will.
        say: Takes a sentence for the operator.
        failed: Takes an exception that nobody expected.
        troubles: Holds the machine's troubles.

    Raises:
        RefusedStart: It cannot start like this.
    """
    read_threads = Threads(reactor, "reads", READ_THREADS)
    read_pool = read_threads.pool
    digest_pool = ThreadPool(0, core_count(), "digests")
    look_pool = ThreadPool(0, READ_THREADS, "looks")
    wheel_threads = Threads(reactor, "wheels", READ_THREADS)
    wheel_pool = wheel_threads.pool
    in_read_thread = read_threads.run
    examination, idle_processes = _open_examination(reactor, in_read_thread, say, failed)
    own_directory(settings.cache, owner)
    security = None
    if settings.https:
        security = Security(settings.certs, settings.state, url=settings.url, owner=owner, log=say)

    records = RecordsDatabase(str(settings.state), initialized=True)
    used = None
    if settings.sources is not None:
        own_directory(settings.state, owner)
        used = UsedNames(records)
    open_directory = partial(
        OwnDirectory,
        settings=settings,
        reactor=reactor,
        in_read_thread=in_read_thread,
        in_digest_thread=partial(deferToThreadPool, reactor, digest_pool),
        in_look_thread=partial(deferToThreadPool, reactor, look_pool),
        examiner=examination,
        say=say,
        failed=failed,
        record=used,
    )
    first = open_directory(str(settings.path), LOCAL)
    own: tuple[OwnDirectory, ...] = (first,)
    local = first.source
    views: Mapping[str, Source] = {MAIN_VIEW: local}
    words: Callable[[str, ProjectName], Awaitable[tuple[SourceNote, ...]]] = partial(_own_words, local)
    upstreams = None
    if used is not None:
        from simpleindex.records.allowances import AllowanceTable  # noqa: PLC0415  (only with upstreams)
        from simpleindex.records.owners import OwnerTable  # noqa: PLC0415  (the same)
        from simpleindex.service.compose_upstreams import compose_upstreams  # noqa: PLC0415  (the same)

        owners = OwnerTable(records)
        upstreams = compose_upstreams(
            settings,
            reactor,
            first,
            open_directory,
            allowances=AllowanceTable(records).active,
            was_used=_for_a_second(lambda name: owners.owner(name) is not None, reactor.seconds),
            used=used,
            first_seen=FirstSeen(records),
            threads=read_threads,
            wheels=WheelExaminer(examination, wheel_threads),
            say=say,
        )
        own, views, words = upstreams.own, upstreams.views, upstreams.words
    logins = None
    pools = [read_pool, digest_pool, look_pool, wheel_pool]
    admission = open_admission(views)
    if settings.has_logins:
        from simpleindex.service.compose_publishing import compose_logins  # noqa: PLC0415  (reading needs none of it)

        own_directory(settings.state, owner)
        refuse_unreadable(settings, owner)
        logins = compose_logins(
            settings,
            current,
            reactor,
            views=views,
            local=local,
            live=first.live,
            directory=first.directory,
            records=records,
            own_url=lambda: listings.base_url,
            examiner=examination,
            say=say,
            failed=failed,
        )
        admission = logins.admission
        pools += logins.pools
    _bound_joins(pools)

    listings = Listings(
        admission.public,
        base_url=settings.url,
        encodings=available_encodings(),
        cache_size=settings.page_cache,
        in_thread=in_read_thread,
        description=IndexDescription(
            has_private_ca=security is not None and security.certificates.ca_pem is not None,
            unlisted=upstreams.unlisted if upstreams else {},
            views=tuple(views),
        ),
    )
    files = FileResponses(immutable=settings.immutable_files)
    status = StatusPages(
        lambda: report_of(own),
        lambda: readiness_of(own),
        lambda: security.certificates.ca_pem if security else None,
        troubles.shown,
    )

    def acme_challenge(token: str) -> bytes | None:
        webroot = current().acme_webroot
        return read_challenge(None if webroot is None else str(webroot), token)

    resource = IndexResource(
        listings=listings,
        files=files,
        status=status,
        admission=admission,
        why=WhyPages(admission, words),
        changing=None if logins is None else logins.changes,
        acme_challenge=acme_challenge,
        trusted=settings.trusted_proxy,
        cors=settings.cors,
        refused=RefusedDownloads(reactor.seconds, logins.audit.record if logins else None),
        failed=failed,
    )
    redirect = RedirectResource("", acme_challenge, failed, cors=settings.cors)
    site, redirect_site = (
        IndexSite(
            served,
            reactor,
            max_connections_per_address=settings.max_connections_per_address,
            exempt=lambda host: is_within(host, current().trusted_proxy),
        )
        for served in (resource, redirect)
    )
    open_fast_lane(site, listings, resource.also)
    site.bodies = None if logins is None else logins.changes
    return ComposedIndex(
        security=security,
        own=own,
        listings=listings,
        files=files,
        resource=resource,
        redirect=redirect,
        site=site,
        redirect_site=redirect_site,
        read_pool=read_pool,
        digest_pool=digest_pool,
        look_pool=look_pool,
        wheel_pool=wheel_pool,
        examination=examination,
        idle_processes=idle_processes,
        logins=logins,
        upstreams=upstreams,
        records=records,
    )


def _bound_joins(pools: list[ThreadPool]) -> None:
    patience = Patience(THREAD_SECONDS)
    for pool in pools:
        bound_joins(pool, patience)


def _open_examination(
    reactor: Any,
    in_thread: Callable[..., Awaitable[Any]],
    say: Callable[[str], None],
    failed: Callable[[Any], None],
) -> tuple[ExaminationPool, IdleProcesses]:
    """Make the processes that examine files, and what ends them when they have nothing to do."""
    examination = open_examination(say)
    idle_processes = IdleProcesses(examination, reactor, in_thread, failed)
    examination.begun = idle_processes.begun
    return examination, idle_processes


def _for_a_second(
    ask: Callable[[ProjectName], bool], seconds: Callable[[], float]
) -> Callable[[ProjectName], bool]:
    """Ask the records about a name once a second.

    Each page of an upstream's project would ask them otherwise, for as long as all else of a warm answer takes. What is
    published meanwhile is here, and found before this is asked.
    """
    known: dict[ProjectName, bool] = {}
    until = 0.0

    def asked(name: ProjectName) -> bool:
        nonlocal until
        now = seconds()
        if now >= until:
            known.clear()
            until = now + 1.0
        answer = known.get(name)
        if answer is None:
            answer = known[name] = ask(name)
        return answer

    return asked


async def _own_words(local: Source, _: str, name: ProjectName) -> tuple[SourceNote, ...]:
    """What there is to say of a project where nothing stands behind one's own directory."""
    try:
        return (SourceNote(LOCAL, what_is_there(await local.project(name))),)
    except SimpleIndexError as error:
        return (SourceNote(LOCAL, what_is_there(error)),)
