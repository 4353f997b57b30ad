"""Composition of upstreams and views; loaded only if there is a sources file."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from simpleindex import __version__
from simpleindex.core.errors import InvalidSetting, RefusedStart
from simpleindex.policy.filtered import FilteredSource
from simpleindex.policy.lists import NameLists
from simpleindex.records.allowances import AllowanceTable
from simpleindex.records.first_seen import FirstSeen
from simpleindex.records.owners import CachedOwners, OwnerTable
from simpleindex.records.pins import PinTable
from simpleindex.service.audit.upstream_changes import UpstreamChanges
from simpleindex.service.composition.directory import ServedDirectory, refuse_overlap
from simpleindex.service.composition.sources import ComposedSources
from simpleindex.service.composition.upstream_secrets import Secrets
from simpleindex.service.composition.views import ViewParts, compose_view
from simpleindex.service.upstreams import ConnectedUpstream, FollowedFiles, Upstreams
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.upstreams.cache.cache_space import DiskBudget
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.cache_context import CacheContext
from simpleindex.upstreams.cached import CachedSource, CacheOptions
from simpleindex.upstreams.client import HttpUpstream
from simpleindex.upstreams.client_options import ClientOptions, UpstreamLimits
from simpleindex.upstreams.fetching.range_metadata import RangeMetadata
from simpleindex.upstreams.fetching.wheel_examiner import WheelExaminer
from simpleindex.upstreams.flat_source import FlatPageUpstream
from simpleindex.upstreams.http.agent import OutgoingAgent, tls_policy
from simpleindex.upstreams.limited import LimitedUpstream
from simpleindex.upstreams.listings.store import ListingHooks
from simpleindex.upstreams.modes import Mode, cached_project, redirected_project
from simpleindex.upstreams.pages.enrich import Ttls
from simpleindex.upstreams.pages.urls import HostPolicy
from simpleindex.upstreams.pinned import PinnedSource
from simpleindex.upstreams.redirecting import RedirectingSource
from simpleindex.views.live_sources_file import LiveSourcesFile
from simpleindex.views.name_rules import NameRules, Scope
from simpleindex.views.standing_answers import StandingAnswers
from simpleindex.views.union import UnionSource, UpstreamMember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Located, Source
    from simpleindex.directory.live.live_directory import LiveDirectory
    from simpleindex.records.used_names import UsedNames
    from simpleindex.service.runtime import Runtime
    from simpleindex.upstreams.settings import UpstreamSettings
    from simpleindex.views.sources_file import Sources

_FIRST_BYTE: Final = 120.0
"""Seconds for the beginning of a file, where ``timeout`` allows no more."""


def compose_upstreams(runtime: Runtime, first: ServedDirectory, used_names: UsedNames) -> ComposedSources:
    """Create the further directories, the upstreams and the views of the sources file.

    Args:
        runtime: What all parts share.
        first: The directory of ``--path``.
        used_names: The names of the index's own projects.

    Raises:
        RefusedStart: The sources file, or something that it names, cannot be used.
    """
    settings, threads = runtime.settings, runtime.threads.reads
    assert settings.sources is not None  # else there is nothing to create
    place = settings.sources.parent
    lists = NameLists(str(place))
    allowances = AllowanceTable(runtime.records).active
    file = LiveSourcesFile(str(settings.sources), open_list=lists.open, allowances=allowances)
    start = file.open()
    further = (
        ServedDirectory(str(place / each.path), each.name, runtime, used_names) for each in start.directories
    )
    directories = (first, *further)
    refuse_overlap(directories, str(settings.sources))
    files = FollowedFiles(file, lists, Secrets(str(place), threads), used_names, threads)
    budget = DiskBudget(start.cache.size, start.cache.free, start.cache.largest_file)
    cache = UpstreamCache(str(settings.cache), budget)
    pins = Pins(str(settings.state), None if settings.records is None else PinTable(runtime.records))
    sharing = runtime.audit_sharing
    changes = UpstreamChanges(
        runtime.audit,
        cache,
        [each.live.has_file for each in directories],
        shared=None if sharing is None else sharing.shared.lines,
    )
    connector = _Connector(runtime, files, cache, pins, changes)
    connected = tuple(connector.connect(each) for each in start.upstreams)
    upstreams = Upstreams(connected, files, cache, pins, start, directories)
    views = _views(runtime, upstreams)
    file.changed = partial(_apply, views, connected)
    return ComposedSources(
        directories,
        views,
        lambda view, name: views[view].words(name),
        upstreams,
        lambda view, name: views[view].may_offer(name),
    )


def _views(runtime: Runtime, upstreams: Upstreams) -> dict[str, UnionSource]:
    """Return the source of each view, with the rules in front of every source."""
    directories, used_names = upstreams.directories, upstreams.files.used_names
    owners = CachedOwners(OwnerTable(runtime.records), runtime.reactor.seconds)
    threads = runtime.threads.reads
    views = {}
    for view in upstreams.start.views:
        filtered = partial(
            FilteredSource,
            policy=upstreams.files.sources.of_views(view.rules_of),
            clock=runtime.reactor,
            threads=threads,
        )
        was_used = partial(was_used_here, owners, used_names)
        standing = StandingAnswers(runtime.reactor, lacked_by([each.live for each in directories]), was_used)
        parts = ViewParts(
            directories={each.name: filtered(each.source, each.name, is_own=True) for each in directories},
            upstreams={
                each.settings.name: replace(each.member, source=judged, denies=judged.denies)
                for each in upstreams.connected
                for judged in [filtered(each.member.source, each.settings.name)]
            },
            unfiltered={each.name: each.source for each in directories},
            was_used=was_used,
            claims=lambda name: any(each.source.claims(name) for each in directories),
            threads=threads,
            standing=standing,
        )
        views[view.name] = compose_view(upstreams.start, view, parts)
    return views


def was_used_here(owners: CachedOwners, used_names: UsedNames, name: ProjectName) -> bool:
    """Return whether a name has an owner, or was ever a project here."""
    return owners.has_owner(name) or used_names.has(name)


def lacked_by(directories: Sequence[LiveDirectory]) -> Callable[[ProjectName], bool]:
    """Return what tells whether surely none of these directories has a project, nor takes its name."""
    if len(directories) == 1:
        return directories[0].lacks  # As nearly everywhere, and it is called with each page of an upstream.
    return lambda name: all(each.lacks(name) for each in directories)


def _apply(
    views: Mapping[str, UnionSource], connected: Sequence[ConnectedUpstream], sources: Sources
) -> None:
    """Apply what changed in the sources file and needs no restart."""
    scopes = {each.name: Scope(each.projects, each.exclude) for each in sources.upstreams}
    for view in sources.views:
        views[view.name].take(NameRules(view.strategy, sources.own, sources.allow_upstream), scopes)
    for settings, upstream in zip(sources.upstreams, connected, strict=True):
        upstream.cached.ttls = _ttls(settings)


@dataclass(frozen=True)
class _Connector:
    """Creates the parts of an upstream."""

    runtime: Runtime
    files: FollowedFiles
    cache: UpstreamCache
    pins: Pins
    changes: UpstreamChanges

    def connect(self, upstream: UpstreamSettings) -> ConnectedUpstream:
        reactor, threads = self.runtime.reactor, self.runtime.threads
        where = f"{self.runtime.settings.sources}: the upstream {upstream.name}"
        agent = _agent(upstream, where, reactor, self.files.secrets)
        host_policy = HostPolicy(upstream.url, upstream.hosts)
        client = HttpUpstream(
            host_policy,
            agent,
            reactor,
            threads.reads,
            options=_client_options(upstream),
            login=self.files.secrets.login(upstream, where),
        )
        limited = LimitedUpstream(client, upstream.connections, reactor)
        wheels = WheelExaminer(self.runtime.examination, threads.wheels)
        context = CacheContext(limited, upstream.identity, self.cache, reactor, threads.reads, wheels)
        cached = self._cached(upstream, context, host_policy)
        located: Located = FlatPageUpstream(cached, threads.reads) if upstream.flat else cached
        source: Source = RedirectingSource(located)
        if upstream.mode is Mode.CACHE:
            source = PinnedSource(located, upstream.identity, self.pins, reactor, threads.reads)
        scope = Scope(upstream.projects, upstream.exclude)
        return ConnectedUpstream(
            upstream, agent, cached, UpstreamMember(source, scope, upstream.lists, upstream.name), client
        )

    def _cached(
        self, upstream: UpstreamSettings, context: CacheContext, host_policy: HostPolicy
    ) -> CachedSource:
        hooks = ListingHooks(
            offer=_offer(upstream.mode, host_policy),
            first_seen=partial(_first_seen, FirstSeen(self.runtime.records), upstream.url),
            changed=self.changes.of(
                upstream.name, self.pins.keep_removed(context.cache) if upstream.keep_removed else None
            ),
        )
        options = CacheOptions(
            ttls=_ttls(upstream),
            listings=hooks,
            range_metadata=RangeMetadata(context, upstream.url) if upstream.mode is Mode.CACHE else None,
            judges_age=partial(_judges_age, self.files.sources, upstream),
            background=max(1, upstream.connections // 2),
        )
        return CachedSource(context, options)


def _ttls(upstream: UpstreamSettings) -> Ttls:
    return Ttls(most=upstream.ttl, least=min(10.0, upstream.ttl))


def _client_options(upstream: UpstreamSettings) -> ClientOptions:
    timeout = upstream.timeout
    limits = UpstreamLimits(timeout, max(_FIRST_BYTE, timeout), listing=max(30.0, timeout))
    return ClientOptions(
        upstream.name, limits, upstream.missing, upstream.lists, f"simpleindex/{__version__}"
    )


def _offer(mode: Mode, host_policy: HostPolicy) -> Callable[..., Project]:
    """Return what makes the project that is offered from an upstream's listing."""
    if mode is Mode.CACHE:
        return partial(cached_project, host_policy=host_policy)
    return partial(_redirected_project, host_policy, mode)


def _first_seen(
    first_seen: FirstSeen, url: str, _: str, name: ProjectName, marks: Mapping[str, str], now_ns: int
) -> Mapping[str, int]:
    # By URL alone: a file must not be new again because its index is requested with other credentials.
    return first_seen.times(url, name, marks, now_ns)


def _judges_age(policies: LiveSourcesFile, upstream: UpstreamSettings, name: ProjectName) -> tuple[str, ...]:
    return policies.current().judges_age(upstream.name, None if upstream.flat else name)


def _redirected_project(
    host_policy: HostPolicy,
    mode: Mode,
    project: Project,
    _: object,
    first_seen: Mapping[str, int],
) -> Project:
    return redirected_project(project, first_seen, host_policy=host_policy, linked=mode is Mode.LISTING_ONLY)


def _agent(upstream: UpstreamSettings, where: str, reactor: Any, secrets: Secrets) -> OutgoingAgent:
    try:
        trust = None if upstream.ca_file is None else secrets.trust(upstream.ca_file)
        policy = tls_policy() if trust is None else trust.policy
        agent = OutgoingAgent(reactor, HostPolicy(upstream.url, upstream.hosts), policy, os.environ)
    except OSError as error:
        raise RefusedStart(
            f"{where} has the ca-file {error.filename}, which cannot be read: {error.strerror}"
        ) from None
    except (InvalidSetting, ValueError) as error:
        raise RefusedStart(f"{where} cannot be requested: {error}") from None
    if trust is not None:
        trust.give_to(agent)
    return agent
