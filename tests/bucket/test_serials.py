"""Serials that nodes share: the same for the same listing, larger after each change, and never one that hides a smaller one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred

from simpleindex.bucket.serials import BucketSerials
from simpleindex.core.names import ProjectName
from simpleindex.directory.scan.snapshot import ProjectSnapshot
from tests.fixtures.bucket import ACME
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import wheel_bytes, wheel_name
from tests.fixtures.threads import PausedThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fixtures.bucket import BucketNode

OTHER = ProjectName("other")


class MemorySerials:
    """What PostgreSQL keeps of them.

    Attributes:
        is_away: Whether every call fails.
    """

    def __init__(self) -> None:
        self.is_away = False
        self._rows: dict[str, tuple[int, int]] = {}
        self._last = 100

    def note(self, listings: Mapping[ProjectName, int], after: int) -> list[tuple[str, int, int]]:
        """Note listings, as :meth:`ProjectSerialTable.note` does."""
        if self.is_away:
            raise OSError(113, "the server cannot be reached")
        self._last += 1
        for name, listing in listings.items():
            if self._rows.get(name, (None,))[0] != listing:
                self._rows[name] = listing, self._last
        return [(name, *row) for name, row in self._rows.items() if row[1] > after]


@pytest.fixture
def shared() -> MemorySerials:
    """What the nodes share."""
    return MemorySerials()


@pytest.fixture
def nodes(new_node: Callable[..., BucketNode], shared: MemorySerials) -> tuple[BucketNode, BucketNode]:
    """Two nodes of a bucket with two projects."""
    one, two = (new_node(name, serials=shared) for name in ("one", "two"))
    put(one, "acme", "1.0")
    put(one, "other", "1.0")
    return one.begin(), two.begin()


def put(node: BucketNode, name: str, version: str) -> None:
    """Put a wheel, as another program does."""
    node.put(f"{name}/{wheel_name(name, version)}", wheel_bytes(name, version))


def serials(node: BucketNode) -> tuple[int, int]:
    """The serials of both projects by the list of projects."""
    listed = result(node.source.projects())
    assert listed.serials is not None
    return listed.serials[ACME], listed.serials[OTHER]


def test_the_same_listing_has_the_same_serial(nodes: tuple[BucketNode, BucketNode]) -> None:
    one, two = nodes
    first = serials(one)
    assert first == serials(two)
    put(one, "acme", "2.0")
    one.list_again()
    second = serials(one)
    assert second[0] > max(first)
    assert second[1] == first[1]
    two.list_again()
    assert serials(two) == second
    assert one.live.serial_of(ACME) == two.live.serial_of(ACME) == second[0]


def test_a_listing_that_returns_has_another_serial(nodes: tuple[BucketNode, BucketNode]) -> None:
    """A mirror that took the one between would keep it otherwise."""
    one, two = nodes
    put(one, "acme", "2.0")
    one.list_again()
    between = serials(one)
    one.store.delete(f"acme/{wheel_name('acme', '2.0')}")
    one.list_again()
    assert serials(one)[0] > between[0]
    two.list_again()
    assert serials(two) == serials(one)


def test_a_node_that_is_behind(nodes: tuple[BucketNode, BucketNode]) -> None:
    """It shows no serial that came later than one it does not know of: a mirror would never look at that project again."""
    one, two = nodes
    before = serials(two)
    put(one, "acme", "2.0")
    one.list_again()
    put(one, "other", "2.0")
    result(two.live.changed(OTHER))
    assert wheel_name("other", "2.0") in two.files("other")
    assert serials(two) == before
    two.list_again()
    assert serials(two)[1] > serials(two)[0] > max(before)


def test_a_fresh_node(
    nodes: tuple[BucketNode, BucketNode], new_node: Callable[..., BucketNode], shared: MemorySerials
) -> None:
    """It has the serials of the others, and notes what changed while no node ran, also projects that are gone."""
    one, _ = nodes
    before = serials(one)
    put(one, "acme", "2.0")
    one.store.delete(f"other/{wheel_name('other', '1.0')}")
    fresh = new_node("fresh", serials=shared).begin()
    assert fresh.names() == ["acme"]
    assert serials(fresh)[0] > max(before)
    put(one, "other", "1.0")
    fresh.list_again()
    assert serials(fresh)[1] > serials(fresh)[0]
    assert serials(new_node("another", serials=shared).begin()) == serials(fresh)


def test_a_database_that_is_away(new_node: Callable[..., BucketNode], shared: MemorySerials) -> None:
    """There are no serials before it was there once; later changes are noted when it is back."""
    node = new_node("node", serials=shared)
    put(node, "acme", "1.0")
    put(node, "other", "1.0")
    shared.is_away = True
    node.begin()
    assert result(node.source.projects()).serials is None
    assert node.live.serial_of(ACME) is None
    shared.is_away = False
    node.list_again()
    before = serials(node)
    shared.is_away = True
    put(node, "acme", "2.0")
    node.list_again()
    assert wheel_name("acme", "2.0") in node.files()
    assert serials(node) == before
    shared.is_away = False
    node.list_again()
    assert serials(node)[0] > max(before)


def test_answers_come_one_after_the_other(
    nodes: tuple[BucketNode, BucketNode], shared: MemorySerials
) -> None:
    """Also while projects change: an older answer that came last would hide the newer serial of a project for ever."""
    one, _ = nodes
    threads = PausedThreads()
    node = BucketSerials(shared, lambda: one.live.snapshots, threads, lambda: None)
    result(node.catch_up())
    threads.held = True
    node.note(ACME)
    listing = Deferred.fromCoroutine(node.catch_up())
    node.note(OTHER)
    assert len(threads.calls) == 1
    put(one, "acme", "2.0")
    one.list_again()
    assert threads.deliver_all() == 2
    result(listing)
    assert node.of(ACME) == serials(one)[0]


def test_a_project_that_cannot_be_read(nodes: tuple[BucketNode, BucketNode], shared: MemorySerials) -> None:
    """It holds up no serial of others: a mirror that requests it gets an error, and comes again."""
    one, _ = nodes
    node = BucketSerials(shared, lambda: one.live.snapshots, one.threads, lambda: None)
    one.live.snapshots[ACME] = ProjectSnapshot(trouble="It could not be read.")
    result(node.catch_up())
    put(one, "other", "2.0")
    result(one.live.changed(OTHER))
    result(node.catch_up())
    shown = node.now()
    assert shown is not None
    assert (shown[ACME], shown[OTHER]) == serials(one)
    assert shown[OTHER] > shown[ACME]
