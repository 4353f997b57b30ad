"""A project's ledger on disk: which file names deleted files had (:mod:`simpleindex.directory.ledger`); and the note of copies. Blocking.

It is written in the normalized directory, and read from every directory of the project: one may have been renamed since.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import COPIED, LEDGER, parse_distribution_name
from simpleindex.directory.ledger import used_names, with_deleted, with_freed
from simpleindex.directory.ledger_files import ledger_paths, read_ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.publishing.local.locked_project import LockedProject


def record_deleted(
    project: LockedProject, deleted: Iterable[tuple[str, str]], *, now: float, who: str
) -> None:
    """Record the names of files that are deleted next; they are on the disk when this returns.

    Args:
        project: The project, locked.
        deleted: Names with their digests.
        now: Seconds since 1970.
        who: The user.

    Raises:
        OSError: It cannot be written.
    """
    path = os.path.join(project.path, LEDGER)
    before, like = read_ledger(path)
    ledger = before
    for filename, sha256 in deleted:
        try:
            parse_distribution_name(filename, project.name)
        except InvalidFilename:
            # A file of such a name was never served, and can never be uploaded.
            continue
        ledger = with_deleted(ledger, sha256, filename, now=now, who=who)
    if ledger != before:
        project.replace(path, ledger, like)


def record_copied(project: LockedProject, line: bytes) -> None:
    """Add a line to the note about files that were copied here.

    Raises:
        OSError: It cannot be written.
    """
    path = os.path.join(project.path, COPIED)
    before, like = read_ledger(path)
    project.replace(path, before + line, like)


def free_name(
    directory: PackageDirectory, project: LockedProject, filename: str, *, now: float, who: str
) -> None:
    """Free a name.

    Args:
        directory: The root.
        project: The project, locked.
        filename: The name.
        now: Seconds since 1970.
        who: The user.

    Raises:
        OSError: It cannot be written.
    """
    for path in ledger_paths(directory, project.name):
        ledger, like = read_ledger(path)
        if filename in used_names(ledger):
            project.replace(path, with_freed(ledger, filename, now=now, who=who), like)
