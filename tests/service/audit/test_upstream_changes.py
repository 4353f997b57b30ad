"""Removals and yanks of an upstream: recorded once for each version of which files are here, and never for others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.records.audit.audit import Audit
from simpleindex.service.audit.upstream_changes import UpstreamChanges
from simpleindex.upstreams.cached import CacheOptions
from simpleindex.upstreams.listings.changes import ListingChange, listing_change
from simpleindex.upstreams.listings.store import ListingHooks
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME
from tests.fixtures.cached_upstream import ACME, CachedUpstreamFixture
from tests.fixtures.deferreds import error

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName
    from simpleindex.records.audit.audit_questions import AuditQuestion


FIRST, SECOND, THIRD = "acme-1.0.zip", "acme-1.0.tar.gz", "acme-2.0.zip"


class World(CachedUpstreamFixture):
    """An upstream with three files; the audit of what it takes away."""

    def __init__(self, root: Path) -> None:
        self.local: set[tuple[ProjectName, str]] = set()
        self.kept: list[int] = []
        self.audit = Audit(str(root / "state"), now=lambda: float(self.clock.seconds()))
        super().__init__(root / "cache")
        for filename in (FIRST, SECOND, THIRD):
            self.upstream.add(filename, filename.encode(), bare=True)

    def options(self) -> CacheOptions:
        changes = UpstreamChanges(
            self.audit, self.cache, [lambda *file: file in self.local], self.clock.seconds
        )
        changed = changes.of("pypi", lambda *_: self.kept.append(1))
        return CacheOptions(ttls=self.times, listings=ListingHooks(changed=changed))

    def yank(self, reason: str, *filenames: str) -> None:
        listing = self.upstream.pages[ACME]
        files = [
            replace(file, yanked=reason if file.filename in filenames else None)
            for file in listing.project.files
        ]
        self.upstream.put(replace(listing.project, files=files))

    def look(self) -> None:
        """Request the page again, some hours later."""
        self.clock.advance(10_000)
        self.project()

    @property
    def entries(self) -> list[dict[str, Any]]:
        self.audit.close()
        try:
            with open(self.audit.path, encoding="ascii") as file:
                return [json.loads(line) for line in file]
        except FileNotFoundError:
            return []


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world whose page was requested."""
    world = World(tmp_path)
    world.project()
    return world


def test_a_yank_of_what_is_cached(world: World) -> None:
    """One entry and one line, with the reason; again only if it is yanked anew after a day."""
    world.bytes(FIRST)
    world.yank("broken\x1b[2J", FIRST, SECOND, THIRD)
    world.look()
    world.look()
    assert world.kept == [1]
    (entry,) = world.entries
    assert {**entry, "time": ""} == {
        "time": "",
        "event": "upstream-yanked",
        "project": "acme",
        "version": "1.0",
        "filename": FIRST,
        "detail": "by pypi, 1 file of it here: broken?[2J",
    }
    sentence = "The upstream pypi has yanked acme 1.0, which your people use; 1 file of it here: broken?[2J."
    assert world.lines == [sentence]
    for _ in range(2):
        world.yank("")
        world.look()
        world.yank("", FIRST)
        world.look()
    assert len(world.entries) == 1
    world.yank("")
    world.look()
    world.clock.advance(90_000)
    world.yank("", FIRST)
    world.look()
    assert world.entries[1]["detail"] == "by pypi, 1 file of it here"


def test_a_yank_of_what_is_in_a_directory(world: World) -> None:
    """Copies of an upstream's files are known by their names."""
    world.local = {(ACME, FIRST), (ACME, SECOND)}
    world.yank("", FIRST, SECOND)
    world.look()
    (entry,) = world.entries
    assert (entry["version"], entry["detail"]) == ("1.0", "by pypi, 2 files of it here")
    assert "filename" not in entry


def test_removals(world: World) -> None:
    """Of a file, and of a whole project, also after a restart."""
    for filename in (FIRST, THIRD):
        world.bytes(filename)
    listing = world.upstream.pages[ACME]
    world.upstream.put(
        replace(listing.project, files=[file for file in listing.project.files if file.version == "2.0"])
    )
    world.restart()
    world.look()
    del world.upstream.pages[ACME]
    world.clock.advance(10_000)
    error(world.source.project(ACME))
    assert [(each["event"], each["version"]) for each in world.entries] == [
        ("upstream-removed", "1.0"),
        ("upstream-removed", "2.0"),
    ]


def test_flat_pages(world: World) -> None:
    """Files of a flat page are of the projects that their names say."""
    project = replace(world.upstream.pages[ACME].project, name=FLAT_PAGE_NAME)
    before = replace(project, files=[file for file in project.files if file.filename == FIRST])
    world.local = {(ACME, FIRST)}
    listing = world.cache.listing(world.context.identity, ACME)
    assert listing is not None
    change = listing_change(before, None)
    assert change is not None
    changes = UpstreamChanges(world.audit, world.cache, [lambda *file: file in world.local])
    changes.of("wheels", None)("https://flat.example/", replace(listing, project=before), change)
    assert [(each["project"], each["version"]) for each in world.entries] == [("acme", "1.0")]


def test_another_node_has_recorded_it(world: World) -> None:
    """It is not recorded again; while the database is away, each node records what it sees."""
    listing, lines = world.cache.listing(world.context.identity, ACME), list[bytes]()
    assert listing is not None
    change = listing_change(replace(listing.project, files=listing.project.files[:1]), None)
    assert change is not None
    world.local = {(ACME, file.filename) for file in listing.project.files}
    is_away = False

    def shared(_: AuditQuestion) -> list[bytes]:
        if is_away:
            raise OSError(112, "the server cannot be reached")
        return lines

    changes = UpstreamChanges(
        world.audit,
        world.cache,
        [lambda *file: file in world.local],
        world.clock.seconds,
        shared,
    )
    changes.record("pypi", world.context.identity, listing, change)
    assert len(world.entries) == 1
    lines[:] = [json.dumps(entry).encode() for entry in world.entries]
    Path(world.audit.path).unlink()
    changes.record("pypi", world.context.identity, listing, change)
    assert world.entries == []
    is_away = True
    changes.record("pypi", world.context.identity, listing, change)
    assert len(world.entries) == 1


def test_changes_that_take_nothing_away(world: World) -> None:
    """New files, and files that are yanked no more."""
    project = world.upstream.pages[ACME].project
    yanked = replace(project, files=[replace(file, yanked="") for file in project.files])
    assert listing_change(project, project) is None
    assert listing_change(yanked, project) is None
    assert listing_change(replace(project, files=[]), project) is None
    assert listing_change(project, yanked) == ListingChange(yanked=tuple(yanked.files))
