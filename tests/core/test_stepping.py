"""The first step of a coroutine is taken at once; the rest is continued or dropped."""

from __future__ import annotations

import asyncio

import pytest
from twisted.internet.defer import Deferred

from simpleindex.core.stepping import Started, WorkInProgress
from tests.fixtures.deferreds import result


async def five() -> int:
    """Return without waiting."""
    return 5


def test_what_waits_for_nothing_is_finished() -> None:
    """Its rest is its value."""
    started = Started(five())
    assert (started.is_finished, started.value) == (True, 5)
    assert result(started.rest()) == 5
    started.drop()


def test_what_waits_is_continued() -> None:
    """With what it waits for, be that a value or an error."""
    waiting: Deferred[int] = Deferred()
    failing: Deferred[int] = Deferred()

    async def work() -> int:
        try:
            return await waiting + await failing
        except KeyError:
            return 7

    started = Started(work())
    assert not started.is_finished
    rest = Deferred.fromCoroutine(started.rest())
    waiting.callback(1)
    failing.errback(KeyError("x"))
    assert result(rest) == 7


def test_what_is_dropped_is_closed_and_what_it_waited_for_may_fail() -> None:
    """Nothing of that is logged."""
    waiting: Deferred[int] = Deferred()
    closed: list[bool] = []

    async def work() -> int:
        try:
            return await waiting
        finally:
            closed.append(True)

    Started(work()).drop()
    assert closed == [True]
    waiting.errback(KeyError("x"))
    assert result(waiting) is None


def test_what_waits_for_something_else_than_a_deferred_is_dropped_too() -> None:
    """Only a Deferred has an error that would be logged."""
    started = Started(asyncio.sleep(0))
    assert not started.is_finished
    started.drop()
    with pytest.raises(RuntimeError):
        result(started.rest())


def test_work_in_progress_is_continued_by_who_has_its_key() -> None:
    gate: Deferred[int] = Deferred()

    async def work() -> int:
        return await gate + 1

    progress: WorkInProgress[int] = WorkInProgress()
    assert progress.begin("finished", five()) == 5
    assert progress.take("finished") is None
    assert progress.begin(("a", 1), work()) is None
    assert progress.take(("a", 2)) is None
    suspended = progress.take(("a", 1))
    assert suspended is not None
    assert progress.take(("a", 1)) is None
    progress.drop()
    waiting = Deferred.fromCoroutine(suspended.rest())
    gate.callback(2)
    assert result(waiting) == 3


def test_work_in_progress_that_nobody_continues_is_dropped() -> None:
    gate: Deferred[None] = Deferred()
    closed = []

    async def work() -> None:
        try:
            await gate
        finally:
            closed.append(True)

    progress: WorkInProgress[None] = WorkInProgress()
    progress.drop()
    assert progress.begin("a", work()) is None
    progress.drop()
    assert closed == [True]
    assert progress.take("a") is None
    gate.errback(RuntimeError("unheard"))
