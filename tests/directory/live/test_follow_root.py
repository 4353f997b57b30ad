"""Snapshots that take each other's place as the root."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import Unavailable
from simpleindex.directory.watch.inotify import InotifyWatch
from tests.fixtures.deferreds import error
from tests.fixtures.distributions import add_wheel, wheel_name
from tests.fixtures.inotify import ManualReaders
from tests.fixtures.live_directory import ACME, LiveDirectoryFixture

if TYPE_CHECKING:
    from pathlib import Path


class Snapshots:
    """A root with three projects, by itself or behind a link, and the next one beside it."""

    def __init__(self, base: Path, *, polling: bool, linked: bool) -> None:
        self.base, self.linked = base, linked
        self.root, self.next = base / "root", base / "next"
        first = base / "first" if linked else self.root
        for project in ("acme", "other", "third"):
            add_wheel(first, project)
            add_wheel(self.next, project)
        add_wheel(self.next, "acme", "2.0")
        if linked:
            self.root.symlink_to("first")
        self.world = LiveDirectoryFixture(self.root)
        self.watch = InotifyWatch(ManualReaders(), str(self.root), self.world.live)
        if not polling:
            self.watch.start()
            self.world.watch = self.watch
        self.world.begin()
        self.world.live.polling = polling
        self.world.live.follows_root = True

    def swap(self) -> None:
        """Put the next one in place of the root, and sweep."""
        if self.linked:
            (self.base / "link").symlink_to("next")
            (self.base / "link").rename(self.root)
        else:
            self.root.rename(self.base / "aside")
            self.next.rename(self.root)
        self.world.sweep(1)
        self.world.sweep(2)


@pytest.mark.parametrize("linked", [False, True], ids=["renamed", "linked"])
@pytest.mark.parametrize("polling", [False, True], ids=["events", "polling"])
def test_a_successor_is_served(tmp_path: Path, polling: bool, linked: bool) -> None:
    """Its files at once, and what changes in it afterwards."""
    snapshots = Snapshots(tmp_path, polling=polling, linked=linked)
    shutil.rmtree(snapshots.next / "third")
    snapshots.swap()
    world = snapshots.world
    assert world.live.suspended is None
    assert world.files() == [wheel_name(), wheel_name("acme", "2.0")]
    assert world.names() == ["acme", "other"]
    add_wheel(snapshots.root, "acme", "3.0")
    world.sweep(3)
    assert wheel_name("acme", "3.0") in world.files()
    snapshots.watch.stop()


@pytest.mark.parametrize("case", ["few of the same", "empty", "off", "another file system"])
def test_what_is_no_successor(tmp_path: Path, case: str) -> None:
    """It needs an operator's word."""
    snapshots = Snapshots(tmp_path, polling=False, linked=False)
    live = snapshots.world.live
    for project in {"few of the same": ("acme", "other"), "empty": ("acme", "other", "third")}.get(case, ()):
        shutil.rmtree(snapshots.next / project)
    live.follows_root = case != "off"
    if case == "another file system":
        assert live._guard.identity is not None
        live._guard.identity = (live._guard.identity[0] + 1, live._guard.identity[1])
    snapshots.swap()
    assert isinstance(error(snapshots.world.ask(ACME)), Unavailable)
    assert live.suspended is not None
    snapshots.watch.stop()


def test_an_accepted_root_is_polled_for_changes_as_before(tmp_path: Path) -> None:
    """SIGHUP takes another root, and nothing but sweeps can find changes in it."""
    snapshots = Snapshots(tmp_path, polling=True, linked=False)
    world = snapshots.world
    world.live.follows_root = False
    snapshots.swap()
    assert isinstance(error(world.ask(ACME)), Unavailable)
    world.live.accept()
    assert world.live.polling
    add_wheel(snapshots.root, "acme", "3.0")
    assert wheel_name("acme", "3.0") in world.files()
