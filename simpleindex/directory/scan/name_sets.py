"""Names of projects in little memory: sorted names as one text, and sets in which a name of that text takes one byte.

Nothing of it is written when it is read, so processes that were forked go on sharing it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from functools import lru_cache
from heapq import merge
from itertools import chain, compress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from simpleindex.core.names import ProjectName

_GROUP: Final = 32
"""Names that are searched for one as a text, after a binary search among the first names of all groups; 16 and 64 take longer."""

_COMPARED: Final = 128 * _GROUP
"""Names of two sets that are compared at once."""

_AT_ONCE: Final = 5_000
"""Names that are sorted or joined in one call, during which no other thread runs."""

_NUMBERS_KEPT: Final = 1_000
"""Names whose numbers are remembered: a start looks for each name twice, and so does each request for a page of an upstream."""


class SortedNames:
    """Names in their order; never changed. The number of a name is that of its place, from 0.

    Args:
        text: The names with a newline before each, and one after the last.

    Attributes:
        number: Returns the number of a name; -1 if it is not there.
    """

    def __init__(self, text: str = "\n") -> None:
        self._text = text
        self._firsts: list[str] = []
        # Of the newlines before the groups, and of the last one.
        self._starts = array("Q")
        self._length = text.count("\n") - 1
        position = 0
        for number in range(self._length):
            following = text.index("\n", position + 1)
            if number % _GROUP == 0:
                self._firsts.append(text[position + 1 : following])
                self._starts.append(position)
            position = following
        self._starts.append(position)
        self.number = lru_cache(_NUMBERS_KEPT)(self._number_of)

    @classmethod
    def of(cls, names: Sequence[ProjectName]) -> SortedNames:
        """Return names that are in their order already."""
        return cls(names_as_text(names))

    def _number_of(self, name: str) -> int:
        group = bisect_right(self._firsts, name) - 1
        if group < 0 or "\n" in name:
            return -1
        start = self._starts[group]
        position = self._text.find(f"\n{name}\n", start, self._starts[group + 1] + 1)
        return -1 if position < 0 else group * _GROUP + self._text.count("\n", start, position)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[ProjectName]:
        for group in range(len(self._firsts)):
            yield from self._names(group)

    def selected(self, flags: bytes | bytearray, start: int = 0) -> Iterator[ProjectName]:
        """Yield the names for whose numbers there is another byte than 0.

        Args:
            flags: A byte for each number.
            start: The number of the first byte; the first of a group.
        """
        for first in range(0, len(flags), _GROUP):
            part = flags[first : first + _GROUP]
            if any(part):
                yield from compress(self._names((start + first) // _GROUP), part)

    def _names(self, group: int) -> list[ProjectName]:
        names: list[str] = self._text[self._starts[group] + 1 : self._starts[group + 1]].split("\n")
        return names  # type: ignore[return-value]  # they were names when the text was made


def sorted_in_parts(names: Sequence[ProjectName]) -> list[ProjectName]:
    """Return names in their order, without keeping other threads from running for longer than a part of them takes."""
    # Limits that are taken at equal distances: about as many names lie between any two of them.
    limits = sorted(names[:: max(_AT_ONCE // 8, 1)])[::8]
    parts: list[list[ProjectName]] = [[] for _ in range(len(limits) + 1)]
    for name in names:
        parts[bisect_right(limits, name)].append(name)
    return [name for part in parts for name in sorted(part)]


def names_as_text(names: Sequence[ProjectName]) -> str:
    """Return names that are in their order as the text of :class:`SortedNames`."""
    starts = range(0, len(names), _AT_ONCE)
    return (
        "\n".join(("", *("\n".join(names[start : start + _AT_ONCE]) for start in starts), ""))
        if names
        else "\n"
    )


NO_NAMES: Final = SortedNames()


class NameSet:
    """A set of names: some of a base, by their numbers there, and others as they are.

    It can be read in any thread, and is changed in one.

    Args:
        base: Names of which most are in the set.
        others: Names that are in the set besides, which may be of the base too; the set changes as they do.
        flags: A 1 for the number of each name of the base that is in the set by it, and 0 for the others.

    Attributes:
        base: See above.
        others: See above.
        flags: See above.
        numbers: How many names are in the set by their numbers.
    """

    def __init__(
        self,
        base: SortedNames = NO_NAMES,
        others: AbstractSet[ProjectName] = frozenset(),
        flags: bytearray | None = None,
    ) -> None:
        self.base = base
        self.others = others
        self.flags = bytearray(len(base)) if flags is None else flags
        self.numbers = self.flags.count(1)

    @classmethod
    def of(cls, base: SortedNames, names: set[ProjectName]) -> NameSet:
        """Return a set of these names."""
        flags = bytearray(map(names.__contains__, base))
        is_whole = flags.count(1) == len(names)
        return cls(base, frozenset() if is_whole else frozenset(names.difference(base)), flags)

    def add_numbers(self, numbers: Iterable[int]) -> None:
        """Add names of the base that are not in the set, by their numbers."""
        for number in numbers:
            self.flags[number] = 1
            self.numbers += 1

    def remove_number_of(self, name: ProjectName) -> None:
        """Remove a name that is in the set by its number; one of the others stays."""
        number = self.number(name)
        if number >= 0:
            self.flags[number] = 0
            self.numbers -= 1

    def number(self, name: ProjectName) -> int:
        """Return the number by which a name is in the set; -1 if it is not, or only as one of the others."""
        number = self.base.number(name) if self.numbers else -1
        return number if number >= 0 and self.flags[number] else -1

    def has_number(self, number: int) -> bool:
        """Return whether the name of the base with a number is in the set by it."""
        return bool(self.flags[number])

    def __contains__(self, name: object) -> bool:
        # Numbers first, as in _now().
        number = self.base.number(name) if self.numbers else -1
        return (number >= 0 and self.flags[number] == 1) or name in self.others

    def __iter__(self) -> Iterator[ProjectName]:
        """Yield the names that are in the set now, each once; those of the base in their order."""
        flags, others = self._now()
        return chain(self.base.selected(flags), others)

    def in_order(self) -> Iterator[ProjectName]:
        """Yield the names that are in the set now, in their order."""
        flags, others = self._now()
        return merge(self.base.selected(flags), sorted_in_parts(others))

    def _now(self) -> tuple[bytearray, list[ProjectName]]:
        """Return the flags, and the others that are not in the set by these too."""
        # Numbers first: a name whose number is removed is one of the others before. And no set of the others is made, which of
        # 700,000 would keep every thread waiting for 50 ms.
        flags, others = bytearray(self.flags), list(self.others)
        if 1 in flags:
            number = self.base.number
            others = [name for name in others if (found := number(name)) < 0 or not flags[found]]
        return flags, others

    def __len__(self) -> int:
        """Return how many names are in the set; one that is in it by its number and among the others counts twice."""
        return self.numbers + len(self.others)

    def difference(self, other: NameSet) -> set[ProjectName]:
        """Return the names that are not in another set; quick where both have one base and differ little."""
        if self.base is not other.base:
            return {name for name in self if name not in other}
        missing: set[ProjectName] = set()
        for start in range(0, len(self.flags), _COMPARED):
            part, others = self.flags[start : start + _COMPARED], other.flags[start : start + _COMPARED]
            if part != others:
                only_here = bytes(here > there for here, there in zip(part, others, strict=True))
                missing.update(self.base.selected(only_here, start))
        missing.difference_update(other.others)
        return missing | {name for name in self.others - other.others if other.number(name) < 0}


class RemainingNames(NameSet):
    """Names that are yet to be dealt with: one after the other is taken out.

    Args:
        names: A set that stays as it is.
        others: Further names.
    """

    def __init__(self, names: NameSet, others: Iterable[ProjectName] = ()) -> None:
        self._further = {*names.others, *others}
        super().__init__(names.base, self._further, bytearray(names.flags))

    def discard(self, name: ProjectName) -> None:
        """Take a name out, if it is there."""
        self.remove_number_of(name)
        self._further.discard(name)


NO_PROJECTS: Final = NameSet()
