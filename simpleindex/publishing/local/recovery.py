"""Recovery after a crash: the next start repairs what a writer left unfinished. Blocking.

A process can end between any two system calls. The files in the staging directory that no process has locked show what it
was doing: an upload that was never committed, or a mark with the name of the project that was being changed. Recovery never
decides between old and new, because one rename or link of each change did that; it repairs only what surrounds it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import CannotStore, InvalidProjectName
from simpleindex.core.names import distribution_suffix, parse_project_name
from simpleindex.publishing.local.ledger_changes import free_name
from simpleindex.publishing.local.locked_project import locked_project, nearby_name, remove_if_empty
from simpleindex.publishing.local.staging import Staging
from simpleindex.publishing.local.trash import (
    finish_taking_out,
    finish_throwing_away,
    remove_empty,
    trash_places,
)
from simpleindex.system.atomic import storing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.publishing.local.locked_project import LockedProject
    from simpleindex.publishing.local.staging import StagedFile

_LONGEST_NOTE: Final = 1 << 24
"""Bytes."""


def move_note(paths: Iterable[str], names: Iterable[str] = ()) -> bytes:
    """Return the note of a mark while files move into the trash, or out of it.

    Args:
        paths: The paths of the files before or after, relative to the root.
        names: File names to free in the ledger if such a file is in place after all.
    """
    return json.dumps({"paths": [*paths], "names": [*names]}).encode()


def recover(directory: PackageDirectory, staging: Staging, now: float) -> list[str]:
    """Repair what writers left unfinished.

    Args:
        directory: The root.
        staging: Its staging directory.
        now: Seconds since 1970.

    Returns:
        A sentence for each repair.
    """
    sentences: list[str] = []
    try:
        with storing(staging.path):
            sentences.extend(_recover_one(directory, staging, staged, now) for staged in staging.left_over())
    except CannotStore as error:
        sentences.append(f"Whether uploads were left unfinished cannot be seen: {error.for_operator()}")
    return sentences


def _recover_one(directory: PackageDirectory, staging: Staging, staged: StagedFile, now: float) -> str:
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
        return f"An unfinished change of the project {name} cannot be cleared away: {error.for_operator()}"
    staged.discard()
    return f"An unfinished change of the project {name} was cleared away."


def withdraw_left_claims(
    directory: PackageDirectory,
    claims: Mapping[ProjectName, str],
    withdraw: Callable[[ProjectName, str], object],
) -> list[str]:
    """Withdraw claims of killed uploads to projects without files: their users must not own files that come otherwise.

    Args:
        directory: The root.
        claims: The claims that are not settled: projects with the users.
        withdraw: Ends a claim that is still not settled.

    Returns:
        A sentence for each repair.
    """
    sentences: list[str] = []
    for name, user in claims.items():
        # An upload that holds the lock is making a claim, or storing its file.
        with suppress(CannotStore), locked_project(directory, Staging(directory), name, patience=0):
            if not directory.filenames_of(directory.places_of(name)):
                withdraw(name, user)
                sentences.append(f"The claim of an unfinished upload to the project {name} was withdrawn.")
    return sentences


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
        # A half-written note, so nothing was moved yet; or a mark without a note.
        return []
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
