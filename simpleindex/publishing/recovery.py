"""What a writer that died left undone, put right by whoever starts next.

A process can end between any two system calls. What it had begun is told by the files in the staging directory that
nobody holds any more: an upload that was never committed, or a mark that names the project whose directory was being changed.
Nothing here decides between old and new: each change has one rename or link that did; only what surrounds that is put right.
Blocking.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import CannotStore, InvalidProjectName
from simpleindex.core.names import distribution_suffix, parse_project_name
from simpleindex.publishing.ledger_changes import free_name
from simpleindex.publishing.locks import locked_project, nearby_name, remove_if_empty
from simpleindex.publishing.trash import finish_taking_out, finish_throwing_away, remove_empty, trash_places
from simpleindex.system.atomic import storing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.publishing.locks import LockedProject
    from simpleindex.publishing.staging import StagedFile, Staging

_LONGEST_NOTE: Final = 1 << 24
"""Bytes."""


def move_note(paths: Iterable[str], names: Iterable[str] = ()) -> bytes:
    """What a mark says while files move into the trash, or out of it.

    Args:
        paths: Where they are or will be, relative to the root.
        names: File names that the ledger is not to hold if such a file lies there in the end.
    """
    return json.dumps({"paths": [*paths], "names": [*names]}).encode()


def recover(directory: PackageDirectory, staging: Staging, now: float) -> list[str]:
    """Put right what was left undone.

    Args:
        directory: The root.
        staging: Its staging directory.
        now: Seconds since 1970.

    Returns:
        A sentence for everything that was found.
    """
    said: list[str] = []
    try:
        with storing(staging.path):
            said.extend(_mend_one(directory, staging, staged, now) for staged in staging.left_over())
    except CannotStore as error:
        said.append(f"Whether uploads were left unfinished cannot be seen: {error}")
    return said


def _mend_one(directory: PackageDirectory, staging: Staging, staged: StagedFile, now: float) -> str:
    name = _project_of(staged)
    if name is None:
        size = os.fstat(staged.descriptor).st_size
        staged.discard()
        return f"An unfinished upload of {size} bytes was removed."
    try:
        with locked_project(directory, staging, name) as project:
            for place in (*directory.places_of(name)[0], "", *trash_places(project.root, name)):
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(project.root, place, nearby_name(staged.token)))
            _finish_moving(directory, project, staged, now)
            remove_empty(project.root, name)
            remove_if_empty(project)
    except CannotStore as error:
        staged.abandon()
        return f"An unfinished change of the project {name} cannot be cleared away: {error}"
    staged.discard()
    return f"An unfinished change of the project {name} was cleared away."


def _project_of(staged: StagedFile) -> ProjectName | None:
    try:
        name = parse_project_name(staged.project)
    except InvalidProjectName:
        return None
    return name if name == staged.project else None


def _finish_moving(
    directory: PackageDirectory, project: LockedProject, staged: StagedFile, now: float
) -> None:
    for path in _noted(staged, "paths"):
        if os.path.dirname(path) not in {*directory.places_of(project.name)[0], ""}:
            continue
        filename = os.path.basename(path)
        if not distribution_suffix(filename):
            continue
        if not os.path.lexists(os.path.join(project.root, path)):
            finish_throwing_away(project, path, now)
            continue
        finish_taking_out(project, path)
        if filename in _noted(staged, "names"):
            free_name(directory, project, filename, now=now, who="simpleindex, after a crash")


def _noted(staged: StagedFile, key: str) -> list[str]:
    try:
        values = json.loads(os.pread(staged.descriptor, _LONGEST_NOTE, 0))[key]
    except (ValueError, LookupError, TypeError):
        # Half-written, so nothing had been moved yet; or a mark without a note.
        return []
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
