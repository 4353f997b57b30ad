"""Decide which ``simpleindex.toml`` of a project is in force: the new one, or the last valid one if the new one is not valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.model import Status
from simpleindex.core.names import PROJECT_FILE
from simpleindex.core.text import printable
from simpleindex.directory.project_file import (
    NO_PROJECT_FILE,
    InvalidProjectFile,
    ProjectFile,
    parse_project_file,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.directory.layout.directory_listings import ProjectListing
    from simpleindex.directory.scan.snapshot import ProjectSnapshot

_HOLDING: Final = frozenset({Status.QUARANTINED, Status.ARCHIVED})


def project_file_in_force(
    look: ProjectListing, previous: ProjectSnapshot, directories: Sequence[str]
) -> tuple[ProjectFile, str | None, str | None]:
    """Return the project file in force, and the sentence why the project cannot be answered for, or else what is wrong."""
    reason = look.project_file_trouble
    if reason is None and look.project_file is not None:
        try:
            return parse_project_file(look.project_file), None, None
        except InvalidProjectFile as error:
            reason = error.reason
    if reason is None:
        return NO_PROJECT_FILE, None, None
    where = _path_of_project_file(look, directories)
    if previous.project_file is not NO_PROJECT_FILE:
        return previous.project_file, None, f"{where} {reason}; what it stated before stays in force."
    return NO_PROJECT_FILE, f"{where} {reason}.", None


def _path_of_project_file(look: ProjectListing, directories: Sequence[str]) -> str:
    """Return where it lies below the root; the first directory's, where there are several."""
    of_first = f"{directories[0]}/{PROJECT_FILE}"
    paths = [path for path in look.stamps or {} if path.endswith(f"/{PROJECT_FILE}")]
    return printable(paths[0] if paths else of_first)


def loses_rules(before: ProjectFile, now: ProjectFile) -> bool:
    """Return whether something that was yanked, quarantined or archived no longer is."""
    if now.status is Status.QUARANTINED:
        return False  # Nothing is stricter, and it must not wait.
    is_status_lost = before.status in _HOLDING and before.status is not now.status
    return is_status_lost or not before.yanked.keys() <= now.yanked.keys()
