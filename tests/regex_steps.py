"""Counts the steps of a backtracking match, so that a pattern's work can be compared without a clock.

:mod:`re` runs a pattern in C and tells nothing of its work. This is the same algorithm over the same parse tree, in Python:
every attempt to match one node of the pattern at one position is a step.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

Continue = Any
"""A function from a position to whether the rest of the pattern matches there."""

_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_SINGLE = (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN)
_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    sre.CATEGORY_DIGIT: str.isdecimal,
    sre.CATEGORY_NOT_DIGIT: lambda character: not character.isdecimal(),
    sre.CATEGORY_SPACE: str.isspace,
    sre.CATEGORY_NOT_SPACE: lambda character: not character.isspace(),
    sre.CATEGORY_WORD: lambda character: character.isalnum() or character == "_",
    sre.CATEGORY_NOT_WORD: lambda character: not (character.isalnum() or character == "_"),
}
_CATEGORY_SAMPLES = {
    sre.CATEGORY_DIGIT: "1",
    sre.CATEGORY_NOT_DIGIT: "a",
    sre.CATEGORY_SPACE: " ",
    sre.CATEGORY_NOT_SPACE: "a",
    sre.CATEGORY_WORD: "a1",
    sre.CATEGORY_NOT_WORD: ".",
}


class Repeat(NamedTuple):
    """A repetition.

    Attributes:
        operator: Greedy, lazy or possessive.
        least: Times.
        most: Times.
        body: What is repeated.
    """

    operator: Any
    least: int
    most: int
    body: Any


def text_of(pattern: str | bytes) -> str:
    """A pattern as text; bytes as the characters of the same numbers."""
    return pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern


class SteppedPattern:
    """A pattern that counts.

    Args:
        pattern: Compiled; patterns of bytes are matched against text of latin-1.
    """

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self.tree = _parser.parse(text_of(pattern.pattern), pattern.flags & ~re.UNICODE)
        self._flags = pattern.flags
        self._text = ""
        self._groups: dict[int, tuple[int, int]] = {}
        self.steps = 0

    def match(self, text: str, at: int = 0) -> int | None:
        """Where a match at a position ends; None without one."""
        self._text, self._groups = text, {}
        return self._first_end(list(self.tree), at)

    def fullmatch(self, text: str) -> bool:
        """Whether all of a text matches."""
        self._text, self._groups = text, {}
        return bool(self._sequence(list(self.tree), 0, 0, lambda end: end == len(text)))

    def search(self, text: str) -> int | None:
        """Where the first match begins."""
        for start in range(len(text) + 1):
            if self.match(text, start) is not None:
                return start
        return None

    def findall(self, text: str) -> int:
        """How many matches there are, one after the other."""
        at = count = 0
        while at <= len(text):
            end = self.match(text, at)
            count += end is not None
            at = at + 1 if end is None or end == at else end
        return count

    def count(self, method: str, text: str) -> int:
        """The steps that a method of the pattern takes for a text."""
        self.steps = 0
        with deep_recursion():
            if method == "match":
                self.match(text)
            elif method == "fullmatch":
                self.fullmatch(text)
            elif method == "search":
                self.search(text)
            else:
                self.findall(text)
        return self.steps

    def _first_end(self, nodes: list[Any], at: int) -> int | None:
        """Where the first match of some nodes ends, without a way back into it."""
        ends: list[int] = []

        def take(end: int) -> bool:
            ends.append(end)
            return True

        return ends[0] if self._sequence(nodes, 0, at, take) else None

    def _sequence(self, nodes: list[Any], index: int, at: int, then: Continue) -> bool:
        if index == len(nodes):
            return bool(then(at))
        operator, value = nodes[index]
        return self._node(operator, value, at, lambda end: self._sequence(nodes, index + 1, end, then))

    def _node(self, operator: Any, value: Any, at: int, then: Continue) -> bool:
        self.steps += 1
        if operator in _SINGLE:
            return self._is_single(operator, value, at) and then(at + 1)
        if operator in _REPEATS:
            return self._repeat(Repeat(operator, *value), at, then)
        if operator is sre.BRANCH:
            return any(self._sequence(list(branch), 0, at, then) for branch in value[1])
        if operator is sre.SUBPATTERN:
            group, _, _, inner = value
            return self._sequence(list(inner), 0, at, lambda end: self._close(group, at, end, then))
        if operator is sre.ATOMIC_GROUP:
            end = self._first_end(list(value), at)
            return end is not None and then(end)
        if operator in (sre.ASSERT, sre.ASSERT_NOT):
            return self._is_ahead(value, at) is (operator is sre.ASSERT) and then(at)
        if operator is sre.AT:
            return self._is_at(value, at) and then(at)
        if operator is sre.GROUPREF:
            start, end = self._groups.get(value, (0, 0))
            self.steps += end - start
            return self._text.startswith(self._text[start:end], at) and then(at + end - start)
        raise NotImplementedError(operator)

    def _close(self, group: int | None, start: int, end: int, then: Continue) -> bool:
        if group is None:
            return bool(then(end))
        before = self._groups.get(group)
        self._groups[group] = (start, end)
        if then(end):
            return True
        if before is None:
            self._groups.pop(group, None)
        else:
            self._groups[group] = before
        return False

    def _repeat(self, repeat: Repeat, at: int, then: Continue) -> bool:
        body, least = list(repeat.body), repeat.least
        most = min(repeat.most, len(self._text) + 1)
        if repeat.operator is sre.POSSESSIVE_REPEAT:
            count = 0
            while count < most and (end := self._first_end(body, at)) not in {None, at}:
                at, count = end or 0, count + 1
            return bool(count >= least and then(at))
        if len(body) == 1 and body[0][0] in _SINGLE:
            if repeat.operator is sre.MAX_REPEAT:
                return self._most_first(body[0], (least, most), at, then)
            return self._least_first(body[0], (least, most), at, then)
        if repeat.operator is sre.MIN_REPEAT:
            return self._lazily(body, (least, most), at, then)
        return self._greedily(body, (least, most), at, then)

    def _most_first(self, node: Any, times: tuple[int, int], at: int, then: Continue) -> bool:
        least, most = times
        count = 0
        while count < most and self._counted(node, at + count):
            count += 1
        for kept in range(count, least - 1, -1):
            self.steps += 1
            if then(at + kept):
                return True
        return False

    def _least_first(self, node: Any, times: tuple[int, int], at: int, then: Continue) -> bool:
        least, most = times
        for count in range(most + 1):
            if count >= least and then(at + count):
                return True
            if not self._counted(node, at + count):
                return False
        return False

    def _counted(self, node: Any, at: int) -> bool:
        self.steps += 1
        return self._is_single(node[0], node[1], at)

    def _greedily(self, body: list[Any], times: tuple[int, int], at: int, then: Continue) -> bool:
        least, most = times

        def again(end: int) -> bool:
            return end != at and self._greedily(body, (max(least - 1, 0), most - 1), end, then)

        if most and self._sequence(body, 0, at, again):
            return True
        return bool(least == 0 and then(at))

    def _lazily(self, body: list[Any], times: tuple[int, int], at: int, then: Continue) -> bool:
        least, most = times
        if least == 0 and then(at):
            return True

        def again(end: int) -> bool:
            return end != at and self._lazily(body, (max(least - 1, 0), most - 1), end, then)

        return most > 0 and self._sequence(body, 0, at, again)

    def _is_ahead(self, value: Any, at: int) -> bool:
        direction, inner = value
        if direction >= 0:
            return self._sequence(list(inner), 0, at, lambda _: True)
        start = at - inner.getwidth()[0]
        return start >= 0 and self._sequence(list(inner), 0, start, lambda end: end == at)

    def _is_at(self, where: Any, at: int) -> bool:
        text = self._text
        starts, ends = at == 0, at == len(text)
        if self._flags & re.MULTILINE:
            starts = starts or text[at - 1 : at] == "\n"
            ends = ends or text[at : at + 1] == "\n"
        if where is sre.AT_BEGINNING_STRING:
            return at == 0
        if where is sre.AT_BEGINNING:
            return starts
        if where is sre.AT_END_STRING:
            return at == len(text)
        if where is sre.AT_END:
            return ends or text[at:] == "\n"
        word = [self._is_word(at - 1), self._is_word(at)]
        return (word[0] != word[1]) is (where is sre.AT_BOUNDARY)

    def _is_word(self, at: int) -> bool:
        return 0 <= at < len(self._text) and _CATEGORIES[sre.CATEGORY_WORD](self._text[at])

    def _is_single(self, operator: Any, value: Any, at: int) -> bool:
        if at >= len(self._text):
            return False
        character = self._text[at]
        if operator is sre.ANY:
            return character != "\n" or bool(self._flags & re.DOTALL)
        if operator is sre.IN:
            return self._is_in(value, character)
        return (character in self._cases(chr(value))) is (operator is sre.LITERAL)

    def _is_in(self, items: Any, character: str) -> bool:
        wanted = items[0][0] is not sre.NEGATE
        for operator, value in items:
            if operator is sre.LITERAL and character in self._cases(chr(value)):
                return wanted
            if operator is sre.RANGE and any(
                value[0] <= ord(each) <= value[1] for each in self._cases(character)
            ):
                return wanted
            if operator is sre.CATEGORY and _CATEGORIES[value](character):
                return wanted
        return not wanted

    def _cases(self, character: str) -> str:
        return character.lower() + character.upper() if self._flags & re.IGNORECASE else character


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Allow a call for each character of a text."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def pumps(nodes: Any, random: Random) -> tuple[str, list[tuple[str, str]]]:
    """Make texts that a pattern likes.

    Returns:
        A text that matches a sequence of nodes (or nearly), and for each of its repetitions what leads to it and what it
        repeats.
    """
    before, found = "", []
    for operator, value in nodes:
        if operator in _REPEATS:
            body, inner = pumps(value[2], random)
            found += [(before + prefix, pump) for prefix, pump in inner]
            found.append((before, body))
            if len(value[2]) == 1 and value[2][0][0] in _SINGLE:
                found += [(before, each) for each in samples(*value[2][0])[:8]]
            before += body * max(value[0], random.choice((0, 1)) if value[1] else 0)
        elif operator is sre.BRANCH:
            made = [pumps(branch, random) for branch in value[1]]
            found += [(before + prefix, pump) for _, inner in made for prefix, pump in inner]
            before += random.choice(made)[0]
        elif operator is sre.SUBPATTERN or operator is sre.ATOMIC_GROUP:
            body, inner = pumps(value[3] if operator is sre.SUBPATTERN else value, random)
            found += [(before + prefix, pump) for prefix, pump in inner]
            before += body
        elif operator in _SINGLE:
            before += random.choice(samples(operator, value))
    return before, found


def samples(operator: Any, value: Any) -> str:
    """Some characters that a node for one character matches."""
    if operator is sre.LITERAL:
        return chr(value)
    if operator is not sre.IN:
        return "a" if operator is sre.ANY or value != ord("a") else "b"
    items = list(value)
    if items[0][0] is sre.NEGATE:
        excluded = SteppedPattern(re.compile("x"))
        return "".join(each for each in "a .<\"'=\t;-" if excluded._is_in(items, each)) or "\x01"
    found = ""
    for kind, item in items:
        if kind is sre.LITERAL:
            found += chr(item)
        elif kind is sre.RANGE:
            found += chr(item[0])
        else:
            found += _CATEGORY_SAMPLES[item]
    return found
