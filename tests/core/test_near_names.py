"""Names that were probably meant: one slip away, of any place in the name, and few however many there are."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.names import ProjectName
from simpleindex.core.near_names import near_names

NAMES = tuple(sorted(map(ProjectName, ("acme", "acme-core", "flask", "requests", "six", "zope-interface"))))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("acmee", ("acme",)),
        ("acm", ("acme",)),
        ("came", ("acme",)),
        ("requets", ("requests",)),
        ("rquests", ("requests",)),
        ("reqeusts", ("requests",)),
        ("acmecore", ("acme-core",)),
        ("zope-interfaces", ("zope-interface",)),
        ("fl4sk", ("flask",)),
        ("django", ()),
        ("acme", ()),
        ("six" * 20, ()),
    ],
)
def test_near_names(typed: str, meant: tuple[str, ...]) -> None:
    assert near_names(ProjectName(typed), NAMES) == meant
    assert near_names(ProjectName(typed), ()) == ()


def test_few_are_named() -> None:
    names = tuple(ProjectName(f"lib{letter}") for letter in string.ascii_lowercase)
    assert near_names(ProjectName("lib"), names) == names[:5]


@given(st.text(string.ascii_lowercase + string.digits, min_size=2, max_size=30), st.data())
def test_whatever_one_letter_away_is_found(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(name) - 1))
    letter = data.draw(st.sampled_from(string.ascii_lowercase))
    for typed in (
        name[:place] + letter + name[place:],
        name[:place] + name[place + 1 :],
        name[:place] + letter + name[place + 1 :],
    ):
        assert near_names(ProjectName(typed), (ProjectName(name),)) == (() if typed == name else (name,))
