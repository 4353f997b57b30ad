"""``simpleindex access NAME``: who may do what with a project, and by which rule."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from simpleindex.access.access_file import InvalidAccess, parse_access
from simpleindex.access.rights import Access, default_access
from simpleindex.commands.arguments import Parser
from simpleindex.config.resolution import resolve
from simpleindex.core.errors import InvalidProjectName, RefusedStart, Unavailable
from simpleindex.core.names import parse_project_name
from simpleindex.records.opening import open_records
from simpleindex.records.owners import OwnerTable
from simpleindex.system.followed_file import read_text_file

if TYPE_CHECKING:
    from simpleindex.config.settings import Settings


def access(words: list[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        RefusedStart: The rights cannot be read.
    """
    parser = Parser(prog="simpleindex access", description="Say who may do what with a project, and why.")
    parser.add_argument("name", metavar="NAME", help="the project, whether or not there is one")
    for name in ("access", "users", "state", "config"):
        metavar = "DIR" if name == "state" else "FILE"
        parser.add_argument(f"--{name}", metavar=metavar, help=f"as the server's --{name}")
    given = parser.parse_args(words)
    options = {
        name: value for name in ("access", "users", "state", "config") if (value := getattr(given, name))
    }
    settings = resolve(options, os.environ, Path.cwd(), root_may_be_gone=True)
    try:
        name = parse_project_name(given.name)
    except InvalidProjectName as error:
        raise RefusedStart(str(error)) from None
    if settings.access is None:
        print(
            "No access file was named, so this is what holds without one; give --access FILE as for the server."
        )
    for line in _access(settings).explain(name, _owner(settings, name)):
        print(line)
    if not settings.has_logins:
        print(
            "Nobody can log in, because neither --users nor --access is given here: all of it is read-only."
        )
    return 0


def _access(settings: Settings) -> Access:
    if settings.access is None:
        return default_access()
    try:
        return parse_access(read_text_file(str(settings.access)))
    except OSError as error:
        raise RefusedStart(f"{settings.access} cannot be read: {error.strerror}") from None
    except InvalidAccess as error:
        raise RefusedStart(f"{settings.access}: {error}") from None


def _owner(settings: Settings, name: str) -> str | None:
    database = open_records(str(settings.state), settings.records)
    try:
        return OwnerTable(database).owner(parse_project_name(name))
    except Unavailable:
        return None
    finally:
        database.close()
