"""Change a project's ``simpleindex.toml`` on disk, atomically; comments, owner and mode are kept.

Needs tomlkit (the extra ``publish``). Blocking.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from simpleindex.core.errors import CannotStore, NotHere
from simpleindex.core.faults import Fault
from simpleindex.core.names import PROJECT_FILE
from simpleindex.directory.project_file import InvalidProjectFile
from simpleindex.publishing.local.locked_project import locked_project, moved_meanwhile
from simpleindex.publishing.local.staging import Staging
from simpleindex.publishing.project_file_edits import with_status, with_yank, without_yank
from simpleindex.system.atomic import storing, sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.core.model import Status
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.publishing.local.locked_project import LockedProject
    from simpleindex.publishing.project_file_edits import ProjectFileChange

_NOTHING: bytes = b'status = "active"\n'
"""Keeps a project that has no files."""


class ProjectFileWriter:
    """Changes the project files under a root; any number of them may exist, in any number of processes.

    Each method returns whether anything changed, and raises the same:

    Raises:
        NotHere: There is no such project.
        InvalidSetting: The key or the reason is not valid.
        InvalidProjectFile: The file is not valid, and was not changed.
        CannotStore: It cannot be written.
    """

    def __init__(self, directory: PackageDirectory) -> None:
        self._directory = directory
        self._staging = Staging(directory)

    def yank(self, project: ProjectName, key: str, reason: str = "", *, anew: bool = False) -> bool:
        """Yank a version or a file (PEP 592); with ``anew`` also in a project that does not exist yet."""
        return self.edit(project, partial(with_yank, key=key, reason=reason), anew=anew)

    def unyank(self, project: ProjectName, key: str) -> bool:
        """Remove the yank of a version or a file."""
        return self.edit(project, partial(without_yank, key=key))

    def set_status(
        self, project: ProjectName, status: Status, reason: str | None = None, *, anew: bool = False
    ) -> bool:
        """Set a project's status (PEP 792); with ``anew`` also of a project that does not exist yet."""
        return self.edit(project, partial(with_status, status=status, reason=reason), anew=anew)

    def edit(self, project: ProjectName, change: ProjectFileChange, *, anew: bool = False) -> bool:
        """Change the project file; with ``anew`` also of a project that does not exist yet."""
        with storing(os.path.join(self._directory.root, project)):
            if not anew and not any(self._directory.places_of(project)):
                raise NotHere(f"project {project}")
        with locked_project(self._directory, self._staging, project) as place:
            directories, loose = self._directory.places_of(project)
            look = self._directory.look(directories, loose)
            if look.trouble:
                raise CannotStore(look.trouble, fault=Fault.UNKNOWN)
            if look.project_file_trouble:
                raise InvalidProjectFile(look.project_file_trouble)
            before = look.project_file
            after = change(before)
            if after is None and before is not None and not look.entries and not look.has_ledger:
                # An edit must not free a name that is taken.
                after = _NOTHING
            if after == before:
                return False
            held = directories if before is None else self._directories_of_file(directories)
            if (raw := next(iter(held), None)) is None:
                raise moved_meanwhile(project)
            _write(place, os.path.join(place.root, raw, PROJECT_FILE), after)
            return True

    def _directories_of_file(self, directories: tuple[str, ...]) -> Iterator[str]:
        return (
            raw
            for raw in directories
            if os.path.lexists(os.path.join(self._directory.root, raw, PROJECT_FILE))
        )


def _write(place: LockedProject, path: str, data: bytes | None) -> None:
    if data is None:
        os.unlink(path)
        sync_directory(os.path.dirname(path))
        return
    try:
        like = os.lstat(path)
    except FileNotFoundError:
        like = None
    place.replace(path, data, like)
