"""An upstream's answer is given again without asking every source, and never longer than all of them would answer so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest
from twisted.internet.task import Clock

from simpleindex.core.errors import NotHere, Unavailable
from simpleindex.core.model import Strategy
from simpleindex.core.source import ForwardingSource
from simpleindex.policy.filtered import FilteredSource
from simpleindex.policy.judgement import Allowance, Policy
from simpleindex.policy.rules import PolicyAction, PolicyRule
from simpleindex.system.clocks import wall_clock
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.pinned import PinnedSource
from simpleindex.views.hidden import EmptySource
from simpleindex.views.name_rules import NameRules, Scope
from simpleindex.views.standing_answers import StandingAnswers
from simpleindex.views.union import LocalMember, UnionSource, UpstreamMember
from tests.fixtures.cached_upstream import ACME, DATA, WHEEL, CachedUpstreamFixture, clock_of_2023
from tests.fixtures.deferreds import error, result
from tests.fixtures.stepping import at_once
from tests.fixtures.stub_source import StubSource

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName

URL: Final = "https://pypi.example.org/simple/"
OTHER: Final = "acme-2.0-py3-none-any.whl"
DENIED: Final = Policy((PolicyRule("r", PolicyAction.DENY),))


class CountingSource(ForwardingSource):
    """Counts how often a project is requested."""

    count = 0

    async def project(self, name: ProjectName) -> Project:
        self.count += 1
        return await super().project(name)


class StandingAnswersFixture(CachedUpstreamFixture):
    """A view with a directory, and an upstream behind rules and pins, whose project acme was answered once."""

    def __init__(self, root: Path, clock: Clock) -> None:
        super().__init__(root / "cache", clock=clock)
        self.now = wall_clock(clock)
        self.upstream.add(WHEEL, DATA)
        self.taken: set[ProjectName] = set()
        self.used: set[ProjectName] = set()
        self.policy = Policy()
        self.pins = Pins(str(root / "state"))
        pinned = PinnedSource(self.source, URL, self.pins, self.clock, self.threads)
        filtered = FilteredSource(pinned, "pypi", lambda: self.policy, self.clock, self.threads)
        self.behind = CountingSource(filtered)
        self.union = self.view(UpstreamMember(self.behind))

    def view(self, *members: UpstreamMember, strategy: Strategy = Strategy.FIRST_INDEX) -> UnionSource:
        """Return a view with these upstreams."""
        used = self.used.__contains__
        standing = StandingAnswers(self.clock, lambda name: name not in self.taken, used)
        union = UnionSource(
            LocalMember(EmptySource()),
            members,
            NameRules(strategy),
            was_used=used,
            threads=self.threads,
            standing=standing,
        )
        result(union.project(ACME))
        at_once(union.project(ACME))
        return union

    def is_asked(self) -> bool:
        """Whether the upstream is asked for the project once more."""
        before = self.behind.count
        result(self.union.project(ACME))
        return self.behind.count > before

    def filenames(self) -> list[str]:
        """The files of the project."""
        return [file.filename for file in result(self.union.project(ACME)).files]


@pytest.fixture(params=["one time", "two times"])
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The reactor's, whose time is that of dates, or, as in a service, one that counts from elsewhere."""
    if request.param == "one time":
        return clock_of_2023()
    clock = Clock()
    clock.advance(1_000)
    monkeypatch.setattr(time, "monotonic", clock.seconds)
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000 + clock.seconds())
    return clock


@pytest.fixture
def world(tmp_path: Path, clock: Clock) -> StandingAnswersFixture:
    """A view whose answer stands."""
    return StandingAnswersFixture(tmp_path, clock)


def test_is_not_asked_again(world: StandingAnswersFixture) -> None:
    """Each time it is the same object, so that its page stays good; files come from the same upstream."""
    before = world.union.standing_uses()["upstream"]
    first = at_once(world.union.project(ACME))
    world.clock.advance(5)
    assert not world.is_asked()
    assert at_once(world.union.project(ACME)) is first
    assert result(world.union.file(ACME, WHEEL)).size == len(DATA)
    assert world.union.standing_uses() == {"upstream": before + 4}
    assert (world.source.answers.requested, world.source.answers.stale) == (1, 0)
    world.clock.advance(world.times.fresh_for(None))
    assert world.is_asked()


def test_ends_with_another_listing(world: StandingAnswersFixture) -> None:
    """Also one that comes before the last one is too old: a file turned out to be another one."""
    world.upstream.add(OTHER, DATA)
    entry = world.source._store.memory.get(ACME)
    assert entry is not None
    entry.fresh_until = 0.0
    assert world.filenames() == [WHEEL, OTHER]
    assert world.filenames() == [WHEEL, OTHER]
    assert not world.is_asked()


def test_ends_with_its_listing(world: StandingAnswersFixture) -> None:
    """What has left memory may be replaced unseen."""
    world.source._store.memory.forget(ACME, world.clock.seconds() + 10)
    assert isinstance(error(world.union.project(ACME)), NotHere)


def test_rules_hold(world: StandingAnswersFixture) -> None:
    """Soon after they changed, and when an allowance ends."""
    world.policy = DENIED
    world.clock.advance(0.2)
    assert world.filenames() == []
    allowance = Allowance(ACME, None, world.now() + 5)
    world.policy = Policy(DENIED.rules, (allowance,))
    world.clock.advance(0.2)
    assert world.filenames() == [WHEEL]
    assert not world.is_asked()
    world.clock.advance(5)
    assert world.filenames() == []


def test_ages_hold(world: StandingAnswersFixture) -> None:
    """A file appears when it is old enough."""
    age = world.now() - 1_700_000_000 + 5
    world.policy = Policy((PolicyRule("age", PolicyAction.REQUIRE, min_age=age),))
    world.clock.advance(0.2)
    assert world.filenames() == []
    assert not world.is_asked()
    world.clock.advance(5)
    assert world.filenames() == [WHEEL]


def test_pins_are_seen(world: StandingAnswersFixture) -> None:
    """They are another process's doing, and a project that has some is asked for each time."""
    kept = world.cache.listing(URL, ACME)
    assert kept is not None
    assert result(world.union.file(ACME, WHEEL))
    world.pins.pin(URL, kept, kept.project.files, world.cache)
    world.clock.advance(1.1)
    assert world.is_asked()
    assert world.is_asked()


def test_own_names_are_asked_of_nobody(world: StandingAnswersFixture) -> None:
    """From the moment on at which a name is the index's own; and a name whose past is not known is no upstream's."""
    world.taken.add(ACME)
    assert world.is_asked()
    world.taken.clear()
    world.used.add(ACME)
    assert isinstance(error(world.union.project(ACME)), NotHere)
    world.used.clear()
    assert world.is_asked()
    world.union.take(NameRules(own=("acme",)), {})
    assert isinstance(error(world.union.project(ACME)), NotHere)
    world.union.take(NameRules(), {"upstream": Scope(exclude=("acme",))})
    assert isinstance(error(world.union.project(ACME)), NotHere)


@pytest.mark.parametrize("strategy", [Strategy.FIRST_INDEX, Strategy.MERGE])
def test_several_upstreams(world: StandingAnswersFixture, tmp_path: Path, strategy: Strategy) -> None:
    """That an earlier one lacks the project stands as long as it is believed, and another answer is noticed then."""
    first = CachedUpstreamFixture(tmp_path / "first", clock=world.clock)
    policy = Policy((), (Allowance(ACME, None, world.now() + 2 * world.times.absent),))
    filtered = FilteredSource(first.source, "first", lambda: policy, world.clock, world.threads)
    world.union = world.view(UpstreamMember(filtered), UpstreamMember(world.behind), strategy=strategy)
    assert not world.is_asked()
    first.upstream.add(OTHER, DATA)
    assert world.filenames() == [WHEEL]
    world.clock.advance(world.times.absent)
    expected = [OTHER] if strategy is Strategy.FIRST_INDEX else [WHEEL, OTHER]
    assert world.filenames() == expected


def test_what_cannot_tell_is_asked(world: StandingAnswersFixture) -> None:
    """A source that knows nothing of how long it answers so."""
    stub = StubSource()
    stub.add(WHEEL, DATA)
    union = world.view(UpstreamMember(stub))
    asked = len(stub.asked)
    result(union.project(ACME))
    assert len(stub.asked) > asked


def test_an_error_is_not_hidden(world: StandingAnswersFixture) -> None:
    """Where the records cannot be read, nobody knows whose the name is."""

    def cannot_tell(_: ProjectName) -> bool:
        raise Unavailable("The names cannot be read.")

    assert world.union._standing is not None
    world.union._standing._was_used = cannot_tell
    assert isinstance(error(world.union.project(ACME)), Unavailable)
