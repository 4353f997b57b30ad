"""Cut the words around a match out of a text as its author wrote it. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Final

from simpleindex.search.folding import fold_letters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Excerpt = tuple[str, ...]
"""Pieces of a text, of which every second one matches; empty if there is nothing to be shown."""

_BEFORE: Final = 60
"""Characters before the match: enough to understand it, and the match is still on the first line of a narrow window."""

_LENGTH: Final = 160
"""Characters of an excerpt: PyPI and search engines show two lines of about 80."""

_PART: Final = 256
"""Characters that are folded together where letters change their number. Runs of marks take time by the square of their length."""

_MOST_OF_TERM: Final = 10
"""Matches of one term in one line that are weighed."""

_MOST: Final = 250
"""Matches that are weighed, which takes 1 ms."""

_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"

_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of what comes after them."""


def cut_excerpt(lines: Sequence[str], terms: Sequence[str]) -> Excerpt:
    """Return the text around the match that says most, in which every match is a piece of its own.

    Args:
        lines: Texts as they were written; of matches that say as much, that in the first of them is taken.
        terms: Folded.
    """
    texts = [_FoldedText(line) for line in lines]
    matches = islice(((text, *match) for text in texts for match in text.matches(terms)), _MOST)
    best = max(matches, key=lambda match: match[0].weight(match[1], terms), default=None)
    if best is None:
        return ()
    text, place, after = best
    return _pieces(text.line, *_bounds(text.line, text.written(place), text.written(after)), terms)


class _FoldedText:
    """A text with the same one folded, and the way back from a place in that."""

    def __init__(self, line: str) -> None:
        self.line = line
        parts = [line] if line.isascii() else [line[at : at + _PART] for at in range(0, len(line), _PART)]
        folded = [fold_letters(part) for part in parts]
        self._text = "".join(folded)
        self._starts = [0, *accumulate(map(len, folded))]

    def matches(self, terms: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Return where terms stand in the folded text, and where they end; the first of each."""
        for term in terms:
            yield from islice(_spans(self._text, term), _MOST_OF_TERM)

    def weight(self, place: int, terms: Sequence[str]) -> tuple[int, bool]:
        """Return how much the text around a place of the folded one says: the number of terms in it, and whether it is no address."""
        near = self._text[max(0, place - _BEFORE) : place + _LENGTH - _BEFORE]
        start, end = self._text.rfind(" ", 0, place) + 1, self._text.find(" ", place)
        is_address = "/" in self._text[start : end if end >= 0 else None]
        return sum(term in near for term in terms), not is_address

    def written(self, place: int) -> int:
        """Return the place in the text as it was written of the character that is at a place of the folded one."""
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


def _pieces(line: str, start: int, end: int, terms: Sequence[str]) -> Excerpt:
    """Return a part of a text in pieces."""
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
    found = sorted(span for term in terms for span in _spans(folded, term))
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


def _spans(text: str, term: str) -> Iterator[tuple[int, int]]:
    """Return where a term stands in a text, and where it ends."""
    place = text.find(term) if term else -1
    while place >= 0:
        yield place, place + len(term)
        place = text.find(term, place + len(term))
