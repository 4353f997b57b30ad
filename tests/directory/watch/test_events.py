"""What a batch of inotify's events comes to, without a descriptor."""

from __future__ import annotations

import struct

from simpleindex.directory.watch import inotify_events as events
from simpleindex.directory.watch.inotify_events import WatchedNames

ROOT, ACME = 1, 2


def _event(wd: int, mask: int, name: bytes = b"") -> bytes:
    padded = name + b"\0" * (16 - len(name)) if name else b""
    return struct.pack("iIII", wd, mask, 0, len(padded)) + padded


def _watched() -> WatchedNames:
    watched = WatchedNames(ROOT)
    assert watched.add("acme", ACME)
    return watched


def test_a_written_file_is_a_change_of_its_directory() -> None:
    """The root is as it was."""
    changes = _watched().sum_up(_event(ACME, events.IN_CLOSE_WRITE, b"a.whl"))
    assert (changes.root, changes.directories) == (False, frozenset({"acme"}))
    assert changes.files == {"acme": {b"a.whl"}}
    assert changes.ended == ()


def test_a_renamed_directory_loses_its_watch_once() -> None:
    """A watch would follow the directory to its new name."""
    watched = _watched()
    gone = _event(ROOT, events.IN_MOVED_FROM | events.IN_ISDIR, b"acme")
    changes = watched.sum_up(gone + _event(ACME, events.IN_MOVE_SELF))
    assert (changes.root, changes.directories, changes.ended) == (True, frozenset({"acme"}), (ACME,))
    assert watched.wds == {}


def test_an_overflow_hides_all_else() -> None:
    """Lost events may have been of any directory."""
    changes = _watched().sum_up(
        _event(ACME, events.IN_CLOSE_WRITE, b"a.whl") + _event(-1, events.IN_Q_OVERFLOW)
    )
    assert changes.overflow
    assert changes.directories == frozenset()


def test_a_link_to_the_root_is_not_watched_as_a_project() -> None:
    """To forget it would end the watch of the root."""
    watched = WatchedNames(ROOT)
    assert not watched.add("link", ROOT)
    assert watched.wds == {}
