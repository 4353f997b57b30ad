"""Views that show fewer directories than there are: names of hidden ones stay private."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred

from simpleindex.core.errors import NotHere, NotShown, SimpleIndexError, Unavailable
from simpleindex.core.model import ProjectList, Strategy
from simpleindex.core.names import ProjectName
from simpleindex.views.hidden import EmptySource, LocalViewSource
from simpleindex.views.name_rules import NameRules
from simpleindex.views.union import LocalMember, UnionSource, UpstreamMember
from tests.fixtures.deferreds import error, result
from tests.fixtures.stepping import at_once
from tests.fixtures.threads import PausedThreads
from tests.views.test_union import Absent

if TYPE_CHECKING:
    from twisted.python.failure import Failure

ACME, SECRET, PUBLIC = map(ProjectName, ("acme", "secret", "public"))


class HiddenSourceFixture:
    """A view of one directory; another local directory has the project secret; so has an upstream, with bytes of its own."""

    def __init__(self, rules: NameRules | None = None) -> None:
        self.shown, self.hidden, self.upstream = Absent(), Absent(), Absent()
        self.shown.add("acme-1.0.zip")
        self.hidden.add("secret-1.0.zip", b"own")
        for filename in ("secret-1.0.zip", "secret-9.0.zip", "public-1.0.zip"):
            self.upstream.add(filename, b"evil")
        self.hiding = LocalViewSource(self.shown, [self.hidden])
        self.union = UnionSource(
            LocalMember(self.hiding, hides=lambda name: name in self.hidden.pages),
            [UpstreamMember(self.upstream, is_listed=True, name="pypi")],
            rules or NameRules(),
            was_used=lambda _: False,
            threads=PausedThreads(),
        )


@pytest.mark.parametrize("strategy", [Strategy.FIRST_INDEX, Strategy.MERGE])
def test_a_hidden_name_is_asked_of_nobody(strategy: Strategy) -> None:
    """It is not here, by all ways to ask; others come from the upstream."""
    house = HiddenSourceFixture(NameRules(strategy))
    assert isinstance(error(house.union.project(SECRET)), NotHere)
    assert isinstance(error(house.union.file(SECRET, "secret-9.0.zip")), NotHere)
    with pytest.raises(NotHere):
        at_once(house.union.project(SECRET))
    assert SECRET not in house.upstream.names()
    assert result(house.union.project(PUBLIC)).files
    assert result(house.union.project(ACME)).files
    assert result(house.union.projects()).names == (ACME, PUBLIC)


def test_unless_it_may_be_asked_for() -> None:
    """The exception is for hidden ones too."""
    house = HiddenSourceFixture(NameRules(allow_upstream=("secret",)))
    assert [file.version for file in result(house.union.project(SECRET)).files] == ["1.0", "9.0"]
    assert at_once(house.union.project(SECRET)) is not None
    assert SECRET in result(house.union.projects()).names


@pytest.mark.parametrize("broken", [Unavailable("unmounted")])
def test_a_hidden_directory_that_cannot_tell_ends_the_question(broken: SimpleIndexError) -> None:
    """Nobody is asked for what may be in it; what is shown is not affected."""
    house = HiddenSourceFixture()
    house.hidden.error = broken
    assert error(house.union.project(PUBLIC)) is broken
    with pytest.raises(Unavailable):
        at_once(house.union.project(PUBLIC))
    assert not house.upstream.names()
    assert result(house.union.project(ACME)).files


def test_published_in_a_hidden_directory_meanwhile() -> None:
    """An upstream's answer is none any more."""
    house = HiddenSourceFixture()
    gate: Deferred[None] = Deferred()
    house.upstream.gate = gate
    waiting = Deferred.fromCoroutine(house.union.project(PUBLIC))
    house.hidden.add("public-1.0.zip")
    gate.callback(None)
    failures: list[Failure] = []
    waiting.addErrback(failures.append)
    assert [failure.type for failure in failures] == [NotShown]


def test_said() -> None:
    """An explanation says that a view does not show it, and that nobody was asked."""
    local, upstream = result(HiddenSourceFixture().union.words(SECRET))
    assert local.sentence == "has it, and this view does not show it."
    assert (
        upstream.sentence
        == "is not requested. secret is a name of this index, so it is requested from no upstream."
    )


def test_nothing() -> None:
    """A view need not show any local directory."""
    nothing = EmptySource()
    assert result(nothing.projects()) == ProjectList() == at_once(nothing.projects())
    assert result(nothing.projects()) is at_once(nothing.projects())
    assert isinstance(error(nothing.project(ACME)), NotHere)
    assert isinstance(error(nothing.file(ACME, "acme-1.0.zip")), NotHere)
    with pytest.raises(NotHere):
        at_once(nothing.project(ACME))
