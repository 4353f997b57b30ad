"""New releases and yanks, for feeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.core.model import Status
from simpleindex.core.names import ProjectName
from simpleindex.search.release_events import Event, release_events
from tests.fixtures.deferreds import result
from tests.fixtures.stub_source import UPLOADED_NS, StubSource
from tests.search.world import SearchWorld

if TYPE_CHECKING:
    from pathlib import Path

ACME = ProjectName("acme")
SECOND = 10**9


@pytest.fixture
def world(tmp_path: Path) -> SearchWorld:
    """An index of two projects."""
    world = SearchWorld(tmp_path)
    world.clock.rightNow = UPLOADED_NS / SECOND + 1_000
    world.add("acme", "1.0", "Summary: Rockets")
    world.add("acme", "2.0", "Summary: Rockets")
    world.add("beta")
    set_times(world, acme={"1.0": 10, "2.0": 30}, beta={"1.0": 20})
    world.index()
    return world


def set_times(world: SearchWorld, **times: dict[str, int]) -> None:
    """Set when the releases were uploaded."""
    for name, of in times.items():
        project = world.source.pages[name]
        files = tuple(replace(file, uploaded_ns=of[file.version] * SECOND) for file in project.files)
        world.source.put(replace(project, files=files))


def yank(world: SearchWorld, version: str | None, reason: str = "explodes") -> None:
    """Yank a release of acme, and none else."""
    project = world.source.pages["acme"]
    files = tuple(replace(file, yanked=reason if file.version == version else None) for file in project.files)
    world.source.put(replace(project, files=files))
    world.indexer.note("local", ACME)
    world.finish()


def events(world: SearchWorld, source: Any = None, limit: int = 10) -> list[tuple[str, str, bool]]:
    """Return the newest events for a reader."""
    found = result(world.search.events(source or world.source, limit))
    return [(event.project, event.version, event.is_yank) for event in found]


def test_releases_newest_first(world: SearchWorld) -> None:
    assert events(world) == [("acme", "2.0", False), ("beta", "1.0", False), ("acme", "1.0", False)]
    assert events(world, limit=1) == [("acme", "2.0", False)]
    first = result(world.search.events(world.source, 1))[0]
    assert first == Event(ACME, "2.0", is_yank=False, time_ns=30 * SECOND, text="Rockets")


def test_a_yank_is_new_when_it_is_seen(world: SearchWorld) -> None:
    yank(world, "1.0")
    assert events(world, limit=2) == [("acme", "1.0", True), ("acme", "2.0", False)]
    event = result(world.search.events(world.source, 1))[0]
    assert (event.text, event.time_ns >= UPLOADED_NS) == ("explodes", True)
    before = event.time_ns
    world.clock.advance(1_000)
    yank(world, "1.0", "explodes at once")
    event = result(world.search.events(world.source, 1))[0]
    assert (event.text, event.time_ns) == ("explodes at once", before)


def test_a_yank_that_is_undone_is_no_event(world: SearchWorld) -> None:
    yank(world, "1.0")
    yank(world, None)
    assert ("acme", "1.0", True) not in events(world)
    assert world.database.read("SELECT * FROM yanks") == []


def test_what_was_yanked_before_the_first_look_is_no_news(tmp_path: Path) -> None:
    world = SearchWorld(tmp_path)
    world.clock.rightNow = UPLOADED_NS / SECOND + 1_000
    world.add("acme", "1.0", yanked="old")
    world.index()
    assert result(world.search.events(world.source, 1))[0].time_ns == UPLOADED_NS


def test_a_reader_sees_only_what_is_offered(world: SearchWorld) -> None:
    yank(world, "1.0")
    reader = StubSource()
    project = world.source.pages["acme"]
    reader.put(replace(project, files=project.files[1:]))
    assert events(world, reader) == [("acme", "2.0", False)]
    assert result(world.search.events_of(reader.pages["acme"], 10)) == tuple(
        release_events(reader.pages["acme"])
    )


def test_the_events_of_a_project(world: SearchWorld) -> None:
    yank(world, "2.0")
    found = result(world.search.events_of(world.source.pages["acme"], 10))
    assert [(event.version, event.is_yank) for event in found] == [
        ("2.0", True),
        ("2.0", False),
        ("1.0", False),
    ]


@pytest.mark.parametrize("change", [{"status": Status.QUARANTINED}, {"denied": "a rule"}])
def test_what_is_not_on_offer_has_no_events(world: SearchWorld, change: dict[str, Any]) -> None:
    assert release_events(replace(world.source.pages["acme"], **change)) == []
