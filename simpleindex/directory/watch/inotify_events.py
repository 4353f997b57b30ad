"""Events of inotify(7) as bytes, and the changes that a batch of them reports; nothing here needs a descriptor.

The flags are spelled out here so that the module can be imported where there is no inotify.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_UNMOUNT = 0x2000
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x1000000
IN_ISDIR = 0x40000000

# A name of a directory's own now means another file, or none.
_RENAMED = IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE
# An entry of the root that was not there before.
_APPEARED = IN_CREATE | IN_MOVED_TO
# Something had the name that goes with the event.
_NAMED = _RENAMED | IN_CLOSE_WRITE
# The watched directory no longer is where it was.
_SELF_GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED
# No IN_MODIFY: it comes with every write of a copy that is not finished. No IN_EXCL_UNLINK: a file linked to its final name whose
# first name is removed while it is still open would never report its end.
MASK = _RENAMED | IN_ATTRIB | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR

# inotify(7): wd, mask, cookie, and the length of the name that follows with its padding.
_EVENT = struct.Struct("iIII")
_DOT = ord(".")
LARGEST_EVENT_BYTES = 16 + 256  # inotify(7): the header, and NAME_MAX with its terminating zero


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes that one batch of events reports.

    Attributes:
        root: Whether entries of the root changed.
        root_gone: Whether the root no longer is where it was.
        overflow: Whether events were lost; then all else is empty.
        directories: Raw names of first-level directories in which something changed.
        entries: Whether it is a directory, by the raw name of what was made or moved into the root.
        files: Names that something had in a first-level directory, by the directory's raw name.
        ended: Watches that must be removed: their directory lost its name.
    """

    root: bool = False
    root_gone: bool = False
    overflow: bool = False
    directories: frozenset[str] = frozenset()
    entries: Mapping[str, bool] = field(default_factory=dict)
    files: Mapping[str, set[bytes]] = field(default_factory=dict)
    ended: tuple[int, ...] = ()


@dataclass(slots=True)
class _Batch:
    """The changes that the events so far report; as in :class:`Changes`, and the names that each watch has named since it was added."""

    root: bool = False
    root_gone: bool = False
    directories: set[str] = field(default_factory=set)
    entries: dict[str, bool] = field(default_factory=dict)
    files: dict[str, set[bytes]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    named: dict[int, set[bytes]] = field(default_factory=dict)

    def changes(self) -> Changes:
        directories = frozenset(self.directories)
        return Changes(
            self.root, self.root_gone, False, directories, self.entries, self.files, tuple(self.ended)
        )


class WatchedNames:
    """Which first-level directories are watched, by the numbers of their watches.

    Attributes:
        root_wd: That number.
        wds: The number of each watched directory, by its raw name.
        ended: The names of which a watch has ended.
    """

    def __init__(self, root_wd: int) -> None:
        self.root_wd = root_wd
        self.wds: dict[str, int] = {}
        self.ended: set[str] = set()
        self._first_names: dict[int, str] = {}
        # Links make several names of one directory, and a directory has one watch.
        self._further_names: dict[int, tuple[str, ...]] = {}

    def add(self, name: str, wd: int) -> bool:
        """Take note of a directory's watch; return whether it is none of the root itself."""
        # A link to the root itself is no project, and forgetting it must not end the root's watch.
        if wd == self.root_wd:
            return False
        self.wds[name] = wd
        if self._first_names.setdefault(wd, name) is not name:
            self._further_names[wd] = (*self._further_names.get(wd, ()), name)
        return True

    def _names(self, wd: int) -> tuple[str, ...]:
        first = self._first_names.get(wd)
        return () if first is None else (first, *self._further_names.get(wd, ()))

    def sum_up(self, data: bytes) -> Changes:
        """Sum up events, and forget the names that mean another directory now, or none."""
        batch = _Batch()
        end = 0
        # Not by inotify_simple's parse_events, which takes as long as all the rest when thousands of files arrive: the names
        # of what lies in a project's directory are not decoded here.
        while end < len(data):
            wd, mask, _, length = _EVENT.unpack_from(data, end)
            begin, end = end + _EVENT.size, end + _EVENT.size + length
            if mask & IN_Q_OVERFLOW:
                return Changes(overflow=True)
            # Temporary names make noise, but what is written under one may have a second name by the time it is complete.
            is_noise = bool(length) and data[begin] == _DOT and not mask & IN_CLOSE_WRITE
            if wd == self.root_wd:
                self._sum_up_root(os.fsdecode(data[begin:end].rstrip(b"\0")), mask, batch, is_noise=is_noise)
                continue
            if mask & _NAMED:
                batch.named.setdefault(wd, set()).add(data[begin:end])
            if is_noise:
                continue
            batch.directories.update(self._names(wd))
            if mask & _SELF_GONE:
                self._name_files(wd, batch)
                batch.root = bool(self._drop(wd, batch.ended)) or batch.root
        for wd in tuple(batch.named):
            self._name_files(wd, batch)
        return batch.changes()

    def _sum_up_root(self, name: str, mask: int, batch: _Batch, *, is_noise: bool) -> None:
        """Add an event of the root: of an entry, or of itself where there is no name."""
        if name and mask & _APPEARED:
            batch.entries[name] = bool(mask & IN_ISDIR)
        if is_noise:
            return
        if name and mask & _RENAMED:
            batch.root = True
            wd = self.wds.get(name, -1)
            self._name_files(wd, batch)
            batch.directories.update(self._drop(wd, batch.ended))
            if mask & IN_ISDIR:
                batch.directories.add(name)
        elif name and mask & IN_ISDIR:
            batch.directories.add(name)
        else:
            batch.root = True
            batch.root_gone = batch.root_gone or bool(mask & _SELF_GONE)

    def _name_files(self, wd: int, batch: _Batch) -> None:
        """Add the files that a watch has named so far to those of each name that its directory has now."""
        padded_names = batch.named.pop(wd, ())
        for directory in self._names(wd):
            files = batch.files.setdefault(directory, set())
            files.update(name.rstrip(b"\0") for name in padded_names)

    def _drop(self, wd: int, ended: list[int]) -> tuple[str, ...]:
        """Forget a watch, since it would follow its directory to another name; return the names it had here."""
        names = self._names(wd)
        self._first_names.pop(wd, None)
        self._further_names.pop(wd, None)
        for name in names:
            del self.wds[name]
        if names:
            ended.append(wd)
            self.ended.update(names)
        return names
