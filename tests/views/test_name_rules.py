"""Which names are asked of others, and what several answers come to."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.files import File, file_order
from simpleindex.core.model import Project, ProjectList, Status, Strategy, Withheld
from simpleindex.core.names import Kind, ProjectName, listed_file
from simpleindex.core.patterns import InvalidPattern
from simpleindex.views.name_rules import NameRules, Scope, merge, merge_lists, owner_of, why_not_upstream
from tests.fixtures.tables import for_each

ACME = ProjectName("acme")
WHEEL = "acme-1.0-py3-none-any.whl"


def file(filename: str = WHEEL, sha256: str = "aa", source: str = "local") -> File:
    """One file; its version is in its name."""
    return File(filename, filename.split("-")[1], Kind.WHEEL, 1, sha256 * 32, 0, source=source)


def project(*files: File, withheld: tuple[str, ...] = (), status: Status = Status.ACTIVE) -> Project:
    """The project acme with these files."""
    held = tuple(Withheld(name, "broken", "archive") for name in withheld)
    return Project(ACME, tuple(sorted(files, key=file_order)), held, status)


@for_each(
    ("rules", "is_local", "was_used", "why"),
    [
        (NameRules(), False, False, None),
        (NameRules(), True, False, "name of this index"),
        (NameRules(), False, True, "once"),
        (NameRules(own=("acme",)), False, False, 'own has "acme"'),
        (NameRules(own=("ACME*",)), False, False, r'own has "acme\*"'),
        (NameRules(own=("other", "*")), False, False, r'own has "\*"'),
        (NameRules(own=("acme-*",)), False, False, None),
        (NameRules(own=("acme",), allow_upstream=("Acme",)), True, True, None),
        (NameRules(allow_upstream=("a?me",)), True, True, None),
        (NameRules(allow_upstream=("b*",)), True, True, "name of this index"),
        (NameRules(Strategy.MERGE), True, False, "name of this index"),
        (NameRules(Strategy.ISOLATED), False, False, "isolated"),
        (NameRules(Strategy.ISOLATED, allow_upstream=("*",)), False, False, "isolated"),
    ],
)
def test_why_no_upstream_is_asked(rules: NameRules, is_local: bool, was_used: bool, why: str | None) -> None:
    """Each rule says so in a sentence; only allow-upstream lifts any of them, and isolated none."""
    said = why_not_upstream(ACME, rules, is_local=is_local, was_used=was_used)
    if why is None:
        assert said is None
    else:
        assert said is not None
        assert re.search(why, said)


@pytest.mark.parametrize("field", ["own", "allow_upstream"])
def test_a_pattern_that_is_none_is_not_ignored(field: str) -> None:
    """To ignore it would let a name out."""
    with pytest.raises(InvalidPattern):
        NameRules(**{field: ("acme [!]",)})  # type: ignore[arg-type]
    with pytest.raises(InvalidPattern):
        Scope(exclude=("",))


@pytest.mark.parametrize(
    ("projects", "exclude", "expected"),
    [
        (("*",), (), True),
        ((), (), False),
        (("Ac*",), (), True),
        (("b*",), (), False),
        (("*",), ("acme",), False),
        (("acme",), ("a*",), False),
    ],
)
def test_reach(projects: tuple[str, ...], exclude: tuple[str, ...], expected: bool) -> None:
    """What is excluded is so whatever else is said."""
    assert Scope(projects, exclude).has(ACME) is expected


@pytest.mark.parametrize("suffix", ["", ".metadata", ".asc", ".sig", ".provenance"])
def test_what_lies_beside_a_file_comes_from_where_the_file_does(suffix: str) -> None:
    """Its name tells whose it is."""
    assert listed_file(WHEEL + suffix) == WHEEL


def test_the_first_that_has_a_file_name_has_the_file() -> None:
    """Also where it withholds it: a broken local file is not replaced by a stranger's."""
    first, second, both = file(), file(sha256="bb"), file("acme-2.0-py3-none-any.whl")
    merged = merge([project(first), project(second, both)])
    assert merged.files == (first, both)
    assert owner_of(WHEEL, [project(first), project(second)]) == 0
    assert owner_of(both.filename, [project(first), project(second, both)]) == 1
    held = [project(withheld=(WHEEL,)), project(second, both)]
    assert merge(held).files == (both,)
    assert merge(held).withheld == held[0].withheld
    assert owner_of(WHEEL, held) is None
    assert owner_of("nothing", held) is None


@pytest.mark.parametrize("position", [0, 1])
def test_what_one_has_quarantined_is_quarantined(position: int) -> None:
    """None of the others' files is offered, and each says why."""
    parts = [project(file()), project(file("acme-2.0-py3-none-any.whl", source="pypi"))]
    parts[position] = replace(project(status=Status.QUARANTINED), status_reason="malware")
    merged = merge(parts)
    assert (merged.files, merged.status, merged.status_reason) == ((), Status.QUARANTINED, "malware")
    assert [item.rule for item in merged.withheld] == ["status"]


def test_the_union_is_as_stale_as_its_stalest_part() -> None:
    """And true for as long as all of its parts are."""
    parts = [
        replace(project(), valid_until=20.0),
        replace(project(), stale=True, valid_until=10.0),
        project(),
    ]
    assert (merge(parts).stale, merge(parts).valid_until) == (True, 10.0)
    assert merge([project(status=Status.ARCHIVED), project()]).status is Status.ARCHIVED


_FILES = st.sets(st.sampled_from([f"acme-{n}.0-py3-none-any.whl" for n in range(5)]))


@given(st.lists(st.tuples(_FILES, _FILES), min_size=1, max_size=4))
def test_a_union_is_the_union(parts: list[tuple[set[str], set[str]]]) -> None:
    """Each file is the first one's that knows its name, and owner_of agrees with what is listed."""
    projects = [
        project(*(file(name, source=str(i)) for name in offered - held), withheld=tuple(sorted(held)))
        for i, (offered, held) in enumerate(parts)
    ]
    merged = merge(projects)
    assert list(merged.files) == sorted(merged.files, key=file_order)
    listed = {item.filename: int(item.source) for item in merged.files}
    for name in {name for offered, held in parts for name in offered | held}:
        first = next(i for i, (offered, held) in enumerate(parts) if name in offered | held)
        expected = None if name in parts[first][1] else first
        assert listed.get(name) == owner_of(name, projects) == expected


def test_lists_are_merged_without_what_is_never_asked_for() -> None:
    """A private name is on the list only if a local directory has the project."""
    names = [ProjectName(name) for name in ("acme", "b", "c", "d")]
    theirs = ProjectList(tuple(names), valid_until=5.0, stale=True)
    merged = merge_lists(
        ProjectList((ProjectName("b"),)),
        [(theirs, Scope(exclude=("d",)))],
        lambda name: name == ACME,
    )
    assert merged.names == ("b", "c")
    assert (merged.stale, merged.valid_until) == (True, 5.0)


@for_each(("strategy", "local", "used"), [*product(Strategy, [False, True], [False, True])])
def test_an_own_pattern_counts_whatever_else_is_so(strategy: Strategy, local: bool, used: bool) -> None:
    """A name that matches is never asked for."""
    rules = NameRules(strategy, own=("a*",))
    assert why_not_upstream(ACME, rules, is_local=local, was_used=used) is not None
