"""What is typed into the search box, and the expressions that are made of it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.names import ProjectName
from simpleindex.search.query import (
    LONGEST_QUERY,
    Query,
    author_expression,
    facts_expression,
    names_expression,
    parse_query,
    trigrams_expression,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_words_are_terms_and_short_ones_prefixes() -> None:
    assert parse_query("Flask  py LOGIN") == Query(("flask", "login"), ("py",))


def test_quotation_marks_keep_words_together() -> None:
    assert parse_query('"user  session" web').terms == ("user session", "web")


def test_an_open_quotation_ends_with_the_query() -> None:
    assert parse_query('"user session').terms == ("user session",)


def test_filters() -> None:
    query = parse_query('author:"Jane Doe" depends:Zope.Interface python:3.12 http')
    assert query == Query(
        ("http",),
        authors=("jane doe",),
        dependencies=(ProjectName("zope-interface"),),
        pythons=(("3.12.99", "3.12"),),
    )


def test_an_unknown_filter_is_a_word() -> None:
    assert parse_query("licence:mit").terms == ("licence:mit",)


def test_a_filter_whose_value_is_none_is_reported() -> None:
    assert parse_query("python:old depends:- python:>=3").invalid == ("python:old", "depends:-", "python:>=3")


def test_a_filter_without_a_value_is_reported() -> None:
    """As while somebody types one."""
    assert parse_query("flask author:").invalid == ("author:",)
    assert parse_query('depends:"').invalid == ('depends:"',)
    assert parse_query("authority:").terms == ("authority:",)


def test_a_filter_may_have_a_space_before_its_value() -> None:
    assert parse_query('author: jane depends: "flask"') == parse_query("author:jane depends:flask")


def test_words_that_no_name_can_begin_with_are_terms_however_short() -> None:
    assert parse_query("日志 py") == Query(("日志",), ("py",))
    assert parse_query("topic :: c# x_").terms == ("topic", "::", "c#")


def test_nothing_typed_is_an_empty_query() -> None:
    assert parse_query("  \0 ").is_empty
    assert not parse_query("py").is_empty


def test_terms_as_a_name() -> None:
    assert parse_query("Flask_Login").name == "flask-login"
    assert parse_query("flask login").name == "flask-login"


def test_a_name_matches_in_any_spelling_but_not_with_filters() -> None:
    assert parse_query("Flask_Log").matches_name("flask-login")
    assert parse_query("fl").matches_name("flask")
    assert not parse_query("as").matches_name("flask")
    assert not parse_query("flask author:jane").matches_name("flask")


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    """The tables of texts."""
    made = sqlite3.connect(":memory:")
    made.execute(
        "CREATE VIRTUAL TABLE facts USING fts5(name, summary, keywords, author, tokenize = 'trigram')"
    )
    made.execute("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'trigram', detail = none)")
    yield made
    made.close()


@given(text=st.text(max_size=2 * LONGEST_QUERY))
def test_whatever_is_typed_is_an_expression_that_fts5_takes(
    connection: sqlite3.Connection, text: str
) -> None:
    """User text is a literal, never an operator, a column or a syntax error."""
    query = parse_query(text)
    for expression in (names_expression(query), facts_expression(query), author_expression(query)):
        if expression:
            connection.execute("SELECT * FROM facts WHERE facts MATCH ?", (expression,)).fetchall()
    if expression := trigrams_expression(query):
        connection.execute("SELECT * FROM texts WHERE texts MATCH ?", (expression,)).fetchall()


@given(st.text(min_size=3, max_size=40).filter(lambda text: '"' not in text))
def test_what_is_in_a_text_is_found(text: str) -> None:
    query = parse_query(f'"{text}"')
    if not trigrams_expression(query):
        return
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'trigram', detail = none)")
    connection.execute("INSERT INTO texts VALUES (?)", (f"before {query.terms[0]} after",))
    found = connection.execute(
        "SELECT 1 FROM texts WHERE texts MATCH ?", (trigrams_expression(query),)
    ).fetchall()
    connection.close()
    assert found
