"""Idle processes are looked for while there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from twisted.internet.testing import MemoryReactorClock

from simpleindex.service.idle_processes import INTERVAL, IdleProcesses
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.archives.examination.pool import ExaminationPool


class Reactor(MemoryReactorClock):
    """One whose threads are this one."""

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        function(*arguments)


class Pool:
    """One whose processes idle for a while."""

    def __init__(self) -> None:
        self.pids: tuple[int, ...] = ()
        self.looks = 0

    def end_idle(self) -> None:
        self.looks += 1


@pytest.fixture
def reactor() -> Reactor:
    """Runs nothing by itself."""
    return Reactor()


def watching(pool: Pool, reactor: Reactor) -> IdleProcesses:
    """What looks for that pool's idle processes."""
    return IdleProcesses(cast("ExaminationPool", pool), reactor, InlineThreads())


def test_looks_while_there_are_processes(reactor: Reactor) -> None:
    """From the first that is begun until the last has ended, and then again from the next on."""
    pool = Pool()
    idle = watching(pool, reactor)
    assert not reactor.getDelayedCalls()
    pool.pids = (1, 2)
    idle.begun()
    idle.begun()
    assert len(reactor.getDelayedCalls()) == 1
    reactor.advance(INTERVAL)
    reactor.advance(INTERVAL)
    assert pool.looks == 2
    pool.pids = ()
    reactor.advance(INTERVAL)
    assert pool.looks == 3
    assert not reactor.getDelayedCalls()
    pool.pids = (3,)
    idle.begun()
    assert len(reactor.getDelayedCalls()) == 1


def test_stopped(reactor: Reactor) -> None:
    """Nothing is left, and nothing begins any more."""
    idle = watching(Pool(), reactor)
    idle.stop()
    idle = watching(Pool(), reactor)
    idle.begun()
    idle.stop()
    idle.begun()
    assert not reactor.getDelayedCalls()
