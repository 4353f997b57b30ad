"""The sources in a sources file: further directories of the index, and upstreams."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simpleindex.core.errors import InvalidSetting, InvalidSources
from simpleindex.core.parsing.toml import (
    check_keys,
    to_boolean,
    to_choice,
    to_duration,
    to_patterns,
    to_text,
    to_texts,
)
from simpleindex.core.text import shown
from simpleindex.upstreams.http.missing import refuses_missing
from simpleindex.upstreams.modes import Mode
from simpleindex.upstreams.pages.urls import index_url

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIRECTORY_KEYS: Final = ("name", "path")
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
    "missing",
)

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
# What names, addresses, ports, and patterns of them (fnmatch) consist of.
_HOST_PATTERN: Final = re.compile(r"[A-Za-z0-9._*?!:\[\]-]+", re.ASCII)
_CREDENTIALS: Final = re.compile(r"(env|file):(.+)")


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """A further directory of the index, beside ``--path``.

    Attributes:
        name: Its name in logs and explanations.
        path: Its path, relative to the sources file.
    """

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """One upstream.

    Attributes:
        name: Its name in logs and explanations.
        url: The URL of its index, with a slash at the end; or of its flat page.
        mode: How clients get its files.
        flat: Whether it is one page with the files of many projects, as for pip's ``--find-links``.
        projects: Patterns of the projects that are requested from it.
        exclude: Patterns of projects that are never requested from it.
        credentials: ``("env", NAME)`` or ``("file", PATH)``, which hold ``user:password``; None without.
        ca_file: CA certificates to trust for it, or None for the system's.
        ttl: Seconds for which a listing is fresh.
        timeout: Seconds for the first byte of an answer.
        lists: Whether its projects are in the index's list of projects.
        hosts: Patterns of further hosts that it may redirect to, and whose addresses may be private.
        connections: How many pages, and how many files, are requested at once; others wait.
        missing: Statuses of a project's page that mean "no such project", beside 404 and 410.
        keep_removed: Whether cached files that it no longer lists are pinned. An index also removes harmful files.
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
    missing: frozenset[int] = frozenset()

    @property
    def identity(self) -> str:
        """What identifies the index in records and in the cache: its URL, and its name if it has credentials.

        So files that were fetched with credentials are not served to readers of another upstream with the same URL.
        """
        return self.url if self.credentials is None else f"{self.url} ({self.name})"


def parse_directory_table(table: Mapping[str, object], number: int) -> DirectorySettings:
    """Read one ``[[directory]]``.

    Args:
        table: The table.
        number: Its number in the file, from 1, for errors.

    Raises:
        InvalidSources: It is invalid.
    """
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


def parse_upstream(table: Mapping[str, object], number: int) -> UpstreamSettings:
    """Read one ``[[upstream]]``; as :func:`parse_directory_table`."""
    name = _source_name(table, f"upstream {number}", _UPSTREAM_KEYS, "url")
    where = f"the upstream {name}"
    mode = to_choice(table.get("mode", Mode.CACHE.value), Mode, f"'mode' of {where}")
    keep_removed = to_boolean(table.get("keep-removed", False), f"'keep-removed' of {where}")
    if mode is not Mode.CACHE and keep_removed:
        raise InvalidSources(
            f"has 'keep-removed' of {where}, of which nothing is kept with mode = \"{mode.value}\"; leave one of the two out"
        )
    if mode is not Mode.CACHE and "credentials" in table:
        raise InvalidSources(
            f"has 'credentials' of {where}, whose clients are sent there without; use mode = \"cache\", or leave one of the two out"
        )
    flat = to_boolean(table.get("flat", False), f"'flat' of {where}")
    return UpstreamSettings(
        name=name,
        url=_url(table["url"], where, is_page=flat),
        mode=mode,
        flat=flat,
        projects=to_patterns(table.get("projects", ["*"]), f"'projects' of {where}"),
        exclude=to_patterns(table.get("exclude", []), f"'exclude' of {where}"),
        credentials=_credentials(table.get("credentials"), where),
        ca_file=None if "ca-file" not in table else to_text(table["ca-file"], f"'ca-file' of {where}"),
        ttl=to_duration(table.get("ttl", "5m"), f"'ttl' of {where}"),
        timeout=to_duration(table.get("timeout", "10s"), f"'timeout' of {where}"),
        lists=to_boolean(table.get("list", flat), f"'list' of {where}"),
        hosts=_hosts(table.get("hosts", []), f"'hosts' of {where}"),
        keep_removed=keep_removed,
        missing=_missing(table.get("missing", []), where, flat=flat),
        connections=_connections(table.get("connections", 16), where),
    )


def _hosts(value: object, where: str) -> tuple[str, ...]:
    patterns = to_texts(value, where)
    for pattern in patterns:
        # Another one would match no host, and say so only when a file is wanted.
        if not _HOST_PATTERN.fullmatch(pattern):
            raise InvalidSources(
                f'has {shown(pattern)} in {where}, which is no host; write its name alone, such as "files.example.org", '
                'with a port only if it is unusual: "files.example.org:8443"'
            )
    return tuple(patterns)


def _connections(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 1000:
        raise InvalidSources(f"has 'connections' of {where} that are no number from 1 to 1000")
    return value


def _missing(value: object, where: str, *, flat: bool) -> frozenset[int]:
    if not isinstance(value, list):
        raise InvalidSources(f"has a 'missing' of {where} that is no list; write missing = [403]")
    for status in value:
        refusal = refuses_missing(status)
        if refusal is not None:
            # Not any number or table: it may be too long, or too deep, for Python to write out.
            is_short = type(status) is int and -1000 < status < 1000
            shows = str(status) if is_short else shown(status) if isinstance(status, str) else "a value"
            raise InvalidSources(
                f"has {shows} in 'missing' of {where}, which {refusal}; it takes statuses that mean \"no such project\", such as 403"
            )
    if value and flat:
        raise InvalidSources(
            f"has 'missing' of {where}, which is one page without any for projects; leave it out"
        )
    return frozenset(value)


def _url(value: object, where: str, *, is_page: bool) -> str:
    url = to_text(value, f"'url' of {where}")
    try:
        index_url(url)
    except InvalidSetting:
        is_url = False
    else:
        # Python drops tabs and line feeds from URLs; other programs do not.
        is_url = url.isascii() and url.isprintable() and " " not in url
    if not is_url:
        raise InvalidSources(
            f"has a 'url' of {where} that is no URL of an index, such as https://host/simple/"
        )
    split = urlsplit(url)
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
