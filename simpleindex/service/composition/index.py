"""The composition root: every real object is created and connected here, and nowhere else.

Read :func:`compose` as a picture: directories -> sources -> views -> pages, files and changes -> HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from simpleindex.config.resolution import METRICS_FOR
from simpleindex.core.errors import RefusedStart, SimpleIndexError
from simpleindex.core.views import LOCAL, MAIN_VIEW
from simpleindex.service.audit.hand_changes import HandChanges
from simpleindex.service.composition.directory import ServedDirectory
from simpleindex.service.composition.http import HttpParts, compose_http
from simpleindex.service.composition.sources import ComposedSources
from simpleindex.service.places import refuse_unreadable
from simpleindex.service.runtime import create_runtime
from simpleindex.system.extras import has_metrics, has_pages, missing
from simpleindex.web.downloads.counter import DownloadCounter

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.config.settings import Settings
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.directory.live.private_names import NameRecord
    from simpleindex.hooks.hooks import Hooks
    from simpleindex.service.composition.acme import AcmeParts
    from simpleindex.service.composition.logins import Logins
    from simpleindex.service.composition.metrics import IndexMetrics
    from simpleindex.service.composition.search import ComposedSearch
    from simpleindex.service.runtime import Runtime
    from simpleindex.system.troubles import Troubles
    from simpleindex.tls.private_ca import Owner
    from simpleindex.tls.security import Security
    from simpleindex.views.explain import SourceNote


@dataclass(frozen=True)
class ComposedIndex:
    """The parts that the service starts, changes and stops.

    Attributes:
        runtime: What the parts share: settings, threads, processes, records.
        acme: What requests certificates; None without ``--acme``.
        security: The certificates; None without ``--https``.
        sources: The directories, the upstreams and the views of them.
        logins: Users, tokens and rights; None if nobody can log in.
        http: Pages, files and changes over HTTP.
        search: The search; None without the extra ``pages``.
        downloads: Counts downloads, where that is on.
        hooks: Notify others of events; None without ``--hooks``.
        hand_changes: Records files that come and go by hand; None where no audit is kept.
        metrics: The metrics; None without the extra ``metrics``, and where they are off.
    """

    runtime: Runtime
    acme: AcmeParts | None
    security: Security | None
    sources: ComposedSources
    logins: Logins | None
    http: HttpParts
    search: ComposedSearch | None
    downloads: DownloadCounter
    hooks: Hooks | None
    hand_changes: HandChanges | None
    metrics: IndexMetrics | None


def compose(
    settings: Settings, current: Callable[[], Settings], reactor: Any, owner: Owner, troubles: Troubles
) -> ComposedIndex:
    """Create an index.

    Args:
        settings: The settings at the start.
        current: Returns the settings in force; SIGHUP changes some.
        reactor: The event loop and the clock.
        owner: The user and group that the service becomes, if it changes them.
        troubles: The machine's troubles, for ``/-/status``.

    Raises:
        RefusedStart: The index cannot start with these settings.
    """
    runtime = create_runtime(settings, current, reactor, owner)
    acme = _compose_acme(runtime)
    security = _security(settings, owner, acme)
    sources = compose_sources(runtime)
    logins = None
    if settings.has_logins:
        from simpleindex.service.composition.logins import compose_logins  # noqa: PLC0415  (reading needs none of it)

        refuse_unreadable(settings, owner)
        logins = compose_logins(runtime, sources.views)
    search = None
    if has_pages():
        from simpleindex.service.composition.search import compose_search  # noqa: PLC0415  (without pages nobody searches)

        search = compose_search(runtime, sources)
    http = compose_http(runtime, security, sources, logins, troubles, search)
    return ComposedIndex(
        runtime,
        acme,
        security,
        sources,
        logins,
        http,
        search,
        compose_download_counter(runtime),
        _compose_hooks(runtime, owner, http),
        _compose_hand_changes(runtime),
        _metrics(runtime, security, sources, logins, http),
    )


def _compose_hand_changes(runtime: Runtime) -> HandChanges | None:
    settings = runtime.settings
    if not settings.keeps_state:
        return None
    threads = runtime.threads.reads
    return HandChanges(runtime.audit, runtime.reactor, threads, sharing=runtime.audit_sharing)


def _compose_hooks(runtime: Runtime, owner: Owner, http: HttpParts) -> Hooks | None:
    if runtime.settings.hooks is None:
        return None
    from simpleindex.service.composition.hooks import compose_hooks  # noqa: PLC0415  (few have any)

    refuse_unreadable(runtime.settings, owner)
    return compose_hooks(runtime, lambda: http.listings.base_url)


def _metrics(
    runtime: Runtime,
    security: Security | None,
    sources: ComposedSources,
    logins: Logins | None,
    http: HttpParts,
) -> IndexMetrics | None:
    """Create the metrics, if they are on.

    Raises:
        RefusedStart: They are on by an option, and the extra is not installed.
    """
    networks = runtime.settings.metrics_for
    if networks is None:
        return None
    if not has_metrics():
        if networks == METRICS_FOR:
            return None
        raise RefusedStart(f"--metrics-for: {missing('prometheus_client', 'metrics')}")
    from simpleindex.service.composition.metrics import MeasuredParts, compose_metrics  # noqa: PLC0415  (only with metrics)

    return compose_metrics(MeasuredParts(runtime, security, sources, logins, http))


def compose_download_counter(runtime: Runtime) -> DownloadCounter:
    """Create what counts downloads."""
    return DownloadCounter(runtime.downloads, runtime.reactor, runtime.threads.downloads, runtime.current)


def compose_sources(runtime: Runtime) -> ComposedSources:
    """Create the directories, and the upstreams and views of the sources file if there is one.

    Raises:
        RefusedStart: The sources file cannot be used.
    """
    if runtime.settings.sources is None:
        directory = _packages(runtime)
        views = {MAIN_VIEW: directory.source}
        return ComposedSources((directory,), views, partial(_explain_local, directory.source), None)
    from simpleindex.records.used_names import UsedNames  # noqa: PLC0415  (only with upstreams)
    from simpleindex.service.composition.upstreams import compose_upstreams  # noqa: PLC0415  (the same)

    used_names = UsedNames(runtime.records)
    return compose_upstreams(runtime, _packages(runtime, used_names), used_names)


def _packages(runtime: Runtime, used_names: NameRecord | None = None) -> ServedDirectory:
    """Create the directory, or bucket, of ``--path``.

    Raises:
        RefusedStart: The bucket cannot be used.
    """
    settings = runtime.settings
    if settings.bucket is None:
        return ServedDirectory(str(settings.path), LOCAL, runtime, used_names)
    try:
        from simpleindex.service.composition.bucket import ServedBucket  # noqa: PLC0415  (only with a bucket)
    except ModuleNotFoundError as error:
        raise RefusedStart(f"--path {settings.bucket}: {missing(error.name, 's3')}") from None
    bucket = ServedBucket(str(settings.bucket), runtime, used_names)
    bucket.prepare(runtime.owner)
    bucket.follow_other_nodes()
    return bucket


def _compose_acme(runtime: Runtime) -> AcmeParts | None:
    if runtime.settings.acme is None:
        return None
    try:
        from simpleindex.service.composition.acme import compose_acme  # noqa: PLC0415  (only with --acme)
    except ModuleNotFoundError as error:
        raise RefusedStart(f"--acme: {missing(error.name, 'acme')}") from None
    return compose_acme(runtime)


def _security(settings: Settings, owner: Owner, acme: AcmeParts | None) -> Security | None:
    if not settings.https:
        return None
    from simpleindex.tls.security import Security  # noqa: PLC0415  (only with --https)

    serving = None if acme is None else acme.serving
    return Security(settings.certs, settings.state, url=settings.url, owner=owner, acme=serving)


async def _explain_local(local: Source, _: str, name: ProjectName) -> tuple[SourceNote, ...]:
    """Explain a project where there are no upstreams."""
    from simpleindex.views.explain import SourceNote, what_is_there  # noqa: PLC0415  (installers need none of it)

    try:
        return (SourceNote(LOCAL, what_is_there(await local.project(name))),)
    except SimpleIndexError as error:
        return (SourceNote(LOCAL, what_is_there(error)),)
