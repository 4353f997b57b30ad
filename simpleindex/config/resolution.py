"""Decide every option once: command line before environment before configuration file before default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simpleindex.config.acme_values import LETS_ENCRYPT, parse_contact, parse_directory, parse_identifier
from simpleindex.config.bucket_location import BucketLocation
from simpleindex.config.contradictions import refuse_contradictions
from simpleindex.config.directories import directory_of_bucket, home_of, refuse_unusable_root, state_or_cache
from simpleindex.config.layers import Layers, from_command_line, from_environment, from_file
from simpleindex.config.options import OPTIONS
from simpleindex.config.settings import DEFAULT_TITLE, Settings
from simpleindex.config.values import (
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
    to_token_memory,
    to_url,
    to_watch,
    to_workers,
)
from simpleindex.core.errors import RefusedStart

if TYPE_CHECKING:
    from collections.abc import Mapping

# Loopback: other machines read the index, and read it unencrypted, only where an option allows it.
_DEFAULT_HTTP: Final = (ListenAddress("tcp:8080:interface=127.0.0.1"),)


BUCKET_POLL_SECONDS: Final = 30.0
"""Between two listings of a bucket; stores charge for them."""


CONNECTIONS_PER_ADDRESS: Final = 256
"""For offices behind one address; uv opens up to 50 at a time."""

METRICS_FOR: Final = (to_network("127.0.0.0/8"), to_network("::1"))
"""The networks whose clients see metrics without a login, if none are given."""


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
    refuse_contradictions(settings, layers)
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
        token_memory=layers.one("token-memory", to_token_memory, 60),
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
        max_connections_per_address=layers.one(
            "max-connections-per-address", to_count, CONNECTIONS_PER_ADDRESS
        ),
        page_cache=layers.one("page-cache", to_bytes, to_bytes("64M")),
        bucket_cache=layers.one("bucket-cache", to_bytes, to_bytes("10G")),
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
