"""Changes among a project's files, and their line for the log. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.model import filenames_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName

_MOST_NAMED: Final = 3
"""File names in each part of a line; a sync of a mirror brings thousands at once."""

_MOST_COMPARED: Final = 500
"""Files whose digests are compared; unpacking 500 takes about a millisecond, in the reactor's thread."""


@dataclass(frozen=True, slots=True)
class FileChanges:
    """Files of a project that vanished, changed or appeared, each kind in the order of names.

    Attributes:
        vanished: Names of files that are not there any more.
        changed: Names of files with other bytes than before.
        appeared: Names of files that were not there before.
    """

    vanished: tuple[str, ...]
    changed: tuple[str, ...]
    appeared: tuple[str, ...]

    def sentence(self, name: ProjectName) -> str:
        """Return a sentence for the log."""
        parts = (
            _part(self.vanished, "vanished"),
            _part(self.changed, "changed"),
            _part(self.appeared, "appeared"),
        )
        return f"{name}: {'; '.join(part for part in parts if part)}."


def file_changes(before: Project | None, after: Project | None) -> FileChanges | None:
    """Return the files that appeared, changed or vanished; None if there are none.

    Args:
        before: The project as it was listed.
        after: The same as it is listed now.
    """
    old, new = (set(filenames_of(project.files) if project else ()) for project in (before, after))
    vanished, changed, appeared = old - new, _changed(before, after), new - old
    if not (vanished or changed or appeared):
        return None
    return FileChanges(tuple(sorted(vanished)), tuple(sorted(changed)), tuple(sorted(appeared)))


def _changed(before: Project | None, after: Project | None) -> Collection[str]:
    if before is None or after is None or max(len(before.files), len(after.files)) > _MOST_COMPARED:
        return ()
    digests = {file.filename: file.sha256 for file in before.files}
    return [file.filename for file in after.files if digests.get(file.filename, file.sha256) != file.sha256]


def _part(names: tuple[str, ...], verb: str) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:_MOST_NAMED])
    if len(names) > _MOST_NAMED:
        shown += f" and {len(names) - _MOST_NAMED:,} more"
    return f"{shown} {verb}"
