"""Names of projects that were probably meant, among very many: those that one slip of the keyboard makes of them. Pure."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simpleindex.core.names import ProjectName

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789-"

MOST_NEAR: Final = 5
"""Names that are returned at the most."""

_LONGEST: Final = 50
"""Characters of a name that is looked for; with n of them there are 75 n spellings: 4,000, which takes 2 ms."""


def near_names(name: ProjectName, names: Sequence[ProjectName]) -> tuple[ProjectName, ...]:
    """Return the names that differ in one letter: one too many, missing, wrong, or changed places with the next.

    Args:
        name: What was requested.
        names: Those that there are, in order.
    """
    found = {spelling for spelling in near_spellings(name) if _has(names, spelling)}
    return tuple(names[bisect_left(names, spelling)] for spelling in sorted(found))[:MOST_NEAR]


def near_spellings(name: str) -> set[str]:
    """Return what may have been meant by a name: every text that differs in one letter as in :func:`near_names`."""
    return set() if len(name) > _LONGEST else set(_spellings(name)) - {name}


def _has(names: Sequence[str], name: str) -> bool:
    place = bisect_left(names, name)
    return place < len(names) and names[place] == name


def _spellings(name: str) -> Iterator[str]:
    for place in range(len(name) + 1):
        before, after = name[:place], name[place:]
        yield before + after[1:]
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
        for letter in _LETTERS:
            yield before + letter + after
            yield before + letter + after[1:]
