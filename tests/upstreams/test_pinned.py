"""What an operator has pinned of an upstream stays on offer, whatever becomes of the upstream and of the cache."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import NotAllowed, NotHere
from simpleindex.core.model import Project, Status
from simpleindex.core.names import ProjectName
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.cached import CacheOptions
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.upstreams.listings.store import ListingHooks
from simpleindex.upstreams.pinned import PinnedSource
from tests.fixtures.cached_upstream import CachedUpstreamFixture, read
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import metadata_text, sdist_name, wheel_bytes, wheel_name
from tests.fixtures.stepping import at_once

if TYPE_CHECKING:
    from pathlib import Path

ACME = ProjectName("acme")
URL = "https://pypi.example.org/simple/"
WHEEL, SDIST = wheel_name(), sdist_name("acme", "2.0")
DATA, METADATA = wheel_bytes("acme", "1.0"), metadata_text("acme", "1.0")


class PinnedUpstreamFixture(CachedUpstreamFixture):
    """An upstream with a wheel and an sdist, its cache, and pins in front."""

    def __init__(self, root: Path, *, keep_removed: bool = False) -> None:
        self.state = root / "state"
        self.keep_removed = keep_removed
        super().__init__(root / "cache")
        self.upstream.add(WHEEL, DATA)
        self.upstream.add(SDIST, b"sdist", bare=True)

    def options(self) -> CacheOptions:
        removed = self.pins.keep_removed(self.cache) if self.keep_removed else None
        return CacheOptions(ttls=self.times, listings=ListingHooks(changed=removed))

    def restart(self) -> None:
        self.pins = Pins(str(self.state))
        super().restart()
        self.pinned = PinnedSource(self.source, URL, self.pins, self.clock, self.threads)

    def pin(self, *filenames: str) -> tuple[str, ...]:
        """Fetch files, and pin them as the command does, in another process."""
        for filename in filenames:
            assert read(result(self.pinned.file(ACME, filename)))
        kept = self.cache.listing(URL, ACME)
        assert kept is not None
        files = [file for file in kept.project.files if file.filename in filenames]
        done = Pins(str(self.state)).pin(URL, kept, files, self.cache)
        self.clock.advance(1)
        return done

    def lose_the_cache(self) -> None:
        """Delete it, and begin anew."""
        shutil.rmtree(self.root)
        self.restart()

    def names(self) -> list[str]:
        """What is offered."""
        return [file.filename for file in result(self.pinned.project(ACME)).files]

    def content(self, filename: str) -> bytes:
        """A file's bytes."""
        return read(result(self.pinned.file(ACME, filename)))


@pytest.fixture
def world(tmp_path: Path) -> PinnedUpstreamFixture:
    """One of its own for each test."""
    return PinnedUpstreamFixture(tmp_path)


def test_without_pins_nothing_is_added(world: PinnedUpstreamFixture) -> None:
    """Every answer is the source's own."""
    project = world.project()
    assert result(world.pinned.project(ACME)) is project is at_once(world.pinned.project(ACME))
    assert world.content(WHEEL) == DATA
    assert (
        result(world.pinned.projects()) is result(world.source.projects()) is at_once(world.pinned.projects())
    )


def test_while_the_upstream_has_it_nothing_changes(world: PinnedUpstreamFixture) -> None:
    """Its listing counts, and is the very object that it was."""
    assert world.pin(WHEEL) == (WHEEL,)
    assert result(world.pinned.project(ACME)) is world.project()
    assert at_once(world.pinned.project(ACME)) is world.project()
    assert world.content(WHEEL) == DATA
    assert world.content(f"{WHEEL}.metadata") == METADATA


def test_removed_upstream(world: PinnedUpstreamFixture) -> None:
    """It is offered all the same, with all that is known of it; other files are not."""
    assert world.pin(WHEEL, SDIST) == (WHEEL, SDIST)
    offered: Project = result(world.pinned.project(ACME))
    before = {file.filename: file for file in offered.files}
    world.upstream.put(Project(ACME))
    world.upstream.add("acme-3.0.zip", b"new")
    world.clock.advance(10_000)
    assert world.names() == [WHEEL, SDIST, "acme-3.0.zip"]
    project: Project = result(world.pinned.project(ACME))
    assert at_once(world.pinned.project(ACME)) is project
    assert result(world.pinned.project(ACME)) is project
    after = {file.filename: file for file in project.files}
    assert (after[WHEEL], after[SDIST].sha256) == (before[WHEEL], before[SDIST].sha256)
    world.lose_the_cache()
    assert (world.content(WHEEL), world.content(SDIST)) == (DATA, b"sdist")
    assert world.content(f"{WHEEL}.metadata") == METADATA
    assert isinstance(error(world.pinned.file(ACME, f"{SDIST}.metadata")), NotHere)


def test_the_project_is_gone_or_the_upstream(world: PinnedUpstreamFixture) -> None:
    """What is pinned is offered by itself; that it may be out of date is said where it may be."""
    world.pin(WHEEL)
    world.lose_the_cache()
    world.upstream.error = UpstreamFailed("pypi", "it is down")
    project: Project = result(world.pinned.project(ACME))
    assert ([file.filename for file in project.files], project.stale) == ([WHEEL], True)
    assert world.content(WHEEL) == DATA
    world.upstream.error = None
    del world.upstream.pages[ACME]
    world.clock.advance(10_000)
    project = result(world.pinned.project(ACME))
    assert ([file.filename for file in project.files], project.stale) == ([WHEEL], False)
    assert at_once(world.pinned.project(ACME)) is project
    assert world.content(WHEEL) == DATA


def test_quarantined_upstream(world: PinnedUpstreamFixture) -> None:
    """What is considered unsafe there is not offered here."""
    world.pin(WHEEL)
    world.upstream.put(Project(ACME, status=Status.QUARANTINED))
    world.clock.advance(10_000)
    assert world.names() == []
    assert isinstance(error(world.pinned.file(ACME, WHEEL)), NotAllowed)


def test_replaced_upstream(world: PinnedUpstreamFixture) -> None:
    """The listing counts, and so does the digest in it."""
    world.pin(WHEEL)
    other = wheel_bytes("acme", "1.0", "Summary: other")
    world.upstream.add(WHEEL, other)
    world.clock.advance(10_000)
    assert world.content(WHEEL) == other


def test_what_is_not_held_is_not_pinned(world: PinnedUpstreamFixture) -> None:
    """The bytes have to be there."""
    world.project()
    kept = world.cache.listing(URL, ACME)
    assert kept is not None
    assert world.pins.pin(URL, kept, kept.project.files, world.cache) == ()
    assert world.pins.names(URL) == frozenset()


def test_unpinned(world: PinnedUpstreamFixture) -> None:
    """One of two, then the other; a running server notices."""
    world.pin(WHEEL, SDIST)
    world.upstream.put(Project(ACME))
    world.clock.advance(10_000)
    assert world.names() == [WHEEL, SDIST]
    assert world.pins.unpin(URL, ACME, lambda file: file.version == "2.0") == (SDIST,)
    world.clock.advance(1)
    assert world.names() == [WHEEL]
    assert world.pins.unpin(URL, ACME, lambda _: True) == (WHEEL,)
    assert world.pins.unpin(URL, ACME, lambda _: True) == ()
    world.clock.advance(1)
    assert world.names() == []


def test_damaged_bytes_are_not_given(world: PinnedUpstreamFixture) -> None:
    """A pinned file is proven like a cached one; the upstream is asked then."""
    world.pin(SDIST)
    world.upstream.put(Project(ACME))
    (path,) = (path for path in (world.state / "pinned").rglob("files/*/*") if path.read_bytes() == b"sdist")
    path.write_bytes(b"wrong")
    world.lose_the_cache()
    assert isinstance(error(world.pinned.file(ACME, SDIST)), NotHere)


def test_what_is_removed_is_kept_where_that_is_wanted(tmp_path: Path) -> None:
    """As far as it is held, and it is said; also when all of the project is gone."""
    world = PinnedUpstreamFixture(tmp_path, keep_removed=True)
    assert world.content(WHEEL) == DATA
    world.upstream.put(Project(ACME))
    world.upstream.add("acme-3.0.zip", b"new")
    world.clock.advance(10_000)
    # Told of by the next question after the one that found it out.
    world.names()
    world.clock.advance(1)
    assert world.names() == [WHEEL, "acme-3.0.zip"]
    assert world.lines == [f"{WHEEL} is gone from {URL}; it is pinned now, and still offered."]
    assert world.content("acme-3.0.zip") == b"new"
    del world.upstream.pages[ACME]
    world.clock.advance(10_000)
    world.names()
    world.clock.advance(1)
    assert world.names() == [WHEEL, "acme-3.0.zip"]


def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    """And the rest goes on."""
    world = PinnedUpstreamFixture(tmp_path, keep_removed=True)
    assert world.content(WHEEL) == DATA
    world.state.write_text("no directory")
    world.upstream.put(Project(ACME))
    world.clock.advance(10_000)
    assert world.names() == []
    assert world.lines == [
        f"Files that are gone from {URL} cannot be pinned in {str(world.state / 'pinned')!r} (File exists): move away what lies there."
    ]


OTHER_URL = "https://user@pypi.example.org/simple/"


def test_pins_of_a_url_go_to_the_upstream_with_credentials(world: PinnedUpstreamFixture) -> None:
    """Also beside what is pinned there already; a second time changes nothing."""
    world.pin(WHEEL)
    world.pins.adopt(URL, OTHER_URL)
    assert world.pins.names(URL) == frozenset()
    world.pin(SDIST)
    world.pins.adopt(URL, OTHER_URL)
    world.pins.adopt(URL, OTHER_URL)
    project = world.pins.offered(OTHER_URL, ACME)
    assert project is not None
    assert [file.filename for file in project.files] == [WHEEL, SDIST]
    assert world.pins.offered(URL, ACME) is None


def test_metadata_are_read_out_of_a_pinned_wheel_whose_copy_of_them_is_damaged(
    world: PinnedUpstreamFixture,
) -> None:
    """They are proven like every file; an sdist has none, and neither has a project without pins."""
    world.pin(WHEEL, SDIST)
    for path in (world.state / "pinned").rglob("files/*/*"):
        if path.read_bytes() == METADATA:
            path.write_bytes(b"wrong")
    assert world.pins.read_metadata(URL, ACME, WHEEL) == METADATA
    assert world.pins.read_metadata(URL, ACME, SDIST) is None
    assert world.pins.read_metadata(URL, ProjectName("other"), WHEEL) is None


def test_a_pinned_file_that_was_damaged_is_pinned_anew(world: PinnedUpstreamFixture) -> None:
    """Its bytes come from the cache again."""
    world.pin(SDIST)
    (path,) = (path for path in (world.state / "pinned").rglob("files/*/*") if path.read_bytes() == b"sdist")
    path.write_bytes(b"wrong")
    assert world.pin(SDIST) == (SDIST,)
    assert path.read_bytes() == b"sdist"


def test_a_pin_that_cannot_be_written_is_an_error(
    world: PinnedUpstreamFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is called pinned that would not be there after a restart."""
    assert world.content(SDIST) == b"sdist"
    listing = world.cache.listing(URL, ACME)
    assert listing is not None
    monkeypatch.setattr(UpstreamCache, "store_listing", lambda *_: None)
    with pytest.raises(OSError, match="it cannot be written"):
        world.pins.pin(URL, listing, listing.project.files, world.cache)


def test_without_the_record_of_pins_the_upstream_counts(world: PinnedUpstreamFixture) -> None:
    """A record that is damaged offers nothing."""
    world.pin(WHEEL)
    for path in (world.state / "pinned").rglob("listings/*/*"):
        path.write_bytes(b"damaged")
    world.clock.advance(1)
    assert result(world.pinned.project(ACME)) is world.project()
    world.upstream.put(Project(ACME))
    world.clock.advance(10_000)
    assert world.names() == []
