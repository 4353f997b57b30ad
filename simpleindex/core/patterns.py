"""Patterns of project names, as access files and tokens have them: ``acme-*``.

``*`` stands for any run of characters, also none, and ``?`` for one; the rest is normalized as names are (PEP 503).
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.names import ProjectName

ALL: Final = "*"
"""The pattern of every name."""

_VALID: Final = re.compile(r"[A-Z0-9._*?-]+", re.IGNORECASE | re.ASCII)
_SEPARATORS: Final = re.compile(r"[-_.]+")
_STARS: Final = re.compile(r"\*+")
_LONGEST: Final = 200
"""Characters; a limit only so that a mistake is not compiled."""

_NEVER: Final = re.compile(r"(?!)")


def parse_pattern(text: str) -> str:
    """Normalize a name or a pattern of names.

    Raises:
        InvalidPattern: No project's name can match it, or it has more than ``*`` and ``?``.
    """
    if not text:
        raise InvalidPattern(text, "is empty; '*' stands for every project")
    if len(text) > _LONGEST:
        raise InvalidPattern(f"{text[:20]}...", f"has more than {_LONGEST} characters")
    if not _VALID.fullmatch(text):
        raise InvalidPattern(text, "is no name of a project, nor one with * or ? in it")
    pattern = _STARS.sub(ALL, _SEPARATORS.sub("-", text)).lower()
    if pattern.startswith("-") or pattern.endswith("-"):
        # It would silently match nothing.
        raise InvalidPattern(text, "matches no project: names begin and end with a letter or a digit")
    return pattern


class FirstMatch:
    """Tells which of several lists of patterns is the first that matches a name.

    The time for one name does not grow with the number of exact names, and hardly with that of patterns: all of them are one
    regular expression, whose groups stand for the lists. It is linear in the name, which clients choose, for each
    star (:func:`fnmatch.translate` makes atomic groups).
    """

    __slots__ = ("_count", "_exact", "_lists", "_regex", "_rest")

    def __init__(self, lists: Sequence[Sequence[str]]) -> None:
        """Compile.

        Args:
            lists: Patterns as :func:`parse_pattern` returns them.
        """
        self._count = len(lists)
        self._exact: dict[str, int] = {}
        self._lists: list[int] = []
        self._rest = self._count
        groups: list[str] = []
        for position, patterns in enumerate(lists):
            for pattern in patterns:
                if not is_glob(pattern):
                    self._exact.setdefault(pattern, position)
            globs = [translate(pattern) for pattern in patterns if is_glob(pattern) and pattern != ALL]
            if ALL in patterns:
                self._rest = position
                break
            if globs:
                self._lists.append(position)
                groups.append(f"({'|'.join(globs)})")
        self._regex = re.compile("|".join(groups)) if groups else _NEVER

    def find(self, name: ProjectName) -> int | None:
        """Return the position of the first list that matches the name, or None if none does."""
        found = self._exact.get(name, self._rest)
        match = self._regex.match(name)
        if match is not None and match.lastindex is not None:
            found = min(found, self._lists[match.lastindex - 1])
        return found if found < self._count else None


def is_glob(pattern: str) -> bool:
    """Tell whether a pattern can match more than one name."""
    return ALL in pattern or "?" in pattern


@lru_cache(maxsize=1024)
def matcher(patterns: tuple[str, ...]) -> FirstMatch:
    """Return the compiled form of one list of patterns, each in any spelling; what is no pattern matches nothing."""
    usable = []
    for pattern in patterns:
        try:
            usable.append(parse_pattern(pattern))
        except InvalidPattern:
            # A token's limits come from records; an unreadable one may only ever make the token weaker.
            continue
    return FirstMatch([usable])


def matching(patterns: Sequence[str], name: ProjectName) -> str | None:
    """Return which of these patterns matches the name, the name itself before others; for sentences."""
    if name in patterns:
        return name
    return next((pattern for pattern in patterns if is_glob(pattern) and fnmatchcase(name, pattern)), None)


class InvalidPattern(SimpleIndexError):
    """A text that is neither a project's name nor a pattern of names.

    Attributes:
        reason: What is wrong, as the end of a sentence.
    """

    template = "{text!r} {reason}"
    text: str
    reason: str
