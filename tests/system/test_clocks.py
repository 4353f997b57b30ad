"""A machine's clock may be corrected while the server runs; what waits, waits no longer for that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from twisted.internet.base import ReactorBase
from twisted.internet.task import Clock

from simpleindex.system.clocks import keep_steady, wall_clock

if TYPE_CHECKING:
    import pytest


class Reactor(ReactorBase):
    """One without descriptors and signals."""

    def installWaker(self) -> None:
        """Nothing has to wake it."""


def test_a_reactor_is_not_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its calls come when they are due by a clock that nobody corrects."""
    reactor, called = Reactor(), [0]
    assert wall_clock(reactor)() > 1_700_000_000
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    keep_steady(reactor)
    reactor.callLater(5, called.append, 1)
    now = 104.0
    reactor.runUntilCurrent()
    now = 105.0
    monkeypatch.setattr(time, "time", lambda: 0.0)
    reactor.runUntilCurrent()
    assert called == [0, 1]
    assert wall_clock(reactor)() == 0.0


def test_the_clock_of_a_test() -> None:
    """It has one time for both."""
    clock = Clock()
    clock.advance(7)
    assert wall_clock(clock)() == 7
