"""A local directory before upstreams: which are requested, and which never are."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from simpleindex.core.errors import NotAllowed, NotHere, SimpleIndexError, Unavailable
from simpleindex.core.model import Project, ProjectList, Status, Strategy, Withheld
from simpleindex.core.names import ProjectName, parse_project_name
from simpleindex.core.patterns import matcher
from simpleindex.directory.source import LocalSource
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.views import union as merged
from simpleindex.views.name_rules import NameRules, Scope
from simpleindex.views.union import LocalMember, UnionSource, UpstreamMember
from tests.fixtures.deferreds import error, result
from tests.fixtures.depth import number_of
from tests.fixtures.distributions import add_wheel, wheel_name
from tests.fixtures.live_directory import LiveDirectoryFixture
from tests.fixtures.stepping import at_once
from tests.fixtures.stub_source import StubSource
from tests.fixtures.tables import for_each
from tests.fixtures.threads import PausedThreads

if TYPE_CHECKING:
    from pathlib import Path

ACME = ProjectName("acme")
WHEEL = wheel_name()


class Absent(StubSource):
    """A stub that records which names it is asked for."""

    def names(self) -> set[str]:
        """Every project's name in any question."""
        return {what[1] for what in self.asked if len(what) > 1}


class UnionFixture:
    """A local directory and two upstreams, each of which has the wheel acme with bytes of its own."""

    def __init__(self, rules: NameRules | None = None, *, used: frozenset[str] = frozenset()) -> None:
        self.local, self.first, self.second = Absent(), Absent(), Absent()
        for source, data in ((self.first, b"first"), (self.second, b"second")):
            source.add(WHEEL, data)
        self.rules = rules or NameRules()
        self.used = used
        self.threads = PausedThreads()
        self.members = [UpstreamMember(self.first), UpstreamMember(self.second)]
        self.build()

    def build(self) -> None:
        """Put it together, as it is configured now."""
        self.union = UnionSource(
            LocalMember(self.local),
            self.members,
            self.rules,
            was_used=lambda name: name in self.used,
            threads=self.threads,
        )

    def bytes(self, filename: str = WHEEL) -> bytes:
        """A file's bytes."""
        data: bytes = result(self.union.file(ACME, filename)).data
        return data


def test_the_first_that_has_it_owns_it() -> None:
    """The one behind it is not even asked; with nobody in front of it, it is."""
    house = UnionFixture()
    assert house.bytes() == b"first"
    assert not house.second.asked
    del house.first.pages[ACME]
    assert house.bytes() == b"second"
    assert result(house.union.project(ACME)) is house.second.pages[ACME]
    del house.second.pages[ACME]
    assert isinstance(error(house.union.project(ACME)), NotHere)
    assert isinstance(error(house.union.file(ACME, WHEEL)), NotHere)


def test_what_exists_here_is_asked_of_nobody() -> None:
    """Also where it has no files at all."""
    house = UnionFixture()
    house.local.empty("acme")
    assert result(house.union.project(ACME)).files == ()
    assert isinstance(error(house.union.file(ACME, WHEEL)), NotHere)
    assert at_once(house.union.project(ACME)) is house.local.pages[ACME]
    assert not house.first.asked


@pytest.mark.parametrize("broken", [Unavailable("unmounted"), NotAllowed("no")])
@pytest.mark.parametrize("strategy", [Strategy.FIRST_INDEX, Strategy.MERGE])
def test_nobody_goes_past_one_who_cannot_tell(broken: SimpleIndexError, strategy: Strategy) -> None:
    """Not even for a name that upstreams may be asked for."""
    house = UnionFixture(NameRules(strategy, allow_upstream=("*",)))
    house.local.error = broken
    assert error(house.union.project(ACME)) is broken
    assert error(house.union.file(ACME, WHEEL)) is broken
    assert not house.first.asked
    with pytest.raises(type(broken)):
        at_once(house.union.project(ACME))
    house.local.error = None
    house.first.error = UpstreamFailed("pypi", "it is down")
    assert error(house.union.project(ACME)) is house.first.error
    assert not house.second.asked


def test_only_where_it_is_asked_for_are_indexes_merged() -> None:
    """Each file from where the page has it from; the local ones first."""
    house = UnionFixture(NameRules(Strategy.MERGE, allow_upstream=("acme",)))
    house.second.add(wheel_name(version="2.0"), b"newer", metadata=b"of the newer")
    merged = result(house.union.project(ACME))
    assert [file.version for file in merged.files] == ["1.0", "2.0"]
    assert at_once(house.union.project(ACME)) is result(house.union.project(ACME)) is merged
    assert (house.bytes(), house.bytes(wheel_name(version="2.0"))) == (b"first", b"newer")
    assert house.bytes(wheel_name(version="2.0") + ".metadata") == b"of the newer"
    house.local.add(WHEEL, b"ours")
    assert house.bytes() == b"ours"
    assert len(result(house.union.project(ACME)).files) == 2
    assert result(house.union.project(ACME)) is not merged
    house.local.empty("acme", Status.QUARANTINED)
    assert result(house.union.project(ACME)).files == ()
    assert isinstance(error(house.union.file(ACME, WHEEL)), NotAllowed)


def test_a_merge_is_among_upstreams_for_a_name_that_is_nobodys() -> None:
    """What exists here is not merged with anything unless it is allowed by name."""
    house = UnionFixture(NameRules(Strategy.MERGE))
    house.second.add(wheel_name(version="2.0"), b"newer")
    assert len(result(house.union.project(ACME)).files) == 2
    house.local.add(WHEEL, b"ours")
    assert result(house.union.project(ACME)) is house.local.pages[ACME]


def test_what_is_published_here_meanwhile_is_the_answer() -> None:
    """An upstream takes its time; when it answers, the project is local."""
    house = UnionFixture()
    house.first.gate = Deferred()
    answer = Deferred.fromCoroutine(house.union.project(ACME))
    house.local.add(WHEEL, b"ours")
    house.first.gate.callback(None)
    assert result(answer) is house.local.pages[ACME]


def test_what_is_known_at_once_is_answered_at_once() -> None:
    """Past everybody who says that it is not there, and no further than somebody who would have to look."""
    house = UnionFixture()
    assert at_once(house.union.project(ACME)) is house.first.pages[ACME]
    house.first.gate = Deferred()
    assert at_once(house.union.project(ACME)) is None
    house.first.gate, house.local.gate = None, Deferred()
    assert at_once(house.union.project(ACME)) is None
    house.local.gate = None
    del house.first.pages[ACME], house.second.pages[ACME]
    with pytest.raises(NotHere):
        at_once(house.union.project(ACME))


def test_lists() -> None:
    """The local list is the list, and the very object; names of upstreams only where they are requested."""
    house = UnionFixture(NameRules(own=("secret",)))
    house.local.empty("ours")
    assert result(house.union.projects()) is at_once(house.union.projects())
    assert result(house.union.projects()).names == ("ours",)
    assert not house.first.asked
    house.members = [
        UpstreamMember(house.first, Scope(exclude=("x",)), is_listed=True),
        UpstreamMember(house.second),
    ]
    for name in ("secret", "x", "y"):
        house.first.empty(name)
    house.build()
    listed = result(house.union.projects())
    assert listed.names == ("acme", "ours", "y")
    assert at_once(house.union.projects()) is listed
    assert result(house.union.projects()) is listed
    assert not house.second.asked
    house.first.gate = Deferred()
    assert at_once(house.union.projects()) is None
    house.rules = NameRules(Strategy.ISOLATED)
    house.build()
    assert result(house.union.projects()).names == ("ours",)


def test_a_long_list_is_made_in_a_thread() -> None:
    """The public index's would hold up everybody for a second."""
    house = UnionFixture()
    house.first._list = ProjectList(tuple(ProjectName(f"p{n:05}") for n in range(6_000)))
    house.members = [UpstreamMember(house.first, is_listed=True)]
    house.build()
    house.threads.held = True
    listed = Deferred.fromCoroutine(house.union.projects())
    assert house.threads.names() == ["merge_lists"]
    house.threads.release()
    assert len(result(listed).names) == 6_000


def test_a_real_directory_in_front(tmp_path: Path) -> None:
    """An upstream's project is answered at once, and one that has just appeared here is not taken for absent."""
    world = LiveDirectoryFixture(tmp_path / "root").begin()
    house = UnionFixture()
    house.local = LocalSource(world.live, world.directory, PausedThreads())  # type: ignore[assignment]
    house.build()
    assert at_once(house.union.project(ACME)) is house.first.pages[ACME]
    house.first.asked.clear()
    add_wheel(tmp_path / "root")
    assert result(house.union.project(ACME)).files[0].source == "local"
    assert not house.first.asked


# -- private names never leave the house ------------------------------------------------------------------------

_NAMES = ("acme", "acme-tools", "other", "beta")
_PATTERNS = st.lists(st.sampled_from([*_NAMES, "acme*", "*a", "?eta", "*"]), max_size=2).map(tuple)
_STATES = st.sampled_from(
    ["absent", "present", "withheld only", "quarantined", "empty", "unavailable", "not allowed", "hangs"]
)


def _set(local: Absent, state: str, name: ProjectName) -> None:
    local.error = local.gate = None
    local.pages.clear()
    match state:
        case "present":
            local.add(wheel_name(name))
        case "withheld only":
            local.put(Project(name, withheld=(Withheld("x", "broken", "archive"),)))
        case "quarantined":
            local.empty(name, Status.QUARANTINED)
        case "empty":
            local.empty(name)
        case "unavailable":
            local.error = Unavailable("It is unmounted, empty, or still being scanned.")
        case "not allowed":
            local.error = NotAllowed("no")
        case "hangs":
            local.gate = Deferred()


@settings(deadline=None, max_examples=number_of(400))
@given(
    strategy=st.sampled_from(Strategy),
    own=_PATTERNS,
    allowed=_PATTERNS,
    used=st.frozensets(st.sampled_from(_NAMES)),
    steps=st.lists(
        st.tuples(_STATES, st.sampled_from(_NAMES), st.sampled_from(["project", "now", "file", "list"])),
        min_size=1,
        max_size=6,
    ),
)
def test_a_private_name_is_in_no_question_to_an_upstream(
    strategy: Strategy,
    own: tuple[str, ...],
    allowed: tuple[str, ...],
    used: frozenset[str],
    steps: list[tuple[str, str, str]],
) -> None:
    """Whatever is configured, in whatever state the local directory is, and for every question."""
    house = UnionFixture(NameRules(strategy, own, allowed), used=used)
    house.members = [
        UpstreamMember(house.first, is_listed=True),
        UpstreamMember(house.second, is_listed=True),
    ]
    house.build()
    for state, text, question in steps:
        name = parse_project_name(text)
        _set(house.local, state, name)
        house.first.asked.clear()
        house.second.asked.clear()
        if question == "now":
            with suppress(SimpleIndexError):
                at_once(house.union.project(name))
        else:
            asks = {
                "project": lambda name=name: house.union.project(name),
                "file": lambda name=name: house.union.file(name, wheel_name(name)),
                "list": lambda name=name: house.union.projects(),
            }
            Deferred.fromCoroutine(asks[question]()).addErrback(lambda _: None)
        is_private = strategy is Strategy.ISOLATED or state in {"unavailable", "not allowed", "hangs"}
        if matcher(allowed).find(name) is None:
            is_private |= name in used or matcher(own).find(name) is not None or state != "absent"
        if is_private:
            assert name not in house.first.names() | house.second.names()


def words_of(house: UnionFixture, name: ProjectName = ACME) -> list[str]:
    """What the sources say, in order."""
    return [f"{word.source} {word.sentence}" for word in result(house.union.words(name))]


@for_each(
    ("name", "expected"),
    [
        *(("other", True), ("acme", True), ("own-tool", False), ("own-public", True), ("used", True)),
        *(("denied", True), ("denied-everywhere", False), ("excluded", True)),
    ],
)
def test_which_names_an_upstream_may_be_requested_for(name: str, expected: bool) -> None:
    """Nobody is asked for that, and nothing depends on what the index has or had: who may not read it learns nothing of it."""
    rules = NameRules(own=("own-*",), allow_upstream=("own-public",))
    house = UnionFixture(rules, used=frozenset({"used"}))
    house.members = [
        UpstreamMember(
            house.first, Scope(exclude=("excluded",)), denies=lambda name: name.startswith("denied")
        ),
        UpstreamMember(house.second, denies=lambda name: name == "denied-everywhere"),
    ]
    house.build()
    house.local.add(WHEEL)
    assert house.union.may_offer(ProjectName(name)) is expected
    assert not house.local.asked + house.first.asked + house.second.asked
    house.union.take(NameRules(Strategy.ISOLATED), {})
    assert not house.union.may_offer(ProjectName(name))


def test_words() -> None:
    """Every source says what it has, or why it is not asked; own names are asked of nobody for this either."""
    house = UnionFixture(NameRules(own=("secret",)))
    house.members = [
        UpstreamMember(house.first, name="one"),
        UpstreamMember(house.second, Scope(exclude=("other",)), name="two"),
    ]
    house.build()
    assert words_of(house) == [
        "local has no such project.",
        "one has it, with 1 file to offer.",
        "two is not requested: one comes first, and has it.",
    ]
    assert words_of(house, ProjectName("other")) == [
        "local has no such project.",
        "one has no such project.",
        "two is not requested for this name, by its `projects` or `exclude`.",
    ]
    assert words_of(house, ProjectName("secret")) == [
        "local has no such project.",
        'one is not requested. secret is one of this index\'s own names: own has "secret".',
        'two is not requested. secret is one of this index\'s own names: own has "secret".',
    ]
    assert "secret" not in house.first.names() | house.second.names()
    house.local.put(Project(ACME, withheld=(Withheld(WHEEL, "broken", "archive"),)))
    asked = len(house.first.asked)
    assert words_of(house) == [
        "local has it, with 0 files to offer, and 1 that is not offered.",
        "one is not requested. acme is a name of this index, so it is requested from no upstream.",
        "two is not requested. acme is a name of this index, so it is requested from no upstream.",
    ]
    assert len(house.first.asked) == asked


def test_words_of_a_merge() -> None:
    """All are asked, up to one that cannot tell."""
    house = UnionFixture(NameRules(Strategy.MERGE))
    house.members = [UpstreamMember(house.first, name="one"), UpstreamMember(house.second, name="two")]
    house.build()
    assert [word.split()[1] for word in words_of(house)] == ["has", "has", "has"]
    house.first.error = UpstreamFailed("one", "it is down")
    assert words_of(house)[1:] == [
        "one cannot tell: The upstream index one cannot answer: it is down",
        "two is not requested: one comes first, and cannot tell.",
    ]
    house.local.error = Unavailable("unmounted")
    assert words_of(house) == ["local cannot tell: unmounted"]


def test_rules_that_change() -> None:
    """They hold for the next question, and for the list."""
    house = UnionFixture()
    house.members = [
        UpstreamMember(house.first, is_listed=True, name="first"),
        UpstreamMember(house.second, name="second"),
    ]
    house.build()
    assert house.bytes() == b"first"
    assert result(house.union.projects()).names == (ACME,)
    house.union.take(NameRules(), {"first": Scope(exclude=("acme",))})
    assert house.bytes() == b"second"
    assert result(house.union.projects()).names == ()
    house.union.take(NameRules(own=("acme",)), {})
    assert isinstance(error(house.union.project(ACME)), NotHere)
    with pytest.raises(NotHere):
        at_once(house.union.project(ACME))


def test_rules_that_change_while_a_list_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that was made by others is given once, and not kept."""
    monkeypatch.setattr(merged, "_WORTH_A_THREAD", 0)
    house = UnionFixture()
    house.members = [UpstreamMember(house.first, is_listed=True)]
    house.build()
    house.threads.held = True
    asking = Deferred.fromCoroutine(house.union.projects())
    house.threads.start()
    house.union.take(NameRules(own=("acme",)), {})
    house.threads.release()
    assert result(asking).names == (ACME,)
    assert result(house.union.projects()).names == ()


def test_merged_projects_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was merged least recently is merged anew."""
    monkeypatch.setattr(merged, "_MOST_MERGED", 1)
    house = UnionFixture(NameRules(Strategy.MERGE, allow_upstream=("*",)))
    for source in (house.first, house.second):
        source.add("other-1.0.zip", b"other")
    acme = result(house.union.project(ACME))
    assert result(house.union.project(ACME)) is acme
    other = result(house.union.project(ProjectName("other")))
    assert result(house.union.project(ProjectName("other"))) is other
    assert result(house.union.project(ACME)) is not acme
