"""Files whose upstream states no upload time: their servers are asked before a rule judges their age."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred

from simpleindex.core.files import FIRST_SEEN, LAST_MODIFIED
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.first_seen import FirstSeen
from simpleindex.upstreams.cached import CacheOptions
from simpleindex.upstreams.errors import FileRefused, UpstreamFailed
from simpleindex.upstreams.listings.store import ListingHooks
from tests.fixtures.cached_upstream import DATA, WHEEL, CachedUpstreamFixture
from tests.fixtures.deferreds import pending, result
from tests.fixtures.distributions import sdist_name
from tests.fixtures.memory_upstream import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.core.files import File

LONG_AGO = 1_600_000_000_000_000_000
INDEX = "https://pypi.example.org/simple/"


class UploadTimesFixture(CachedUpstreamFixture):
    """An upstream of bare pages, under a rule about ages."""

    rules: tuple[str, ...] = ("cooldown",)

    def options(self) -> CacheOptions:
        seen = FirstSeen(RecordsDatabase(str(self.root / "state")))
        return CacheOptions(
            ttls=self.times,
            listings=ListingHooks(first_seen=seen.times),
            judges_age=lambda _: self.rules,
        )

    def offer(self, count: int, modified: int | None = LONG_AGO) -> list[str]:
        """Have so many sdists upstream; returns their names, the oldest version first."""
        names = [sdist_name("acme", f"{number}.0") for number in range(1, count + 1)]
        for name in names:
            self.upstream.add(name, name.encode(), bare=True)
            if modified is not None:
                self.upstream.modified_ns[f"{HOST}acme/{name}"] = modified
        return names

    def questions(self) -> list[str]:
        """The files of which the modification was asked, in that order."""
        return [what[1].rpartition("/")[2] for what in self.upstream.asked if what[0] == "modified"]

    def files(self) -> dict[str, File]:
        """What is offered."""
        return {file.filename: file for file in self.project().files}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[UploadTimesFixture]:
    """One of its own for each test."""
    world = UploadTimesFixture(tmp_path / "cache")
    yield world
    assert world.failures == []


def test_the_first_answer_has_the_times(world: UploadTimesFixture) -> None:
    """Newest versions first, each asked once, remembered across restarts and listings; it is said once."""
    names = world.offer(12)
    files = world.files()
    assert {(file.uploaded_ns, file.dated_by) for file in files.values()} == {(LONG_AGO, LAST_MODIFIED)}
    assert world.questions() == names[::-1]
    assert sum("states no upload times" in line for line in world.lines) == 1
    for _ in range(2):
        world.clock.advance(10_000)
        world.upstream.add(WHEEL, DATA)
        assert world.files()[names[0]].uploaded_ns == LONG_AGO
        world.restart()
        assert world.files()[names[0]].uploaded_ns == LONG_AGO
    assert len(world.questions()) == len(names)


@pytest.mark.parametrize("error", [None, FileRefused("pypi", "no."), "absent"])
def test_a_server_that_does_not_say(world: UploadTimesFixture, error: object) -> None:
    """The time at which a file was first seen here counts, and it says so; nobody is asked again."""
    (name,) = world.offer(1, None)
    url = f"{HOST}acme/{name}"
    if isinstance(error, Exception):
        world.upstream.errors[url] = error
    elif error is not None:
        del world.upstream.files[url]
    for _ in range(2):
        file = world.files()[name]
        assert (file.uploaded_ns, file.dated_by) == (1_700_000_000_000_000_000, FIRST_SEEN)
        world.restart()
    assert world.questions() == [name]


def test_a_server_in_trouble_is_asked_again(world: UploadTimesFixture) -> None:
    """With the next listing."""
    (name,) = world.offer(1)
    world.upstream.errors[f"{HOST}acme/{name}"] = UpstreamFailed("pypi", "it answers 500.")
    assert world.files()[name].dated_by == FIRST_SEEN
    world.upstream.errors.clear()
    world.clock.advance(1000)
    assert world.files()[name].dated_by == LAST_MODIFIED


@pytest.mark.parametrize("rules", [(), ("cooldown",)])
def test_nobody_is_asked_without_need(world: UploadTimesFixture, rules: tuple[str, ...]) -> None:
    """Where no rule judges ages, or the index states them."""
    world.rules = rules
    world.offer(1) if not rules else world.upstream.add(WHEEL, DATA)
    world.files()
    assert world.questions() == []


def test_a_slow_server_is_waited_for_within_bounds(world: UploadTimesFixture) -> None:
    """What it says later counts for the next client."""
    gate: Deferred[None] = Deferred()
    world.offer(20)
    world.upstream.modified_gate = gate
    asking = world.ask()
    pending(asking)
    assert len(world.questions()) == 8
    world.clock.advance(4)
    project = result(asking)
    assert {file.dated_by for file in project.files} == {FIRST_SEEN}
    gate.callback(None)
    assert {file.dated_by for file in world.files().values()} == {LAST_MODIFIED}
    assert len(world.questions()) == 20


@pytest.mark.no_cover
def test_a_project_with_very_many_files(world: UploadTimesFixture) -> None:
    """The newest are asked about."""
    names = world.offer(450)
    files = world.files()
    assert len(world.questions()) == 400
    assert files[names[-1]].dated_by == LAST_MODIFIED
    assert files[names[0]].dated_by == FIRST_SEEN
