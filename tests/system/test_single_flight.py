"""Work that several wait for is done once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import CancelledError, Deferred

from simpleindex.core.errors import NotHere
from simpleindex.system.single_flight import SingleFlight
from tests.fixtures.deferreds import error, result

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.log import CapturedLog


def begin(flights: SingleFlight, work: Deferred[int]) -> Deferred[int]:
    """Wait for the work of one key."""

    async def wait() -> int:
        return await work

    waiting: Deferred[int] = flights.run("key", wait)
    return waiting


def test_everybody_gets_the_result_of_one_piece_of_work() -> None:
    """A call after its end begins anew."""
    flights, work = SingleFlight(), Deferred[int]()
    first, second = begin(flights, work), begin(flights, Deferred())
    work.callback(5)
    assert result(first) == result(second) == 5
    again: Deferred[int] = Deferred()
    third = begin(flights, again)
    again.callback(6)
    assert result(third) == 6


@pytest.mark.parametrize("stays", [True, False])
def test_a_defect_is_logged_unless_somebody_gets_it(log: CapturedLog, *, stays: bool) -> None:
    """Work goes on when all have left; what it fails with then is for the log."""
    flights, work = SingleFlight(), Deferred[int]()
    waiting = begin(flights, work)
    if not stays:
        waiting.addErrback(lambda failed: failed.trap(CancelledError))
        waiting.cancel()
    work.errback(KeyError("x"))
    if stays:
        with pytest.raises(KeyError):
            result(waiting)
    assert [event["log_failure"].type for event in log.events] == ([] if stays else [KeyError])


class Work:
    """Work of which the test says when it is over."""

    def __init__(self) -> None:
        self.flights = SingleFlight()
        self.begun: list[tuple[Deferred[int], Callable[[], bool]]] = []

    def wait(self, key: str) -> Deferred[int]:
        async def work() -> int:
            over: Deferred[int] = Deferred()
            self.begun.append((over, partial(self.flights.is_wanted, key)))
            return await over

        return self.flights.run(key, work)


def leave(waiting: Deferred[int]) -> None:
    waiting.cancel()
    with pytest.raises(CancelledError):
        result(waiting)


def test_each_key_is_worked_on_once_at_a_time() -> None:
    work = Work()
    waiting = [work.wait("a"), work.wait("a"), work.wait("b")]
    assert len(work.begun) == 2
    work.begun[0][0].callback(1)
    assert [result(each) for each in waiting[:2]] == [1, 1]
    work.wait("a")
    assert len(work.begun) == 3


def test_all_who_wait_get_its_error() -> None:
    work = Work()
    waiting = [work.wait("a") for _ in range(3)]
    work.begun[0][0].errback(NotHere("page"))
    assert [str(error(each)) for each in waiting] == ["There is no page here."] * 3


@pytest.mark.parametrize("is_error", [False, True])
def test_who_leaves_ends_nobody_elses_waiting(is_error: bool) -> None:
    work = Work()
    waiting = [work.wait("a") for _ in range(3)]
    over, is_wanted = work.begun[0]
    for number, each in enumerate(waiting):
        assert is_wanted()
        leave(each)
        assert is_wanted() == (number < 2)
    late = work.wait("a")
    assert is_wanted()
    leave(late)
    # Nobody is left to hear of it.
    over.errback(NotHere("page")) if is_error else over.callback(1)


def test_who_has_the_result_may_cancel_another_who_waits_for_it() -> None:
    work = Work()
    first, second, third = (work.wait("a") for _ in range(3))
    first.addCallback(lambda _: second.cancel())
    work.begun[0][0].callback(1)
    with pytest.raises(CancelledError):
        result(second)
    assert result(third) == 1
