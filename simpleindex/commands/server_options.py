"""The server's options as commands take them, the settings that they give, and the files that the settings name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from simpleindex.config.resolution import resolve
from simpleindex.core.errors import RefusedStart
from simpleindex.core.text import one_of
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.service.places import excluded_paths

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from simpleindex.config.settings import Settings

T = TypeVar("T")

_METAVARS: Final = {
    **dict.fromkeys(("path", "state", "cache", "certs"), "DIR"),
    **dict.fromkeys(("config", "sources", "users", "access", "hooks"), "FILE"),
}


def add_server_options(parser: argparse._ActionsContainer, *names: str) -> None:
    """Add options of the server to those of a command."""
    for name in names:
        parser.add_argument(f"--{name}", metavar=_METAVARS[name], help=f"as the server's --{name}")


def given_options(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the options of the server that a command was given."""
    return {name: value for name in _METAVARS if (value := getattr(arguments, name, None))}


def server_settings(arguments: argparse.Namespace, *, root_may_be_gone: bool = False) -> Settings:
    """Return the settings of the server by the options of a command, the environment and the configuration file.

    Raises:
        RefusedStart: An option or the configuration file is not valid, or there is no directory of packages.
    """
    return resolve(given_options(arguments), os.environ, Path.cwd(), root_may_be_gone=root_may_be_gone)


def open_directory(settings: Settings, directories: Mapping[str, Path], name: str) -> PackageDirectory:
    """Return the directory of packages of that name, for ``--to``.

    Raises:
        RefusedStart: There is none, or it cannot be read.
    """
    if name not in directories:
        raise RefusedStart(f"--to: there is no directory {name!r}{one_of(name, directories)}")
    directory = PackageDirectory(str(directories[name]), excluded_paths(settings))
    try:
        directory.survey()
    except OSError as error:
        raise RefusedStart(f"{directories[name]} cannot be read: {error.strerror}") from None
    return directory
