"""Rounds: one run at a time for each key, and never a wish lost."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.directory.live.coalescer import Coalescer
from tests.fixtures.depth import number_of
from tests.fixtures.log import logged_failures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class CoalescerFixture:
    """Rounds whose work ends when the test says so."""

    def __init__(
        self, *, workers: int = 1, batch: int = 1, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self.begun: list[tuple[str, ...]] = []
        self.open: list[tuple[tuple[str, ...], Deferred[None]]] = []
        self.failures = logged_failures()
        self.rounds = Coalescer[str](self._work, workers=workers, batch=batch, seconds=seconds)

    def _work(self, keys: Sequence[str]) -> Deferred[None]:
        assert not {key for batch, _ in self.open for key in batch} & set(keys)
        done: Deferred[None] = Deferred()
        self.begun.append(tuple(keys))
        self.open.append((tuple(keys), done))
        return done

    def finish(self, position: int = 0, error: Exception | None = None) -> tuple[str, ...]:
        """End a run, well or badly."""
        keys, done = self.open.pop(position)
        if error is None:
            done.callback(None)
        else:
            done.errback(error)
        return keys


def test_the_oldest_key_waits_longest() -> None:
    """One that is requested again while it runs waits from the end of that run on."""
    now = [0.0]
    shop = CoalescerFixture(seconds=lambda: now[0])
    assert (len(shop.rounds), shop.rounds.longest_wait) == (0, 0.0)
    shop.rounds.note(["a", "b"])
    now[0] = 3.0
    shop.rounds.ask("a")
    assert (len(shop.rounds), shop.rounds.longest_wait) == (2, 3.0)
    shop.finish()
    now[0] = 4.0
    shop.finish()
    assert (len(shop.rounds), shop.rounds.longest_wait) == (1, 1.0)
    shop.finish()
    assert (len(shop.rounds), shop.rounds.longest_wait) == (0, 0.0)


class RoundsTests(SynchronousTestCase):
    """Single situations."""

    def test_after_the_stop_nothing_begins(self) -> None:
        """What runs comes to its end, what waits stays waiting."""
        shop = CoalescerFixture()
        running, waiting = shop.rounds.ask("a"), shop.rounds.ask("b")
        shop.rounds.stop()
        shop.finish()
        self.successResultOf(running)
        self.assertNoResult(waiting)
        self.assertEqual([("a",)], shop.begun)

    def test_a_wish_is_fulfilled_by_a_run_that_began_after_it(self) -> None:
        """Asked during its own run, a key is run once more, and once only however often it was asked for."""
        workshop = CoalescerFixture()
        first = workshop.rounds.ask("a")
        later = [workshop.rounds.ask("a") for _ in range(3)]
        workshop.finish()
        self.successResultOf(first)
        for waiter in later:
            self.assertNoResult(waiter)
        workshop.finish()
        for waiter in later:
            self.successResultOf(waiter)
        assert workshop.begun == [("a",), ("a",)]
        assert workshop.rounds.is_idle

    def test_noted_keys_are_run_once_more(self) -> None:
        """Many noted at once run in their order and in batches; one that is running runs again; one that waits, once."""
        shop = CoalescerFixture(batch=2)
        waiter = shop.rounds.ask("b")
        shop.rounds.note(("c", "b", "a", "c"))
        self.assertEqual([("b",)], shop.begun)
        self.assertTrue(all(map(shop.rounds.is_busy, "abc")))
        shop.finish()
        self.successResultOf(waiter)
        shop.finish()
        shop.finish()
        self.assertEqual([("b",), ("c", "b"), ("a",)], shop.begun)
        self.assertTrue(shop.rounds.is_idle)

    def test_keys_are_run_in_batches_and_in_order(self) -> None:
        """No more batches at once than there are workers."""
        workshop = CoalescerFixture(workers=2, batch=2)
        for key in "abcdefg":
            workshop.rounds.ask(key)
        assert workshop.begun == [("a",), ("b",)]
        workshop.finish(1)
        workshop.finish(0)
        assert workshop.begun[2:] == [("c", "d"), ("e", "f")]
        assert workshop.rounds.busy() == ("c", "d", "e", "f", "g")

    def test_somebody_waiting_comes_first(self) -> None:
        """Beside all workers, and not again when its turn would have come."""
        workshop = CoalescerFixture()
        for key in "abc":
            workshop.rounds.ask(key)
        waiter = workshop.rounds.ask("c", first=True)
        assert workshop.begun == [("a",), ("c",)]
        workshop.finish(1)
        self.successResultOf(waiter)
        workshop.finish()
        workshop.finish()
        assert workshop.begun == [("a",), ("c",), ("b",)]
        assert workshop.rounds.is_idle

    def test_nobody_comes_first_beside_its_own_run(self) -> None:
        """Two runs of one key at once could publish the older state last."""
        workshop = CoalescerFixture(workers=5)
        workshop.rounds.ask("a")
        workshop.rounds.ask("a", first=True)
        assert workshop.begun == [("a",)]
        workshop.finish()
        assert workshop.begun == [("a",), ("a",)]

    def test_a_busy_key_does_not_hold_up_the_others(self) -> None:
        """It waits for its own run to end, and those behind it go on."""
        workshop = CoalescerFixture(workers=2)
        for key in ("a", "a", "b"):
            workshop.rounds.ask(key)
        assert workshop.begun == [("a",), ("b",)]

    def test_joining_waits_for_the_last_run_asked_for(self) -> None:
        """For the one under way if no other is asked for, else for that other; nothing is run for it."""
        workshop = CoalescerFixture()
        workshop.rounds.ask("a")
        running = workshop.rounds.join("a", first=True)
        workshop.rounds.ask("a")
        waiting = workshop.rounds.join("a")
        workshop.finish()
        self.successResultOf(running)
        self.assertNoResult(waiting)
        workshop.finish()
        self.successResultOf(waiting)
        assert len(workshop.begun) == 2

    def test_joining_can_come_first(self) -> None:
        """What waits for a worker is started at once."""
        workshop = CoalescerFixture()
        workshop.rounds.ask("a")
        workshop.rounds.ask("b")
        workshop.rounds.join("b", first=True)
        assert workshop.begun == [("a",), ("b",)]

    def test_joining_nothing_is_a_mistake(self) -> None:
        """There is no run to wait for."""
        with pytest.raises(KeyError):
            CoalescerFixture().rounds.join("a")

    def test_failed_work_is_told_and_nobody_waits_for_ever(self) -> None:
        """Callers that wait go on, and so do the other keys."""
        workshop = CoalescerFixture()
        waiters = [workshop.rounds.ask(key) for key in "ab"]
        workshop.finish(error=RuntimeError("surprise"))
        self.successResultOf(waiters[0])
        assert workshop.failures[0].check(RuntimeError)
        workshop.finish()
        self.successResultOf(waiters[1])

    def test_work_that_raises_at_once_is_told_too(self) -> None:
        """Before it has returned anything to wait for."""

        def work(_keys: Sequence[str]) -> Deferred[None]:
            raise RuntimeError("surprise")

        failures = logged_failures()
        rounds = Coalescer[str](work, workers=1, batch=1)
        self.successResultOf(rounds.ask("a"))
        assert failures[0].check(RuntimeError)
        assert rounds.is_idle

    def test_a_wish_given_up_disturbs_nobody(self) -> None:
        """A request that waited too long is cancelled; the run and the other waiters go on."""
        workshop = CoalescerFixture()
        given_up, patient = workshop.rounds.ask("a"), workshop.rounds.join("a")
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        workshop.finish()
        self.successResultOf(patient)
        assert workshop.rounds.is_idle

    def test_work_that_ends_at_once_does_not_go_deeper_and_deeper(self) -> None:
        """Thousands of keys behind one worker."""
        count = sys.getrecursionlimit() * 3
        gate: Deferred[None] = Deferred()
        begun: list[int] = []

        async def work(keys: Sequence[int]) -> None:
            begun.extend(keys)
            if keys[0] == 0:
                await gate

        failures = logged_failures()
        rounds = Coalescer[int](work, workers=1, batch=1)
        waiters = [rounds.ask(key) for key in range(count)]
        gate.callback(None)
        assert begun == list(range(count))
        assert failures == []
        assert rounds.is_idle
        for waiter in waiters:
            self.successResultOf(waiter)

    def test_work_may_ask_for_more(self) -> None:
        """Also for its own key, and though it ends at once."""
        begun: list[str] = []

        async def work(keys: Sequence[str]) -> None:
            begun.extend(keys)
            if len(begun) < 4:
                rounds.ask("b" if keys[0] == "a" else "a")
                rounds.ask(keys[0])

        rounds = Coalescer[str](work, workers=1, batch=2)
        self.successResultOf(rounds.ask("a"))
        assert {"a", "b"} == set(begun)
        assert rounds.is_idle


class AnyInterleaving(RuleBasedStateMachine):
    """Asking, joining, ending and giving up in any order."""

    KEYS = st.sampled_from("abcd")

    @initialize(workers=st.integers(1, 3), batch=st.integers(1, 3))
    def begin(self, workers: int, batch: int) -> None:
        self.workshop = CoalescerFixture(workers=workers, batch=batch)
        self.workers = workers
        # Each wish with its key and the number of runs that had begun when it was made.
        self.wishes: list[tuple[str, int, Deferred[None]]] = []
        self.ended: list[tuple[str, int]] = []
        self.first_asked = False

    def _runs(self, key: str) -> int:
        return sum(key in batch for batch in self.workshop.begun)

    @rule(key=KEYS, first=st.booleans())
    def ask(self, key: str, first: bool) -> None:
        before = self._runs(key)
        self.first_asked |= first
        self.wishes.append((key, before, self.workshop.rounds.ask(key, first=first)))

    @rule(key=KEYS, first=st.booleans())
    def join(self, key: str, first: bool) -> None:
        if self.workshop.rounds.is_busy(key):
            self.first_asked |= first
            before = self._runs(key) - any(key in batch for batch, _ in self.workshop.open)
            self.wishes.append((key, before, self.workshop.rounds.join(key, first=first)))

    @precondition(lambda self: self.workshop.open)
    @rule(data=st.data(), badly=st.booleans())
    def finish(self, data: st.DataObject, badly: bool) -> None:
        position = data.draw(st.integers(0, len(self.workshop.open) - 1))
        self.workshop.finish(position, RuntimeError() if badly else None)

    @precondition(lambda self: self.wishes)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        _, _, wish = self.wishes.pop(data.draw(st.integers(0, len(self.wishes) - 1)))
        wish.addErrback(lambda failure: failure.trap(CancelledError))
        wish.cancel()

    @invariant()
    def a_wish_is_fulfilled_after_a_later_run_and_not_before(self) -> None:
        open_keys = {key for batch, _ in self.workshop.open for key in batch}
        for key, before, wish in self.wishes:
            ended = self._runs(key) - (key in open_keys)
            assert not wish.called or ended > before
            assert wish.called or self.workshop.rounds.is_busy(key)

    @invariant()
    def workers_are_neither_idle_nor_too_many(self) -> None:
        rounds, open_keys = self.workshop.rounds, [key for batch, _ in self.workshop.open for key in batch]
        assert len(open_keys) == len(set(open_keys))
        assert set(open_keys) <= set(rounds.busy())
        assert self.first_asked or len(self.workshop.open) <= self.workers
        if len(self.workshop.open) < self.workers:
            assert set(rounds.busy()) == set(open_keys)

    def teardown(self) -> None:
        if not hasattr(self, "workshop"):
            return
        while self.workshop.open:
            self.workshop.finish()
        assert self.workshop.rounds.is_idle
        assert self.workshop.rounds.busy() == ()
        assert all(wish.called for _, _, wish in self.wishes)


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=number_of(150), stateful_step_count=40, deadline=None)


def test_very_many_wait_their_turn() -> None:
    """After all that is requested one by one, in their order; one that is requested meanwhile runs at once, and once."""
    now = [0.0]
    shop = CoalescerFixture(batch=2, seconds=lambda: now[0])
    shop.rounds.note(["now"])
    shop.rounds.note_all(["now", "a", "b", "c", "d"])
    shop.rounds.note_all(["d", "e"])
    now[0] = 2.0
    assert (len(shop.rounds), shop.rounds.longest_wait) == (6, 2.0)
    assert shop.rounds.is_busy("e")
    assert set(shop.rounds.busy()) == {"now", "a", "b", "c", "d", "e"}
    shop.rounds.ask("d", first=True)
    joined = shop.rounds.join("e", first=True)
    shop.finish(1)
    while shop.open:
        shop.finish()
    assert joined.called
    assert shop.begun == [("now",), ("d",), ("e",), ("now", "a"), ("b", "c")]
    assert shop.rounds.is_idle


def test_a_set_is_run_after_all_others_and_each_key_once() -> None:
    """What waits already keeps its place, what runs is run once more, and a further set comes after the first."""
    shop = CoalescerFixture(batch=2)
    shop.rounds.note(["now"])
    shop.rounds.note(["soon"])
    names = {"soon", "a", "b", "now", "c"}
    shop.rounds.note_set(names, iter(["a", "b", "c", "now", "soon"]))
    assert names == {"a", "b", "c"}
    shop.rounds.note_set({"d", "b"}, iter(["d", "b"]))
    assert len(shop.rounds) == 7
    shop.rounds.ask("c", first=True)
    while shop.open:
        shop.finish()
    assert shop.begun == [("now",), ("c",), ("soon", "now"), ("a", "b"), ("d",)]
    assert shop.rounds.is_idle
