"""What belongs to a backup of a server: its packages, state, certificates and the files of its configuration. Blocking."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from simpleindex.backup.manifest import BackupPart, PackagesMode
from simpleindex.config.directories import absolute_path
from simpleindex.config.options import OPTIONS
from simpleindex.core.errors import RefusedStart
from simpleindex.hooks.settings import Webhook, parse_hooks
from simpleindex.system.followed_file import read_named_file
from simpleindex.views.sources_file import Sources, parse_sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.config.settings import Settings

PACKAGES: Final = "packages"
STATE: Final = "state"
CERTIFICATES: Final = "certs"
SOURCES: Final = "sources"
HOOKS: Final = "hooks"

_DIRECTORY: Final = "directory-"
"""How parts of further directories of packages are called, before the name of the directory."""

_APART: Final = frozenset({"path", "state", "certs", "cache", "acme-webroot"})
"""Options with paths that are not files of the configuration."""


@dataclass(frozen=True, slots=True)
class BackupScope:
    """What belongs to a backup.

    Attributes:
        parts: Its parts: the packages come first, because no record may be older than a package that it is about.
        missing: Sentences about what is not in it: files that the configuration names and that are not there, and a bucket.
        excluded: Paths that belong to no part: the cache.
    """

    parts: tuple[BackupPart, ...]
    missing: tuple[str, ...]
    excluded: tuple[str, ...]


def is_of_packages(part: str) -> bool:
    """Tell whether a part has packages."""
    return part == PACKAGES or part.startswith(_DIRECTORY)


def scope_of(settings: Settings, mode: PackagesMode) -> BackupScope:
    """Return what belongs to a backup of the server with these settings.

    Raises:
        RefusedStart: The sources file cannot be read, or no server has used the state directory.
    """
    if not settings.state.is_dir():
        raise RefusedStart(
            f"No server has used {settings.state}. Name the server's configuration with SIMPLEINDEX_CONFIG=FILE or --config FILE."
        )
    sources = Sources() if settings.sources is None else read_named_file(settings.sources, parse_sources)
    parts, missing = [], []
    if mode is not PackagesMode.NONE:
        is_stored = mode is not PackagesMode.REFERENCE
        for name, path in _package_directories(settings, sources):
            parts.append(BackupPart(name, path, is_stored=is_stored))
    if settings.bucket is not None and mode is not PackagesMode.NONE:
        missing.append(
            f"The packages in {settings.bucket} are not in it: let the store keep versions or a replica of them."
        )
    for name, path in _configuration(settings, sources):
        if os.path.exists(path):
            parts.append(BackupPart(name, path, is_file=not os.path.isdir(path)))
        else:
            missing.append(f"{path} is named by the configuration and is not there.")
    if settings.certs.is_dir():
        parts.append(BackupPart(CERTIFICATES, absolute_path(settings.certs)))
    parts.append(BackupPart(STATE, absolute_path(settings.state)))
    return BackupScope(tuple(parts), tuple(missing), (str(settings.cache),))


def _package_directories(settings: Settings, sources: Sources) -> Iterator[tuple[str, str]]:
    if settings.bucket is None:  # The store keeps its own copies.
        yield PACKAGES, absolute_path(settings.path)
    for each in sources.directories:
        yield f"{_DIRECTORY}{each.name}", _beside(settings, each.path)


def _configuration(settings: Settings, sources: Sources) -> Iterator[tuple[str, str]]:
    """Yield the files of the configuration with the names of their parts, each once."""
    found: dict[str, str] = {}
    for option in OPTIONS:
        path = getattr(settings, option.field)
        if option.is_path and option.name not in _APART and path is not None:
            found.setdefault(absolute_path(path), option.name)
    named = [
        *(_beside(settings, path) for path in _named_by(sources)),
        *_named_by_records(settings.records),
        *_named_by_hooks(settings.hooks),
    ]
    for number, path in enumerate(named, 1):
        found.setdefault(path, f"named-{number}")
    for path, name in found.items():
        yield name, path


def _named_by(sources: Sources) -> Iterator[str]:
    """Yield the files and directories that a sources file names: credentials, authorities, lists."""
    for upstream in sources.upstreams:
        if upstream.credentials is not None and upstream.credentials[0] == "file":
            yield upstream.credentials[1]
        if upstream.ca_file is not None:
            yield upstream.ca_file
    for rule in sources.rules:
        for key in rule.lists:
            yield key.partition(":")[2]


def _named_by_records(url: str | None) -> list[str]:
    """Return the files that the URL of a PostgreSQL database names: passwords, certificates and keys (libpq, "Parameter Key Words")."""
    query = parse_qs(urlsplit(url or "").query)
    return [
        absolute_path(path)
        for key in ("passfile", "sslrootcert", "sslcert", "sslkey")
        for path in query.get(key, ())
        if os.path.isabs(path)
    ]


def _named_by_hooks(hooks: Path | None) -> list[str]:
    """Return the files that a hooks file names: secrets and authorities.

    Raises:
        RefusedStart: It cannot be read.
    """
    if hooks is None:
        return []
    webhooks = [hook.target for hook in read_named_file(hooks, parse_hooks)]
    paths = [path for target in webhooks if isinstance(target, Webhook) for path in target.files]
    return [absolute_path(hooks.parent / path) for path in paths]


def _beside(settings: Settings, path: str) -> str:
    assert settings.sources is not None  # it named the path
    return absolute_path(settings.sources.parent / path)
