"""Describe changes among a project's files in one line for the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName

_MOST_NAMED: Final = 3
"""File names in each part of a line; a sync of a mirror brings thousands at once."""

_MOST_COMPARED: Final = 500
"""Files whose digests are compared; unpacking 500 takes about a millisecond, in the reactor's thread."""


def describe_changes(
    name: ProjectName,
    before: tuple[Project | None, Collection[str]],
    after: tuple[Project | None, Collection[str]],
) -> str | None:
    """Return a sentence about the files that appeared, changed or vanished; None if there are none.

    Args:
        name: The project's.
        before: The project as it was listed, and the names of its files.
        after: The same as it is listed now.
    """
    old, new = set(before[1]), set(after[1])
    parts = [
        _part(old - new, "vanished"),
        _part(_changed(before[0], after[0]), "changed"),
        _part(new - old, "appeared"),
    ]
    text = "; ".join(part for part in parts if part)
    return f"{name}: {text}." if text else None


def _changed(before: Project | None, after: Project | None) -> Iterable[str]:
    if before is None or after is None or max(len(before.files), len(after.files)) > _MOST_COMPARED:
        return ()
    digests = {file.filename: file.sha256 for file in before.files}
    return [file.filename for file in after.files if digests.get(file.filename, file.sha256) != file.sha256]


def _part(filenames: Iterable[str], verb: str) -> str:
    names = sorted(filenames)
    if not names:
        return ""
    shown = ", ".join(names[:_MOST_NAMED])
    if len(names) > _MOST_NAMED:
        shown += f" and {len(names) - _MOST_NAMED:,} more"
    return f"{shown} {verb}"
