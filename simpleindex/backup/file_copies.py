"""Copy, link and read files, with their digests, while others may change them. Blocking."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from simpleindex.backup.errors import CannotBackUp, FileVanished
from simpleindex.core.text import printable
from simpleindex.system.atomic import write_all
from simpleindex.system.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK: Final = 1 << 20
_TRIES: Final = 3
_READING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITING: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_NO_LINK: Final = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES, errno.ENOSYS}
)
"""What link(2) answers where a copy may still be made."""

_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})

_SQLITE_HEADER: Final = b"SQLite format 3\0"
SQLITE_SUFFIXES: Final = ("-wal", "-shm", "-journal")
"""Files beside a database while it is open; what they hold is in the copy."""

_SQLITE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class StoredCopy:
    """A file as it was put into a backup.

    Attributes:
        status: Of the source.
        size: Bytes that were read.
        sha256: Their digest.
    """

    status: os.stat_result
    size: int
    sha256: str


def link_file(source: str, target: str) -> bool:
    """Make a hard link; return False where only a copy can be made.

    Raises:
        FileVanished: The source is gone.
        OSError: The link cannot be made.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        if error.errno in _GONE and not os.path.lexists(source):
            raise FileVanished(source) from None
        raise
    return True


def copy_file(source: str, target: str) -> StoredCopy:
    """Copy a file with its time, readable by its owner alone; one that only grows meanwhile, such as a log, is cut where it was.

    Raises:
        FileVanished: It is gone.
        CannotBackUp: It is changed all the time.
        OSError: It cannot be read, or the copy cannot be written.
    """
    for _ in range(_TRIES):
        descriptor = _opened(source)
        try:
            before = os.fstat(descriptor)
            written = os.open(target, _WRITING, 0o600)
            try:
                size, digest = _transfer(descriptor, written, before.st_size)
                # The time of an upload, for who takes a file out of the backup by hand.
                os.utime(written, ns=(before.st_atime_ns, before.st_mtime_ns))
            finally:
                os.close(written)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if size == before.st_size and _is_unchanged(before, after):
            return StoredCopy(before, size, digest)
        os.unlink(target)
    raise CannotBackUp(f"{printable(source)} is changed all the time; try again when nothing writes to it.")


def read_digest(path: str) -> StoredCopy:
    """Read a file to its end.

    Raises:
        FileVanished: It is gone, or no regular file.
        OSError: It cannot be read.
    """
    descriptor = _opened(path)
    try:
        status = os.fstat(descriptor)
        size, digest = _transfer(descriptor, None, None)
        return StoredCopy(status, size, digest)
    finally:
        os.close(descriptor)


def _opened(path: str) -> int:
    try:
        descriptor = os.open(path, _READING)
    except OSError as error:
        if error.errno in _GONE:
            raise FileVanished(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileVanished(path)
    return descriptor


def _transfer(source: int, target: int | None, most: int | None) -> tuple[int, str]:
    """Read a file, and write it to a target if there is one; return the number of bytes and their digest."""
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(source, most):
        digest.update(chunk)
        if target is not None:
            write_all(target, chunk, size)
        size += len(chunk)
    return size, digest.hexdigest()


def _chunks(descriptor: int, most: int | None) -> Iterator[bytes]:
    done = 0
    while chunk := os.pread(descriptor, _CHUNK if most is None else min(_CHUNK, most - done), done):
        done += len(chunk)
        yield chunk


def _is_unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    return Stamp.of(before).same_bytes_as(Stamp.of(after)) or after.st_size > before.st_size


def is_database(path: str) -> bool:
    """Tell whether a file is an SQLite database."""
    try:
        descriptor = _opened(path)
    except FileVanished:
        return False
    # A descriptor of a database in use may be closed here only because this process has none open by SQLite (fcntl(2)).
    try:
        return os.pread(descriptor, len(_SQLITE_HEADER), 0) == _SQLITE_HEADER
    finally:
        os.close(descriptor)


def copy_database(source: str, target: str) -> StoredCopy:
    """Copy an SQLite database that others may be writing, as it is at one moment.

    Raises:
        FileVanished: It is gone.
        CannotBackUp: It is damaged.
        sqlite3.Error: It cannot be read, or the copy cannot be written.
        OSError: The same.
    """
    try:
        status = os.lstat(source)
    except FileNotFoundError:
        raise FileVanished(source) from None
    os.close(os.open(target, _WRITING, 0o600))
    with (
        closing(sqlite3.connect(_uri(source), uri=True, timeout=_SQLITE_SECONDS)) as reading,
        closing(sqlite3.connect(_uri(target), uri=True)) as writing,
    ):
        # In one step: between two, a write of the server would have it begin again.
        reading.backup(writing)
        (answer,) = writing.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise CannotBackUp(
            f"{printable(source)} is damaged ({printable(answer)}); restore it from an older backup."
        )
    copy = read_digest(target)
    return StoredCopy(status, copy.size, copy.sha256)


def _uri(path: str) -> str:
    return f"file:{quote(os.fsencode(path))}?mode=rw"
