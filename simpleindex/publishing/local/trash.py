"""The trash, which holds deleted files until a purge: ``<root>/.simpleindex-trash/<YYYY-MM-DD>/<project>/<file>``.

A file's signatures and provenance go along. A second file of the same name on one day has ``.2`` behind its name. Blocking.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from simpleindex.core.names import OWN_PREFIX, SIDE_FILE_SUFFIXES
from simpleindex.system.atomic import STAYS, make_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.publishing.local.locked_project import LockedProject

TRASH: Final = f"{OWN_PREFIX}-trash"

_TRIES: Final = 20


def throw_away(project: LockedProject, path: str, now: float) -> str:
    """Move a file and its side files into the trash.

    The file goes first, so that nothing of it is served any more.

    Args:
        project: The project, locked.
        path: Of the file, relative to the root.
        now: Seconds since 1970; tells the day, in UTC.

    Returns:
        Its path in the trash, relative to the root.

    Raises:
        OSError: It cannot be moved.
    """
    day = datetime.fromtimestamp(now, UTC).date().isoformat()
    filename = os.path.basename(path)
    for attempt in range(_TRIES):
        try:
            place = _make_place(project.root, day, project.name)
            name = _free_name(place, filename)
            project.move(os.path.join(project.root, path), os.path.join(place, name))
            break
        except FileNotFoundError:
            # The trash was purged in between.
            if attempt == _TRIES - 1 or not os.path.lexists(os.path.join(project.root, path)):
                raise
    _move_side_files(project, path, os.path.join(place, name))
    return os.path.join(TRASH, day, project.name, name)


def let_side_files_follow(project: LockedProject, path: str, now: float) -> None:
    """Move the side files of a file into the trash, but not the file; arguments as in :func:`throw_away`."""
    if any(os.path.lexists(os.path.join(project.root, path + suffix)) for suffix in SIDE_FILE_SUFFIXES):
        day = datetime.fromtimestamp(now, UTC).date().isoformat()
        place = _make_place(project.root, day, project.name)
        _move_side_files(project, path, os.path.join(place, _free_name(place, os.path.basename(path))))


def finish_throwing_away(project: LockedProject, path: str, now: float) -> None:
    """Let side files follow a file that went into the trash without them; arguments as in :func:`throw_away`."""
    source = os.path.join(project.root, path)
    last = next(trashed(project.root, project.name, os.path.basename(path)), None)
    if last is None or any(
        os.path.lexists(source + suffix) and os.path.lexists(last + suffix) for suffix in SIDE_FILE_SUFFIXES
    ):
        let_side_files_follow(project, path, now)
    else:
        _move_side_files(project, path, last)


def finish_taking_out(project: LockedProject, path: str) -> None:
    """Remove a file from the trash that was linked back to its place; ``path`` is relative to the root."""
    last = next(trashed(project.root, project.name, os.path.basename(path)), None)
    if last is not None and os.path.samefile(last, os.path.join(project.root, path)):
        os.unlink(last)


def _move_side_files(project: LockedProject, path: str, target: str) -> None:
    for suffix in SIDE_FILE_SUFFIXES:
        with suppress(FileNotFoundError):
            project.move(os.path.join(project.root, path + suffix), target + suffix)


def remove_empty(root: str, project: str) -> None:
    """Remove empty directories of a project's trash.

    Raises:
        OSError: An empty directory cannot be removed.
    """
    places = trash_places(root, project)
    for path in (*places, *map(os.path.dirname, places), TRASH):
        try:
            os.rmdir(os.path.join(root, path))
        except OSError as error:
            if error.errno not in STAYS:
                raise


def trash_places(root: str, project: str) -> list[str]:
    """Return a project's directories in the trash, relative to the root."""
    return [os.path.join(TRASH, day, project) for day in _listed(os.path.join(root, TRASH))]


def purge_trash(root: str, older_than_days: int, now: float) -> list[str]:
    """Remove for good files that were deleted some time ago.

    Args:
        root: Absolute path of the root.
        older_than_days: The least number of days since the day of the deletion; 0 for everything.
        now: Seconds since 1970.

    Returns:
        The removed files, relative to the root.

    Raises:
        OSError: Something cannot be removed.
    """
    today = datetime.fromtimestamp(now, UTC).date()
    removed: list[str] = []
    for name in sorted(_listed(os.path.join(root, TRASH))):
        try:
            day = date.fromisoformat(name)
        except ValueError:
            # Not ours.
            continue
        if (today - day).days >= older_than_days:
            removed += _remove_tree(root, os.path.join(TRASH, name))
    with suppress(OSError):
        os.rmdir(os.path.join(root, TRASH))
    return removed


def trashed(root: str, project: str, filename: str) -> Iterator[str]:
    """Yield the absolute paths of deleted files that had this name, the latest first."""
    trash = os.path.join(root, TRASH)
    for day in sorted(_listed(trash), reverse=True):
        place = os.path.join(trash, day, project)
        names = [name for name in _listed(place) if _original(name) == filename]
        for name in sorted(names, key=lambda name: (len(name), name), reverse=True):
            yield os.path.join(place, name)


def _remove_tree(root: str, path: str) -> Iterator[str]:
    for directory, directories, files in os.walk(os.path.join(root, path), topdown=False):
        for name in files:
            os.unlink(os.path.join(directory, name))
            yield os.path.relpath(os.path.join(directory, name), root)
        for name in directories:
            inner = os.path.join(directory, name)
            if os.path.islink(inner):
                os.unlink(inner)
            else:
                os.rmdir(inner)
    os.rmdir(os.path.join(root, path))


def _make_place(root: str, day: str, project: str) -> str:
    path = root
    for part in (TRASH, day, project):
        path = os.path.join(path, part)
        make_directory(path)
    return path


def _free_name(place: str, filename: str) -> str:
    number, name = 1, filename
    while any(os.path.lexists(os.path.join(place, name + suffix)) for suffix in ("", *SIDE_FILE_SUFFIXES)):
        number += 1
        name = f"{filename}.{number}"
    return name


def _original(name: str) -> str:
    stem, _, number = name.rpartition(".")
    return stem if number.isdecimal() else name


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
