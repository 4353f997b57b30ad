"""What the search index finds, before rights are checked, and which of it comes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from simpleindex.search.folding import fold, normalize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.search.query import Query


@dataclass(frozen=True, slots=True)
class Candidate:
    """An indexed project that matches a search, before it is known whether a reader may see it.

    Attributes:
        origin: The directory or upstream that has it.
        project: Its normalized name.
        filename: The distribution whose metadata match; empty if only the name is indexed.
        digest: As in :class:`~simpleindex.search.database.IndexedFile`.
        title: Its name as the metadata spell it.
        summary: One line.
        keywords: As the metadata write them.
        uploaded_ns: When its newest file was uploaded.
    """

    origin: str
    project: str
    filename: str
    digest: str
    title: str
    summary: str
    keywords: str
    uploaded_ns: int = 0


class DependentRow(NamedTuple):
    """An indexed project that requires another one."""

    candidate: Candidate
    requirement: str


def ranked(candidates: Iterable[Candidate], query: Query) -> list[Candidate]:
    """Return candidates in the order in which a reader wants them.

    The name that was typed comes first, then names that begin with it, names with every term, projects whose summary or keywords
    have the rest, and last those that only their description shows. Shorter names come before longer ones.
    """
    return sorted(candidates, key=lambda candidate: _key(candidate, query))


def _key(candidate: Candidate, query: Query) -> tuple[int, int, str, str]:
    name = candidate.project
    return _tier(candidate, query), len(name), name, candidate.origin


def _tier(candidate: Candidate, query: Query) -> int:
    name, typed = candidate.project, query.name
    if name == typed:
        return 0
    if typed and name.startswith(typed):
        return 1
    terms = [(term, normalize(term)) for term in (*query.prefixes, *query.terms)]
    if all(normal in name.split("-") for _, normal in terms):
        return 2
    if all(normal in name for _, normal in terms):
        return 3
    facts = f"{fold(candidate.summary)}\n{fold(candidate.keywords)}"
    if all(normal in name or term in facts for term, normal in terms):
        # Of two that only differ in this, the one is about what the other merely mentions.
        return 4 if any(normal in name for _, normal in terms) else 5
    return 6
