"""Rules: every kind, how they combine, and what they say; a restriction more never shows more."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from simpleindex.core.files import File, Sidecar, file_order
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import Kind, ProjectName, parse_distribution_name
from simpleindex.policy.judgement import Allowance, Denial, Policy
from simpleindex.policy.messages import too_late, too_young
from simpleindex.policy.rules import DenialMode, PolicyAction, PolicyRule
from tests.fixtures.tables import for_each

ACME = ProjectName("acme")
DAY = 86_400
NOW = 100.0 * DAY
WHEEL = "acme-1.0-py3-none-any.whl"
WINDOWS = "acme-1.0-cp312-cp312-win_amd64.whl"
MANY = "acme-1.0-cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
SDIST = "acme-2.0.tar.gz"
PRE = "acme-3.0rc1.tar.gz"


def file(filename: str = WHEEL, *, age: float | None = 10 * DAY, **facts: Any) -> File:
    """One file, uploaded this many seconds ago."""
    name = parse_distribution_name(filename)
    uploaded = None if age is None else int((NOW - age) * 1e9)
    values: dict[str, Any] = {"size": 1000, "sha256": "aa" * 32, "source": "pypi"} | facts
    size, sha256 = values.pop("size"), values.pop("sha256")
    return File(filename, name.version, name.kind, size, sha256, uploaded, **values)


def project(*files: File) -> Project:
    """The project acme."""
    return Project(ACME, tuple(sorted(files, key=file_order)))


def rule(action: PolicyAction = PolicyAction.DENY, name: str = "r", **values: Any) -> PolicyRule:
    """One rule."""
    return PolicyRule(name, action, **values)


def left(policy: Policy, *files: File, source: str = "pypi", now: float = NOW) -> list[str]:
    """The names of what is offered."""
    return [each.filename for each in policy.judge(project(*files), source, now).files]


class Names:
    """A list of names for the tests: ``acme==1.0`` or ``acme``; what begins with + mends."""

    def __init__(self, *entries: str) -> None:
        self.entries = entries

    def project_reason(self, name: ProjectName) -> str | None:
        return "the list has it" if name in self.entries else None

    def version_reason(self, name: ProjectName, version: str) -> str | None:
        return "PYSEC-1 is about it" if f"{name}=={version}" in self.entries else None

    def is_fix(self, name: ProjectName, version: str) -> bool:
        return f"+{name}=={version}" in self.entries


FILES = (
    file(),
    file(WINDOWS),
    file(MANY),
    file(SDIST, yanked="bad"),
    file(PRE, size=5000, sha256=None, age=None),
)
EVERY = [each.filename for each in project(*FILES).files]


@for_each(
    ("values", "withheld"),
    [
        ({}, EVERY),
        ({"projects": ("other",)}, []),
        ({"projects": ("ac*",), "exclude": ("acme",)}, []),
        ({"sources": frozenset({"local"})}, []),
        ({"sources": frozenset({"pypi", "local"})}, EVERY),
        ({"versions": SpecifierSet("<2")}, [WHEEL, MANY, WINDOWS]),
        ({"versions": SpecifierSet(">=2")}, [SDIST, PRE]),
        ({"versions": SpecifierSet("==3.0rc1")}, [PRE]),
        ({"versions": SpecifierSet("==1.0,!=1.0")}, []),
        ({"kinds": frozenset({Kind.SDIST})}, [SDIST, PRE]),
        ({"kinds": frozenset({Kind.WHEEL})}, [WHEEL, MANY, WINDOWS]),
        ({"tags": ("*-*-win_amd64",)}, [WINDOWS]),
        ({"tags": ("*-*-manylinux2014_*",)}, [MANY]),
        ({"tags": ("py3-none-any", "cp39-*-*")}, [WHEEL, MANY]),
        ({"tags": ("*-*-*",)}, [WHEEL, MANY, WINDOWS]),
        ({"prereleases": True}, [PRE]),
        ({"prereleases": False}, [WHEEL, MANY, WINDOWS, SDIST]),
        ({"yanked": True}, [SDIST]),
        ({"yanked": False, "kinds": frozenset({Kind.SDIST})}, [PRE]),
        ({"lists": ("x",)}, [WHEEL, MANY, WINDOWS]),
        ({"lists": ("y",)}, EVERY),
        ({"lists": ("y",), "kinds": frozenset({Kind.SDIST})}, [SDIST, PRE]),
        ({"lists": ("z",)}, []),
        ({"lists": ("z", "x")}, [WHEEL, MANY, WINDOWS]),
    ],
)
def test_what_a_rule_is_about(values: dict[str, Any], withheld: list[str]) -> None:
    """Each key selects; all of a rule's have to."""
    lists = {"x": Names("acme==1.0"), "y": Names("acme"), "z": Names("other")}
    policy = Policy((rule(**values),), lists=lists)
    judged = policy.judge(project(*FILES), "pypi", NOW)
    assert {item.filename for item in judged.withheld} == set(withheld)
    assert [each.filename for each in judged.files] == [name for name in EVERY if name not in withheld]
    assert {(item.rule, item.source, item.public) for item in judged.withheld} <= {("r", "pypi", True)}


@pytest.mark.parametrize(
    ("values", "withheld", "sentence", "until"),
    [
        (
            {"min_age": 10.0 * DAY},
            [PRE],
            f"{PRE} is not offered (withheld by the rule r): when it was uploaded is not known.",
            None,
        ),
        (
            {"min_age": 11.0 * DAY, "kinds": frozenset({Kind.WHEEL})},
            [WHEEL, MANY, WINDOWS],
            (
                f"{WHEEL} is not offered (withheld by the rule r): uploaded 1970-04-01 00:00 UTC, "
                "it is offered when it is 11 days old, from 1970-04-12 00:00 UTC."
            ),
            NOW + DAY,
        ),
        (
            {"not_after": NOW - 11 * DAY, "tags": ("*-*-win_amd64",)},
            [WINDOWS],
            f"{WINDOWS} is not offered (withheld by the rule r): it was uploaded 1970-04-01 00:00 UTC, after 1970-03-31 00:00 UTC.",
            None,
        ),
        (
            {"not_after": NOW},
            [PRE],
            f"{PRE} is not offered (withheld by the rule r): when it was uploaded is not known.",
            None,
        ),
        (
            {"max_size": 1000},
            [PRE],
            f"{PRE} is not offered (withheld by the rule r): it has 5,000 bytes, more than 1,000.",
            None,
        ),
        (
            {"requires_hash": True},
            [PRE],
            f"{PRE} is not offered (withheld by the rule r): no hash of it is known.",
            None,
        ),
        ({"requires_hash": True, "kinds": frozenset({Kind.WHEEL})}, [], "", None),
    ],
)
def test_what_files_must_have(
    values: dict[str, Any], withheld: list[str], sentence: str, until: float | None
) -> None:
    """What is not known is not had; each says what it lacks, and what comes with time when it comes."""
    policy = Policy((rule(PolicyAction.REQUIRE, **values),))
    judged = policy.judge(project(*FILES), "pypi", NOW)
    assert {item.filename for item in judged.withheld} == set(withheld)
    if withheld:
        assert (sentence, until) in {(item.reason, item.visible_from) for item in judged.withheld}
    assert judged.valid_until == until


def test_an_unknown_size() -> None:
    """It may be any."""
    policy = Policy((rule(PolicyAction.REQUIRE, max_size=10**12),))
    (item,) = policy.judge(project(file(size=None)), "pypi", NOW).withheld
    assert item.reason == f"{WHEEL} is not offered (withheld by the rule r): its size is not known."


def test_another_hash_is_one() -> None:
    """Which one is for the cache to judge."""
    policy = Policy((rule(PolicyAction.REQUIRE, requires_hash=True),))
    assert left(policy, file(sha256=None, other_hash=("sha512", "bb"))) == [WHEEL]


def test_nothing_to_say() -> None:
    """Where no rule withholds anything, the very object stays, so that pages of it do."""
    one = project(file(), file(SDIST))
    for policy in (
        Policy(),
        Policy((rule(projects=("other",)),)),
        Policy((rule(PolicyAction.REQUIRE, min_age=1.0),)),
    ):
        assert policy.judge(one, "pypi", NOW) is one
    everywhere = Policy((rule(),))
    assert everywhere.judge(one, "local", NOW) is one
    assert everywhere.concerns(ACME, "pypi")
    assert not everywhere.concerns(ACME, "local")


def test_all_restrictions_count_and_the_one_that_lasts_is_named() -> None:
    """One that holds for good is named before one that ends; of several that end, the last."""
    young = rule(PolicyAction.REQUIRE, "young", min_age=20.0 * DAY)
    younger = rule(PolicyAction.REQUIRE, "younger", min_age=12.0 * DAY, message="Ask us.")
    big = rule(PolicyAction.REQUIRE, "big", max_size=1)
    (item,) = Policy((younger, young)).judge(project(file()), "pypi", NOW).withheld
    assert (item.rule, item.visible_from) == ("young", NOW + 10 * DAY)
    judged = Policy((younger, young, big)).judge(project(file()), "pypi", NOW)
    assert (judged.withheld[0].rule, judged.withheld[0].visible_from) == ("big", None)
    # When the first ends nothing changes but what could be said.
    assert judged.valid_until == NOW + 2 * DAY
    (item,) = Policy((younger,)).judge(project(file()), "pypi", NOW).withheld
    assert item.reason.endswith("from 1970-04-13 00:00 UTC. Ask us.")


def test_allow_is_for_the_rules_below_it() -> None:
    """Not for those above; for the files that it is about."""
    allow = rule(PolicyAction.ALLOW, "a", versions=SpecifierSet("<2"))
    deny = rule(PolicyAction.DENY, "d")
    assert left(Policy((allow, deny)), file(), file(SDIST)) == [WHEEL]
    assert left(Policy((deny, allow)), file(), file(SDIST)) == []
    listed = rule(PolicyAction.ALLOW, "l", lists=("x",))
    assert left(Policy((listed, deny), lists={"x": Names("acme==2.0")}), file(), file(SDIST)) == [SDIST]


def test_a_fix_need_not_wait() -> None:
    """The version that an advisory names as fixed is exempt from a minimum age, and from nothing else."""
    age = rule(PolicyAction.REQUIRE, "age", min_age=20.0 * DAY)
    lists = {"x": Names("+acme==2.0", "acme==1.0")}
    assert left(Policy((age,), lists=lists), file(), file(SDIST)) == [SDIST]
    late = rule(PolicyAction.REQUIRE, "late", not_after=0.0)
    assert left(Policy((age, late), lists=lists), file(SDIST)) == []


def test_min_age_is_met_at_its_moment() -> None:
    """Exactly then, not later."""
    policy = Policy((rule(PolicyAction.REQUIRE, min_age=11.0 * DAY),))
    assert left(policy, file(), now=NOW + DAY - 0.001) == []
    assert left(policy, file(), now=NOW + DAY) == [WHEEL]
    judged = policy.judge(project(file(), file(SDIST, age=2 * DAY)), "pypi", NOW + DAY)
    assert judged.valid_until == NOW + 9 * DAY


@pytest.mark.parametrize(
    ("dated_by", "said"),
    [
        (None, "uploaded 2023-11-14 22:13 UTC,"),
        ("first-seen", "first seen here 2023-11-14 22:13 UTC (the upstream states no upload time),"),
        ("last-modified", "last modified there 2023-11-14 22:13 UTC (the upstream states no upload time),"),
    ],
)
def test_how_the_age_is_known_is_said(dated_by: str | None, said: str) -> None:
    """Nobody reads that a file was uploaded when it was only seen."""
    assert too_young(1_700_000_000, 86_400, dated_by).startswith(f"{said} it is offered when it is 1 day old")
    assert too_late(1_700_000_000, 1_600_000_000, dated_by).startswith(f"it was {said} after ")


def test_quarantine() -> None:
    """The whole project, with what it is to be told by."""
    one = project(file(), file(SDIST))
    judged = Policy((rule(PolicyAction.QUARANTINE, "q", message="Ask security."),)).judge(one, "pypi", NOW)
    assert (judged.files, judged.status) == ((), Status.QUARANTINED)
    assert judged.status_reason == "acme is quarantined by the rule q. Ask security."
    assert {item.filename for item in judged.withheld} == {WHEEL, SDIST}
    above = Policy((rule(PolicyAction.ALLOW, "a"), rule(PolicyAction.QUARANTINE, "q")))
    assert above.judge(one, "pypi", NOW) is one
    # One that is about some of its files exempts no project.
    some = Policy((rule(PolicyAction.ALLOW, "a", prereleases=False), rule(PolicyAction.QUARANTINE, "q")))
    assert some.judge(one, "pypi", NOW).status is Status.QUARANTINED


def test_views() -> None:
    """A rule of a view holds in it, and in what builds on it; without views everywhere."""
    everywhere, stable = rule(name="e"), rule(name="s", views=frozenset({"stable"}))
    policy = Policy((everywhere, stable))
    assert policy.for_views(frozenset({"main"})).rules == (everywhere,)
    assert policy.for_views(frozenset({"team", "stable"})) is policy


@for_each(
    ("rules", "name", "denial"),
    [
        ((rule(message="No."),), ACME, Denial("r", "acme is denied by the rule r. No.", DenialMode.EMPTY)),
        (
            (rule(blocked=DenialMode.NOT_HERE),),
            ACME,
            Denial("r", "acme is denied by the rule r.", DenialMode.NOT_HERE),
        ),
        ((rule(projects=("other",)),), ACME, None),
        ((rule(versions=SpecifierSet("<2")),), ACME, None),
        ((rule(kinds=frozenset({Kind.WHEEL})),), ACME, None),
        ((rule(prereleases=False),), ACME, None),
        ((rule(yanked=False),), ACME, None),
        ((rule(tags=("a-b-c",)),), ACME, None),
        (
            (rule(lists=("x",)),),
            ACME,
            Denial("r", "acme is denied by the rule r: the list has it.", DenialMode.EMPTY),
        ),
        ((rule(lists=("x",)),), ProjectName("other"), None),
        ((rule(lists=("x",), yanked=True),), ACME, None),
        ((rule(PolicyAction.ALLOW, "a"), rule()), ACME, None),
        # What is allowed may be some file of it: the upstream has to be asked.
        ((rule(PolicyAction.ALLOW, "a", versions=SpecifierSet("==1.0")), rule()), ACME, None),
        (
            (rule(PolicyAction.ALLOW, "a", projects=("other",)), rule()),
            ACME,
            Denial("r", "acme is denied by the rule r.", DenialMode.EMPTY),
        ),
        (
            (rule(PolicyAction.REQUIRE, "m", min_age=1.0), rule()),
            ACME,
            Denial("r", "acme is denied by the rule r.", DenialMode.EMPTY),
        ),
        ((rule(PolicyAction.QUARANTINE, "q"),), ACME, None),
    ],
)
def test_denial(rules: tuple[PolicyRule, ...], name: ProjectName, denial: Denial | None) -> None:
    """A project of which everything is denied whatever it has is not even asked for."""
    policy = Policy(rules, lists={"x": Names("acme")})
    assert policy.denial(name, "pypi", NOW) == denial
    assert policy.denial(name, "local", NOW) is None
    if denial is not None:
        assert left(policy, *FILES) == []


def test_allowances() -> None:
    """For a version or for all, for a time, whatever the rules say."""
    deny = Policy((rule(), rule(PolicyAction.QUARANTINE, "q")))
    one = project(file(), file(SDIST))
    version = replace(deny, allowances=(Allowance(ACME, "1.0", NOW + 60),))
    assert version.denial(ACME, "pypi", NOW) is None
    assert version.denial(ACME, "pypi", NOW + 60) is not None
    # A quarantine is of the whole, so it takes an allowance for all of it.
    assert version.judge(one, "pypi", NOW).files == ()
    whole = replace(deny, allowances=(Allowance(ACME, None, NOW + 60), Allowance(ACME, "1.0", NOW + 120)))
    judged = whole.judge(one, "pypi", NOW)
    assert (judged.files, judged.status, judged.valid_until) == (one.files, Status.ACTIVE, NOW + 60)
    denied = Policy(
        (rule(),), (Allowance(ACME, "1.0", NOW + 60), Allowance(ProjectName("other"), None, NOW + 9))
    )
    judged = denied.judge(one, "pypi", NOW)
    assert [each.filename for each in judged.files] == [WHEEL]
    assert judged.valid_until == NOW + 60
    assert denied.judge(one, "pypi", NOW + 60).files == ()


@pytest.mark.parametrize("version", ["2.0", "2", "2.0.0"])
def test_an_allowance_in_another_spelling(version: str) -> None:
    """2 is 2.0 (PEP 440)."""
    policy = Policy((rule(),), (Allowance(ACME, version, NOW + 60), Allowance(ACME, "2.00", NOW + 30)))
    judged = policy.judge(project(file(), file(SDIST)), "pypi", NOW)
    assert ([each.filename for each in judged.files], judged.valid_until) == ([SDIST], NOW + 60)


def test_directories_of_ones_own() -> None:
    """A rule is about none of them, unless it names it."""
    own = frozenset({"local", "staging"})
    policy = Policy((rule(own=own),))
    assert left(policy, file(), source="staging") == left(policy, file(), source="local") == [WHEEL]
    assert left(policy, file()) == []
    named = Policy((rule(own=own, sources=frozenset({"staging"})),))
    assert left(named, file(), source="staging") == []
    assert left(named, file()) == [WHEEL]


def test_what_the_source_says_stays() -> None:
    """Its own withheld files, status and time."""
    held = Withheld("acme-9.zip", "?", "name")
    one = replace(
        project(file(), file(SDIST)),
        withheld=(held,),
        status=Status.ARCHIVED,
        status_reason="old",
        valid_until=NOW + 1,
    )
    judged = Policy((rule(kinds=frozenset({Kind.SDIST})),)).judge(one, "pypi", NOW)
    assert judged.withheld[0] == held
    assert (judged.status, judged.status_reason, judged.valid_until) == (Status.ARCHIVED, "old", NOW + 1)


# -- properties ---------------------------------------------------------------------------------------------------------

FILENAMES = (WHEEL, WINDOWS, MANY, SDIST, PRE, "acme-0.5.zip")
some_files = st.lists(st.sampled_from(FILENAMES), unique=True, max_size=6).flatmap(
    lambda names: st.tuples(
        *(
            st.builds(
                file,
                st.just(name),
                age=st.none() | st.integers(-5, 30).map(lambda days: float(days * DAY)),
                size=st.none() | st.sampled_from((10, 5000)),
                sha256=st.none() | st.just("aa" * 32),
                yanked=st.none() | st.just(""),
                metadata=st.none() | st.just(Sidecar("bb" * 32, 5)),
            )
            for name in names
        )
    )
)
selections = st.fixed_dictionaries(
    {},
    optional={
        "projects": st.sampled_from([("*",), ("acme",), ("other",)]),
        "versions": st.sampled_from([SpecifierSet("<2"), SpecifierSet(">=1.0")]),
        "kinds": st.sampled_from([frozenset({Kind.WHEEL}), frozenset({Kind.SDIST})]),
        "tags": st.sampled_from([("*-*-win_amd64",), ("*-*-*",)]),
        "prereleases": st.booleans(),
        "yanked": st.booleans(),
        "lists": st.just(("x",)),
    },
)
requirements = st.fixed_dictionaries(
    {},
    optional={
        "min_age": st.integers(1, 25).map(lambda days: float(days * DAY)),
        "not_after": st.integers(70, 110).map(lambda days: float(days * DAY)),
        "max_size": st.sampled_from((100, 10_000)),
        "requires_hash": st.booleans(),
    },
)
restrictions = st.builds(lambda values: rule(PolicyAction.DENY, **values), selections) | st.builds(
    lambda chosen, required: rule(PolicyAction.REQUIRE, **chosen, **required), selections, requirements
)
restrictions |= st.just(rule(PolicyAction.QUARANTINE))
any_rules = st.lists(
    restrictions | st.builds(lambda values: rule(PolicyAction.ALLOW, **values), selections), max_size=5
)
some_allowances = st.lists(
    st.builds(
        Allowance,
        st.just(ACME),
        st.sampled_from((None, "1.0", "2.0")),
        st.integers(-5, 5).map(lambda days: NOW + days * DAY),
    ),
    max_size=3,
)
LISTS = {"x": Names("acme==1.0", "+acme==2.0")}


@given(any_rules, restrictions, st.integers(0, 5), some_files, some_allowances)
def test_a_restriction_more_never_shows_more(
    rules: list[PolicyRule], more: PolicyRule, at: int, files: tuple[File, ...], allowances: list[Allowance]
) -> None:
    """Wherever it is put, and whatever else there is; and an allow more never shows less."""
    before = Policy(tuple(rules), tuple(allowances), LISTS)
    after = replace(before, rules=(*rules[:at], more, *rules[at:]))
    assert set(left(after, *files)) <= set(left(before, *files))
    if before.denial(ACME, "pypi", NOW) is not None:
        assert left(before, *files) == []
        assert after.denial(ACME, "pypi", NOW) is not None
    allowed = replace(before, rules=(replace(more, action=PolicyAction.ALLOW), *rules))
    assert set(left(allowed, *files)) >= set(left(before, *files))


@given(any_rules, some_files, some_allowances, st.floats(0, 1, exclude_max=True))
def test_an_answer_is_good_until_it_says(
    rules: list[PolicyRule], files: tuple[File, ...], allowances: list[Allowance], share: float
) -> None:
    """Nothing changes by time alone before the moment that it names; every file is offered or withheld, not both."""
    policy = Policy(tuple(rules), tuple(allowances), LISTS)
    judged = policy.judge(project(*files), "pypi", NOW)
    until = judged.valid_until
    later = NOW + share * (1000 * DAY if until is None else until - NOW)
    if until is not None:
        later = min(later, math.nextafter(until, NOW))  # The sum may be rounded up to the moment itself.
    again = policy.judge(project(*files), "pypi", later)
    assert (again.files, again.withheld, again.status) == (judged.files, judged.withheld, judged.status)
    assert until is None or until > NOW
    names = [each.filename for each in judged.files] + [item.filename for item in judged.withheld]
    assert sorted(names) == sorted(each.filename for each in files)
    for item in judged.withheld:
        assert item.visible_from is None or item.visible_from > NOW
