"""So many requests at once: the others wait their turn, for a while."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from simpleindex.core.names import ProjectName
from simpleindex.upstreams import limited as queued
from simpleindex.upstreams.errors import UpstreamBusy, UpstreamFailed
from simpleindex.upstreams.limited import PATIENCE, LimitedUpstream
from tests.fixtures.deferreds import error, pending, result
from tests.fixtures.memory_upstream import HOST, MemoryUpstream


class LimitedSourceFixture:
    """An upstream that is asked two things at once; every listing waits until it is let go."""

    def __init__(self) -> None:
        self.upstream = MemoryUpstream()
        for number in range(5):
            self.upstream.add(f"p{number}-1.0.zip", b"data")
        self.clock = Clock()
        self.queued = LimitedUpstream(self.upstream, 2, self.clock)

    def ask(self, number: int) -> Deferred[Any]:
        """Ask for a project."""
        return Deferred.fromCoroutine(self.queued.project(ProjectName(f"p{number}"), None))

    def open(self, number: int) -> Deferred[Any]:
        """Ask for a file."""
        return Deferred.fromCoroutine(self.queued.open(f"{HOST}p{number}/p{number}-1.0.zip"))

    @property
    def asked(self) -> int:
        """How many questions the upstream has heard."""
        return len(self.upstream.asked)


def test_pages() -> None:
    """The third waits until one is done; the order is kept."""
    world = LimitedSourceFixture()
    gate: Deferred[None] = Deferred()
    world.upstream.gate = gate
    asking = [world.ask(number) for number in range(4)]
    assert world.asked == 2
    world.upstream.gate = None
    gate.callback(None)
    assert [result(each).project.name for each in asking] == ["p0", "p1", "p2", "p3"]
    assert result(world.ask(4)).project.name == "p4"


def test_files_have_their_turn_until_they_are_closed() -> None:
    """And pages do not wait for them."""
    world = LimitedSourceFixture()
    first, second, third = (world.open(number) for number in range(3))
    assert pending(third)
    assert result(world.ask(4)).project.name == "p4"
    stream = result(first)
    assert (stream.size, stream.offset, result(stream.read())) == (4, 0, b"data")
    assert stream.validators.etag == world.upstream.etag
    stream.close()
    stream.close()
    assert result(third).size == 4
    assert pending(world.open(3))
    result(second).close()


def test_the_question_for_a_date_counts_among_files() -> None:
    """And gives its turn back."""
    world = LimitedSourceFixture()
    url = f"{HOST}p0/p0-1.0.zip"
    world.upstream.modified_ns[url] = 5
    first, _ = world.open(0), world.open(1)
    asking = Deferred.fromCoroutine(world.queued.modified(url))
    assert pending(asking)
    result(first).close()
    assert result(asking) == 5
    assert not pending(world.open(2))


def test_an_error_gives_the_turn_back() -> None:
    """Of a page, the list, and a file."""
    world = LimitedSourceFixture()
    world.upstream.error = UpstreamFailed("pypi", "it is down")
    for _ in range(3):
        assert isinstance(error(world.ask(0)), UpstreamFailed)
        assert isinstance(error(world.queued.projects()), UpstreamFailed)
        assert error(world.queued.open(f"{HOST}nothing")) is not None
    world.upstream.error = None
    assert result(world.ask(0)).project.name == "p0"
    assert result(world.queued.projects()) is not None
    assert result(world.open(0)).size == 4


def test_who_waits_too_long_is_told() -> None:
    """And gets no turn later; nor does one who left."""
    world = LimitedSourceFixture()
    gate: Deferred[None] = Deferred()
    world.upstream.gate = gate
    for number in range(2):
        world.ask(number)
    late, gone = world.ask(2), world.ask(3)
    gone.cancel()
    gone.addErrback(lambda failure: failure.trap(CancelledError))
    assert result(gone) is CancelledError
    world.clock.advance(PATIENCE)
    refused = error(late)
    assert isinstance(refused, UpstreamBusy)
    assert str(refused) == (
        "The upstream index pypi cannot answer: 2 requests to it are under way, and more wait already."
    )
    world.upstream.gate = None
    gate.callback(None)
    assert world.asked == 2
    assert result(world.ask(4)).project.name == "p4"


@pytest.mark.parametrize("count", [1, 3])
def test_turns_are_not_lost(count: int) -> None:
    """However often."""
    world = LimitedSourceFixture()
    for _ in range(10):
        streams = [world.open(number) for number in range(count)]
        for each in streams:
            result(each).close()
    assert [result(world.open(number)).size for number in range(2)] == [4, 4]


def test_not_everybody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who could not have a turn in time is told at once."""
    monkeypatch.setattr(queued, "_MOST_WAITING", 1)
    world = LimitedSourceFixture()
    gate: Deferred[None] = Deferred()
    world.upstream.gate = gate
    for number in range(2):
        world.ask(number)
    waiting = world.ask(2)
    assert isinstance(error(world.ask(3)), UpstreamBusy)
    world.upstream.gate = None
    gate.callback(None)
    assert result(waiting).project.name == "p2"
