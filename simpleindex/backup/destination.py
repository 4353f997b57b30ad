"""A directory of backups: which of them are complete, its lock, and the removal of old ones. Blocking."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from simpleindex.backup.errors import CannotBackUp, CannotRestore
from simpleindex.backup.manifest import MANIFEST, InvalidManifest, Manifest, parse_manifest
from simpleindex.backup.plan import oldest_first, plan_restore
from simpleindex.core.text import printable
from simpleindex.system.atomic import sync_directory, sync_file_system
from simpleindex.system.ownership import make_directories

if TYPE_CHECKING:
    from collections.abc import Iterator

UNFINISHED: Final = ".simpleindex-unfinished"
"""Where a backup is written until it is complete."""

PROVING: Final = ".simpleindex-proving-"
"""How the name of a directory begins into which a backup is restored to prove it."""

_REMOVED: Final = ".simpleindex-removed-"
_LARGEST_MANIFEST: Final = 2 << 30  # bytes; a million files have some 300 MB


class BackupDestination:
    """A directory that holds backups by time."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.unfinished = os.path.join(self.path, UNFINISHED)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make the directory, keep other backups out of it, and remove what a backup that was killed has left.

        Raises:
            CannotBackUp: Another backup is being made there, or one is being restored; or what it is to lie in is missing.
            OSError: It cannot be written.
        """
        place = printable(self.path)
        if not os.path.isdir(os.path.dirname(self.path)):
            # A disk that is not mounted would be missing so, and the backup would fill another one.
            raise CannotBackUp(
                f"There is no {printable(os.path.dirname(self.path))}, so {place} is not made: mount the disk, or make the directory."
            )
        make_directories(self.path)
        busy = CannotBackUp(f"Another simpleindex backup or restore works in {place}; wait until it is done.")
        with self._locked(fcntl.LOCK_EX, busy):
            for name in os.listdir(self.path):
                if name == UNFINISHED or name.startswith((_REMOVED, PROVING)):
                    shutil.rmtree(os.path.join(self.path, name))
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep backups from being made and removed until the end of the block.

        Raises:
            CannotRestore: A backup is being made there.
        """
        busy = CannotRestore(f"A backup is being made in {printable(self.path)}; wait until it is done.")
        with self._locked(fcntl.LOCK_SH, busy):
            yield

    @contextmanager
    def _locked(self, kind: int, busy: Exception) -> Iterator[None]:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                raise busy from None
            yield
        finally:
            os.close(descriptor)

    def names(self) -> list[str]:
        """Return the names of the complete backups, the oldest first; before them those that are dated in the future."""
        return [
            name
            for name in oldest_first(os.listdir(self.path), time.time())
            if os.path.isfile(os.path.join(self.path, name, MANIFEST))
        ]

    def newest(self) -> tuple[str, Manifest] | None:
        """Return the path and the manifest of the newest backup whose manifest can be read; None if there is none."""
        for name in reversed(self.names()):
            path = os.path.join(self.path, name)
            try:
                return path, read_manifest(path)
            except (CannotRestore, OSError):
                continue
        return None

    def complete(self, name: str) -> str:
        """Give the unfinished backup its name, once all of it is on the disk; return its path.

        Raises:
            OSError: It cannot be renamed.
        """
        path = os.path.join(self.path, name)
        sync_file_system(self.path)
        os.rename(self.unfinished, path)
        sync_directory(self.path)
        return path

    def discard(self) -> None:
        """Remove the unfinished backup; what cannot be removed now is removed by the next one."""
        shutil.rmtree(self.unfinished, ignore_errors=True)

    def remove_outdated(self, keep: int) -> list[str]:
        """Remove all backups but the newest so many; return the names of those that were removed."""
        names = self.names()[:-keep]
        for name in names:
            # Half of a backup must not look like one.
            removed = os.path.join(self.path, f"{_REMOVED}{name}")
            os.rename(os.path.join(self.path, name), removed)
            shutil.rmtree(removed)
        return names


def read_manifest(backup: str) -> Manifest:
    """Read the manifest of a backup.

    Raises:
        CannotRestore: There is none, or it is not valid.
        OSError: It cannot be read.
    """
    path = os.path.join(backup, MANIFEST)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise CannotRestore(f"{printable(backup)} is no backup: it has no {MANIFEST}.") from None
    with open(descriptor, encoding="utf-8", errors="strict") as stream:
        _refuse_strangers(backup, os.fstat(descriptor))
        if os.fstat(descriptor).st_size > _LARGEST_MANIFEST:
            raise CannotRestore(f"{printable(path)} is larger than any manifest.")
        try:
            return parse_manifest(stream.read())
        except (InvalidManifest, UnicodeDecodeError) as error:
            raise CannotRestore(f"{printable(path)} {error}.") from None


def read_restorable(backup: str) -> Manifest:
    """Read the manifest of a backup whose parts fit together; errors as of :func:`read_manifest`."""
    manifest = read_manifest(backup)
    try:
        plan_restore(manifest)
    except InvalidManifest as error:
        raise CannotRestore(f"{printable(os.path.join(backup, MANIFEST))} {error}.") from None
    return manifest


def _refuse_strangers(backup: str, manifest: os.stat_result) -> None:
    """Refuse a backup that another user could have written: it says which files of this machine are replaced.

    Raises:
        CannotRestore: It is another user's.
    """
    for status in (os.lstat(backup), manifest):
        if status.st_uid not in {0, os.geteuid()} or status.st_mode & 0o022:
            raise CannotRestore(
                f"{printable(backup)} belongs to another user or can be written by others, who could have changed it; if it is "
                "right, run: chown -R root: and chmod -R go-w on it."
            )
