"""Serials that workers show: the same for the same listing, larger after each change, and never one that hides a smaller one."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.task import Clock

from simpleindex.core.names import ProjectName
from simpleindex.directory.live.agreed_serials import SerialRow
from simpleindex.service.workers import serial_sequence
from simpleindex.service.workers.exchange import WorkerExchange
from simpleindex.service.workers.messages import Message, decode, encode
from simpleindex.service.workers.supervised_serials import BEHIND_SECONDS, SupervisedSerials

if TYPE_CHECKING:
    from collections.abc import Mapping

ACME, OTHER = ProjectName("acme"), ProjectName("other")
START = 1_000_000


class Live:
    """A directory that lists what a test says, and after a look what is on its disk."""

    def __init__(self, disk: dict[ProjectName, int]) -> None:
        self.complete = True
        self.disk = disk
        self.listings = dict(disk)
        self.changes = 0
        self.snapshots = SimpleNamespace(listing_digest=self.listings.get, unpacked={})

    def serials_changed(self) -> None:
        self.changes += 1

    async def changed(self, name: ProjectName) -> None:
        self.listings[name] = self.disk[name]


class Worker:
    """A worker, and the connection to it."""

    def __init__(self, number: int, family: Family) -> None:
        self.number = number
        self.live = Live(family.disk)
        self._family = family
        self._early: list[Message] = []
        self.serials: SupervisedSerials | None = None
        self.serials = SupervisedSerials("local", self.live, self._to_supervisor, family.clock)  # type: ignore[arg-type]
        for each in self._early:
            self.serials.received(each)

    def send(self, message: Message) -> None:
        passed = decode(encode(message).rstrip())
        assert passed is not None
        if self.serials is None:
            self._early.append(passed)
        else:
            self.serials.received(passed)

    def _to_supervisor(self, message: Message) -> None:
        self._family.exchange.received(self, message)  # type: ignore[arg-type]

    def list(self, name: ProjectName, listing: int) -> None:
        """List a project in another way."""
        self.live.listings[name] = listing
        assert self.serials is not None
        self.serials.note(name)

    def shown(self) -> Mapping[ProjectName, int]:
        """The serials that a mirror finds here."""
        assert self.serials is not None
        now: Any = self.serials.now()
        return {name: now[name] - START for name in (ACME, OTHER)}


class Family:
    """A supervisor and two workers."""

    def __init__(self) -> None:
        self.disk = {ACME: 10, OTHER: 20}
        self.clock = Clock()
        self.exchange = WorkerExchange({}, {}, lambda: START / 1_000_000)
        self.workers = [Worker(number, self) for number in (1, 2)]

    def shown(self) -> list[tuple[int, int]]:
        """The serials of acme and other in each worker."""
        return [(shown[ACME], shown[OTHER]) for shown in (each.shown() for each in self.workers)]


@pytest.fixture
def family() -> Family:
    """Workers over two projects."""
    return Family()


def test_a_change_has_the_same_serial_in_all_workers_once_they_list_it(family: Family) -> None:
    one, two = family.workers
    one.list(ACME, 11)
    assert family.shown() == [(1, 0), (0, 0)]
    two.list(ACME, 11)
    assert family.shown() == [(1, 0), (1, 0)]
    assert one.serials is not None
    assert one.serials.of(ACME) == START + 1
    assert one.serials.of(OTHER) == START


def test_none_is_shown_before_a_smaller_one(family: Family) -> None:
    one, two = family.workers
    one.list(ACME, 11)
    two.list(OTHER, 21)
    assert family.shown() == [(1, 0), (0, 0)]
    two.list(ACME, 11)
    one.list(OTHER, 21)
    assert family.shown() == [(1, 2), (1, 2)]


def test_a_worker_that_starts_takes_over_all_serials(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_sequence, "_AT_ONCE", 1)
    for each in family.workers:
        each.list(ACME, 11)
        each.list(OTHER, 21)
    family.exchange.ended(family.workers[0])  # type: ignore[arg-type]
    family.exchange.ended(family.workers[0])  # type: ignore[arg-type]
    family.disk |= {ACME: 11, OTHER: 21}
    family.workers[0] = Worker(1, family)
    assert family.shown() == [(1, 2), (1, 2)]


def test_a_listing_that_only_a_worker_had_that_ended_holds_up_no_other(family: Family) -> None:
    one, two = family.workers
    one.list(ACME, 11)
    family.exchange.ended(one)  # type: ignore[arg-type]
    two.live.complete = False
    family.clock.advance(BEHIND_SECONDS)
    two.live.complete = True
    two.list(OTHER, 21)
    assert two.shown() == {ACME: 0, OTHER: 0}
    family.clock.advance(BEHIND_SECONDS)
    assert two.shown() == {ACME: 3, OTHER: 2}
    assert family.clock.getDelayedCalls() == []


def test_a_project_that_cannot_be_read_has_no_serial_and_holds_up_none(family: Family) -> None:
    one, two = family.workers
    two.live.snapshots.unpacked[ACME] = SimpleNamespace(trouble="It cannot be read.")
    del two.live.listings[ACME]
    one.list(ACME, 11)
    one.list(OTHER, 21)
    two.list(OTHER, 21)
    assert two.shown() == {ACME: 1, OTHER: 2}
    assert two.serials is not None
    two.serials.note(ACME)
    assert family.shown() == [(1, 2), (1, 2)]


def test_only_what_may_have_changed_is_compared(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands that a worker does not list yet, a row that comes, and one that is listed, cost a look at one project."""
    one, two = family.workers
    names = [ProjectName(f"p{number}") for number in range(50)]
    looks: list[ProjectName] = []

    def look(name: ProjectName) -> int | None:
        looks.append(name)
        return two.live.listings.get(name)

    monkeypatch.setattr(two.live.snapshots, "listing_digest", look)
    changes = two.live.changes
    for name in names:
        one.list(name, 1)
    assert looks == names
    assert two.live.changes == changes
    for name in names:
        two.list(name, 1)
    assert len(looks) == 3 * len(names)
    assert one.serials is not None
    assert two.serials is not None
    assert one.serials.now() == two.serials.now()


def test_the_first_of_very_many_is_found_at_once(family: Family) -> None:
    """They are taken out at the front, which leaves gaps in a dict: of 160,000, each next one took 7 s in all."""
    one, _ = family.workers
    assert one.serials is not None
    assert isinstance(one.serials._behind, OrderedDict)


def test_what_was_compared_in_a_thread_with_an_older_row(family: Family) -> None:
    """Does not show the newer one that came meanwhile."""
    one, _ = family.workers
    assert one.serials is not None
    older, newer = SerialRow(ACME, 10, START + 5), SerialRow(ACME, 11, START + 6)
    one.serials._add([older])
    one.serials._add([newer])
    one.serials._show([older])
    assert one.shown()[ACME] == 0
    one.live.listings[ACME] = 11
    one.serials._compare((ACME,))
    assert one.shown()[ACME] == 6
