"""A project's ledger on disk: which file names deleted files had (:mod:`simpleindex.core.ledger`); and the note of copies. Blocking.

It is written in the normalized directory, and read from every directory of the project: one may have been renamed since.
"""

from __future__ import annotations

import os
from io import FileIO
from typing import TYPE_CHECKING

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.ledger import used_names, with_deleted, with_freed
from simpleindex.core.names import COPIED, LEDGER, parse_distribution_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.core.names import ProjectName
    from simpleindex.store.directory import Directory
    from simpleindex.store.locking import LockedProject


def used_names_of(directory: Directory, project: ProjectName) -> frozenset[str]:
    """The file names that deleted files of a project had.

    Raises:
        OSError: That cannot be told.
    """
    return frozenset().union(*(used_names(_read(path)[0]) for path in _ledgers(directory, project)))


def note_deleted(project: LockedProject, deleted: Iterable[tuple[str, str]], *, now: float, who: str) -> None:
    """Write names down; on the disk when this returns, and only then may the files leave their place.

    Args:
        project: The project, locked.
        deleted: Names with their digests.
        now: Seconds since 1970.
        who: Who deletes them.

    Raises:
        OSError: It cannot be written.
    """
    path = os.path.join(project.path, LEDGER)
    before, like = _read(path)
    ledger = before
    for filename, sha256 in deleted:
        try:
            parse_distribution_name(filename, project.name)
        except InvalidFilename:
            # It was never served, and can never be uploaded.
            continue
        ledger = with_deleted(ledger, sha256, filename, now=now, who=who)
    if ledger != before:
        project.replace(path, ledger, like)


def note_copied(project: LockedProject, line: bytes) -> None:
    """Add a line to the note about files that were copied here.

    Args:
        project: The project, locked.
        line: With its end.

    Raises:
        OSError: It cannot be written.
    """
    path = os.path.join(project.path, COPIED)
    before, like = _read(path)
    project.replace(path, before + line, like)


def free_name(directory: Directory, project: LockedProject, filename: str, *, now: float, who: str) -> None:
    """Give a name back.

    Args:
        directory: The root.
        project: The project, locked.
        filename: The name.
        now: Seconds since 1970.
        who: Who does it.

    Raises:
        OSError: It cannot be written.
    """
    for path in _ledgers(directory, project.name):
        ledger, like = _read(path)
        if filename in used_names(ledger):
            project.replace(path, with_freed(ledger, filename, now=now, who=who), like)


def _ledgers(directory: Directory, project: ProjectName) -> list[str]:
    directories, _ = directory.places_of(project)
    return [os.path.join(directory.root, raw, LEDGER) for raw in directories]


def _read(path: str) -> tuple[bytes, os.stat_result | None]:
    """A ledger's content and state, where there is one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b"", None
    with FileIO(descriptor, "rb") as file:
        return file.readall(), os.fstat(descriptor)
