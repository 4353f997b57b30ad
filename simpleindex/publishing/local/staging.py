"""Unfinished files, in ``<root>/.simpleindex-uploads`` on the same file system as their target. Blocking.

A process locks each of its files with flock, so that a later start can tell which ones are left over. They have a directory of
their own, because a new file in the root would make the index read the root again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
from contextlib import suppress
from io import FileIO
from typing import TYPE_CHECKING, Final, Self

from simpleindex.core.names import OWN_PREFIX
from simpleindex.publishing.upload.form import FileDigests
from simpleindex.system.atomic import FILE_MODE, make_directory, storing, write_all
from simpleindex.system.ownership import give_to_owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.directory.layout.served_root import ServedRoot

STAGING: Final = f"{OWN_PREFIX}-uploads"


_TRIES: Final = 20
"""How often to try again when another process interferes."""

_SYNC_EVERY: Final = 32 * 1024 * 1024
"""Bytes after which a file is synchronized, so that the end of a large upload need not wait for all of it."""


class Staging:
    """The directory for unfinished files under a root."""

    def __init__(self, directory: ServedRoot) -> None:
        self._directory = directory

    @property
    def path(self) -> str:
        """Its absolute path."""
        return os.path.join(self._directory.root, STAGING)

    def make(self, project: str = "") -> StagedFile:
        """Make an empty file, locked by this process.

        Args:
            project: The project whose directory is about to change, for :mod:`simpleindex.publishing.local.recovery`.

        Raises:
            OSError: It cannot be made.
        """
        for _ in range(_TRIES):
            # A new name each time: a file that was taken for left over may not be removed yet.
            path = os.path.join(self.path, secrets.token_hex(8) + (f".{project}" if project else ""))
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                make_directory(self.path)
                continue
            if _try_lock(descriptor) and os.fstat(descriptor).st_nlink:
                # So that the service can also remove the file of a command that was killed.
                give_to_owner_of(self.path, descriptor)
                return StagedFile(path, descriptor)
            # A process that starts took it for left over before it was locked, and removes it.
            os.close(descriptor)
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def left_over(self) -> Iterator[StagedFile]:
        """Yield every file whose process has ended; the caller discards them.

        Raises:
            OSError: They cannot be listed.
        """
        try:
            names = sorted(os.listdir(self.path))
        except FileNotFoundError:
            return
        for name in names:
            path = os.path.join(self.path, name)
            try:
                # For writing, because a lock may need that (NFS).
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                continue
            if _try_lock(descriptor) and os.fstat(descriptor).st_nlink:
                yield StagedFile(path, descriptor)
            else:
                os.close(descriptor)


class StagedFile:
    """An unfinished file of this process.

    Attributes:
        path: Its absolute path.
        descriptor: Open for reading and writing.
    """

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @property
    def token(self) -> str:
        """The unique part of its name."""
        return os.path.basename(self.path).partition(".")[0]

    @property
    def project(self) -> str:
        """The project that it belongs to; empty for an upload."""
        return os.path.basename(self.path).partition(".")[2]

    def discard(self) -> None:
        """Remove the file if it still exists, and unlock it; may be called again."""
        if self.descriptor < 0:
            return
        # A file that cannot be removed (the disk became read-only) is left to the next start.
        with suppress(OSError):
            os.unlink(self.path)
        self.abandon()

    def abandon(self) -> None:
        """Unlock the file and leave it to the next start; may be called again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class StagedUpload:
    """A file that is being uploaded; also a context manager that discards a file that was not committed.

    Used by one thread at a time.
    """

    def __init__(self, staged: StagedFile) -> None:
        self.staged = staged
        self._sha256 = hashlib.sha256()
        self._blake2 = hashlib.blake2b(digest_size=32)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._synced = 0
        self._finished: FileDigests | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            CannotStore: It cannot be written, for example because the disk is full.
        """
        if self._finished is not None:
            raise ValueError("a finished draft is not written to")
        with storing(self.staged.path):
            write_all(self.staged.descriptor, data, self._size)
            self._size += len(data)
            for digest in (self._sha256, self._blake2, self._md5):
                digest.update(data)
            if self._size - self._synced >= _SYNC_EVERY:
                os.fdatasync(self.staged.descriptor)
                self._synced = self._size

    def date(self, uploaded_ns: int) -> None:
        """Set another upload time than now; called after the last write.

        Args:
            uploaded_ns: Nanoseconds since 1970.

        Raises:
            CannotStore: The file system cannot hold it.
        """
        with storing(self.staged.path):
            os.utime(self.staged.descriptor, ns=(uploaded_ns, uploaded_ns))

    def finish(self) -> FileDigests:
        """Return once all of it is on the disk; may be called again.

        Raises:
            CannotStore: It could not be written.
        """
        if self._finished is None:
            with storing(self.staged.path):
                os.fchmod(self.staged.descriptor, FILE_MODE)
                os.fsync(self.staged.descriptor)
            self._finished = self.digests()
        return self._finished

    def digests(self) -> FileDigests:
        """Return the digests of what was written so far."""
        return FileDigests(
            self._sha256.hexdigest(), self._blake2.hexdigest(), self._md5.hexdigest(), self._size
        )

    def make_readable(self, directory: str) -> None:
        """Give it the mode of stored files, and the owner of a directory that it is moved into.

        Raises:
            OSError: It cannot be changed.
        """
        os.fchmod(self.staged.descriptor, FILE_MODE)
        give_to_owner_of(directory, self.staged.descriptor)

    def reader(self) -> FileIO:
        """Open the file for reading; the caller closes it.

        Raises:
            CannotStore: It is gone.
        """
        with storing(self.staged.path):
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            file = FileIO(os.open(self.staged.path, flags), "rb")
            if not os.path.samestat(os.fstat(file.fileno()), os.fstat(self.staged.descriptor)):
                file.close()
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return file

    def discard(self) -> None:
        """Remove the file unless it was committed; may be called again."""
        self.staged.discard()

    close = discard


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
