"""Parse what a person types into the search box, and write it as expressions for SQLite's FTS5."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from packaging.version import InvalidVersion

from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.version_texts import parse_version
from simpleindex.search.folding import fold, normalize

if TYPE_CHECKING:
    from packaging.version import Version

    from simpleindex.core.names import ProjectName

LONGEST_QUERY: Final = 200
"""Characters; the rest is ignored."""

MOST_TERMS: Final = 8

TRIGRAM: Final = 3
"""Letters of a term that the index finds; shorter ones match the beginnings of names."""

_TERM: Final = re.compile(
    r"""(?:(?P<filter>author|depends|python):)?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))""", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Query:
    """A search: every part must match.

    Attributes:
        terms: Literal texts of at least three letters, folded; each must occur in the name, summary, keywords or description.
        prefixes: Shorter ones, folded; each must begin the name.
        authors: Literal texts, folded; each must occur among the authors and maintainers.
        dependencies: Names of projects that are required.
        python: A version that Requires-Python must admit; None if any will do.
        invalid: Filters whose values cannot be used, as they were typed; nothing matches them.
    """

    terms: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    dependencies: tuple[ProjectName, ...] = ()
    python: Version | None = None
    invalid: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed that can be searched for."""
        return self == Query()

    @property
    def name(self) -> str:
        """The terms as one project's name would have them: ``flask login`` is ``flask-login``."""
        return normalize("-".join((*self.prefixes, *self.terms) if self.prefixes else self.terms))

    @property
    def is_for_names_only(self) -> bool:
        """Whether the name of a project alone can match: the query has no filters."""
        return not (self.authors or self.dependencies or self.python or self.invalid)

    def matches_name(self, name: str) -> bool:
        """Return whether a project matches by its name alone."""
        return (
            self.is_for_names_only
            and all(normalize(term) in name for term in self.terms)
            and all(name.startswith(prefix) for prefix in self.prefixes)
        )


@dataclass(slots=True)
class _Parts:
    terms: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    authors: list[str] = field(default_factory=list)
    dependencies: list[ProjectName] = field(default_factory=list)
    python: Version | None = None
    invalid: list[str] = field(default_factory=list)


def parse_query(text: str) -> Query:
    """Parse a search.

    Words are separated by white space; quotation marks keep them together. ``author:``, ``depends:`` and ``python:`` before a
    word are filters. Everything else is a literal text.
    """
    parts = _Parts()
    for count, match in enumerate(_TERM.finditer(text[:LONGEST_QUERY])):
        if count == MOST_TERMS:
            break
        value = fold(match["phrase"] if match["phrase"] is not None else match["word"])
        if not value:
            continue
        _add(parts, (match["filter"] or "").lower(), value, match[0].strip())
    return Query(
        tuple(dict.fromkeys(parts.terms)),
        tuple(dict.fromkeys(parts.prefixes)),
        tuple(dict.fromkeys(parts.authors)),
        tuple(dict.fromkeys(parts.dependencies)),
        parts.python,
        tuple(parts.invalid),
    )


def _add(parts: _Parts, key: str, value: str, text: str) -> None:
    if key == "author":
        parts.authors.append(value)
    elif key == "depends":
        try:
            parts.dependencies.append(parse_project_name(value))
        except InvalidProjectName:
            parts.invalid.append(text)
    elif key == "python":
        try:
            parts.python = parse_version(value)
        except InvalidVersion:
            parts.invalid.append(text)
    elif len(value) >= TRIGRAM:
        parts.terms.append(value)
    else:
        parts.prefixes.append(normalize(value))


def fts_literal(term: str) -> str:
    """Return a term as a literal of an FTS5 expression."""
    return '"' + term.replace('"', '""') + '"'


def names_expression(query: Query) -> str:
    """Return the FTS5 expression for projects whose name has every term."""
    return " AND ".join(f"name : {fts_literal(normalize(term))}" for term in query.terms if _is_long(term))


def facts_expression(query: Query) -> str:
    """Return the FTS5 expression for projects with every term in the name, summary or keywords."""
    return " AND ".join(f"({_anywhere(term)})" for term in query.terms)


def author_expression(query: Query) -> str:
    """Return the FTS5 expression for the authors; empty if every one of them is too short for the index."""
    return " AND ".join(
        f"author : {fts_literal(author)}" for author in query.authors if len(author) >= TRIGRAM
    )


def trigrams_expression(query: Query) -> str:
    """Return the FTS5 expression for texts with the trigrams of every term, in any order.

    The table of texts has no positions, which would double its size; so a literal is looked for in what is found.
    """
    return " AND ".join(dict.fromkeys(fts_literal(part) for term in query.terms for part in _trigrams(term)))


def _is_long(term: str) -> bool:
    return len(normalize(term)) >= TRIGRAM


def _anywhere(term: str) -> str:
    literal = f"{{name summary keywords}} : {fts_literal(term)}"
    name = normalize(term)
    return literal if name == term or len(name) < TRIGRAM else f"{literal} OR name : {fts_literal(name)}"


def _trigrams(term: str) -> list[str]:
    return [term[start : start + TRIGRAM] for start in range(len(term) - TRIGRAM + 1)]
