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
    r"""(?:(?P<filter>author|depends|python):\s*)?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))""", re.IGNORECASE
)

_BEGINNING: Final = re.compile(r"[a-z0-9][a-z0-9-]?\Z")
"""What a name can begin with."""

_BARE_FILTERS: Final = frozenset({"author:", "depends:", "python:"})

_MINORS: Final = (99, *range(31))
"""Minor versions of which one is enough for ``python:3``; most projects admit the first of them."""


@dataclass(frozen=True, slots=True)
class Query:
    """A search: every part must match.

    Attributes:
        terms: Literal texts, folded; each must occur in the name, summary, keywords or description.
        prefixes: Those of one or two letters that a name can have; each must begin the name.
        authors: Literal texts, folded; each must occur among the authors and maintainers.
        dependencies: Names of projects that are required.
        pythons: Versions that Requires-Python must admit, each in one of these spellings: of 3.9 any patch release is enough.
        invalid: Filters whose values are missing or cannot be used, as they were typed; nothing matches them.
    """

    terms: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    dependencies: tuple[ProjectName, ...] = ()
    pythons: tuple[tuple[str, ...], ...] = ()
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
        return not (self.authors or self.dependencies or self.pythons or self.invalid)

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
    pythons: list[tuple[str, ...]] = field(default_factory=list)
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
        if not (value or match["filter"]):
            continue
        _add(parts, (match["filter"] or "").lower(), value, match[0].strip())
    return Query(
        tuple(dict.fromkeys(parts.terms)),
        tuple(dict.fromkeys(parts.prefixes)),
        tuple(dict.fromkeys(parts.authors)),
        tuple(dict.fromkeys(parts.dependencies)),
        tuple(dict.fromkeys(parts.pythons)),
        tuple(parts.invalid),
    )


def _add(parts: _Parts, key: str, value: str, text: str) -> None:
    if text.lower() in _BARE_FILTERS or (key and not value):
        parts.invalid.append(text)
    elif key == "author":
        parts.authors.append(value)
    elif key == "depends":
        try:
            parts.dependencies.append(parse_project_name(value))
        except InvalidProjectName:
            parts.invalid.append(text)
    elif key == "python":
        try:
            parts.pythons.append(_spellings(parse_version(value)))
        except InvalidVersion:
            parts.invalid.append(text)
    elif len(value) >= TRIGRAM or not _BEGINNING.match(normalize(value)):
        parts.terms.append(value)
    else:
        parts.prefixes.append(normalize(value))


def _spellings(python: Version) -> tuple[str, ...]:
    """Return versions of Python of which one must be admitted: people say 3.9, and projects require 3.9.1."""
    if len(python.release) > 2 or str(python) != python.base_version:
        return (str(python),)
    minors = python.release[1:] or _MINORS
    return tuple(f"{python.major}.{minor}{patch}" for minor in minors for patch in (".99", ""))


def fts_literal(term: str) -> str:
    """Return a term as a literal of an FTS5 expression."""
    return '"' + term.replace('"', '""') + '"'


def names_expression(query: Query) -> str:
    """Return the FTS5 expression for projects whose name has every term."""
    return " AND ".join(f"name : {fts_literal(normalize(term))}" for term in query.terms if _is_long(term))


def facts_expression(query: Query) -> str:
    """Return the FTS5 expression for projects with every term in the name, summary or keywords, each of three letters or more."""
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
