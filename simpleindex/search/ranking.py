"""What the search index finds, before rights are checked, and which of it comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simpleindex.search.folding import fold_letters, normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simpleindex.search.query import Query


class Candidate(NamedTuple):
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
    typed, terms = query.name, [(term, normalize(term)) for term in (*query.prefixes, *query.terms)]
    return sorted(
        candidates, key=lambda each: (_tier(each, typed, terms), len(each.project), each.project, each.origin)
    )


def _tier(candidate: Candidate, typed: str, terms: Sequence[tuple[str, str]]) -> int:
    """Return how early a candidate comes; 0 is first.

    Args:
        candidate: Of thousands, so that nothing is done for one that can be done for all.
        typed: The query's name.
        terms: Those of the query, also as in names.
    """
    name = candidate.project
    if name == typed:
        return 0
    if typed and name.startswith(typed):
        return 1
    missing = [term for term, normal in terms if normal not in name]
    if not missing:
        words = name.split("-")
        return 2 if all(normal in words for _, normal in terms) else 3
    facts = fold_letters(f"{candidate.summary}\n{candidate.keywords}")
    if all(term in facts for term in missing):
        # Of two that only differ in this, the one is about what the other merely mentions.
        return 4 if len(missing) < len(terms) else 5
    return 6
