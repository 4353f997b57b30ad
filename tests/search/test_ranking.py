"""The order of search results."""

from __future__ import annotations

from simpleindex.search.query import parse_query
from simpleindex.search.ranking import Candidate, ranked


def candidate(name: str, summary: str = "", keywords: str = "") -> Candidate:
    """A candidate of one directory."""
    return Candidate("local", name, "", "", name, summary, keywords)


def names(query: str, *candidates: Candidate) -> list[str]:
    """The order of candidates."""
    return [each.project for each in ranked(candidates, parse_query(query))]


def test_names_come_before_summaries_and_those_before_descriptions() -> None:
    assert names(
        "flask",
        candidate("about", "mentions it in its description"),
        candidate("session", "Sessions for Flask"),
        candidate("my-flask-app"),
        candidate("underflasked"),
        candidate("flask-login"),
        candidate("flask"),
    ) == ["flask", "flask-login", "my-flask-app", "underflasked", "session", "about"]


def test_shorter_names_come_first() -> None:
    assert names("flask", candidate("flask-wtf-more"), candidate("flask-wtf")) == [
        "flask-wtf",
        "flask-wtf-more",
    ]


def test_a_name_with_one_term_comes_before_names_with_none() -> None:
    assert names("flask login", candidate("a", "login for flask"), candidate("flask-users", "login")) == [
        "flask-users",
        "a",
    ]


def test_keywords_count_like_the_summary() -> None:
    assert names("space", candidate("far"), candidate("rocket", keywords="space,trap")) == ["rocket", "far"]
