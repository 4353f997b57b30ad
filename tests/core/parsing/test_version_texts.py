"""Versions, specifiers and requirements are parsed within bounds, and always fail with packaging's own errors."""

from __future__ import annotations

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from simpleindex.core.parsing.version_texts import parse_requirement, parse_specifiers, parse_version


def test_what_is_within_bounds_is_packagings() -> None:
    """Nothing of its own."""
    assert parse_version("1.0.post1") == Version("1.0.post1")
    assert parse_specifiers(">=3.8, !=3.9.*") == SpecifierSet(">=3.8,!=3.9.*")
    long = "a[b,c] (>=1,<2) ; (python_version > '3.8' or os_name == 'nt') and extra == 'x'"
    assert parse_requirement(long) == Requirement(long)


@pytest.mark.parametrize("text", ["", "one", "1" * 5000, "1." * 200 + "1"])
def test_no_version(text: str) -> None:
    """Also one with a number that is too long for Python."""
    with pytest.raises(InvalidVersion):
        parse_version(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1", "Invalid specifier"),
        (">=" + "1" * 5000, "the version specifier has 5,002 characters, and at most 1,000 are read"),
        (",".join([">1"] * 201), "the version specifier has 201 clauses, and at most 200 are read"),
    ],
)
def test_no_specifiers(text: str, sentence: str) -> None:
    """Nor what is endless."""
    with pytest.raises(InvalidSpecifier, match=sentence):
        parse_specifiers(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a b", "Expected"),
        ("a >= " + "1" * 5000, "the requirement has 5,005 characters, and at most 4,096 are read"),
        ("a[" + "b," * 200 + "c]", "has 201 clauses"),
        ("a; " + "(" * 101, "the environment marker has 101 opening parentheses, and at most 100 are read"),
        ("a; " + "'1'>'1'or " * 200 + "'1'>'1'", "the environment marker has 201 clauses"),
        ("a; python_version > '3' and", "Expected"),
    ],
)
def test_no_requirement(text: str, sentence: str) -> None:
    """However it is nested."""
    with pytest.raises(InvalidRequirement, match=sentence):
        parse_requirement(text)
