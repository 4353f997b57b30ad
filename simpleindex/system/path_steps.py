"""The steps to a file as far as permission goes: the directories on the way, and whether a user may take them."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class PathStep:
    """A file, or a directory on the way to it, as far as permission goes.

    Attributes:
        path: What it is called.
        mode: ``st_mode``.
        has_acl: Whether an access control list may allow more than the mode says.
    """

    path: str
    mode: int
    uid: int
    gid: int
    has_acl: bool = False


def blocking_step(
    steps: Sequence[PathStep], uid: int, groups: frozenset[int], *, write: bool
) -> tuple[PathStep, str] | None:
    """Return the first step that a user may not take, and what it cannot be: "entered", "read" or "written to".

    Args:
        steps: The way to a file, which comes last; a step with an access control list gets the benefit of the doubt.
        uid: The user.
        groups: The user's groups.
        write: Whether the last one is a directory in which files are to be replaced.
    """
    for step in steps:
        shift = 6 if step.uid == uid else 3 if step.gid in groups else 0
        if step is not steps[-1]:
            wanted, verb = stat.S_IXOTH, "entered"
        elif write:
            wanted, verb = stat.S_IWOTH | stat.S_IXOTH, "written to"
        else:
            # A directory that may be read and not entered gives names alone.
            wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(step.mode) else 0)
            verb = "read"
        if uid != 0 and not step.has_acl and (step.mode >> shift) & wanted != wanted:
            return step, verb
    return None
