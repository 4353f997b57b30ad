"""A source as one reader sees it: what is kept, what is made anew, and what is never told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred

from simpleindex.access import guarded
from simpleindex.access.access_file import parse_access
from simpleindex.access.errors import Unauthenticated
from simpleindex.access.guarded import GuardedSource, VisibleLists
from simpleindex.access.identity import ANYONE, Action, Identity, TokenLimits
from simpleindex.access.rights import Access
from simpleindex.core.errors import NotAllowed, NotHere, SimpleIndexError, Unavailable
from simpleindex.core.names import ProjectName, parse_project_name
from tests.fixtures.deferreds import error, result
from tests.fixtures.stepping import at_once
from tests.fixtures.stub_source import StubSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.model import ProjectList

ALICE, BOB, CAROL = Identity("alice"), Identity("bob"), Identity("carol")
ACME, VAULT, TOOL = (parse_project_name(name) for name in ("acme", "vault", "tool"))
GONE = parse_project_name("gone")

BY_NAME = parse_access(b'[[rule]]\nprojects = ["vault"]\nread = ["alice", "bob"]\n')
BY_OWNER = parse_access(b'[[rule]]\nprojects = ["acme", "vault"]\nread = ["owner"]\n')
PRIVATE = parse_access(b"private = true\n")


class GuardedSourceFixture:
    """A source, rights and owners that tests change."""

    def __init__(self, access: Access) -> None:
        self.source = StubSource()
        for name in ("acme", "vault", "tool"):
            self.source.add(f"{name}-1.0.tar.gz")
        self.access = access
        self.owned: Mapping[ProjectName, str] = {VAULT: "alice"}
        self.asked = 0
        self.lists = VisibleLists(self._owners)

    def _owners(self) -> Mapping[ProjectName, str]:
        self.asked += 1
        return self.owned

    def seen(self, reader: Identity = ANYONE) -> GuardedSource:
        return GuardedSource(self.source, reader, lambda: self.access, self.owned.get, self.lists)

    def listed(self, reader: Identity = ANYONE) -> ProjectList:
        found: ProjectList = result(self.seen(reader).projects())
        assert at_once(self.seen(reader).projects()) is found
        return found


@pytest.mark.parametrize("access", [BY_NAME, BY_OWNER, PRIVATE], ids=["name", "owner", "private"])
def test_a_list_stays_the_same_object(access: Access) -> None:
    """As long as nothing changes, so that what was rendered of it is found again; readers of one group share it."""
    world = GuardedSourceFixture(access)
    first = {reader: world.listed(reader) for reader in (ALICE, BOB, CAROL)}
    for _ in range(3):
        for reader, listed in first.items():
            assert world.listed(reader) is listed
    if access is not PRIVATE:
        strangers = world.listed()
        assert strangers.view is None
        assert world.listed() is strangers
    if access is BY_NAME:
        assert first[ALICE] is first[BOB]
        assert first[CAROL] is strangers
    if access is PRIVATE:
        assert first[ALICE] is first[BOB] is first[CAROL]
        assert first[ALICE].view is not None


def test_what_makes_a_new_list() -> None:
    """Another state of the index, other rights, other owners; and no owners are asked for where no rule speaks of them."""
    world = GuardedSourceFixture(BY_OWNER)
    assert world.listed(ALICE).names == (TOOL, VAULT)
    before = world.listed(ALICE)
    world.owned = {VAULT: "alice", ACME: "alice"}
    assert world.listed(ALICE).names == (ACME, TOOL, VAULT)
    world.owned = {ACME: "bob"}
    assert world.listed(ALICE).names == (TOOL,)
    world.source.add("new-1.0.tar.gz")
    assert world.listed(ALICE).names == ("new", TOOL)
    world.access = BY_NAME
    assert world.listed(ALICE).names == (ACME, "new", TOOL, VAULT)
    assert world.listed(ALICE) is not before
    asked = world.asked
    world.listed(BOB)
    assert world.asked == asked


def test_where_nothing_is_hidden() -> None:
    """Everybody gets the source's own list."""
    world = GuardedSourceFixture(Access())
    assert world.listed(ALICE) is world.listed() is result(world.source.projects())
    assert world.asked == 0


def test_the_least_recent_lists_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many groups as owners there are, memory is bounded; who comes often is not forgotten."""
    monkeypatch.setattr(guarded, "_MOST_LISTS", 3)
    world = GuardedSourceFixture(BY_OWNER)
    kept = world.listed(ALICE)
    others = [world.listed(Identity(f"user{number}")) for number in range(2)]
    for number in range(2, 6):
        assert world.listed(ALICE) is kept
        world.listed(Identity(f"user{number}"))
    assert len(world.lists._kept) == 3
    assert world.listed(ALICE) is kept
    assert world.listed(Identity("user0")) is not others[0]


def test_nothing_is_known_at_once() -> None:
    """Where the source would have to wait, there is nothing to show yet."""
    world = GuardedSourceFixture(BY_NAME)
    world.source.gate = Deferred()
    for reader in (ANYONE, ALICE):
        assert at_once(world.seen(reader).projects()) is None
        assert at_once(world.seen(reader).project(TOOL)) is None


def test_questions_at_once() -> None:
    """A project that may not be read is not at hand; one that may be is the source's own object."""
    world = GuardedSourceFixture(BY_NAME)
    assert at_once(world.seen(ALICE).project(VAULT)) is world.source.pages[VAULT]
    assert at_once(world.seen().project(TOOL)) is world.source.pages[TOOL]
    assert result(world.seen(ALICE).project(VAULT)) is world.source.pages[VAULT]


@pytest.mark.parametrize(
    ("reader", "refusal"), [(ANYONE, Unauthenticated), (CAROL, NotAllowed)], ids=["anonymous", "carol"]
)
def test_refusals(reader: Identity, refusal: type[SimpleIndexError]) -> None:
    """401 and 403 for what is there, for its files and for what lies beside them; 404 stays true for every other name."""
    world = GuardedSourceFixture(parse_access(b'[[rule]]\nprojects = ["vault", "gone"]\nread = ["alice"]\n'))
    assert type(error(world.seen(reader).project(VAULT))) is refusal
    for filename in ("vault-1.0.tar.gz", "vault-1.0.tar.gz.metadata", "no-such-file"):
        assert type(error(world.seen(reader).file(VAULT, filename))) is refusal
    assert not [each for each in world.source.asked if each[0] == "file"]
    assert type(error(world.seen(reader).project(GONE))) is NotHere
    assert type(error(world.seen(reader).file(GONE, "gone-1.0.tar.gz"))) is NotHere
    assert type(error(world.seen(ALICE).file(VAULT, "no-such-file"))) is NotHere
    body = result(world.seen(ALICE).file(VAULT, "vault-1.0.tar.gz"))
    assert body is world.source.bodies[VAULT, "vault-1.0.tar.gz"]
    # Why it cannot be told now is for those only who may read it.
    world.source.error = Unavailable("The disk that holds vault is gone.")
    assert type(error(world.seen(reader).project(VAULT))) is refusal
    assert type(error(world.seen(ALICE).project(VAULT))) is Unavailable


def test_a_private_index() -> None:
    """Strangers get the same answer to every question; users who log in may ask."""
    world = GuardedSourceFixture(PRIVATE)
    seen = world.seen()
    for question in (seen.projects(), seen.project(TOOL), seen.project(GONE), seen.file(TOOL, "x")):
        assert type(error(question)) is Unauthenticated
    assert world.source.asked == []
    assert result(world.seen(BOB).project(TOOL)) is world.source.pages[TOOL]
    upload_only = Identity("bob", TokenLimits("b2", frozenset({Action.UPLOAD}), ("*",)))
    assert world.listed(upload_only).names == ()
    assert type(error(world.seen(upload_only).project(TOOL))) is NotAllowed


def test_an_owner_reads_at_once() -> None:
    """What a single project's owner may do is looked up each time, whatever lists still say."""
    world = GuardedSourceFixture(BY_OWNER)
    assert type(error(world.seen(BOB).project(ACME))) is NotAllowed
    world.owned = {ACME: "bob"}
    assert result(world.seen(BOB).project(ACME)) is world.source.pages[ACME]
