"""The sources file: what stands behind one's own projects, in which order, and what is let through.

::

    strategy = "first-index"              # or "merge", "isolated"
    own = ["acme-*"]                      # never asked of anybody else
    allow-upstream = []                   # exceptions from that

    [[upstream]]
    name = "pypi"
    url = "https://index.example/simple/"
    projects = ["*"]
    credentials = "env:PYPI_LOGIN"        # or "file:/etc/simpleindex/pypi", holding user:password
    ttl = "5m"

Everything unknown is refused rather than passed over: a misspelt name must not go out.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from simpleindex.core.errors import InvalidPattern, InvalidSources
from simpleindex.core.metadata import shown
from simpleindex.core.patterns import parse_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAXIMUM_SIZE: Final = 1 << 20
"""Bytes; a larger file is refused."""

_TOP_KEYS: Final = ("strategy", "own", "allow-upstream", "upstream")
_UPSTREAM_KEYS: Final = (
    "name",
    "url",
    "projects",
    "exclude",
    "credentials",
    "ca-file",
    "ttl",
    "timeout",
    "list",
    "hosts",
)

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_DURATION: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_CREDENTIALS: Final = re.compile(r"(env|file):(.+)")


_Choice = TypeVar("_Choice", bound=Enum)


class Strategy(Enum):
    """How several indexes are made one, by the names that uv and PEP 766 have for it."""

    FIRST_INDEX = "first-index"
    """The first that has a project owns it, entirely."""

    MERGE = "merge"
    """The union of their files by name, of which the first counts: whoever can publish in any of them can add a version."""

    ISOLATED = "isolated"
    """No upstream is asked."""


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """One upstream.

    Attributes:
        name: What it is called in logs and explanations.
        url: Its index, with a slash at the end.
        projects: Patterns of the names that it is asked for.
        exclude: Patterns of names that it is never asked for.
        credentials: ``("env", NAME)`` or ``("file", PATH)``, which hold ``user:password``; None without.
        ca_file: CA certificates to trust for it, or None for the system's.
        ttl: Seconds for which a listing is taken as it is.
        timeout: Seconds in which an answer must begin.
        lists: Whether its projects are in our list.
        hosts: Patterns of further hosts that it may redirect to, and whose addresses may be private.
    """

    name: str
    url: str
    projects: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    credentials: tuple[str, str] | None = None
    ca_file: str | None = None
    ttl: float = 300.0
    timeout: float = 10.0
    lists: bool = False
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """What a sources file says.

    Attributes:
        strategy: See :class:`Strategy`.
        own: Patterns of names that never leave the house.
        allow_upstream: Patterns of names that may although they are ours.
        upstreams: In their order.
    """

    strategy: Strategy = Strategy.FIRST_INDEX
    own: tuple[str, ...] = ()
    allow_upstream: tuple[str, ...] = ()
    upstreams: tuple[UpstreamSettings, ...] = ()


def parse_sources(content: bytes) -> Sources:
    """Read a sources file.

    Raises:
        InvalidSources: It is not wholly understood; nothing of it may be used then.
    """
    table = _toml(content)
    _check_keys(table, _TOP_KEYS, "")
    upstreams = tuple(_upstream(each, number) for number, each in enumerate(_tables(table, "upstream"), 1))
    names = [upstream.name for upstream in upstreams]
    for name in names:
        if names.count(name) > 1 or name == "local":
            raise InvalidSources(f"has two sources called {shown(name)}; give each a name of its own")
    strategy = _choice(table.get("strategy", Strategy.FIRST_INDEX.value), Strategy, "'strategy'")
    if strategy is Strategy.ISOLATED and upstreams:
        raise InvalidSources('has upstreams that strategy = "isolated" never asks; leave one of the two out')
    return Sources(
        strategy=strategy,
        own=_patterns(table.get("own", []), "'own'"),
        allow_upstream=_patterns(table.get("allow-upstream", []), "'allow-upstream'"),
        upstreams=upstreams,
    )


def _toml(content: bytes) -> dict[str, object]:
    if len(content) > MAXIMUM_SIZE:
        raise InvalidSources(f"has more than {MAXIMUM_SIZE >> 20} MiB")
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise InvalidSources("is not UTF-8 text") from None
    except ValueError as error:  # not only TOMLDecodeError: a number can have too many digits for Python
        raise InvalidSources(f"is not valid TOML: {error}") from None
    except RecursionError:
        raise InvalidSources("is nested too deeply") from None


def _tables(table: Mapping[str, object], key: str) -> list[dict[str, object]]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidSources(f"has a {key!r} that is not a list of tables; write [[{key}]] above each")
    return found


def _upstream(table: Mapping[str, object], number: int) -> UpstreamSettings:
    where = f"upstream {number}"
    _check_keys(table, _UPSTREAM_KEYS, f" in {where}")
    for key in ("name", "url"):
        if key not in table:
            raise InvalidSources(f"has no {key!r} in {where}")
    name = _text(table["name"], f"'name' of {where}")
    if not _NAME.fullmatch(name):
        raise InvalidSources(f"calls {where} {shown(name)}; a name has small letters, digits and hyphens")
    where = f"the upstream {name}"
    return UpstreamSettings(
        name=name,
        url=_url(table["url"], where),
        projects=_patterns(table.get("projects", ["*"]), f"'projects' of {where}"),
        exclude=_patterns(table.get("exclude", []), f"'exclude' of {where}"),
        credentials=_credentials(table.get("credentials"), where),
        ca_file=None if "ca-file" not in table else _text(table["ca-file"], f"'ca-file' of {where}"),
        ttl=_seconds(table.get("ttl", "5m"), f"'ttl' of {where}"),
        timeout=_seconds(table.get("timeout", "10s"), f"'timeout' of {where}"),
        lists=_flag(table.get("list", False), f"'list' of {where}"),
        hosts=tuple(_texts(table.get("hosts", []), f"'hosts' of {where}")),
    )


def _url(value: object, where: str) -> str:
    url = _text(value, f"'url' of {where}")
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
    return url if url.endswith("/") else f"{url}/"


def _credentials(value: object, where: str) -> tuple[str, str] | None:
    if value is None:
        return None
    matched = _CREDENTIALS.fullmatch(_text(value, f"'credentials' of {where}"))
    if matched is None:
        # Not shown: it may be the secret itself.
        raise InvalidSources(
            f'has \'credentials\' of {where} that name no place; write "env:NAME" or "file:PATH", which holds user:password'
        )
    return matched[1], matched[2]


def _patterns(value: object, where: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(parse_pattern(text) for text in _texts(value, where)))
    except InvalidPattern as error:
        raise InvalidSources(
            f"has for {where} the project {shown(error.text)}, which {error.reason}"
        ) from None


def _texts(value: object, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidSources(f"has what is not a list of texts for {where}")
    return value


def _choice(value: object, kind: type[_Choice], where: str) -> _Choice:
    known = [each.value for each in kind]
    if value not in known:
        near = _nearest(value, known) if isinstance(value, str) else f" (known: {', '.join(known)})"
        raise InvalidSources(f"has an unknown value of {where}{near}")
    return kind(value)


def _seconds(value: object, where: str) -> float:
    matched = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if matched is None or not int(matched[1]):
        raise InvalidSources(f'has a value of {where} that is no time such as "30s", "5m", "12h" or "7d"')
    return float(int(matched[1]) * _UNITS[matched[2]])


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidSources(f"has a value of {where} that is neither true nor false")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidSources(f"has what is no text for {where}")
    return value


def _check_keys(table: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise InvalidSources(f"has the unknown key {shown(key)}{where}{_nearest(key, known)}")


def _nearest(word: str, known: Iterable[str]) -> str:
    choices = list(known)
    near = get_close_matches(word[:100], choices, n=1)
    return f"; did you mean {near[0]!r}?" if near else f" (known: {', '.join(choices)})"
