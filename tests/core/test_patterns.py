"""Patterns of names: one spelling, one meaning, and no time that a client could waste."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simpleindex.core.names import ProjectName, parse_project_name
from simpleindex.core.patterns import FirstMatch, InvalidPattern, matcher, matching, parse_pattern
from tests.fixtures.tables import for_each


@for_each(
    ("text", "pattern"),
    [
        ("acme", "acme"),
        ("Acme_Core", "acme-core"),
        ("Acme_*", "acme-*"),
        ("acme.__.core", "acme-core"),
        ("*", "*"),
        ("***", "*"),
        ("a**b", "a*b"),
        ("*-?", "*-?"),
        ("*_.*", "*-*"),
    ],
)
def test_normalized(text: str, pattern: str) -> None:
    """As names are (PEP 503), in their literal parts."""
    assert parse_pattern(text) == pattern
    assert parse_pattern(pattern) == pattern


@for_each(
    ("text", "reason"),
    [
        ("", "is empty; '*' stands for every project"),
        ("acme core", "is no name"),
        ("acme-[ab]", "is no name"),
        ("!acme", "is no name"),
        ("acme\n", "is no name"),
        ("acm\u0119", "is no name"),
        ("\u212a", "is no name"),
        ("acme-", "matches no project"),
        ("_*", "matches no project"),
        (".", "matches no project"),
        ("a" * 201, "has more than 200 characters"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    """What could match nothing, or means more in other places than here."""
    with pytest.raises(InvalidPattern) as caught:
        parse_pattern(text)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 120


def test_first_of_lists() -> None:
    """Exact names, patterns and the one for all: the earlier list wins, whatever its kind."""
    first = FirstMatch([["b", "a-*"], ["a-x", "a?"], ["c*", "*"], ["d"]])
    found = {text: first.find(parse_project_name(text)) for text in ("b", "a-x", "ab", "abc", "c", "d")}
    assert found == {"b": 0, "a-x": 0, "ab": 1, "abc": 2, "c": 2, "d": 2}


def test_no_list_matches() -> None:
    """Then there is no position."""
    assert FirstMatch([]).find(parse_project_name("a")) is None
    assert FirstMatch([["b"], [], ["c*"]]).find(parse_project_name("a")) is None


@pytest.mark.parametrize(
    "pattern", ["*a" * 50 + "b", "a*" * 50 + "b", "a" + "*?" * 50 + "b", "?*" * 50 + "-b"]
)
def test_no_name_takes_long(pattern: str) -> None:
    """Tried one by one, the ways to match these would outlast the test."""
    name = ProjectName("a" * 20_000)
    assert matcher((pattern,)).find(name) is None


def test_which_pattern() -> None:
    """For the sentence about a rule."""
    assert matching(("tool", "acme-*", "*"), parse_project_name("acme-x")) == "acme-*"
    assert matching(("*", "acme-x"), parse_project_name("acme-x")) == "acme-x"
    assert matching(("tool",), parse_project_name("acme-x")) is None


# No clock decides: the machine may be busy with something else.
PROPERTY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

GLOBS = st.text("ab-*?", min_size=1, max_size=6)
NAMES = st.from_regex(r"[ab]([ab-]{0,5}[ab])?", fullmatch=True).map(parse_project_name)


@PROPERTY
@given(st.lists(st.lists(GLOBS, max_size=4), max_size=5), NAMES)
def test_as_if_asked_one_by_one(texts: list[list[str]], name: ProjectName) -> None:
    """The one regular expression answers as each pattern for itself."""
    lists = []
    for group in texts:
        patterns = []
        for text in group:
            try:
                patterns.append(parse_pattern(text))
            except InvalidPattern:
                assert text.startswith("-") or text.endswith("-")
        lists.append(patterns)
    expected = next(
        (at for at, patterns in enumerate(lists) if any(fnmatchcase(name, pattern) for pattern in patterns)),
        None,
    )
    assert FirstMatch(lists).find(name) == expected
