"""The sources file: what stands behind one's own projects, in which order, and what is let through.

::

    strategy = "first-index"              # or "merge", "isolated"
    own = ["acme-*"]                      # never asked of anybody else
    allow-upstream = []                   # exceptions from that

    [[directory]]
    name = "staging"                      # one's own as well, beside that of --path
    path = "/srv/staging"

    [[upstream]]
    name = "pypi"
    url = "https://index.example/simple/"
    mode = "cache"                        # or "redirect", "listing-only"
    projects = ["*"]
    credentials = "env:PYPI_LOGIN"        # or "file:/etc/simpleindex/pypi", holding user:password
    ttl = "5m"

Everything unknown is refused rather than passed over: a misspelt name must not go out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simpleindex.core.errors import InvalidSources
from simpleindex.core.metadata import shown
from simpleindex.core.modes import Mode
from simpleindex.core.policy import Blocked
from simpleindex.core.policy_file import parse_rules
from simpleindex.core.toml_values import (
    check_keys,
    nearest,
    read_toml,
    tables,
    to_choice,
    to_flag,
    to_patterns,
    to_seconds,
    to_size,
    to_text,
    to_texts,
)
from simpleindex.core.views import LOCAL, MAIN_VIEW, RESERVED, ViewSettings, is_view_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.policy import Rule

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
_DIRECTORY_KEYS: Final = ("name", "path")
_VIEW_KEYS: Final = ("name", "sources", "strategy")
_UPSTREAM_KEYS: Final = (
    "name",
    "url",
    "mode",
    "flat",
    "projects",
    "exclude",
    "credentials",
    "ca-file",
    "ttl",
    "timeout",
    "list",
    "hosts",
    "connections",
    "keep-removed",
)
_CACHE_KEYS: Final = ("size", "free", "largest-file")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_CREDENTIALS: Final = re.compile(r"(env|file):(.+)")


class Strategy(Enum):
    """How several indexes are made one, by the names that uv and PEP 766 have for it."""

    FIRST_INDEX = "first-index"
    """The first that has a project owns it, entirely."""

    MERGE = "merge"
    """The union of their files by name, of which the first counts: whoever can publish in any of them can add a version."""

    ISOLATED = "isolated"
    """No upstream is asked."""


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """A directory of one's own beside that of ``--path``.

    Attributes:
        name: What it is called in logs and explanations.
        path: Where; relative to the sources file.
    """

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """One upstream.

    Attributes:
        name: What it is called in logs and explanations.
        url: Its index, with a slash at the end; or its page.
        mode: Who gives its files.
        flat: Whether it is one page with the files of many projects, as for pip's ``--find-links``.
        projects: Patterns of the names that it is asked for.
        exclude: Patterns of names that it is never asked for.
        credentials: ``("env", NAME)`` or ``("file", PATH)``, which hold ``user:password``; None without.
        ca_file: CA certificates to trust for it, or None for the system's.
        ttl: Seconds for which a listing is taken as it is.
        timeout: Seconds in which an answer must begin.
        lists: Whether its projects are in our list.
        hosts: Patterns of further hosts that it may redirect to, and whose addresses may be private.
        connections: How many pages, and how many files, it is asked for at once; others wait their turn.
        keep_removed: Whether files that it has no more stay on offer where they are held. An index also removes what is harmful.
    """

    name: str
    url: str
    mode: Mode = Mode.CACHE
    flat: bool = False
    projects: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    credentials: tuple[str, str] | None = None
    ca_file: str | None = None
    ttl: float = 300.0
    timeout: float = 10.0
    lists: bool = False
    hosts: tuple[str, ...] = ()
    connections: int = 16
    keep_removed: bool = False


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """How much of the disk is for what upstreams have.

    Attributes:
        size: Bytes of all that is kept.
        free: Bytes that stay free on its file system.
        largest_file: Bytes of one file.
    """

    size: int = 20 << 30
    free: int = 1 << 30
    largest_file: int = 20 << 30


@dataclass(frozen=True, slots=True)
class Sources:
    """What a sources file says.

    Attributes:
        strategy: See :class:`Strategy`.
        own: Patterns of names that never leave the house.
        allow_upstream: Patterns of names that may although they are ours.
        directories: In their order, after that of ``--path``.
        upstreams: In their order, after those.
        views: The index at the root, which shows everything, and those beside it.
        rules: What is withheld of what upstreams offer.
        cache: How much of it is kept.
    """

    strategy: Strategy = Strategy.FIRST_INDEX
    own: tuple[str, ...] = ()
    allow_upstream: tuple[str, ...] = ()
    directories: tuple[DirectorySettings, ...] = ()
    upstreams: tuple[UpstreamSettings, ...] = ()
    views: tuple[ViewSettings, ...] = (
        ViewSettings(MAIN_VIEW, (LOCAL,), Strategy.FIRST_INDEX, frozenset({MAIN_VIEW})),
    )
    rules: tuple[Rule, ...] = ()
    cache: CacheSettings = CacheSettings()


def parse_sources(content: bytes) -> Sources:
    """Read a sources file.

    Raises:
        InvalidSources: It is not wholly understood; nothing of it may be used then.
    """
    table = read_toml(content)
    check_keys(table, _TOP_KEYS, "")
    upstreams = tuple(_upstream(each, number) for number, each in enumerate(tables(table, "upstream"), 1))
    directories = tuple(_directory(each, number) for number, each in enumerate(tables(table, "directory"), 1))
    names = [directory.name for directory in directories] + [upstream.name for upstream in upstreams]
    for name in names:
        if names.count(name) > 1 or name == LOCAL:
            raise InvalidSources(f"has two sources called {shown(name)}; give each a name of its own")
    strategy = to_choice(table.get("strategy", Strategy.FIRST_INDEX.value), Strategy, "'strategy'")
    if strategy is Strategy.ISOLATED and upstreams:
        raise InvalidSources('has upstreams that strategy = "isolated" never asks; leave one of the two out')
    own = (LOCAL, *names[: len(directories)])
    views = _views(tables(table, "view"), (LOCAL, *names), own, strategy)
    blocked = to_choice(table.get("blocked", Blocked.EMPTY.value), Blocked, "'blocked'")
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
            raise InvalidSources(f"has an unknown source {shown(each)} in {where}{nearest(each, known)}")
    if not shows:
        raise InvalidSources(f"has no 'sources' in {where}; name what it shows, such as {LOCAL!r}")
    chosen = to_choice(table.get("strategy", strategy.value), Strategy, f"'strategy' of {where}")
    return ViewSettings(name, tuple(dict.fromkeys(shows)), chosen, frozenset(rules_of))


def _directory(table: Mapping[str, object], number: int) -> DirectorySettings:
    name = _source_name(table, f"directory {number}", _DIRECTORY_KEYS, "path")
    return DirectorySettings(name, to_text(table["path"], f"'path' of the directory {name}"))


def _source_name(table: Mapping[str, object], where: str, keys: tuple[str, ...], place: str) -> str:
    check_keys(table, keys, f" in {where}")
    for key in ("name", place):
        if key not in table:
            raise InvalidSources(f"has no {key!r} in {where}")
    name = to_text(table["name"], f"'name' of {where}")
    if not _NAME.fullmatch(name):
        raise InvalidSources(f"calls {where} {shown(name)}; a name has small letters, digits and hyphens")
    return name


def _upstream(table: Mapping[str, object], number: int) -> UpstreamSettings:
    name = _source_name(table, f"upstream {number}", _UPSTREAM_KEYS, "url")
    where = f"the upstream {name}"
    mode = to_choice(table.get("mode", Mode.CACHE.value), Mode, f"'mode' of {where}")
    keep_removed = to_flag(table.get("keep-removed", False), f"'keep-removed' of {where}")
    if mode is not Mode.CACHE and keep_removed:
        raise InvalidSources(
            f"has 'keep-removed' of {where}, of which nothing is kept with mode = \"{mode.value}\"; leave one of the two out"
        )
    if mode is not Mode.CACHE and "credentials" in table:
        raise InvalidSources(
            f"has 'credentials' of {where}, whose clients are sent there without; use mode = \"cache\", or leave one of the two out"
        )
    flat = to_flag(table.get("flat", False), f"'flat' of {where}")
    return UpstreamSettings(
        name=name,
        url=_url(table["url"], where, is_page=flat),
        mode=mode,
        flat=flat,
        projects=to_patterns(table.get("projects", ["*"]), f"'projects' of {where}"),
        exclude=to_patterns(table.get("exclude", []), f"'exclude' of {where}"),
        credentials=_credentials(table.get("credentials"), where),
        ca_file=None if "ca-file" not in table else to_text(table["ca-file"], f"'ca-file' of {where}"),
        ttl=to_seconds(table.get("ttl", "5m"), f"'ttl' of {where}"),
        timeout=to_seconds(table.get("timeout", "10s"), f"'timeout' of {where}"),
        lists=to_flag(table.get("list", flat), f"'list' of {where}"),
        hosts=tuple(to_texts(table.get("hosts", []), f"'hosts' of {where}")),
        keep_removed=keep_removed,
        connections=_connections(table.get("connections", 16), where),
    )


def _connections(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 1000:
        raise InvalidSources(f"has 'connections' of {where} that are no number from 1 to 1000")
    return value


def _url(value: object, where: str, *, is_page: bool) -> str:
    url = to_text(value, f"'url' of {where}")
    try:
        split = urlsplit(url)
        host, _ = split.hostname, split.port
    except ValueError:
        host, split = None, urlsplit("")
    if split.scheme not in {"http", "https"} or not host or not url.isascii() or " " in url:
        raise InvalidSources(
            f"has a 'url' of {where} that is no URL of an index, such as https://host/simple/"
        )
    if split.username is not None or split.password is not None:
        raise InvalidSources(f"has a login in the 'url' of {where}; give it by 'credentials' instead")
    if split.query or split.fragment:
        raise InvalidSources(f"has a ? or # in the 'url' of {where}; an index has none")
    return url if url.endswith("/") or is_page else f"{url}/"


def _credentials(value: object, where: str) -> tuple[str, str] | None:
    if value is None:
        return None
    matched = _CREDENTIALS.fullmatch(to_text(value, f"'credentials' of {where}"))
    if matched is None:
        # Not shown: it may be the secret itself.
        raise InvalidSources(
            f'has \'credentials\' of {where} that name no place; write "env:NAME" or "file:PATH", which holds user:password'
        )
    return matched[1], matched[2]
