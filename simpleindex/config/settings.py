"""Every option of the service, decided once: command line before environment before configuration file before default."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simpleindex.config.acme_values import LETS_ENCRYPT, parse_contact, parse_directory, parse_identifier
from simpleindex.config.directories import (
    directory_of_bucket,
    home_of,
    place_of,
    refuse_unusable_root,
    state_or_cache,
)
from simpleindex.config.layers import Layers, from_command_line, from_environment, from_file
from simpleindex.config.options import OPTIONS, Option
from simpleindex.config.values import (
    AccessLog,
    ListenAddress,
    Network,
    WatchMode,
    to_access_log,
    to_bytes,
    to_cors,
    to_count,
    to_days,
    to_flag,
    to_lifetime,
    to_listen,
    to_network,
    to_package_place,
    to_path,
    to_records,
    to_scraper,
    to_seconds,
    to_title,
    to_url,
    to_watch,
    to_workers,
)
from simpleindex.core.bucket_location import BucketLocation
from simpleindex.core.errors import RefusedStart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.config.acme_values import AcmeContact, Identifier

__all__ = ["OPTIONS", "ListenAddress", "Option", "Settings", "WatchMode", "changes", "resolve"]

# Loopback: other machines read the index, and read it unencrypted, only where an option allows it.
_DEFAULT_HTTP: Final = (ListenAddress("tcp:8080:interface=127.0.0.1"),)

_ACME_DETAILS: Final = tuple(
    option.name for option in OPTIONS if option.name.startswith("acme-") and option.name != "acme-webroot"
)
"""Options that refine ``--acme``."""

BUCKET_POLL_SECONDS: Final = 30.0
"""Between two listings of a bucket; stores charge for them."""

DEFAULT_TITLE: Final = "Package index"

METRICS_FOR: Final = (to_network("127.0.0.0/8"), to_network("::1"))
"""The networks whose clients see metrics without a login, if none are given."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the service. All paths are absolute.

    Attributes:
        path: The served directory; for a bucket the local directory of uploads that are being checked.
        https: Where to listen with TLS.
        http: Where to listen without.
        serve_http: Whether the index is served without TLS although it is served with it.
        acme_webroot: Where ACME challenges are answered from, or None.
        acme: The contact for certificates of an ACME authority; None if none are requested.
        acme_name: Names and addresses that they are requested for, beside the host of ``url``.
        acme_directory: The URL of the authority's directory.
        acme_profile: The profile to request, or None.
        acme_eab_id: The identifier of the account at the authority that ours is bound to, or None.
        acme_eab_key: The file with the key of that binding, or None.
        acme_trust: The file with the roots to trust for the directory, or None for the system's.
        certs: Certificates and keys.
        state: Records: what cannot be rebuilt.
        new_records: Whether to make new records where the old ones are lost, instead of refusing to start.
        records: The PostgreSQL database of the records, or None for a file in ``state``.
        cache: What can.
        sources: The file of the indexes behind this one, or None.
        users: The htpasswd file of those who may log in, or None.
        access: The file of their rights, or None.
        hooks: The file of the servers and programs that are notified of events, or None.
        insecure_auth: Whether credentials are taken over plain HTTP from other machines.
        url: ``scheme://host[:port]/[path/]`` as clients reach it, or None if it follows from the certificate.
        title: The name of the index on pages for people.
        notice: Markdown for the front page; empty for none.
        watch: How changes are learnt of.
        poll_interval: Seconds between sweeps.
        follow_root: Whether a directory that takes the place of the root is served without an operator's word, where it is like it.
        access_log: A file, ``-`` for standard output, or None.
        downloads: Whether downloads are counted.
        keep_downloads: For how many days the counts are kept.
        keep_addresses: Whether each download is kept with its time and the client's address.
        metrics_for: Networks whose clients see metrics without a login; None where there are none at all.
        immutable_files: Whether clients may keep files for ever.
        cors: The origin whose pages may read the index, ``*`` for all, None for none.
        trusted_proxy: Networks whose word on the client's address is believed.
        max_connections_per_address: How many; 0 for no bound.
        page_cache: Bytes of rendered pages kept at most.
        redirect_downloads: Seconds for which URLs of the store are good that downloads are redirected to; 0 to send files from here.
        workers: Processes that serve; 0 for one for each core.
        config: The configuration file, or None.
        bucket: The served bucket, if --path is one, or None.
        defaulted_http: Whether ``http`` is our choice because neither kind of listener was given.
    """

    path: Path
    https: tuple[ListenAddress, ...]
    http: tuple[ListenAddress, ...]
    serve_http: bool
    acme_webroot: Path | None
    acme: AcmeContact | None
    acme_name: tuple[Identifier, ...]
    acme_directory: str
    acme_profile: str | None
    acme_eab_id: str | None
    acme_eab_key: Path | None
    acme_trust: Path | None
    certs: Path
    state: Path
    new_records: bool
    records: str | None
    cache: Path
    sources: Path | None
    users: Path | None
    access: Path | None
    hooks: Path | None
    insecure_auth: bool
    url: str | None
    title: str
    notice: str
    watch: WatchMode
    poll_interval: float
    follow_root: bool
    access_log: AccessLog
    downloads: bool
    keep_downloads: int
    keep_addresses: bool
    metrics_for: tuple[Network, ...] | None
    immutable_files: bool
    cors: str | None
    trusted_proxy: tuple[Network, ...]
    max_connections_per_address: int
    page_cache: int
    redirect_downloads: int
    workers: int
    config: Path | None
    bucket: BucketLocation | None
    defaulted_http: bool = False

    @property
    def has_logins(self) -> bool:
        """Whether anybody can log in, and so may upload."""
        return self.users is not None or self.access is not None

    @property
    def keeps_state(self) -> bool:
        """Whether anything is kept in the directory of records while the server runs."""
        return self.has_logins or self.sources is not None or self.downloads or self.hooks is not None

    def require_directory(self, command: str) -> Path:
        """Return the served directory for a command that changes or reads its files.

        Raises:
            RefusedStart: A bucket is served.
        """
        if self.bucket is not None:
            raise RefusedStart(
                f"{command} works on a directory, and --path is the bucket {self.bucket}: use --index-url with a token where the "
                "command has it, or a tool of the store."
            )
        return self.path

    @property
    def redirect_http(self) -> bool:
        """Whether the listeners without TLS only send clients to those with it."""
        return bool(self.https and self.http) and not self.serve_http


def resolve(
    command_line: Mapping[str, object],
    environment: Mapping[str, str],
    directory: Path,
    *,
    root_may_be_gone: bool = False,
) -> Settings:
    """Decide every option.

    Args:
        command_line: The options on the command line, by name: a text, True for a flag, a tuple for a repeatable option.
        environment: The process's environment.
        directory: The working directory at the start; a daemon has left it by the time of a reload.
        root_may_be_gone: True when reloading: a disk unmounted for the moment must not hold up other settings.

    Raises:
        RefusedStart: Something cannot be obeyed.
    """
    directory = directory.absolute()
    layers, config = _layers(command_line, environment, directory)
    settings = _settings(layers, config, environment, directory)
    _refuse_contradictions(settings, layers)
    if not root_may_be_gone and settings.bucket is None:
        refuse_unusable_root(settings.path, layers.where("path"))
    return settings


def resolve_people(
    command_line: Mapping[str, object], environment: Mapping[str, str], directory: Path
) -> tuple[Path, Path | None, str | None]:
    """Decide where the state and the users file are, and the database of the records, as the server does, for commands that serve nothing.

    Args:
        command_line: As for :func:`resolve`.
        environment: The same.
        directory: The working directory.

    Raises:
        RefusedStart: Something cannot be obeyed.
    """
    directory = directory.absolute()
    layers, _ = _layers(command_line, environment, directory)
    return (
        state_or_cache("state", layers, environment, directory),
        layers.located("users", to_path, None),
        layers.one("records", to_records, None),
    )


def option_texts(
    command_line: Mapping[str, object], environment: Mapping[str, str], directory: Path
) -> dict[str, tuple[str, ...]]:
    """Return the options that are given, as texts, and all that name paths, which are absolute; another start can take them.

    Raises:
        RefusedStart: Something cannot be obeyed.
    """
    settings = resolve(command_line, environment, directory)
    layers, _ = _layers(command_line, environment, directory.absolute())
    options = {}
    for option in OPTIONS:
        value = getattr(settings, option.field)
        if option.name == "path" and settings.bucket is not None:
            texts: tuple[str, ...] = (str(settings.bucket),)
        elif option.is_path or isinstance(value, Path):
            texts = () if value is None else (os.path.normpath(value),)
        else:
            texts = layers.texts(option.name)
        if texts:
            options[option.name] = texts
    return options


def changes(old: Settings, new: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the options that differ: those that apply at once, and those that need a restart."""
    differing = [option for option in OPTIONS if getattr(old, option.field) != getattr(new, option.field)]
    return (
        tuple(option.name for option in differing if not option.restart_needed),
        tuple(option.name for option in differing if option.restart_needed),
    )


def _layers(
    command_line: Mapping[str, object], environment: Mapping[str, str], directory: Path
) -> tuple[Layers, Path | None]:
    home = home_of(environment)
    layers = Layers(
        (from_environment(environment, directory), from_command_line(command_line, directory)), home
    )
    config = layers.located("config", to_path, None)
    if config is not None:
        layers = Layers((from_file(config), *layers.ascending), home)
    return layers, config


def _settings(
    layers: Layers, config: Path | None, environment: Mapping[str, str], directory: Path
) -> Settings:
    https = layers.many("https", to_listen)
    http = layers.many("http", to_listen)
    state, cache = (state_or_cache(name, layers, environment, directory) for name in ("state", "cache"))
    here: Path | BucketLocation = directory
    place = layers.located("path", to_package_place, here)
    bucket = place if isinstance(place, BucketLocation) else None
    return Settings(
        path=place if isinstance(place, Path) else directory_of_bucket(cache, place),
        https=https,
        http=http if http or https else _DEFAULT_HTTP,
        serve_http=layers.one("serve-http", to_flag, False),
        acme_webroot=layers.located("acme-webroot", to_path, None),
        acme=layers.one("acme", parse_contact, None),
        acme_name=layers.many("acme-name", parse_identifier),
        acme_directory=layers.one("acme-directory", parse_directory, LETS_ENCRYPT),
        acme_profile=layers.one("acme-profile", str, None),
        acme_eab_id=layers.one("acme-eab-id", str, None),
        acme_eab_key=layers.located("acme-eab-key", to_path, None),
        acme_trust=layers.located("acme-trust", to_path, None),
        certs=layers.located("certs", to_path, directory / "certs"),
        state=state,
        new_records=layers.one("new-records", to_flag, False),
        records=layers.one("records", to_records, None),
        cache=cache,
        sources=layers.located("sources", to_path, None),
        users=layers.located("users", to_path, None),
        access=layers.located("access", to_path, None),
        hooks=layers.located("hooks", to_path, None),
        insecure_auth=layers.one("insecure-auth", to_flag, False),
        url=layers.one("url", to_url, None),
        title=layers.one("title", to_title, DEFAULT_TITLE),
        notice=layers.one("notice", str, ""),
        watch=layers.one("watch", to_watch, WatchMode.AUTO),
        poll_interval=layers.one("poll-interval", to_seconds, 2.0 if bucket is None else BUCKET_POLL_SECONDS),
        follow_root=layers.one("follow-root", to_flag, False),
        access_log=layers.located("access-log", to_access_log, None),
        downloads=layers.one("downloads", to_flag, True),
        keep_downloads=layers.one("keep-downloads", to_days, 400),
        keep_addresses=layers.one("keep-addresses", to_flag, False),
        metrics_for=_metrics_for(layers),
        immutable_files=layers.one("immutable-files", to_flag, False),
        cors=layers.one("cors", to_cors, to_cors("*")),
        trusted_proxy=layers.many("trusted-proxy", to_network),
        max_connections_per_address=layers.one("max-connections-per-address", to_count, 256),
        page_cache=layers.one("page-cache", to_bytes, to_bytes("64M")),
        redirect_downloads=layers.one("redirect-downloads", to_lifetime, 0),
        workers=layers.one("workers", to_workers, 1),
        config=config,
        bucket=bucket,
        defaulted_http=not http and not https,
    )


def _metrics_for(layers: Layers) -> tuple[Network, ...] | None:
    """Return the networks of ``--metrics-for``; None if it is off.

    Raises:
        RefusedStart: It is off and not off.
    """
    if not layers.is_given("metrics-for"):
        return METRICS_FOR
    given = layers.many("metrics-for", to_scraper)
    networks = tuple(each for each in given if each is not None)
    if networks and len(networks) < len(given):
        raise RefusedStart(f"{layers.where('metrics-for')}: is off, and for some addresses; give one of both")
    return networks or None


def _refuse_contradictions(settings: Settings, layers: Layers) -> None:
    if settings.defaulted_http or not settings.http:
        for name, value in (("serve-http", settings.serve_http), ("acme-webroot", settings.acme_webroot)):
            if value:
                raise RefusedStart(
                    f"{layers.where(name)}: means nothing without --http; add it or leave this out"
                )
    _refuse_contradictory_acme(settings, layers)
    if not settings.downloads:
        for name in ("keep-downloads", "keep-addresses"):
            if layers.is_given(name):
                raise RefusedStart(
                    f"{layers.where(name)}: means nothing with --downloads off; leave one of them out"
                )
    if settings.insecure_auth and not settings.has_logins:
        raise RefusedStart(
            f"{layers.where('insecure-auth')}: means nothing without --users or --access; add one or leave this out"
        )
    root = place_of(settings.path)
    for name, path in (("certs", settings.certs), ("state", settings.state), ("cache", settings.cache)):
        if place_of(path) == root:
            raise RefusedStart(
                f"{layers.where(name)}: {str(path)!r} is the served directory itself; give one beside it or inside it"
            )
    if place_of(settings.state) == place_of(settings.cache):
        raise RefusedStart(
            f"{layers.where('cache')}: {str(settings.cache)!r} is --state too, and a cache may be deleted; give another"
        )


def _refuse_contradictory_acme(settings: Settings, layers: Layers) -> None:
    if settings.acme is None:
        for name in _ACME_DETAILS:
            if layers.is_given(name):
                raise RefusedStart(
                    f"{layers.where(name)}: means nothing without --acme; add it or leave this out"
                )
    elif not settings.https:
        raise RefusedStart(
            f"{layers.where('acme')}: means nothing without --https; add --https 443 or leave this out"
        )
    for one, other in (("acme-eab-id", "acme-eab-key"), ("acme-eab-key", "acme-eab-id")):
        if layers.is_given(one) and not layers.is_given(other):
            raise RefusedStart(
                f"{layers.where(one)}: means nothing without --{other}; add it or leave this out"
            )
