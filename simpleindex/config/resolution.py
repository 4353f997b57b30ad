"""Decide every option once: command line before environment before configuration file before default."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from simpleindex.config.bucket_location import BucketLocation
from simpleindex.config.contradictions import refuse_contradictions
from simpleindex.config.directories import (
    absolute_path,
    directory_of_bucket,
    home_of,
    refuse_unusable_root,
    state_or_cache,
)
from simpleindex.config.layers import Layers, from_command_line, from_environment, from_file
from simpleindex.config.options import OPTIONS
from simpleindex.config.settings import Settings
from simpleindex.config.values import (
    ListenAddress,
    Network,
    to_flag,
    to_network,
    to_path,
    to_records,
    to_scraper,
)
from simpleindex.core.errors import RefusedStart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.config.option import Option

# Loopback: other machines read the index, and read it unencrypted, only where an option allows it.
_DEFAULT_HTTP: Final = (ListenAddress("tcp:8080:interface=127.0.0.1"),)


BUCKET_POLL_SECONDS: Final = 30.0
"""Between two listings of a bucket; stores charge for them."""


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
            texts = () if value is None else (absolute_path(value),)
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
    values = {option.field: _value(option, layers, directory) for option in OPTIONS}
    for name in ("state", "cache"):
        values[name] = state_or_cache(name, layers, environment, directory)
    bucket = None
    if isinstance(values["path"], BucketLocation):
        bucket = values["path"]
        values["path"] = directory_of_bucket(values["cache"], bucket)
        if not layers.is_given("poll-interval"):
            values["poll_interval"] = BUCKET_POLL_SECONDS
    defaulted_http = not values["http"] and not values["https"]
    if defaulted_http:
        values["http"] = _DEFAULT_HTTP
    values["metrics_for"] = _metrics_for(layers)
    return Settings(**values | {"config": config, "bucket": bucket, "defaulted_http": defaulted_http})


def _value(option: Option, layers: Layers, directory: Path) -> Any:
    if option.flag:
        return layers.one(option.name, to_flag, False)
    if option.repeatable:
        return layers.many(option.name, option.parse)
    if option.is_path:
        parse = to_path if option.parse is str else option.parse
        default = parse(option.default, directory, layers.home) if option.default else option.empty
        return layers.located(option.name, parse, default)
    default = option.parse(option.default) if option.default else option.empty
    return layers.one(option.name, option.parse, default)


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
