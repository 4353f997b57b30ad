"""Files that an upstream is slow to begin: no client waits so long, and the next one finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import NotHere, Unavailable
from simpleindex.core.names import METADATA_SUFFIX
from simpleindex.upstreams.errors import UpstreamFailed
from tests.fixtures.cached_upstream import ACME, DATA, METADATA, WHEEL, CachedUpstreamFixture, failure, read
from tests.fixtures.deferreds import error, pending, result
from tests.fixtures.distributions import sdist_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twisted.internet.defer import Deferred


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CachedUpstreamFixture]:
    """An upstream that thinks before it sends anything."""
    world = CachedUpstreamFixture(tmp_path / "cache")
    world.upstream.add(WHEEL, DATA, metadata=METADATA)
    world.project()
    world.upstream.beginnings = []
    yield world
    assert world.failures == []


def beginnings(world: CachedUpstreamFixture) -> list[Deferred[None]]:
    """Those of the files that were asked for."""
    assert world.upstream.beginnings is not None
    return world.upstream.beginnings


@pytest.mark.parametrize(("filename", "data"), [(WHEEL, DATA), (WHEEL + METADATA_SUFFIX, METADATA)])
@pytest.mark.parametrize("seconds", [10, 13, 60, 119])
def test_it_goes_on_for_the_next_client(
    world: CachedUpstreamFixture, filename: str, data: bytes, seconds: int
) -> None:
    """Asked for once, however many clients give up meanwhile."""
    for _ in range(0, seconds, 10):
        opening = world.open(filename)
        pending(opening)
        world.clock.advance(10)
        assert isinstance(error(opening), Unavailable)
    (beginning,) = beginnings(world)
    beginning.callback(None)
    assert world.bytes(filename) == data
    assert len(beginnings(world)) == 1


def test_what_comes_while_a_client_waits_is_had_at_once(world: CachedUpstreamFixture) -> None:
    """The patience is for the beginning."""
    opening = world.open()
    world.clock.advance(9)
    beginnings(world)[0].callback(None)
    assert read(result(opening)) == DATA


def test_only_so_many_are_waited_for(world: CachedUpstreamFixture) -> None:
    """One more is given up as its client is; when one of the others begins, there is room again."""
    names = [sdist_name("acme", f"{number}.0") for number in range(2, 13)]
    for name in names:
        world.upstream.add(name, name.encode())
    world.clock.advance(1000)
    for name in names[:9]:
        opening = world.open(name)
        world.clock.advance(10)
        assert isinstance(error(opening), Unavailable | UpstreamFailed)
    beginnings(world)[0].callback(None)
    assert world.bytes(names[0]) == names[0].encode()
    opening = world.open(names[9])
    world.clock.advance(10)
    assert isinstance(error(opening), Unavailable)
    assert len(beginnings(world)) == 10
    for number in (1, 9):
        beginnings(world)[number].callback(None)
        assert world.bytes(names[number]) == names[number].encode()
    # The ninth has to be asked for anew.
    opening = world.open(names[8])
    pending(opening)
    assert len(beginnings(world)) == 11
    world.source.stop()
    assert isinstance(failure(opening), UpstreamFailed)


@pytest.mark.parametrize("is_waited_for", [True, False])
def test_the_end_of_the_service_ends_it(world: CachedUpstreamFixture, is_waited_for: bool) -> None:
    """Nothing waits on."""
    opening = world.open()
    if not is_waited_for:
        world.clock.advance(10)
        assert isinstance(error(opening), Unavailable)
    world.source.stop()
    if is_waited_for:
        assert isinstance(failure(opening), UpstreamFailed)
    assert beginnings(world)[0].called
    assert world.clock.getDelayedCalls() == []


def test_a_failure_that_comes_late_is_no_file(world: CachedUpstreamFixture) -> None:
    """The next client has it asked for anew."""
    opening = world.open()
    world.clock.advance(10)
    assert isinstance(error(opening), Unavailable)
    beginnings(world)[0].errback(NotHere("file"))
    world.upstream.beginnings = None
    assert world.bytes() == DATA
    assert ACME in world.upstream.pages
