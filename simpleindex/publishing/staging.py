"""Where what is written lies until it is whole: files in ``<root>/.simpleindex-uploads``, on the same file system as their target.

Each is flock-ed by its maker for as long as that lives, so whoever starts later can tell which are left over. In a
directory of their own, because anything made in the root itself changes the root, and a changed root is surveyed. Blocking.
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
from simpleindex.publishing.form import FileDigests
from simpleindex.system.atomic import FILE_MODE, make_directory, storing, write_all
from simpleindex.system.ownership import give_to_owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.directory.layout.package_directory import PackageDirectory

STAGING: Final = f"{OWN_PREFIX}-uploads"


_TRIES: Final = 20
"""How often to begin anew where another process came in between; each time it must come in anew."""

_SYNC_EVERY: Final = 32 * 1024 * 1024
"""Bytes after which what was written is sent to the disk, so that the end of a large upload need not wait for all of it."""


class Staging:
    """The place for unfinished files under a root."""

    def __init__(self, directory: PackageDirectory) -> None:
        self._directory = directory

    @property
    def path(self) -> str:
        """Its absolute path."""
        return os.path.join(self._directory.root, STAGING)

    def make(self, project: str = "") -> StagedFile:
        """Make an empty file that nobody else takes for left over.

        Args:
            project: The project whose directory is about to change, for :mod:`simpleindex.publishing.recovery`.

        Raises:
            OSError: It cannot be made.
        """
        for _ in range(_TRIES):
            # A new name each time: what was taken for left over may not be removed yet.
            path = os.path.join(self.path, secrets.token_hex(8) + (f".{project}" if project else ""))
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                make_directory(self.path)
                continue
            if _try_lock(descriptor) and os.fstat(descriptor).st_nlink:
                # Also what is left over of a command that is killed is to be cleared away by the service.
                give_to_owner_of(self.path, descriptor)
                return StagedFile(path, descriptor)
            # Somebody who starts took it for left over before it was locked, and removes it.
            os.close(descriptor)
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def left_over(self) -> Iterator[StagedFile]:
        """Every file whose maker is gone; the caller discards them.

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
        """What makes its name its own."""
        return os.path.basename(self.path).partition(".")[0]

    @property
    def project(self) -> str:
        """The project that it was made for; empty if for none."""
        return os.path.basename(self.path).partition(".")[2]

    def discard(self) -> None:
        """Remove it if it is still there, and let go; may be called again."""
        if self.descriptor < 0:
            return
        # What cannot be removed (the disk became read-only) is left to the next start.
        with suppress(OSError):
            os.unlink(self.path)
        self.abandon()

    def abandon(self) -> None:
        """Let go of it and leave it where it is, for the next start; may be called again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class StagedUpload:
    """A file that is being received; also a context manager that discards what was not committed.

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
            CannotStore: There is no room, for one.
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
        """Give it another upload time than now; to be called after the last write.

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
            self._finished = FileDigests(
                self._sha256.hexdigest(), self._blake2.hexdigest(), self._md5.hexdigest(), self._size
            )
        return self._finished

    def reader(self) -> FileIO:
        """Open what was written for reading only, at its beginning; the caller closes it.

        Raises:
            CannotStore: It is there no more.
        """
        with storing(self.staged.path):
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            file = FileIO(os.open(self.staged.path, flags), "rb")
            if not os.path.samestat(os.fstat(file.fileno()), os.fstat(self.staged.descriptor)):
                file.close()
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return file

    def discard(self) -> None:
        """Remove it unless it was committed, and let go; may be called again."""
        self.staged.discard()

    close = discard


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
