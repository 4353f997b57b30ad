"""The indexes behind one's own, put together: asked over HTTP, cached, in their order behind the local directory.

A part of the composition root (:mod:`simpleindex.service.compose`), which asks for it only where there is a sources file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from simpleindex import __version__
from simpleindex.core import severity
from simpleindex.core.errors import InvalidSetting, RefusedStart
from simpleindex.core.views import MAIN_VIEW
from simpleindex.policy.filtered import FilteredSource
from simpleindex.policy.lists import NameLists
from simpleindex.policy.messages import no_upload_times
from simpleindex.service.compose_directory import refuse_overlap
from simpleindex.service.unions import union_of
from simpleindex.service.upstream_secrets import Secrets
from simpleindex.system.log import log_to
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.upstreams.cache.cache_space import DiskBudget
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.cache_context import CacheContext
from simpleindex.upstreams.cached import CachedSource, CacheOptions
from simpleindex.upstreams.client import HttpUpstream
from simpleindex.upstreams.client_options import ClientOptions, UpstreamLimits
from simpleindex.upstreams.fetching.range_metadata import RangeMetadata
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
from simpleindex.views.union import UpstreamMember

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence

    from twisted.internet.defer import Deferred

    from simpleindex.config.settings import Settings
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Located, Source
    from simpleindex.policy.judgement import Allowance
    from simpleindex.records.first_seen import FirstSeen
    from simpleindex.records.used_names import UsedNames
    from simpleindex.service.compose_directory import OwnDirectory
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.fetching.wheel_examiner import WheelExaminer
    from simpleindex.upstreams.settings import UpstreamSettings
    from simpleindex.views.explain import SourceNote
    from simpleindex.views.sources_file import Sources

_FIRST_BYTE: Final = 120.0
"""Seconds for the beginning of a file, where ``timeout`` allows no more."""

_MODES: Final = {
    Mode.CACHE: "",
    Mode.REDIRECT: ", to which clients are sent for files",
    Mode.LISTING_ONLY: ", whose files clients get there without asking here",
}


@dataclass
class Upstreams:
    """What the service starts and stops of other indexes.

    Attributes:
        own: One's own directories, that of ``--path`` first.
        views: One's own index and what stands behind it, in each view.
        words: What the sources of a view say of a project, for explanations.
        unlisted: By view, the upstreams whose projects are not in its list.
        follow: Looks at what rules depend on, for a moment in a thread.
        reload: Takes of the sources file whatever needs no restart, and reads credentials and certificates again.
        cached: The others.
        agents: What asks them.
        cache: What is kept of them.
        lines: What is said at the start.
        allow_upstream: Patterns of names that upstreams are asked for although they are one's own, as of the start.
        pins: What is pinned of them.
        settings: Of each of them.
        say: Takes a sentence for the operator.
        policies: The rules.
    """

    own: tuple[OwnDirectory, ...]
    views: Mapping[str, Source]
    words: Callable[[str, ProjectName], Coroutine[Any, Any, tuple[SourceNote, ...]]]
    unlisted: Mapping[str, tuple[str, ...]]
    follow: Callable[[], Awaitable[None]]
    reload: Callable[[], None]
    cached: tuple[CachedSource, ...]
    agents: tuple[OutgoingAgent, ...]
    cache: UpstreamCache
    lines: tuple[str, ...]
    allow_upstream: tuple[str, ...]
    pins: Pins
    settings: tuple[UpstreamSettings, ...]
    say: Callable[[str], None]
    policies: LiveSourcesFile

    def load(self) -> None:
        """See what is kept; before anything is asked for. Blocking: it is a look at the cache's directories."""
        self.cache.load()
        for each in self.settings:
            if each.credentials is not None:
                try:
                    self.pins.adopt(each.url, each.identity)
                except OSError as error:
                    self.say(
                        severity.error(f"What is pinned of {each.name} cannot be read: {error.strerror}.")
                    )
        for line in _undated(self.policies, self.settings, self.cache):
            self.say(severity.warning(line))

    def keeping(self) -> list[Deferred[None]]:
        """Return a Deferred for each fetched file that is whole, which fires once it is kept."""
        return [kept for each in self.cached for kept in each.keeping()]

    def stop(self) -> None:
        """Give up what is being fetched."""
        for each in self.cached:
            each.stop()
        for agent in self.agents:
            agent.close()


def compose_upstreams(
    settings: Settings,
    reactor: Any,
    first: OwnDirectory,
    open_directory: Callable[[str, str], OwnDirectory],
    *,
    allowances: Callable[[float], tuple[Allowance, ...]],
    was_used: Callable[[ProjectName], bool],
    used: UsedNames,
    first_seen: FirstSeen,
    threads: Threads,
    wheels: WheelExaminer,
    say: Callable[[str], None],
) -> Upstreams:
    """Make everything about other indexes.

    Args:
        settings: Name the sources file and the cache.
        reactor: Runs everything.
        first: The directory of ``--path``.
        open_directory: Makes another one of one's own, at a path and of a name.
        allowances: Gives those that hold at a time, in seconds since 1970.
        was_used: Whether a name was ever published here.
        used: Remembers the names of one's own projects.
        first_seen: Remembers when files without an upload time came.
        threads: For calls that block.
        wheels: Examines wheels.
        say: Takes a sentence for the operator.

    Raises:
        RefusedStart: The sources file, or something that it names, cannot be used.
    """
    assert settings.sources is not None  # else there is nothing to make
    lists = NameLists(str(settings.sources.parent))
    policies = LiveSourcesFile(str(settings.sources), open_list=lists.open, allowances=allowances)
    said = policies.open()
    where = settings.sources.parent
    own = (first, *(open_directory(str(where / each.path), each.name) for each in said.directories))
    refuse_overlap(own, str(settings.sources))
    room = DiskBudget(said.cache.size, said.cache.free, said.cache.largest_file)
    cache = UpstreamCache(str(settings.cache), room)
    pins = Pins(str(settings.state))
    members: dict[str, UpstreamMember] = {}
    stages: list[CachedSource] = []
    agents: list[OutgoingAgent] = []
    secrets = Secrets(str(where), threads)
    for each in said.upstreams:
        agent = _agent(each, settings, reactor, secrets)
        host_policy = HostPolicy(each.url, each.hosts)
        upstream = HttpUpstream(
            host_policy,
            agent,
            reactor,
            threads,
            options=_client_options(each),
            login=secrets.login(each, _where(settings, each)),
        )
        agents.append(agent)
        limited = LimitedUpstream(upstream, each.connections, reactor)
        context = CacheContext(limited, each.identity, cache, reactor, threads, wheels)
        cached = _cached_source(each, context, host_policy, first_seen, pins, policies=policies)
        stages.append(cached)
        located: Located = FlatPageUpstream(cached, threads) if each.flat else cached
        source: Source = RedirectingSource(located)
        if each.mode is Mode.CACHE:
            source = PinnedSource(located, each.identity, pins, reactor, threads)
        members[each.name] = UpstreamMember(source, Scope(each.projects, each.exclude), each.lists, each.name)
    views = {}
    for view in said.views:
        judged = partial(
            FilteredSource, policy=policies.of_views(view.rules_of), clock=reactor, in_thread=threads.run
        )
        views[view.name] = union_of(
            said,
            view,
            {each.name: judged(each.source, each.name, is_own=True) for each in own},
            {name: replace(member, source=judged(member.source, name)) for name, member in members.items()},
            was_used=lambda name: was_used(name) or used.has(name),
            in_thread=threads.run,
            bare={each.name: each.source for each in own},
            claims=lambda name: any(each.source.claims(name) for each in own),
        )
    lines = (
        *(f"Beside it: {each.name}, {each.path}." for each in own[1:]),
        *(f"Behind it: {each.name}, {each.url}{_MODES[each.mode]}." for each in said.upstreams),
        *(f"At /{view.name}/: {', '.join(view.sources)}." for view in said.views if view.name != MAIN_VIEW),
    )

    if said.rules:
        names = ", ".join(rule.name for rule in said.rules)
        lines = (*lines, f"{len(said.rules):,} rule{'' if len(said.rules) == 1 else 's'} in force: {names}.")

    def refresh(names: set[ProjectName]) -> None:
        used.add(names)
        lists.refresh()
        secrets.look()

    def reload() -> None:
        policies.reload()
        secrets.look()

    def follow() -> Awaitable[None]:
        policies.current()
        return threads.run(
            refresh, {name for each in own for name, shelf in each.live.shelves.items() if shelf.project}
        )

    def changed(now: Sources) -> None:
        scopes = {each.name: Scope(each.projects, each.exclude) for each in now.upstreams}
        for view in now.views:
            views[view.name].take(NameRules(view.strategy, now.own, now.allow_upstream), scopes)
        for each, stage in zip(now.upstreams, stages, strict=True):
            stage.ttls = _ttls(each)

    policies.changed = changed
    return Upstreams(
        own=own,
        views=views,
        words=lambda view, name: views[view].words(name),
        unlisted=_unlisted(said),
        follow=follow,
        reload=reload,
        cached=tuple(stages),
        agents=tuple(agents),
        cache=cache,
        lines=lines,
        allow_upstream=NameRules(allow_upstream=said.allow_upstream).allow_upstream,
        pins=pins,
        settings=said.upstreams,
        say=say,
        policies=policies,
    )


def _unlisted(said: Sources) -> dict[str, tuple[str, ...]]:
    names = {each.name for each in said.upstreams if not each.lists}
    return {view.name: tuple(name for name in view.sources if name in names) for view in said.views}


def check_sources(path: str, cache: str) -> tuple[str, tuple[str, ...]]:
    """Read a sources file and what its rules name, as the server would at its start.

    Args:
        path: The sources file.
        cache: The cache's directory, which tells what upstreams state.

    Returns:
        What is in it, in words, and the patterns of ``allow-upstream``.

    Raises:
        RefusedStart: The server would not start with it.
    """
    lines: list[str] = []
    lists = NameLists(os.path.dirname(path))
    policies = LiveSourcesFile(path, open_list=lists.open, allowances=lambda _: ())
    with log_to(lines.append):
        said = policies.open()
    counts = (
        (len(said.upstreams), "upstream"),
        (len(said.directories), "further directory"),
        (len(said.views) - 1, "view"),
        (len(said.rules), "rule"),
    )
    words = [f"{number:,} {noun}" for number, noun in counts]
    lines += _undated(policies, said.upstreams, UpstreamCache(cache))
    text = "\n".join([f"{path}: {', '.join(_plural(word) for word in words)}.", *lines])
    return text, NameRules(allow_upstream=said.allow_upstream).allow_upstream


def _undated(
    policies: LiveSourcesFile, upstreams: Sequence[UpstreamSettings], cache: UpstreamCache
) -> Iterator[str]:
    """Say which rules judge the age of files whose upstreams do not state it, as far as what is kept of them tells."""
    for each in upstreams:
        rules = policies.current().judges_age(each.name)
        if rules and cache.lacks_upload_times(each.identity):
            yield no_upload_times(each.name, rules)


def _plural(words: str) -> str:
    if words.startswith("1 "):
        return words
    return words.removesuffix("y") + "ies" if words.endswith("y") else f"{words}s"


def _cached_source(
    upstream: UpstreamSettings,
    context: CacheContext,
    host_policy: HostPolicy,
    first_seen: FirstSeen,
    pins: Pins,
    *,
    policies: LiveSourcesFile,
) -> CachedSource:
    hooks = ListingHooks(
        offer=_offer(upstream.mode, host_policy),
        first_seen=partial(_first_seen, first_seen, upstream.url),
        removed=pins.keep_removed(context.cache) if upstream.keep_removed else None,
    )
    options = CacheOptions(
        ttls=_ttls(upstream),
        listings=hooks,
        range_metadata=RangeMetadata(context, upstream.url) if upstream.mode is Mode.CACHE else None,
        judges_age=partial(_judges_age, policies, upstream),
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
    # By URL alone: a file must not be new again because its index is asked with other credentials.
    return first_seen.times(url, name, marks, now_ns)


def _judges_age(policies: LiveSourcesFile, upstream: UpstreamSettings, name: ProjectName) -> tuple[str, ...]:
    return policies.current().judges_age(upstream.name, None if upstream.flat else name)


def _redirected_project(
    host_policy: HostPolicy,
    mode: Mode,
    project: Project,
    _: object,
    first_seen: Mapping[str, int],
    generation: int,
) -> Project:
    return redirected_project(
        project, first_seen, generation, host_policy=host_policy, linked=mode is Mode.LISTING_ONLY
    )


def _agent(said: UpstreamSettings, settings: Settings, reactor: Any, secrets: Secrets) -> OutgoingAgent:
    where = _where(settings, said)
    try:
        trust = None if said.ca_file is None else secrets.trust(said.ca_file)
        policy = tls_policy() if trust is None else trust.policy
        agent = OutgoingAgent(reactor, HostPolicy(said.url, said.hosts), policy, os.environ)
    except OSError as error:
        raise RefusedStart(
            f"{where} has the ca-file {error.filename}, which cannot be read: {error.strerror}"
        ) from None
    except (InvalidSetting, ValueError) as error:
        raise RefusedStart(f"{where} cannot be asked: {error}") from None
    if trust is not None:
        trust.give_to(agent)
    return agent


def _where(settings: Settings, said: UpstreamSettings) -> str:
    return f"{settings.sources}: the upstream {said.name}"
