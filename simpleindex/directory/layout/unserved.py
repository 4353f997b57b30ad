"""Summaries of distributions that are not served: a count and one example for each cause."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class UnservedCause(Enum):
    """Why something is passed over."""

    LINK = "link"
    DANGLING = "dangling"
    NO_NAME = "no-name"
    DEEPER = "deeper"
    CAPITALS = "capitals"
    FORMAT = "format"
    YANK = "yank"


_SENTENCES = {
    UnservedCause.LINK: (
        "{count} link{s} in the root of the index lead{third} out of it and {is_are} not served, for example {example}."
        " Move the directory here, or serve the place where it lies as a [[directory]] of the sources file."
    ),
    UnservedCause.DANGLING: (
        "{count} link{s} in the root of the index lead{third} to nothing that can be reached, for example {example}."
        " Correct {it_them}, or remove {it_them}."
    ),
    UnservedCause.NO_NAME: (
        "{count} distribution{s} lie{third} in directories whose names are no project's and {is_are} not served, for example {example}."
        " Rename the directory to the project."
    ),
    UnservedCause.DEEPER: (
        "{count} distribution{s} lie{third} deeper than one directory and {is_are} not served, for example {example}."
        " Move {it_them} up into the project's directory."
    ),
    UnservedCause.CAPITALS: (
        "{count} file{s} {has_have} capitals in the suffix and {is_are} not served, for example {example}. Rename {it_them}."
    ),
    UnservedCause.FORMAT: (
        "{count} file{s} {has_have} a format that installers no longer take and {is_are} not served, for example {example}."
        " Build wheels."
    ),
    UnservedCause.YANK: (
        "{count} yank{s} in simpleindex.toml match{third_es} no file or version, for example {example}. Correct {it_them}."
    ),
}


@dataclass(frozen=True, slots=True)
class Unserved:
    """Things that are passed over for one cause."""

    cause: UnservedCause
    count: int
    example: str

    def __str__(self) -> str:
        one = self.count == 1
        return _SENTENCES[self.cause].format(
            count=f"{self.count:,}",
            example=self.example,
            s="" if one else "s",
            third="s" if one else "",
            third_es="es" if one else "",
            is_are="is" if one else "are",
            has_have="has" if one else "have",
            it_them="it" if one else "them",
        )


def sum_up(items: Iterable[Unserved]) -> tuple[Unserved, ...]:
    """Return one item for each cause, with the first example of it; in the order of :class:`UnservedCause`."""
    counts: dict[UnservedCause, int] = {}
    examples: dict[UnservedCause, str] = {}
    for item in items:
        counts[item.cause] = counts.get(item.cause, 0) + item.count
        examples.setdefault(item.cause, item.example)
    return tuple(
        Unserved(cause, counts[cause], examples[cause]) for cause in UnservedCause if cause in counts
    )
