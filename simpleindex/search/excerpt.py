"""Cut the words around a match out of a text as its author wrote it. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from simpleindex.search.folding import fold_letters

if TYPE_CHECKING:
    from collections.abc import Sequence

Excerpt = tuple[str, ...]
"""Pieces of a text, of which every second one matches; empty if there is nothing to be shown."""

_BEFORE: Final = 60
"""Characters before the match: enough to understand it, and the match is still on the first line of a narrow window."""

_LENGTH: Final = 160
"""Characters of an excerpt: PyPI and search engines show two lines of about 80."""

_PART: Final = 256
"""Characters that are folded together where letters change their number. Runs of marks take time by the square of their length."""

_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"

_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of what comes after them."""


def cut_excerpt(lines: Sequence[str], terms: Sequence[str]) -> Excerpt:
    """Return the text around the first match, in which every match is a piece of its own.

    Args:
        lines: Texts as they were written, the one in which a match says most first. An excerpt is of one of them.
        terms: Folded. Where they stand one after the other, that comes first.
    """
    folded = [_FoldedText(line) for line in lines]
    for term in dict.fromkeys((" ".join(terms), *terms)):
        for text in folded:
            if term and (match := text.find(term)) is not None:
                return _pieces(text.line, match, terms)
    return ()


class _FoldedText:
    """A text with the same one folded, and the way back from a place in that."""

    def __init__(self, line: str) -> None:
        self.line = line
        parts = [line] if line.isascii() else [line[at : at + _PART] for at in range(0, len(line), _PART)]
        folded = [fold_letters(part) for part in parts]
        self._text = "".join(folded)
        self._starts = [0, *accumulate(map(len, folded))]

    def find(self, term: str) -> tuple[int, int] | None:
        """Return the place of a folded term in the text as it was written, and the place after it; None if it is not there."""
        place = self._text.find(term)
        return None if place < 0 else (self._written(place), self._written(place + len(term)))

    def _written(self, place: int) -> int:
        """Return the place of the character that became the one at a place of the folded text."""
        if self.line.isascii():
            return place
        part = bisect_right(self._starts, place) - 1
        first = part * _PART
        lengths = _lengths(self.line[first : first + _PART])
        return first + bisect_right(lengths, place - self._starts[part]) - 1


def _lengths(text: str) -> list[int]:
    """Return how long the text before each of its characters is when it is folded, and the length of the whole."""
    return (
        [*range(len(text) + 1)]
        if text.isascii()
        else [0, *accumulate(len(fold_letters(each)) for each in text)]
    )


def _pieces(line: str, match: tuple[int, int], terms: Sequence[str]) -> Excerpt:
    """Return the text around a match, in pieces."""
    start, end = _bounds(line, *match)
    text = line[start:end]
    pieces, last = list[str](), 0
    for first, after in _matches(text, terms):
        pieces += (text[last:first], text[first:after])
        last = after
    pieces.append(text[last:])
    if start:
        pieces[0] = _ELLIPSIS + pieces[0]
    if end < len(line):
        pieces[-1] += _ELLIPSIS
    return tuple(_UNSEEN.sub("", piece) for piece in pieces)


def _bounds(line: str, place: int, after: int) -> tuple[int, int]:
    """Return where the excerpt around a match begins and ends: between words if there are spaces."""
    start = max(0, min(place - _BEFORE, len(line) - _LENGTH))
    end = min(len(line), max(start + _LENGTH, after + 1))
    if start:
        start = line.find(" ", start - 1, place) + 1 or start
    if end < len(line):
        end = max(line.rfind(" ", after, end + 1), 0) or end
    return start, end


def _matches(text: str, terms: Sequence[str]) -> list[tuple[int, int]]:
    """Return where terms stand in a text, without overlaps."""
    folded, lengths = fold_letters(text), _lengths(text)
    found = sorted(span for term in terms if term for span in _spans(folded, term))
    matches: list[tuple[int, int]] = []
    for start, end in found:
        first = bisect_right(lengths, start) - 1
        # With the accents that the last letter has.
        after = bisect_right(lengths, lengths[bisect_left(lengths, end)]) - 1
        if matches and first <= matches[-1][1]:
            matches[-1] = matches[-1][0], max(after, matches[-1][1])
        else:
            matches.append((first, after))
    return matches


def _spans(text: str, term: str) -> list[tuple[int, int]]:
    places, place = list[tuple[int, int]](), text.find(term)
    while place >= 0:
        places.append((place, place + len(term)))
        place = text.find(term, place + len(term))
    return places
