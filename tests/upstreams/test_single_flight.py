"""Work that several wait for is done once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import CancelledError, Deferred

from simpleindex.upstreams.single_flight import SingleFlight
from tests.fixtures.deferreds import result

if TYPE_CHECKING:
    from tests.fixtures.log import CapturedLog


def begin(flights: SingleFlight, work: Deferred[int]) -> Deferred[int]:
    """Wait for the work of one key."""

    async def wait() -> int:
        return await work

    waiting: Deferred[int] = Deferred.fromCoroutine(flights.run("key", wait))
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
