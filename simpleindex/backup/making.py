"""Make a backup while the server runs: written aside, and named when it is whole. Blocking."""

from __future__ import annotations

import os
import socket
import sqlite3
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from simpleindex import __version__
from simpleindex.backup.checking import CheckedBackup
from simpleindex.backup.destination import read_restorable
from simpleindex.backup.errors import CannotBackUp, CannotRestore, FileVanished
from simpleindex.backup.file_copies import copy_database, copy_file, is_database, link_file, read_digest
from simpleindex.backup.manifest import (
    MANIFEST,
    BackupItem,
    ItemKind,
    Manifest,
    PackagesMode,
    manifest_json,
)
from simpleindex.backup.places import STATE, is_of_packages
from simpleindex.backup.plan import backup_name
from simpleindex.backup.tree import PartListing, item_of
from simpleindex.core.text import printable
from simpleindex.records.database import RECORDS_FILENAME, RecordsDatabase
from simpleindex.records.database_copy import copy_records
from simpleindex.records.opening import open_records
from simpleindex.system.atomic import write_all
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from simpleindex.backup.checking import Steps
    from simpleindex.backup.destination import BackupDestination
    from simpleindex.backup.manifest import BackupPart
    from simpleindex.backup.places import BackupScope

_TRIES: Final = 3

_RECENT_SECONDS: Final = 60
"""A file that changed so short before the backup may still be being written, and its link with it."""


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """What a backup is made of.

    Attributes:
        scope: What belongs to it.
        options: The options of the server, as texts.
        packages: How the packages are kept.
        verifies: Whether all of it is read again before it counts as a backup.
        now: When it is made.
        records: The PostgreSQL database of the records, whose rows become a file of the state; None if they are a file there.
    """

    scope: BackupScope
    options: Mapping[str, tuple[str, ...]]
    packages: PackagesMode
    verifies: bool
    now: datetime
    records: str | None


@dataclass(slots=True)
class BackupReport:
    """The outcome of a backup.

    Attributes:
        linked: Package files that are hard links to those of the server.
        copied: Package files that were copied.
        unlinked: Those of them for which the file system allows no link.
        unchanged: Package files that are those of the backup before.
        referenced: Package files of which only the digests are kept.
        others: Files of state, certificates and configuration.
        size: Bytes of all files.
        notes: Sentences about what is left out.
    """

    path: str = ""
    linked: int = 0
    copied: int = 0
    unlinked: int = 0
    unchanged: int = 0
    referenced: int = 0
    others: int = 0
    size: int = 0
    notes: list[str] = field(default_factory=list)


def make_backup(destination: BackupDestination, request: BackupRequest, steps: Steps) -> BackupReport:
    """Make a backup in its destination, which is locked.

    Raises:
        CannotBackUp: It cannot be made whole; nothing is left of it.
        KeyboardInterrupt: It was stopped; the same.
    """
    making = _BackupInTheMaking(destination, request, steps)
    try:
        return making.run()
    except (OSError, sqlite3.Error) as error:
        destination.discard()
        trouble = trouble_of(error, getattr(error, "filename", None) or destination.path)
        raise CannotBackUp(trouble.for_operator()) from None
    except BaseException:
        destination.discard()
        raise


class _BackupInTheMaking:
    def __init__(self, destination: BackupDestination, request: BackupRequest, steps: Steps) -> None:
        self._destination = destination
        self._request = request
        self._steps = steps
        self._report = BackupReport(notes=[*request.scope.missing])
        self._items: list[BackupItem] = []
        self._before, self._before_path = _package_files(destination)
        self._shared: dict[str, str] = {}
        """The server's files by their places in the backup, where those of the backup before were taken."""

    def run(self) -> BackupReport:
        request = self._request
        os.mkdir(self._destination.unfinished, 0o700)
        listings = [(part, self._listed(part)) for part in request.scope.parts]
        files = sum(item.kind is ItemKind.FILE for _, items in listings for item in items)
        self._steps.expect(files * 2 if request.verifies else files)
        for part, items in listings:
            self._store(part, items)
        if request.records is not None:
            self._store_postgresql(request.records)
        manifest = Manifest(
            program=f"simpleindex {__version__}",
            made=request.now.isoformat(timespec="seconds"),
            host=socket.gethostname(),
            packages=request.packages,
            options=request.options,
            parts=request.scope.parts,
            items=tuple(self._items),
        )
        self._write_manifest(manifest)
        if request.verifies:
            self._verify()
        self._report.size = sum(item.size for item in manifest.stored_files())
        self._report.path = self._destination.complete(self._free_name())
        return self._report

    def _listed(self, part: BackupPart) -> list[BackupItem]:
        scope = self._request.scope
        apart = [
            *(each.path for each in scope.parts if each is not part),
            *scope.excluded,
            self._destination.path,
        ]
        listing = PartListing(part, apart)
        self._report.notes += listing.notes
        if part.name != STATE:
            return listing.items
        if self._request.records is not None:
            # From before the records were in PostgreSQL.
            listing.items = [item for item in listing.items if item.path != RECORDS_FILENAME]
        # Records last: none of them may be older than a file that it is about.
        databases = {
            item for item in listing.items if item.kind is ItemKind.FILE and is_database(_source(part, item))
        }
        return [item for item in listing.items if item not in databases] + [
            item for item in listing.items if item in databases
        ]

    def _store(self, part: BackupPart, items: list[BackupItem]) -> None:
        if part.is_file:
            os.mkdir(os.path.join(self._destination.unfinished, part.name), 0o700)
        for item in items:
            if item.kind is ItemKind.FILE:
                try:
                    self._items.append(self._stored_file(part, item))
                except FileVanished as error:
                    if part.is_file:
                        raise CannotBackUp(f"{printable(error.path)} is gone; put it back.") from None
                self._steps.advance()
                continue
            if item.kind is ItemKind.DIRECTORY and part.is_stored:
                os.mkdir(self._target(item), 0o700)
            self._items.append(item)

    def _stored_file(self, part: BackupPart, item: BackupItem) -> BackupItem:
        source, target = _source(part, item), self._target(item)
        if not is_of_packages(part.name):
            self._report.others += 1
            # What was listed may be a link, of certificates for example.
            real = os.path.realpath(source)
            copy = copy_database if part.name == STATE and is_database(real) else copy_file
            copied = copy(real, target)
            return replace(item, size=copied.size, sha256=copied.sha256, mtime_ns=copied.status.st_mtime_ns)
        if not part.is_stored:
            return self._referenced(source, item)
        if (reused := self._unchanged(source, target, item)) is not None:
            return reused
        if self._request.packages is PackagesMode.LINK:
            if not link_file(source, target):
                self._report.unlinked += 1
            elif (linked := self._linked(target, item)) is not None:
                self._report.linked += 1
                return linked
            else:
                os.unlink(target)
        copied = copy_file(source, target)
        self._report.copied += 1
        return replace(item_of(part.name, item.path, copied.status), size=copied.size, sha256=copied.sha256)

    def _unchanged(self, source: str, target: str, item: BackupItem) -> BackupItem | None:
        """Link a package file to that of the backup before, if it is the same; return None if it is not."""
        before = self._before.get((item.part, item.path))
        if before is None or (before.size, before.mtime_ns) != (item.size, item.mtime_ns):
            return None
        kept = os.path.join(self._before_path, before.stored_path)
        try:
            old, now = os.lstat(kept), os.lstat(source)
        except FileNotFoundError:
            return None
        is_link = (old.st_dev, old.st_ino) == (now.st_dev, now.st_ino)
        if old.st_size != before.size or (is_link and self._request.packages is PackagesMode.COPY):
            return None
        if not link_file(kept, target):
            return None
        self._report.unchanged += 1
        self._shared[item.stored_path] = source
        return replace(item, sha256=before.sha256)

    def _linked(self, target: str, item: BackupItem) -> BackupItem | None:
        """Return the item of a file that was linked; None for one that is still being written, or may be."""
        now = self._request.now.timestamp()
        for _ in range(_TRIES):
            before = os.lstat(target)
            if abs(before.st_mtime - now) <= _RECENT_SECONDS:
                return None
            read = read_digest(target)
            after = os.lstat(target)
            if (before.st_size, before.st_mtime_ns) == (
                after.st_size,
                after.st_mtime_ns,
            ) and read.size == after.st_size:
                return replace(item_of(item.part, item.path, after), sha256=read.sha256)
        return None

    def _referenced(self, source: str, item: BackupItem) -> BackupItem:
        before = self._before.get((item.part, item.path))
        self._report.referenced += 1
        if before is not None and (before.size, before.mtime_ns) == (item.size, item.mtime_ns):
            return replace(item, sha256=before.sha256)
        read = read_digest(source)
        return replace(item_of(item.part, item.path, read.status), size=read.size, sha256=read.sha256)

    def _store_postgresql(self, url: str) -> None:
        """Copy the records of a PostgreSQL database to where a server without one has them."""
        state = os.path.join(self._destination.unfinished, STATE)
        (top,) = (item for item in self._items if item.part == STATE and not item.path)
        source, target = open_records(state, url), RecordsDatabase(state)
        try:
            copy_records(source, target)
        finally:
            source.close()
            target.close()
        read = read_digest(target.path)
        self._items.append(
            replace(
                item_of(STATE, RECORDS_FILENAME, read.status),
                owner=top.owner,
                mode=0o600,
                size=read.size,
                sha256=read.sha256,
            )
        )
        self._report.others += 1

    def _target(self, item: BackupItem) -> str:
        return os.path.join(self._destination.unfinished, item.stored_path)

    def _write_manifest(self, manifest: Manifest) -> None:
        path = os.path.join(self._destination.unfinished, MANIFEST)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, manifest_json(manifest).encode())
        finally:
            os.close(descriptor)

    def _verify(self) -> None:
        """Read all of it again, as a restore would."""
        try:
            manifest = read_restorable(self._destination.unfinished)
        except CannotRestore as error:
            raise CannotBackUp(f"It could not be restored, so it was not kept: {error}") from None
        checked = CheckedBackup(self._destination.unfinished, manifest, self._steps.advance)
        for item, fault in zip(checked.damaged, checked.faults, strict=True):
            if not self._is_mended(item):
                raise CannotBackUp(
                    f"{fault} The backup was not kept. If a program writes into package files in place (rsync --inplace), "
                    "use --packages copy; else look at the disk."
                )

    def _is_mended(self, item: BackupItem) -> bool:
        """Copy a file anew that is damaged in the backup before, or no later backup would be good; return whether that helped."""
        if (source := self._shared.get(item.stored_path)) is None:
            return False
        os.unlink(target := self._target(item))
        try:
            copied = copy_file(source, target)
        except (FileVanished, CannotBackUp):
            return False
        if (copied.size, copied.sha256) != (item.size, item.sha256):
            return False
        self._report.unchanged -= 1
        self._report.copied += 1
        damaged = printable(os.path.join(self._before_path, item.stored_path))
        self._report.notes.append(f"{damaged} is damaged; the new backup has the server's file instead.")
        return True

    def _free_name(self) -> str:
        """Return the name of the backup: the time, a second later where that is used."""
        second = int(self._request.now.timestamp())
        while True:
            name = backup_name(second)
            if not os.path.lexists(os.path.join(self._destination.path, name)):
                return name
            second += 1


def _source(part: BackupPart, item: BackupItem) -> str:
    return part.path if part.is_file else os.path.join(part.path, item.path)


def _package_files(destination: BackupDestination) -> tuple[dict[tuple[str, str], BackupItem], str]:
    """Return the package files of the newest backup, by part and path, and its directory."""
    newest = destination.newest()
    if newest is None:
        return {}, ""
    path, manifest = newest
    files = {
        (item.part, item.path): item
        for item in manifest.items
        if item.kind is ItemKind.FILE and is_of_packages(item.part)
    }
    return files, path
