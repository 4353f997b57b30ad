"""Changes between two listings of an upstream's project that matter to those who have its files: removals and yanks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simpleindex.core.files import File
    from simpleindex.core.model import Project


@dataclass(frozen=True, slots=True)
class ListingChange:
    """What an upstream has taken away.

    Attributes:
        removed: Files that are not listed any more, as they were listed.
        yanked: Files that were not yanked before, as they are listed now.
    """

    removed: tuple[File, ...] = ()
    yanked: tuple[File, ...] = ()


def listing_change(before: Project, now: Project | None) -> ListingChange | None:
    """Return what has changed; None if nothing was taken away.

    Args:
        before: The project as it was listed.
        now: As it is listed; None if the upstream does not have it any more.
    """
    listed = {} if now is None else {file.filename: file for file in now.files}
    removed, yanked = [], []
    for file in before.files:
        left = listed.get(file.filename)
        if left is None:
            removed.append(file)
        elif left.yanked is not None and file.yanked is None:
            yanked.append(left)
    return ListingChange(tuple(removed), tuple(yanked)) if removed or yanked else None
