"""Connections wait in the kernel, or are closed, before the directory and files have no descriptors left."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from twisted.internet.task import Clock

from simpleindex.service.ports import accepting
from simpleindex.service.ports.accepting import AGAIN_SECONDS, CLOSED_AT_ONCE, AcceptGate
from simpleindex.system.descriptors import bounds_of
from simpleindex.system.errors import own_trouble

if TYPE_CHECKING:
    from tests.fixtures.log import CapturedLog


class Port:
    """Something that is listened on."""

    socket: socket.socket | None = None

    def __init__(self) -> None:
        self.is_reading = True

    def startReading(self) -> None:
        """Accept again."""
        self.is_reading = True

    def stopReading(self) -> None:
        """Accept no more."""
        self.is_reading = False


class AcceptingFixture:
    """A gate before two ports, one of which cannot be stopped."""

    def __init__(self) -> None:
        self.free = 10
        self.clock = Clock()
        self.closed: list[int] = []
        self.port = Port()
        self.gate = AcceptGate(self.clock, lambda: self.free)
        self.gate.ports = [self.port, object()]
        self.gate.close_idle = self.closed.append


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> AcceptingFixture:
    """With a limit of 64: 40 for connections, 12 more for files."""
    monkeypatch.setattr(accepting, "bounds", lambda: bounds_of(64))
    return AcceptingFixture()


def test_while_there_is_room(world: AcceptingFixture, log: CapturedLog) -> None:
    """Nothing is said and nothing waits."""
    world.free = 39
    assert world.gate.admits()
    assert (log.lines, world.closed, world.port.is_reading) == ([], [], True)
    assert not world.clock.getDelayedCalls()


@pytest.mark.parametrize(("free", "admitted"), [(40, True), (51, True), (52, False), (64, False)])
def test_when_descriptors_are_short(
    world: AcceptingFixture, log: CapturedLog, free: int, admitted: bool
) -> None:
    """Accepting stops, idle connections are closed, and it goes on when there is room; the operator hears why."""
    world.free = free
    assert world.gate.admits() is admitted
    assert not world.port.is_reading
    assert world.closed == [CLOSED_AT_ONCE]
    assert own_trouble(log.events[0]["log_failure"].value) is not None
    # Others that had been accepted in the same turn.
    assert world.gate.admits() is admitted
    assert len(world.clock.getDelayedCalls()) == 1
    world.clock.advance(AGAIN_SECONDS)
    assert not world.port.is_reading
    world.free = 39
    world.clock.advance(AGAIN_SECONDS)
    assert world.port.is_reading
    assert not world.clock.getDelayedCalls()


def test_the_end_while_accepting_is_stopped(world: AcceptingFixture) -> None:
    """Nothing is left behind."""
    world.free = 60
    world.gate.admits()
    world.gate.stop()
    world.gate.stop()
    assert not world.clock.getDelayedCalls()


def test_a_worker_that_waits_does_not_listen(world: AcceptingFixture) -> None:
    """Until its wait is over, because the kernel would give it connections meanwhile."""
    with closing(socket.socket()) as shared:
        shared.bind(("127.0.0.1", 0))
        world.port.socket = shared
        world.gate.wait(10)
        assert not shared.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        world.gate.end_wait()
        assert shared.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert world.port.is_reading
