"""List what is in a part of a backup, as it lies on the disk of the server. Blocking."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from simpleindex.backup.file_copies import SQLITE_SUFFIXES
from simpleindex.backup.manifest import BackupItem, BackupPart, ItemKind, ItemOwner
from simpleindex.backup.places import CERTIFICATES, STATE, is_of_packages
from simpleindex.core.text import printable
from simpleindex.hooks.positions import POSITIONS_FILENAME
from simpleindex.publishing.local.staging import STAGING
from simpleindex.records.state_lock import STATE_LOCK

if TYPE_CHECKING:
    from collections.abc import Collection

RESTORING: Final = ".simpleindex-restoring"
"""Where a restore collects what it puts into a directory."""

REPLACED: Final = ".simpleindex-replaced-"
"""How a directory begins into which a restore moved what was there."""


class PartListing:
    """What is in a part.

    Args:
        part: The part.
        apart: Paths of other parts, and of what belongs to no backup.

    Attributes:
        items: Its files, directories and links in order; a directory comes before what is in it.
        notes: Sentences about what is left out.
    """

    def __init__(self, part: BackupPart, apart: Collection[str]) -> None:
        self.items: list[BackupItem] = []
        self.notes: list[str] = []
        self._part = part
        self._apart = {identity for path in apart if (identity := _identity(path)) is not None}
        # Links of certificates lead to another directory, as certbot makes them.
        self._follows = part.name == CERTIFICATES
        status = os.stat(part.path)
        if part.is_file:
            self.items.append(item_of(part.name, os.path.basename(part.path), status))
        else:
            self._apart.discard((status.st_dev, status.st_ino))
            self.items.append(item_of(part.name, "", status))
            self._list(part.path, "")

    def _list(self, directory: str, inner: str) -> None:
        try:
            with os.scandir(directory) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        for entry in ordered:
            if self._is_left_out(entry.name, inner):
                continue
            try:
                self._take(entry, f"{inner}/{entry.name}" if inner else entry.name)
            except FileNotFoundError:
                continue

    def _take(self, entry: os.DirEntry[str], path: str) -> None:
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode) and self._is_followed(entry, path):
            status = entry.stat()
        if (status.st_dev, status.st_ino) in self._apart:
            return
        if stat.S_ISDIR(status.st_mode):
            self.items.append(item_of(self._part.name, path, status))
            self._list(entry.path, path)
        elif stat.S_ISLNK(status.st_mode):
            self.items.append(item_of(self._part.name, path, status, os.readlink(entry.path)))
        elif stat.S_ISREG(status.st_mode):
            self.items.append(item_of(self._part.name, path, status))
        else:
            self.notes.append(
                f"{printable(entry.path)} is left out, because it is no file, directory or link."
            )

    def _is_followed(self, entry: os.DirEntry[str], path: str) -> bool:
        """Tell whether what a link leads to is taken: of certificates every file, and directories elsewhere, as deep as they are served."""
        if not self._follows or entry.is_file():
            return self._follows
        top, target = os.path.realpath(self._part.path), os.path.realpath(entry.path)
        # Neither what is here anyway nor what this is in, such as all of the disk.
        return "/" not in path and entry.is_dir() and os.path.commonpath([top, target]) not in (top, target)

    def _is_left_out(self, name: str, inner: str) -> bool:
        if name == RESTORING or name.startswith(REPLACED):
            return True
        if is_of_packages(self._part.name):
            # Uploads that are not complete.
            return not inner and name == STAGING
        return self._part.name == STATE and (
            # A server that starts from a backup notifies hooks of what happens from then on, and of nothing again.
            (not inner and name in (STATE_LOCK, POSITIONS_FILENAME)) or name.endswith(SQLITE_SUFFIXES)
        )


def item_of(part: str, path: str, status: os.stat_result, target: str = "") -> BackupItem:
    """Return the item for a file, directory or link with this status; a file's digest is not known yet."""
    kinds = {stat.S_IFDIR: ItemKind.DIRECTORY, stat.S_IFLNK: ItemKind.LINK}
    kind = kinds.get(stat.S_IFMT(status.st_mode), ItemKind.FILE)
    return BackupItem(
        part=part,
        path=path,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        mtime_ns=status.st_mtime_ns,
        owner=_owner(status.st_uid, status.st_gid),
        size=status.st_size if kind is ItemKind.FILE else 0,
        target=target,
    )


@lru_cache(1000)
def _owner(uid: int, gid: int) -> ItemOwner:
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = ""
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = ""
    return ItemOwner(uid, gid, user, group)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
