"""``simpleindex access NAME``: who may do what with a project, and by which rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.access.access_file import parse_access
from simpleindex.access.rights import default_access
from simpleindex.commands.arguments import Parser, complain
from simpleindex.commands.server_options import add_server_options, server_settings
from simpleindex.core.errors import Unavailable
from simpleindex.core.names import parse_project_name
from simpleindex.records.opening import open_records
from simpleindex.records.owners import OwnerTable
from simpleindex.system.followed_file import read_named_file

if TYPE_CHECKING:
    from simpleindex.config.settings import Settings
    from simpleindex.core.names import ProjectName


def access(words: list[str]) -> int:
    """Run the command; returns the exit status."""
    parser = Parser(prog="simpleindex access", description="Say who may do what with a project, and why.")
    parser.add_argument("name", metavar="NAME", help="the project, whether or not there is one")
    add_server_options(parser, "access", "users", "state", "config")
    given = parser.parse_args(words)
    settings = server_settings(given, root_may_be_gone=True)
    name = parse_project_name(given.name)
    if settings.access is None:
        print(
            "No access file was named, so this is what holds without one; give --access FILE as for the server."
        )
    rights = default_access() if settings.access is None else read_named_file(settings.access, parse_access)
    status = 0
    try:
        owner, is_settled = _owner(settings, name)
    except Unavailable as error:
        # What the rules say is printed all the same.
        complain(str(error))
        owner, is_settled, status = "not known", True, 2
    for line in rights.explain(name, owner):
        print(line)
    if owner is not None and not is_settled:
        print(
            f"An upload by which {owner} claimed the name did not end: without a file, the name is still free for the next upload."
        )
    if not settings.has_logins:
        print(
            "Nobody can log in, because neither --users nor --access is given here: all of it is read-only."
        )
    return status


def _owner(settings: Settings, name: ProjectName) -> tuple[str | None, bool]:
    """Return the owner, and whether the claim is settled."""
    database = open_records(str(settings.state), settings.records, is_logged=False)
    owners = OwnerTable(database)
    try:
        return owners.owner(name), owners.owner(name, is_settled=True) is not None
    finally:
        database.close()
