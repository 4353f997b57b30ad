"""A find-links page as a source: one request for all its projects, whose files are had like any other's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred

from simpleindex.core.errors import NotHere
from simpleindex.core.files import file_order
from simpleindex.core.model import Project
from simpleindex.core.names import ProjectName
from simpleindex.core.source import Elsewhere
from simpleindex.upstreams import flat_source as flat
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.upstreams.flat_source import FlatPageUpstream
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME
from simpleindex.upstreams.redirecting import RedirectingSource
from tests.fixtures.cached_upstream import CachedUpstreamFixture, read
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import sdist_name, wheel_bytes, wheel_name
from tests.fixtures.memory_upstream import HOST
from tests.fixtures.stepping import at_once
from tests.fixtures.threads import PausedThreads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACME, OTHER, ABSENT = map(ProjectName, ("acme", "other", "absent"))
DATA = wheel_bytes("acme", "1.0", "Requires-Python: >=3.9")


class FlatUpstreamFixture(CachedUpstreamFixture):
    """An upstream that is a page with a wheel of acme and an sdist of other, as bare as directory listings are."""

    def restart(self) -> None:
        """Begin anew with what is in the cache directory."""
        super().restart()
        self.flat = FlatPageUpstream(self.source, self.threads)

    def add(self, filename: str, data: bytes) -> None:
        """Put a file on the page."""
        file = self.upstream.add(filename, data, bare=True)
        kept = self.upstream.pages.get(FLAT_PAGE_NAME)
        files = [] if kept is None else [each for each in kept.project.files if each.filename != filename]
        self.upstream.put(Project(FLAT_PAGE_NAME, tuple(sorted([*files, file], key=file_order))))

    def of(self, name: ProjectName) -> Project:
        """A project, which must be known without waiting."""
        project: Project = result(self.flat.project(name))
        return project

    def bytes_of(self, name: ProjectName, filename: str) -> bytes:
        """All of a file."""
        return read(result(self.flat.file(name, filename)))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[FlatUpstreamFixture]:
    """Nothing is ever failed unexpectedly."""
    world = FlatUpstreamFixture(tmp_path / "cache")
    world.add(wheel_name(), DATA)
    world.add(sdist_name("other", "2.0"), b"sdist")
    yield world
    assert world.failures == []


def test_one_request_for_all(world: FlatUpstreamFixture) -> None:
    """Also for what is not on it; at once while it is fresh, and by what it is known by afterwards."""
    listed = result(world.flat.projects())
    assert listed.names == (ACME, OTHER)
    acme = world.of(ACME)
    assert [file.filename for file in acme.files] == [wheel_name()]
    assert isinstance(error(world.flat.project(ABSENT)), NotHere)
    with pytest.raises(NotHere):
        at_once(world.flat.project(ABSENT))
    assert at_once(world.flat.project(ACME)) is acme
    assert at_once(world.flat.projects()) is listed
    assert world.listings_asked() == 1
    world.clock.advance(601)
    assert world.of(ACME) is acme
    assert world.listings_asked() == 2
    assert world.upstream.asked[-1][2] == world.upstream.pages[FLAT_PAGE_NAME].validators


def test_what_changes(world: FlatUpstreamFixture) -> None:
    """One project's file makes no other project anew."""
    acme, other, listed = world.of(ACME), world.of(OTHER), result(world.flat.projects())
    world.add(sdist_name("other", "3.0"), b"more")
    world.clock.advance(601)
    assert len(world.of(OTHER).files) == 2
    assert world.of(OTHER) is not other
    assert world.of(ACME) is acme
    assert result(world.flat.projects()) is listed
    world.add(wheel_name("zoo"), b"zoo")
    world.clock.advance(601)
    assert result(world.flat.projects()).names == (ACME, OTHER, "zoo")


def test_files(world: FlatUpstreamFixture) -> None:
    """They come through the cache, which learns of them; each only in its own project."""
    assert world.bytes_of(ACME, wheel_name()) == DATA
    (file,) = world.of(ACME).files
    assert (file.size, file.requires_python) == (len(DATA), ">=3.9")
    assert file.metadata is not None
    assert b"Requires-Python" in world.bytes_of(ACME, f"{wheel_name()}.metadata")
    assert world.bytes_of(ACME, wheel_name()) == DATA
    assert world.upstream.opens() == [0]
    for name, filename in ((OTHER, wheel_name()), (ABSENT, wheel_name()), (ACME, "acme-9.0.zip")):
        assert isinstance(error(world.flat.file(name, filename)), NotHere)
        assert isinstance(error(world.flat.location(name, filename)), NotHere)


def test_redirected(world: FlatUpstreamFixture) -> None:
    """With the other wrapper outside."""
    redirecting = RedirectingSource(world.flat)
    assert result(redirecting.file(ACME, wheel_name())) == Elsewhere(f"{HOST}acme/{wheel_name()}")


def test_while_it_is_away(world: FlatUpstreamFixture) -> None:
    """The page is kept whole: also a project that nobody asked for is known, and that another one is not there."""
    world.of(ACME)
    world.restart()
    world.clock.advance(601)
    world.upstream.error = UpstreamFailed("pypi", "it is away.")
    assert world.of(OTHER).stale
    assert isinstance(error(world.flat.project(ABSENT)), NotHere)
    listed = result(world.flat.projects())
    assert (listed.names, listed.stale) == ((ACME, OTHER), True)
    world.upstream.error = None
    world.clock.advance(11)
    assert not world.of(OTHER).stale
    assert not result(world.flat.projects()).stale


def test_it_was_never_there(world: FlatUpstreamFixture) -> None:
    """Then nobody knows of any name."""
    world.upstream.error = UpstreamFailed("pypi", "it is away.")
    for asking in (world.flat.project(ABSENT), world.flat.projects(), world.flat.file(ACME, wheel_name())):
        assert isinstance(error(asking), UpstreamFailed)


def test_an_empty_page(world: FlatUpstreamFixture) -> None:
    """Is an index without projects."""
    world.upstream.put(Project(FLAT_PAGE_NAME))
    assert result(world.flat.projects()).names == ()
    assert isinstance(error(world.flat.project(ACME)), NotHere)


def test_a_large_page_is_taken_apart_in_a_thread(
    world: FlatUpstreamFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of two that were under way at once, each asker gets the answer to its own question."""
    monkeypatch.setattr(flat, "_WORTH_A_THREAD", 1)
    page = world.upstream.pages[FLAT_PAGE_NAME].project
    answers: list[Any] = []

    class Pages:
        """Answers with one page after the other."""

        async def project(self, name: ProjectName) -> Project:
            assert name == FLAT_PAGE_NAME
            answer: Project = answers.pop(0)
            return answer

    later = replace(page, files=page.files[:1])
    answers += [page, later]
    several: Any = Pages()
    threads = PausedThreads()
    threads.held = True
    source = FlatPageUpstream(several, threads)
    waiting = [Deferred.fromCoroutine(source.project(ACME)) for _ in range(2)]
    assert threads.names() == ["split"]
    threads.release()
    assert [len(result(asked).files) for asked in waiting] == [1, 1]
