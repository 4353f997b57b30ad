"""A source with rules in front: what is withheld is neither listed nor given, by any way to ask."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from packaging.specifiers import SpecifierSet
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from simpleindex.core.errors import NotAllowed, NotHere, Unavailable
from simpleindex.core.model import Project, Status, Strategy, Withheld
from simpleindex.core.names import ProjectName
from simpleindex.policy import filtered
from simpleindex.policy.filtered import FilteredSource
from simpleindex.policy.judgement import Allowance, Denial, Policy
from simpleindex.policy.rules import DenialMode, PolicyAction, PolicyRule
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.views.hidden import EmptySource, LocalViewSource
from simpleindex.views.name_rules import NameRules
from simpleindex.views.union import LocalMember, UnionSource, UpstreamMember
from tests.fixtures.deferreds import error, result
from tests.fixtures.stepping import at_once
from tests.fixtures.stub_source import UPLOADED_NS
from tests.fixtures.threads import PausedThreads
from tests.views.test_union import Absent

if TYPE_CHECKING:
    from collections.abc import Callable

ACME = ProjectName("acme")
OLD, NEW, SDIST = "acme-1.0-py3-none-any.whl", "acme-2.0-py3-none-any.whl", "acme-2.0.tar.gz"
DAY = 86_400.0
UPLOADED = UPLOADED_NS / 1e9


class FilteredSourceFixture:
    """A source with one project of three files, and rules in front."""

    def __init__(self, *rules: PolicyRule) -> None:
        self.source = Absent()
        for filename in (OLD, NEW, SDIST):
            self.source.add(filename, metadata=b"Name: acme\n" if filename == NEW else None)
        self.policy = Policy(rules)
        self.clock = Clock()
        self.clock.advance(UPLOADED + DAY)
        self.threads = PausedThreads()
        self.filtered = FilteredSource(self.source, "pypi", lambda: self.policy, self.clock, self.threads)

    def project(self) -> Project:
        """What is answered."""
        project: Project = result(self.filtered.project(ACME))
        return project

    def names(self) -> list[str]:
        """The files that are offered."""
        return [file.filename for file in self.project().files]


def deny(**values: Any) -> PolicyRule:
    """A rule that denies."""
    return PolicyRule("r", PolicyAction.DENY, **values)


def test_age_is_judged_by_the_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the reactor's time, which may count from the machine's start."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.seconds)
    monkeypatch.setattr(time, "time", lambda: UPLOADED + DAY)
    world = FilteredSourceFixture(PolicyRule("age", PolicyAction.REQUIRE, min_age=DAY / 2))
    world.filtered = FilteredSource(world.source, "pypi", lambda: world.policy, clock, world.threads)
    assert world.names() == [OLD, NEW, SDIST]


def test_without_rules_nothing_is_added() -> None:
    """Every answer is the source's own."""
    world = FilteredSourceFixture()
    assert world.project() is world.source.pages[ACME]
    assert at_once(world.filtered.project(ACME)) is world.source.pages[ACME]
    assert result(world.filtered.file(ACME, OLD)) is world.source.bodies[ACME, OLD]
    assert result(world.filtered.projects()) is result(world.source.projects())
    assert at_once(world.filtered.projects()) is result(world.source.projects())


def test_a_denial_is_known_without_a_request() -> None:
    world = FilteredSourceFixture(deny())
    assert world.filtered.denies(ACME)
    world.policy = Policy((deny(versions=SpecifierSet(">1")),))
    assert not world.filtered.denies(ACME), "some of its files may be offered"
    assert not world.source.asked


def test_what_is_withheld_is_not_given() -> None:
    """Neither is what lies beside it; the sentence is the rule's."""
    world = FilteredSourceFixture(deny(versions=SpecifierSet(">1"), message="Ask us."))
    assert world.names() == [OLD]
    assert result(world.filtered.file(ACME, OLD)) is world.source.bodies[ACME, OLD]
    asked = [what for what in world.source.asked if what[0] == "file"]
    for filename in (NEW, SDIST, f"{NEW}.metadata", f"{NEW}.asc", f"{SDIST}.provenance"):
        refused = error(world.filtered.file(ACME, filename))
        assert isinstance(refused, NotAllowed)
        assert "is not offered (withheld by the rule r): 2.0 is in >1. Ask us." in str(refused)
    assert [what for what in world.source.asked if what[0] == "file"] == asked
    assert isinstance(error(world.filtered.file(ACME, "acme-9.zip")), NotHere)


def test_a_file_that_is_listed_meanwhile_is_not_given_unjudged() -> None:
    """The source may give what it did not list when its project was judged."""
    world = FilteredSourceFixture(deny(versions=SpecifierSet(">1")))
    assert world.names() == [OLD]
    before = world.source.pages[ACME]
    world.source.add("acme-3.0.zip")
    world.source.pages[ACME] = before
    assert isinstance(error(world.filtered.file(ACME, "acme-3.0.zip")), NotHere)
    # Where no rule is about the project, that is the source's affair.
    world.policy = Policy()
    assert result(world.filtered.file(ACME, "acme-3.0.zip")) is world.source.bodies[ACME, "acme-3.0.zip"]


def test_what_the_source_withholds_is_its_own_affair() -> None:
    """Its word is passed on."""
    world = FilteredSourceFixture(deny(yanked=True))
    held = Withheld("acme-9.zip", "secret", "name")
    world.source.put(replace(world.source.pages[ACME], withheld=(held,)))
    assert isinstance(error(world.filtered.file(ACME, "acme-9.zip")), NotHere)


def test_the_same_object_as_long_as_nothing_changes() -> None:
    """And another one as soon as something does: the source's answer, the rules, or by time."""
    world = FilteredSourceFixture(PolicyRule("age", PolicyAction.REQUIRE, min_age=2 * DAY))
    first = world.project()
    assert (first.files, first.valid_until) == ((), UPLOADED + 2 * DAY)
    assert world.project() is first
    assert at_once(world.filtered.project(ACME)) is first
    # The same rules in another object give the same answer, so pages that were made of it stay good.
    world.policy = Policy(world.policy.rules)
    assert world.project() is first
    world.clock.advance(DAY - 1)
    assert at_once(world.filtered.project(ACME)) is first
    world.clock.advance(1)
    assert world.names() == [OLD, NEW, SDIST]
    world.source.add("acme-3.0.zip")
    assert world.names() == [OLD, NEW, SDIST, "acme-3.0.zip"]
    world.policy = Policy((deny(kinds=frozenset(), versions=None),))
    assert len(world.names()) == 4
    world.policy = Policy((deny(),))
    assert world.names() == []


@pytest.mark.parametrize(
    ("blocked", "expected"),
    [(DenialMode.EMPTY, None), (DenialMode.NOT_HERE, NotHere), (DenialMode.REFUSED, NotAllowed)],
)
def test_denied_names_are_not_asked_for(blocked: DenialMode, expected: type[Exception] | None) -> None:
    """Not even once, also where the source cannot be asked; the answer is the rule's."""
    world = FilteredSourceFixture(deny(blocked=blocked))
    world.source.error = UpstreamFailed("pypi", "it is down")
    ways: list[Callable[[], Any]] = [
        lambda: result(world.filtered.project(ACME)),
        lambda: at_once(world.filtered.project(ACME)),
    ]
    for way in ways:
        if expected is None:
            assert way() == Project(ACME, denied="acme is denied by the rule r.")
            assert way() is way()
        else:
            with pytest.raises(expected):
                way()
    refused = error(world.filtered.file(ACME, OLD))
    assert isinstance(refused, NotAllowed)
    assert str(refused) == "acme is denied by the rule r."
    assert not world.source.asked


def test_the_end_of_an_allowance_is_on_time() -> None:
    """Also of a project that has no files by which it could be told, and in a policy that stays the same."""
    world = FilteredSourceFixture(deny())
    world.source.put(Project(ACME))
    until = world.clock.seconds() + 60
    world.policy = replace(world.policy, allowances=(Allowance(ACME, None, until),))
    assert world.project().denied is None
    world.clock.advance(59)
    assert world.project().denied is None
    world.clock.advance(1)
    assert world.project().denied is not None
    assert isinstance(error(world.filtered.file(ACME, OLD)), NotAllowed)


def test_who_denies_is_not_asked_again_and_again() -> None:
    """It costs as much as the rest of the answer; another policy is asked anew."""
    world = FilteredSourceFixture(deny(projects=("other",)))
    asked: list[Policy] = []

    class Counting(Policy):
        """A policy that notes when it is asked."""

        def denial(self, name: ProjectName, source: str, now: float) -> Denial | None:
            asked.append(self)
            return super().denial(name, source, now)

    allow = PolicyRule("a", PolicyAction.ALLOW, versions=SpecifierSet("<1"))
    for rules, denied in (((allow, deny()), False), ((deny(),), True)):
        world.policy = Counting(rules)
        first = world.project()
        assert (first.denied is not None) is denied
        asked.clear()
        assert at_once(world.filtered.project(ACME)) is world.project() is first
        assert asked == []


def test_lists() -> None:
    """Denied names are on none; the list is the same object as long as nothing changes."""
    world = FilteredSourceFixture(deny(projects=("other*",)))
    for name in ("other", "other-two", "third"):
        world.source.empty(name)
    listed = result(world.filtered.projects())
    assert listed.names == ("acme", "third")
    assert result(world.filtered.projects()) is listed is at_once(world.filtered.projects())
    world.policy = replace(
        world.policy, allowances=(Allowance(ProjectName("other"), None, world.clock.seconds() + 60),)
    )
    listed = result(world.filtered.projects())
    assert (listed.names, listed.valid_until) == (("acme", "other", "third"), world.clock.seconds() + 60)
    world.clock.advance(60)
    assert result(world.filtered.projects()).names == ("acme", "third")


@pytest.mark.parametrize("rules", [(), (deny(projects=("other*",)),)])
def test_lists_have_no_serials(monkeypatch: pytest.MonkeyPatch, rules: tuple[PolicyRule, ...]) -> None:
    """What a rule lets out again has not changed, so its serial would hide it from a mirror."""
    world = FilteredSourceFixture(*rules)
    source = replace(result(world.source.projects()), serials={ACME: 1})

    async def projects() -> Any:
        return source

    monkeypatch.setattr(world.source, "projects", projects)
    listed = result(world.filtered.projects())
    assert (listed.names, listed.serials) == (source.names, None)
    assert result(world.filtered.projects()) is listed


def test_large_ones_are_judged_in_a_thread() -> None:
    """Lists and projects."""
    world = FilteredSourceFixture(deny(projects=("acme",), versions=SpecifierSet("<500")))
    one = world.source.pages[ACME].files[0]
    files = tuple(replace(one, version=f"{n}.0", filename=f"acme-{n}.0.zip") for n in range(1001))
    world.source.put(Project(ACME, files))
    world.threads.held = True
    waiting = Deferred.fromCoroutine(world.filtered.project(ACME))
    world.threads.deliver()
    assert len(result(waiting).files) == 501
    for n in range(5000):
        world.source.pages[f"p{n}"] = Project(ProjectName(f"p{n}"))
    world.source.empty("other")
    listing = Deferred.fromCoroutine(world.filtered.projects())
    world.threads.deliver()
    assert len(result(listing).names) == 5002
    assert world.threads.names() == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for long ago is judged anew; what it takes is counted in bytes."""
    monkeypatch.setattr(filtered, "_MOST_BYTES", 10_000)
    world = FilteredSourceFixture(deny(yanked=False))
    first = world.project()
    for n in range(20):
        name = f"p{n}"
        world.source.pages[name] = Project(ProjectName(name))
        result(world.filtered.project(ProjectName(name)))
    assert world.project() == first


def test_what_the_source_cannot_tell_stays_so() -> None:
    """No rule makes an answer of an error."""
    world = FilteredSourceFixture(deny(yanked=True))
    world.source.error = Unavailable("It is being read.")
    assert isinstance(error(world.filtered.project(ACME)), Unavailable)
    assert isinstance(error(world.filtered.file(ACME, OLD)), Unavailable)


@pytest.mark.parametrize("strategy", [Strategy.FIRST_INDEX, Strategy.MERGE])
@pytest.mark.parametrize(
    "rule", [deny(), deny(versions=SpecifierSet(">1")), PolicyRule("q", PolicyAction.QUARANTINE)]
)
def test_no_way_around_by_the_next_index(strategy: Strategy, rule: PolicyRule) -> None:
    """What is withheld of one source is not taken from the next in its stead, unless its versions are merged and it is whole."""
    world = FilteredSourceFixture(rule)
    other = Absent()
    other.add(NEW, b"other")
    union = UnionSource(
        LocalMember(Absent()),
        [UpstreamMember(world.filtered), UpstreamMember(other)],
        NameRules(strategy),
        was_used=lambda _: False,
        threads=PausedThreads(),
    )
    names = [file.filename for file in result(union.project(ACME)).files]
    if strategy is Strategy.FIRST_INDEX:
        assert names == ([OLD] if rule.versions else [])
        assert not other.asked
    elif rule.versions or rule.action is PolicyAction.QUARANTINE:
        assert NEW not in names
        assert isinstance(error(union.file(ACME, NEW)), NotHere | NotAllowed)
    if rule.action is PolicyAction.QUARANTINE:
        assert result(union.project(ACME)).status is Status.QUARANTINED


@pytest.mark.parametrize("blocked", list(DenialMode))
@pytest.mark.parametrize("is_hidden", [False, True])
def test_no_rule_makes_an_own_name_anybody_elses(blocked: DenialMode, is_hidden: bool) -> None:
    """What is denied of the local directory is requested from no upstream; what is not there is, as ever."""
    own = FilteredSourceFixture(
        PolicyRule("r", PolicyAction.DENY, sources=frozenset({"local"}), blocked=blocked)
    )
    judged = FilteredSource(own.source, "local", lambda: own.policy, own.clock, own.threads, is_own=True)
    upstream = Absent()
    upstream.add("acme-99.0.zip", b"evil")
    upstream.add("other-1.0.zip", b"other")
    # A view that hides a directory asks it without rules.
    first = LocalViewSource(EmptySource(), [own.source]) if is_hidden else judged
    union = UnionSource(
        LocalMember(first),
        [UpstreamMember(upstream)],
        NameRules(),
        was_used=lambda _: False,
        threads=PausedThreads(),
    )
    for ask in (union.project, lambda name: union.file(name, "acme-99.0.zip")):
        with suppress(NotHere, NotAllowed):
            answer = result(ask(ACME))
            assert answer.files == ()
    with suppress(NotHere, NotAllowed):
        found = at_once(union.project(ACME))
        assert found is None or found.files == ()
    assert ACME not in upstream.names()
    assert len(result(union.project(ProjectName("other"))).files) == 1


def test_what_is_listed_while_it_is_asked_for_is_judged() -> None:
    """A source that has another listing by the time that it gives the file does not get past the rules."""
    world = FilteredSourceFixture(PolicyRule("age", PolicyAction.REQUIRE, min_age=DAY / 2))
    before = world.source.pages[ACME]
    young = [
        replace(file, uploaded_ns=int(world.clock.seconds() * 1e9)) if file.filename == NEW else file
        for file in before.files
    ]
    give = world.source.file

    async def slowly(name: ProjectName, filename: str) -> Any:
        body = await give(name, filename)
        world.source.put(replace(before, files=tuple(young)))
        return body

    world.source.file = slowly  # type: ignore[method-assign]
    refused = error(world.filtered.file(ACME, NEW))
    assert isinstance(refused, NotAllowed)
    body = world.source.bodies[ACME, NEW]
    assert (body.opened, body.closed) == (1, 1)
    assert result(world.filtered.file(ACME, OLD)) is world.source.bodies[ACME, OLD]
