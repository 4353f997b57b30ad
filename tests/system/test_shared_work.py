"""Work that several wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import CancelledError, Deferred

from simpleindex.core.errors import NotHere
from simpleindex.system.shared_work import SharedWork
from tests.fixtures.deferreds import error, result

if TYPE_CHECKING:
    from collections.abc import Callable


class Work:
    """Work of which the test says when it is over."""

    def __init__(self) -> None:
        self.shared: SharedWork[int] = SharedWork()
        self.begun: list[tuple[Deferred[int], Callable[[], bool]]] = []

    def wait(self, key: str) -> Deferred[int]:
        async def work(is_wanted: Callable[[], bool]) -> int:
            over: Deferred[int] = Deferred()
            self.begun.append((over, is_wanted))
            return await over

        async def wait() -> int:
            return await self.shared.wait(key, work)

        return Deferred.fromCoroutine(wait())


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
