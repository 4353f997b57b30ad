"""Commands that change what is published: on the served directory directly, or over HTTPS with a token."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from simpleindex.commands.arguments import Parser, add_index_options, command_user, whole_number
from simpleindex.commands.remote import Remote
from simpleindex.commands.server_options import add_server_options, open_directory, server_settings
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import NotHere, RefusedStart
from simpleindex.core.model import Status
from simpleindex.core.names import distribution_suffix, parse_project_name
from simpleindex.core.selection import Subject, select, subject_of
from simpleindex.core.views import LOCAL
from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
from simpleindex.publishing.local.writer import Writer
from simpleindex.records.audit.audit import Audit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from simpleindex.core.names import ProjectName

_SUMMARIES: Final = {
    "yank": "Yank a version or a file: installers skip it unless it is pinned.",
    "unyank": "Revert a yank.",
    "delete": "Move a version or a file to the trash; its name stays used.",
    "undelete": "Take a deleted file out of the trash; of several, the one deleted last.",
    "free": "Let a deleted file's name be used again.",
    "status": "Set a project's status.",
    "purge": "Remove for good what was deleted long ago.",
}

_LOCAL_ONLY: Final = frozenset({"purge"})
_DEFAULT_DAYS: Final = 30


def _run(command: str, words: list[str]) -> int:
    """Run a command on the directory or on an index elsewhere; return the exit status.

    Raises:
        SimpleIndexError: It cannot be done; the sentence says why.
    """
    given = _parse(command, words)
    change = _change_remotely if getattr(given, "index_url", None) else _change_directory
    for line in change(command, given):
        print(line)
    return 0


yank = partial(_run, "yank")
unyank = partial(_run, "unyank")
status = partial(_run, "status")
delete = partial(_run, "delete")
undelete = partial(_run, "undelete")
free = partial(_run, "free")
purge = partial(_run, "purge")


def _parse(command: str, words: list[str]) -> argparse.Namespace:
    parser = Parser(prog=f"simpleindex {command}", description=_SUMMARIES[command])
    if command != "purge":
        parser.add_argument("name", metavar="NAME", help="the project")
    if command in {"yank", "unyank", "delete"}:
        parser.add_argument("key", metavar="VERSION|FILE", help="a version, or one file")
    if command in {"undelete", "free"}:
        parser.add_argument("key", metavar="FILE", help="the file")
    if command == "status":
        parser.add_argument(
            "status",
            metavar="STATUS",
            choices=[status.value for status in Status],
            help=", ".join(status.value for status in Status),
        )
    if command in {"yank", "status"}:
        parser.add_argument("--reason", default="", help="shown on the project's page and by installers")
    if command == "purge":
        help_days = f"days since the deletion [default: {_DEFAULT_DAYS}]"
        parser.add_argument(
            "--older-than", type=whole_number(0, "d"), default=_DEFAULT_DAYS, metavar="DAYS", help=help_days
        )
    here = parser.add_argument_group("on the served directory")
    add_server_options(here, "path", "state", "config")
    if command not in _LOCAL_ONLY:
        there = parser.add_argument_group("or over HTTPS")
        add_index_options(
            there.add_argument,
            index="the index, such as https://host/simple/",
            login="holds the token (default: the variable SIMPLEINDEX_TOKEN)",
        )
    return parser.parse_args(words)


# On the served directory


def _change_directory(command: str, given: argparse.Namespace) -> list[str]:
    settings = server_settings(given)
    directory = open_directory(settings, {LOCAL: settings.require_directory("The command")}, LOCAL)
    writer = Writer(directory)
    if command == "purge":
        return [f"Removed {path}." for path in writer.deletions.purge(given.older_than)] or [
            "Nothing is that old."
        ]
    name = parse_project_name(given.name)
    try:
        lines, subjects = _CHANGES[command](writer, ProjectFileWriter(directory), name, given)
    except NotHere as error:
        raise RefusedStart(
            f"There is no {error.what} in {settings.path}; --path DIR names another index."
        ) from None
    _record(Audit(str(settings.state)), command, name, subjects, given)
    return lines


_Change = tuple[list[str], tuple[Subject, ...]]
"""Sentences for the user, and the files or versions that changed."""


def _yank(writer: Writer, files: ProjectFileWriter, name: ProjectName, given: argparse.Namespace) -> _Change:
    select(name, given.key, writer.filenames(name))
    changed = files.yank(name, given.key, given.reason)
    return _sentence(changed, f"{name} {given.key} is yanked."), (subject_of(given.key),)


def _unyank(
    writer: Writer, files: ProjectFileWriter, name: ProjectName, given: argparse.Namespace
) -> _Change:
    changed = files.unyank(name, given.key)
    if not changed:
        select(name, given.key, writer.filenames(name))
    return _sentence(changed, f"{name} {given.key} is not yanked."), (subject_of(given.key),)


def _status(_: Writer, files: ProjectFileWriter, name: ProjectName, given: argparse.Namespace) -> _Change:
    changed = files.set_status(name, Status(given.status), given.reason or None)
    return _sentence(changed, f"{name} is {given.status}."), (Subject(),)


def _delete(writer: Writer, _: ProjectFileWriter, name: ProjectName, given: argparse.Namespace) -> _Change:
    filenames = select(name, given.key, writer.filenames(name))
    deleted = writer.deletions.delete(name, filenames, who=command_user())
    return [f"Deleted {each.path}; it lies in {each.trash}." for each in deleted], tuple(
        Subject(os.path.basename(each.path), digest=each.known_sha256) for each in deleted
    )


def _free(writer: Writer, _: ProjectFileWriter, name: ProjectName, given: argparse.Namespace) -> _Change:
    freed = writer.deletions.free_name(name, given.key, who=command_user())
    sentence = f"The name {given.key} may be used{' again' if freed else ': no deleted file had it'}."
    return [sentence], (Subject(given.key),)


def _undelete(writer: Writer, _: ProjectFileWriter, name: ProjectName, given: argparse.Namespace) -> _Change:
    if not distribution_suffix(given.key):
        raise RefusedStart(f"undelete takes the name of a file, and {given.key!r} is none")
    undeleted = writer.deletions.undelete(name, given.key, who=command_user())
    return [f"Undeleted {undeleted.path}."], (Subject(given.key, digest=undeleted.sha256),)


_CHANGES: Final[
    dict[str, Callable[[Writer, ProjectFileWriter, ProjectName, argparse.Namespace], _Change]]
] = {
    "yank": _yank,
    "unyank": _unyank,
    "status": _status,
    "delete": _delete,
    "free": _free,
    "undelete": _undelete,
}


def _sentence(changed: bool, sentence: str) -> list[str]:
    return [sentence if changed else f"Nothing to change: {sentence}"]


def _record(
    audit: Audit,
    command: str,
    name: ProjectName,
    subjects: tuple[Subject, ...],
    given: argparse.Namespace,
) -> None:
    detail = "; ".join(text for key in ("status", "reason") if (text := getattr(given, key, "")))
    for each in subjects:
        audit.record(
            AuditEntry(
                command,
                who=command_user(),
                project=name,
                filename=each.filename,
                version=each.version,
                digest=each.digest,
                detail=detail or None,
            )
        )
    audit.close()


# On an index elsewhere


def _change_remotely(command: str, given: argparse.Namespace) -> list[str]:
    content: dict[str, Any] = {}
    if "key" in given:
        content[
            "file" if distribution_suffix(given.key) or command in {"free", "undelete"} else "version"
        ] = given.key
    for key in ("status", "reason"):
        if getattr(given, key, None):
            content[key] = getattr(given, key)
    name = parse_project_name(given.name)
    answer = Remote(given.index_url, given.cert, given.token_file).post(f"projects/{name}/{command}", content)
    changed = answer.get("changed") or [given.status if command == "status" else ""]
    return [f"{command}: {name} {each}".rstrip() for each in changed]
