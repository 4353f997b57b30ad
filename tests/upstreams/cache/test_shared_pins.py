"""Pins of several nodes: what one has pinned is kept by all, also when the upstream does not have it any more."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("psycopg")

from simpleindex.core.errors import Unavailable
from simpleindex.core.model import Project
from simpleindex.records.opening import open_postgresql
from simpleindex.records.pins import PinTable
from simpleindex.service.shared_pins import RETRY_SECONDS, PinSharing
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.modes import Mode
from tests.fixtures.deferreds import result
from tests.upstreams.test_pinned import ACME, DATA, SDIST, URL, WHEEL, PinnedUpstreamFixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.records.interface import Records
    from tests.fixtures.postgresql import PostgreSQL


class Node(PinnedUpstreamFixture):
    """A node with its cache and pins, that follows those of others."""

    def __init__(self, root: Path, url: str) -> None:
        super().__init__(root)
        self.records: Records = open_postgresql(url)
        self.table = PinTable(self.records)
        self.sharing = self.share()

    def share(self) -> PinSharing:
        """What follows the pins of others, as after a start."""
        settings = SimpleNamespace(identity=URL, flat=False, mode=Mode.CACHE, name="pypi")
        upstream: Any = SimpleNamespace(settings=settings, member=SimpleNamespace(source=self.pinned))
        seconds = self.clock.seconds
        return PinSharing(self.table, Pins(str(self.state)), self.cache, [upstream], self.threads, seconds)

    def pin_for_all(self, filename: str) -> None:
        """Pin a file as the command does."""
        assert self.content(filename)
        listing = self.cache.listing(URL, ACME)
        assert listing is not None
        files = [file for file in listing.project.files if file.filename == filename]
        assert Pins(str(self.state), self.table).pin(URL, listing, files, self.cache) == (filename,)

    def follow(self) -> None:
        """Let some time pass."""
        for _ in range(2):
            with suppress(Unavailable):
                self.table.of(URL)  # as the thread does that follows the records
            result(self.sharing.follow())
            self.clock.advance(10)

    def pinned_files(self) -> set[str]:
        """The names of what is pinned here."""
        return {*self.pins.digests(URL, ACME)}


@pytest.fixture
def nodes(tmp_path: Path, postgresql: PostgreSQL) -> Iterator[tuple[Node, Node]]:
    """Two of one database."""
    url = postgresql.create_database()
    one, two = Node(tmp_path / "one", url), Node(tmp_path / "two", url)
    one.records.prepare()
    yield one, two
    for node in (one, two):
        node.records.close()


def test_what_one_pins_all_keep(nodes: tuple[Node, Node]) -> None:
    """It is fetched where it is not cached, and stays on offer when the upstream has lost it."""
    one, two = nodes
    one.pin_for_all(WHEEL)
    two.follow()
    assert two.pinned_files() == {WHEEL}
    two.upstream.put(Project(ACME))
    two.clock.advance(10_000)
    two.lose_the_cache()
    assert two.names() == [WHEEL]
    assert two.content(WHEEL) == DATA
    two.follow()
    one.follow()
    assert one.pinned_files() == {WHEEL}


def test_what_one_unpins_none_keeps(nodes: tuple[Node, Node]) -> None:
    """And what is pinned again afterwards, all pin again."""
    one, two = nodes
    one.pin_for_all(WHEEL)
    one.pin_for_all(SDIST)
    two.follow()
    assert two.pinned_files() == {WHEEL, SDIST}
    assert Pins(str(two.state), two.table).unpin(URL, ACME, lambda file: file.filename == SDIST) == (SDIST,)
    one.follow()
    assert one.pinned_files() == {WHEEL}
    two.pin_for_all(SDIST)
    one.follow()
    assert one.pinned_files() == {WHEEL, SDIST}


def test_pins_of_before(nodes: tuple[Node, Node]) -> None:
    """Of a server that had no database: they are shared, and none is lost."""
    one, two = nodes
    assert one.pin(WHEEL) == (WHEEL,)
    one.follow()
    two.follow()
    assert one.pinned_files() == two.pinned_files() == {WHEEL}


def test_a_file_that_cannot_be_had(nodes: tuple[Node, Node]) -> None:
    """The log says so once; it is tried again later, and not all the time."""
    one, two = nodes
    one.pin_for_all(WHEEL)
    two.upstream.put(Project(ACME))
    for _ in range(3):
        two.follow()
    assert (
        len([line for line in two.lines if "pinned on another node, and is not available here" in line]) == 1
    )
    two.upstream.add(WHEEL, DATA)
    two.follow()
    assert two.pinned_files() == set()
    two.clock.advance(RETRY_SECONDS)
    two.follow()
    assert two.pinned_files() == {WHEEL}


def test_other_bytes_of_that_name(nodes: tuple[Node, Node]) -> None:
    """As of an upstream that replaced the file: they are not what was pinned."""
    one, two = nodes
    one.pin_for_all(WHEEL)
    two.upstream.add(WHEEL, DATA + b"other")
    two.follow()
    assert two.pinned_files() == set()


def test_the_database_is_away(tmp_path: Path) -> None:
    """A pin is kept here; nothing is unpinned, for others would bring it back."""
    node = Node(tmp_path, "postgresql://127.0.0.1:1/none")
    node.pin_for_all(WHEEL)
    node.follow()
    assert node.pinned_files() == {WHEEL}
    with pytest.raises(Unavailable):
        Pins(str(node.state), node.table).unpin(URL, ACME, lambda _: True)
    assert node.pinned_files() == {WHEEL}
