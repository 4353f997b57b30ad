"""Parse the sources file: local directories, upstreams, their order, views and rules.

::

    strategy = "first-index"              # or "merge", "isolated"
    own = ["acme-*"]                      # requested from no upstream
    allow-upstream = []                   # exceptions from that

    [[directory]]
    name = "staging"                      # another local directory, beside that of --path
    path = "/srv/staging"

    [[upstream]]
    name = "pypi"
    url = "https://index.example/simple/"
    mode = "cache"                        # or "redirect", "listing-only"
    projects = ["*"]
    credentials = "env:PYPI_LOGIN"        # or "file:/etc/simpleindex/pypi", holding user:password
    ttl = "5m"

Unknown keys are refused, so that a misspelt one cannot let a name out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import InvalidSources
from simpleindex.core.model import Strategy
from simpleindex.core.parsing.toml import (
    check_keys,
    read_toml,
    tables,
    to_choice,
    to_patterns,
    to_size,
    to_text,
    to_texts,
)
from simpleindex.core.text import one_of, shown
from simpleindex.core.views import LOCAL, MAIN_VIEW, RESERVED, ViewSettings, is_view_name
from simpleindex.policy.rules import DenialMode
from simpleindex.policy.rules_file import parse_rules
from simpleindex.upstreams.settings import (
    DirectorySettings,
    UpstreamSettings,
    parse_directory_table,
    parse_upstream,
)

if TYPE_CHECKING:
    from simpleindex.policy.rules import PolicyRule

_TOP_KEYS: Final = (
    "strategy",
    "own",
    "allow-upstream",
    "directory",
    "upstream",
    "view",
    "rule",
    "blocked",
    "cache",
)
_VIEW_KEYS: Final = ("name", "sources", "strategy")
_CACHE_KEYS: Final = ("size", "free", "largest-file")


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The disk space for the cache of upstreams.

    Attributes:
        size: Bytes of the whole cache.
        free: Bytes that stay free on its file system.
        largest_file: Bytes of the largest file that is cached.
    """

    size: int = 20 << 30
    free: int = 1 << 30
    largest_file: int = 20 << 30


@dataclass(frozen=True, slots=True)
class Sources:
    """The content of a sources file.

    Attributes:
        strategy: See :class:`Strategy`.
        own: Patterns of names that are requested from no upstream.
        allow_upstream: Patterns of exceptions from that.
        directories: The local directories in their order, after that of ``--path``.
        upstreams: The upstreams in their order, after the directories.
        views: The index at the root, which shows everything, and those beside it.
        rules: The rules about files of sources.
        cache: The size of the cache.
    """

    strategy: Strategy = Strategy.FIRST_INDEX
    own: tuple[str, ...] = ()
    allow_upstream: tuple[str, ...] = ()
    directories: tuple[DirectorySettings, ...] = ()
    upstreams: tuple[UpstreamSettings, ...] = ()
    views: tuple[ViewSettings, ...] = (
        ViewSettings(MAIN_VIEW, (LOCAL,), Strategy.FIRST_INDEX, frozenset({MAIN_VIEW})),
    )
    rules: tuple[PolicyRule, ...] = ()
    cache: CacheSettings = CacheSettings()


def parse_sources(content: bytes) -> Sources:
    """Parse a sources file.

    Raises:
        InvalidSources: It is not valid; then nothing of it may be used.
    """
    table = read_toml(content, InvalidSources)
    check_keys(table, _TOP_KEYS, "")
    upstreams = tuple(
        parse_upstream(each, number) for number, each in enumerate(tables(table, "upstream"), 1)
    )
    directories = tuple(
        parse_directory_table(each, number) for number, each in enumerate(tables(table, "directory"), 1)
    )
    names = [directory.name for directory in directories] + [upstream.name for upstream in upstreams]
    for name in names:
        if names.count(name) > 1 or name == LOCAL:
            raise InvalidSources(f"has two sources called {shown(name)}; give each a name of its own")
    strategy = to_choice(table.get("strategy", Strategy.FIRST_INDEX.value), Strategy, "'strategy'")
    if strategy is Strategy.ISOLATED and upstreams:
        raise InvalidSources('has upstreams that strategy = "isolated" never asks; leave one of the two out')
    own = (LOCAL, *names[: len(directories)])
    views = _views(tables(table, "view"), (LOCAL, *names), own, strategy)
    blocked = to_choice(table.get("blocked", DenialMode.EMPTY.value), DenialMode, "'blocked'")
    rules = parse_rules(
        tables(table, "rule"),
        upstreams=[upstream.name for upstream in upstreams],
        own=own,
        views=[view.name for view in views],
        blocked=blocked,
    )
    return Sources(
        strategy=strategy,
        own=to_patterns(table.get("own", []), "'own'"),
        allow_upstream=to_patterns(table.get("allow-upstream", []), "'allow-upstream'"),
        directories=directories,
        upstreams=upstreams,
        views=views,
        rules=rules,
        cache=_cache(table.get("cache", {})),
    )


def _cache(table: object) -> CacheSettings:
    if not isinstance(table, dict):
        raise InvalidSources("has a 'cache' that is not a table; write [cache]")
    check_keys(table, _CACHE_KEYS, " in [cache]")
    return CacheSettings(
        **{key.replace("-", "_"): to_size(value, f"{key!r} of [cache]") for key, value in table.items()}
    )


def _views(
    found: list[dict[str, object]], sources: tuple[str, ...], own: tuple[str, ...], strategy: Strategy
) -> tuple[ViewSettings, ...]:
    views = {MAIN_VIEW: ViewSettings(MAIN_VIEW, sources, strategy, frozenset({MAIN_VIEW}))}
    for number, table in enumerate(found, 1):
        view = _view(table, number, sources, views, strategy)
        if view.name in views:
            raise InvalidSources(f"has two views called {shown(view.name)}; give each a name of its own")
        if view.strategy is Strategy.ISOLATED and not set(view.sources) <= set(own):
            raise InvalidSources(
                f'has upstreams that the view {view.name}, with strategy = "isolated", never asks; leave one of the two out'
            )
        views[view.name] = view
    return tuple(views.values())


def _view(
    table: dict[str, object],
    number: int,
    sources: tuple[str, ...],
    views: dict[str, ViewSettings],
    strategy: Strategy,
) -> ViewSettings:
    where = f"view {number}"
    check_keys(table, _VIEW_KEYS, f" in {where}")
    for key in ("name", "sources"):
        if key not in table:
            raise InvalidSources(f"has no {key!r} in {where}")
    name = to_text(table["name"], f"'name' of {where}")
    if not is_view_name(name):
        raise InvalidSources(
            f"calls {where} {shown(name)}; a name has small letters, digits and hyphens, and is none of "
            + ", ".join(sorted(RESERVED))
        )
    where = f"the view {name}"
    shows: list[str] = []
    rules_of = {name}
    for each in to_texts(table["sources"], f"'sources' of {where}"):
        if each in sources:
            shows.append(each)
        elif each in views:
            shows += views[each].sources
            rules_of |= views[each].rules_of
        else:
            known = (*sources, *views)
            raise InvalidSources(f"has an unknown source {shown(each)} in {where}{one_of(each, known)}")
    if not shows:
        raise InvalidSources(f"has no 'sources' in {where}; name what it shows, such as {LOCAL!r}")
    chosen = to_choice(table.get("strategy", strategy.value), Strategy, f"'strategy' of {where}")
    return ViewSettings(name, tuple(dict.fromkeys(shows)), chosen, frozenset(rules_of))


def effective_at_once(file: Sources, running: Sources) -> Sources:
    """Return what is in force as soon as the file changes: rules, times, and whatever lets fewer names out.

    A file that is being written looks complete at any moment. So a change that lets more names out waits for SIGHUP, and
    one that would make other objects (an upstream, a view) waits for a restart.
    """
    upstreams = tuple(
        each
        if (new := _named(file, each.name)) is None
        else replace(each, ttl=new.ttl, exclude=_union(each.exclude, new.exclude))
        for each in running.upstreams
    )
    return replace(
        running,
        rules=file.rules,
        own=_union(running.own, file.own),
        allow_upstream=tuple(name for name in running.allow_upstream if name in file.allow_upstream),
        upstreams=upstreams,
    )


def effective_after_reload(file: Sources, running: Sources) -> Sources:
    """Return what is in force after SIGHUP; arguments as for :func:`effective_at_once`."""
    upstreams = tuple(
        each
        if (new := _named(file, each.name)) is None
        else replace(each, ttl=new.ttl, projects=new.projects, exclude=new.exclude)
        for each in running.upstreams
    )
    return replace(
        running, rules=file.rules, own=file.own, allow_upstream=file.allow_upstream, upstreams=upstreams
    )


def _named(sources: Sources, name: str) -> UpstreamSettings | None:
    return next((each for each in sources.upstreams if each.name == name), None)


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return (*first, *(pattern for pattern in second if pattern not in first))
