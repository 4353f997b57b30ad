"""The queries to the search index: candidates for a search, the newest projects, dependents, counts; blocking."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from packaging.specifiers import InvalidSpecifier

from simpleindex.core.near_names import near_spellings
from simpleindex.core.parsing.version_texts import parse_specifiers
from simpleindex.search.document_rows import unpack_text
from simpleindex.search.excerpt import cut_excerpt
from simpleindex.search.folding import normalize
from simpleindex.search.query import (
    TRIGRAM,
    author_expression,
    facts_expression,
    names_expression,
    trigrams_expression,
)
from simpleindex.search.ranking import Candidate, DependentRow, ranked
from simpleindex.search.release_events import Yank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.search.database import SearchDatabase
    from simpleindex.search.excerpt import Excerpt
    from simpleindex.search.query import Query

MOST: Final = 200
"""Candidates of each kind: by name, by summary and keywords, by description. Readers who may see few of them get more."""

_FEW: Final = 2_000
"""Projects that pass the filters; if there are no more, each of them is compared, and otherwise the terms are looked up first."""

LONGEST_SEARCH: Final = 0.025
"""Seconds of a processor after which a search ends; terms of very common letters would take longer. The candidates until then count."""

_MATCHED: Final = "facts CROSS JOIN documents ON id = facts.rowid WHERE facts MATCH ?"
"""CROSS JOIN keeps SQLite from going through all documents instead of the few that FTS5 finds."""

_STEPS: Final = 1_000
"""Steps of SQLite's machine between two looks at the clock."""

_COLUMNS: Final = (
    "origin, project, filename, digest, title, documents.summary, documents.keywords, uploaded_ns"
)


def find_candidates(
    database: SearchDatabase, query: Query, most: int = MOST, seconds: Callable[[], float] = time.thread_time
) -> list[Candidate]:
    """Return the projects that match a search, the best first.

    Args:
        database: The search index.
        query: What is searched for.
        most: How many of each kind are enough.
        seconds: The processor time of the thread: a machine that is busy with other work finds no less.
    """
    if query.is_empty or query.invalid:
        return []
    return database.read_with(
        lambda connection: _CandidateSearch(connection, query, most, seconds).candidates(), []
    )


def newest(database: SearchDatabase, origins: tuple[str, ...], limit: int) -> list[Candidate]:
    """Return the projects of some origins with the newest files, newest first."""
    # Origin by origin, as the table's index has them: together, all documents would be sorted.
    statement = f"SELECT {_COLUMNS} FROM documents WHERE origin = ? ORDER BY uploaded_ns DESC LIMIT ?"
    rows = [row for origin in origins for row in database.read(statement, (origin, limit))]
    candidates = [Candidate(*row) for row in rows]
    return sorted(candidates, key=lambda each: (-each.uploaded_ns, each.project))[:limit]


def dependents(database: SearchDatabase, name: ProjectName, limit: int) -> list[DependentRow]:
    """Return the projects that require another one, by name; not itself, which an extra of all extras requires."""
    rows = database.read(
        f"SELECT requirement, {_COLUMNS} FROM dependencies JOIN documents ON id = document"
        " WHERE name = ? AND project <> name ORDER BY project, origin LIMIT ?",
        (name, limit),
    )
    return [DependentRow(Candidate(*row), requirement) for requirement, *row in rows]


def recent_yanks(database: SearchDatabase, origins: tuple[str, ...], limit: int) -> list[Yank]:
    """Return the releases that were yanked last, the last first."""
    marks = ",".join("?" * len(origins))
    rows = database.read(
        f"SELECT project, version, seen_ns FROM yanks WHERE origin IN ({marks}) ORDER BY seen_ns DESC LIMIT ?",
        (*origins, limit),
    )
    return [Yank(*row) for row in rows]


def yanks_of(database: SearchDatabase, name: ProjectName) -> list[Yank]:
    """Return the yanked releases of a project."""
    rows = database.read(
        "SELECT project, version, min(seen_ns) FROM yanks WHERE project = ? GROUP BY version", (name,)
    )
    return [Yank(*row) for row in rows]


def near_projects(database: SearchDatabase, name: str, limit: int) -> list[str]:
    """Return the indexed projects whose names differ from a text in one letter, in order."""
    rows = database.read(
        "SELECT DISTINCT project FROM documents WHERE project IN (SELECT value FROM json_each(?)) ORDER BY project LIMIT ?",
        (json.dumps([*near_spellings(name)]), limit),
    )
    return [project for (project,) in rows]


def excerpts(database: SearchDatabase, terms: Mapping[Candidate, Sequence[str]]) -> dict[Candidate, Excerpt]:
    """Return the text around the first match of terms in each candidate; nothing of one that is indexed from another file by now."""
    statement = (
        "SELECT written, text FROM documents JOIN originals USING (id) JOIN texts ON texts.rowid = id"
        " WHERE project = ? AND origin = ? AND filename = ? AND digest = ?"
    )
    cut = {}
    for each, wanted in terms.items():
        # Of no other file: only this one is known to be offered to the reader.
        for packed, text in database.read(statement, (each.project, each.origin, each.filename, each.digest)):
            cut[each] = cut_excerpt(unpack_text(packed, text).split("\n"), wanted)
    return cut


class _CandidateSearch:
    """One search in one connection."""

    def __init__(
        self, connection: sqlite3.Connection, query: Query, most: int, seconds: Callable[[], float]
    ) -> None:
        self._connection = connection
        self._query = query
        self._most = most
        self._seconds = seconds
        self._end = seconds() + LONGEST_SEARCH
        self._candidates: dict[int, Candidate] = {}

    def candidates(self) -> list[Candidate]:
        conditions, values = self._filters()
        few = self._few(conditions, values) if self._query.authors or self._query.dependencies else None
        with self._deadline(self._end):
            if few is not None:
                self._compare(few)
            else:
                self._look_up(conditions, values)
        return ranked(self._candidates.values(), self._query)

    def _filters(self) -> tuple[str, list[object]]:
        """Return the conditions of the filters in SQL, each after an AND, and their values; without the authors that FTS5 finds."""
        query, conditions, values = self._query, "", list[object]()
        for author in query.authors:
            if len(author) < TRIGRAM:
                conditions += " AND instr(lower(authors), ?)"
                values.append(author)
        for name in query.dependencies:
            conditions += " AND id IN (SELECT document FROM dependencies WHERE name = ?)"
            values.append(name)
        for prefix in query.prefixes:
            conditions += " AND project >= ? AND project < ?"
            values += [prefix, prefix + "\U0010ffff"]
        for spellings in query.pythons:
            # With + no index is used: most projects admit most versions.
            conditions += (
                " AND (requires_python IS NULL OR +requires_python IN (SELECT value FROM json_each(?)))"
            )
            values.append(json.dumps(self._specifiers_for(spellings)))
        return conditions, values

    def _specifiers_for(self, spellings: tuple[str, ...]) -> list[str]:
        # From each value to the next: DISTINCT would go through all documents.
        rows = self._connection.execute(
            "WITH RECURSIVE each(text) AS (SELECT min(requires_python) FROM documents UNION ALL"
            " SELECT (SELECT min(requires_python) FROM documents WHERE requires_python > each.text) FROM each WHERE text IS NOT NULL)"
            " SELECT text FROM each WHERE text IS NOT NULL"
        )
        return [text for (text,) in rows if _admits(text, spellings)]

    def _few(self, conditions: str, values: list[object]) -> list[int] | None:
        """Return the documents that pass the filters, as far as they are found in half of the time; None if they are many."""
        few: list[int] = []
        with self._deadline(self._end - LONGEST_SEARCH / 2):
            tables, expressions = self._filtered()
            statement = f"SELECT id FROM {tables} {conditions} LIMIT {_FEW + 1}"
            for (identifier,) in self._connection.execute(statement, [*expressions, *values]):
                few.append(identifier)
        return few if len(few) <= _FEW else None

    def _filtered(self) -> tuple[str, list[object]]:
        """Return the tables with the documents of the authors that FTS5 finds, one after the other, and their values."""
        authors = author_expression(self._query)
        return (_MATCHED, [authors]) if authors else ("documents WHERE 1", [])

    def _compare(self, identifiers: list[int]) -> None:
        """Find the terms in the texts of these documents."""
        literals = "".join(" AND (instr(text, ?) OR instr(project, ?))" for _ in self._query.terms)
        terms = [value for term in self._query.terms for value in (term, normalize(term))]
        # To read the texts takes longer than the rest.
        tables = "documents JOIN texts ON texts.rowid = id" if terms else "documents"
        self._take(
            f"{tables} WHERE id IN (SELECT value FROM json_each(?))" + literals,
            [json.dumps(identifiers), *terms],
            _FEW,
        )

    def _look_up(self, conditions: str, values: list[object]) -> None:
        query, authors = self._query, author_expression(self._query)
        if not query.terms and not query.prefixes:
            # Any of them: to find the newest, all would be sorted.
            tables, expressions = self._filtered()
            self._take(tables + conditions, [*expressions, *values], self._most)
            return
        within = conditions + (" AND +id IN (SELECT rowid FROM facts WHERE facts MATCH ?)" if authors else "")
        values_within = [*values, authors] if authors else values
        if name := query.name:
            # The name that was typed, and the shortest that begin with it, must not be lost among many others.
            between = [name, name + "\U0010ffff"]
            self._take(
                f"documents WHERE project >= ? AND project < ? {within} ORDER BY length(project)",
                [*between, *values_within],
                self._most,
            )
        if query.terms and all(len(term) >= TRIGRAM for term in query.terms):
            for expression in filter(None, (names_expression(query), facts_expression(query))):
                both = f"{authors} AND {expression}" if authors else expression
                self._take(_MATCHED + conditions, [both, *values], self._most)
        if query.terms and len(self._candidates) < self._most:
            self._look_up_texts(within, values_within)

    def _look_up_texts(self, conditions: str, values: list[object]) -> None:
        literals = "".join(" AND instr(text, ?)" for _ in self._query.terms)
        # Chinese and Japanese words have two letters, of which no trigram can be made: every text is looked at until the deadline.
        trigrams = trigrams_expression(self._query)
        matched = "texts MATCH ?" if trigrams else "1"
        self._take(
            f"texts CROSS JOIN documents ON id = texts.rowid WHERE {matched}{literals}{conditions}",
            [*([trigrams] if trigrams else []), *self._query.terms, *values],
            self._most,
        )

    def _take(self, tables: str, values: list[Any], limit: int) -> None:
        rows = self._connection.execute(f"SELECT id, {_COLUMNS} FROM {tables} LIMIT ?", [*values, limit])
        for identifier, *row in rows:
            self._candidates[identifier] = Candidate._make(row)

    @contextmanager
    def _deadline(self, end: float) -> Iterator[None]:
        """End the query that runs at the end of some time; its rows until then count."""
        self._connection.set_progress_handler(lambda: self._seconds() > end, _STEPS)
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
        finally:
            self._connection.set_progress_handler(None, 0)


@lru_cache(maxsize=4_096)
def _admits(specifiers: str, pythons: tuple[str, ...]) -> bool:
    """Return whether a Requires-Python admits one of these versions; one that cannot be parsed is ignored, as installers do."""
    try:
        admitted = parse_specifiers(specifiers)
    except InvalidSpecifier:
        return True
    return any(admitted.contains(python, prereleases=True) for python in pythons)
