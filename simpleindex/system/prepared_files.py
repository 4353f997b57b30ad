"""Files in a cache that several processes share: each is made once, named by its content, and read only while it is whole."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from simpleindex.system.bodies import FileBody, read_fully
from simpleindex.system.descriptors import keep_reserve
from simpleindex.system.ownership import make_private
from simpleindex.system.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_MOST_FILES: Final = 16
"""Files that stay in a directory."""

_READ: Final = 1024 * 1024
"""Bytes that are read at a time where a file is compared with its digest."""

_DIGEST_BYTES: Final = 32


class PreparedFile:
    """An open file, which ends with a digest of all before it.

    Args:
        descriptor: Of the file, which stays whole when its name goes.

    Attributes:
        length: Of what was written, bytes; it is followed by the digest.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._stamp = Stamp.of(os.fstat(descriptor))
        self.length = self._stamp.size - _DIGEST_BYTES

    def is_unchanged(self) -> bool:
        """Return whether nothing was written to it since it was opened."""
        return Stamp.of(os.fstat(self._descriptor)).may_be(self._stamp)

    def is_whole(self) -> bool:
        """Compare the bytes with their digest; blocking."""
        end = self.length
        digest = hashlib.sha256()
        for start in range(0, end, _READ):
            digest.update(read_fully(self._descriptor, start, min(_READ, end - start)))
        return end >= 0 and read_fully(self._descriptor, end, _DIGEST_BYTES) == digest.digest()

    def body(self, run_in_thread: Callable[..., Awaitable[bytes]]) -> FileBody:
        """Open the file once more, for one response.

        Args:
            run_in_thread: Calls a blocking function in a thread.

        Raises:
            OSError: There are too few descriptors.
        """
        descriptor = keep_reserve(fcntl.fcntl(self._descriptor, fcntl.F_DUPFD_CLOEXEC, 0))
        return FileBody(descriptor, "a prepared file", "", run_in_thread)

    def close(self) -> None:
        """Close it; what was opened for responses stays open."""
        # Its number may be another file's by now.
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


def shared_file(directory: str, name: str, pieces: Iterable[bytes]) -> PreparedFile:
    """Return the whole file of a name, written unless it is there; blocking.

    Args:
        directory: Where; it is made. The oldest files are removed from it.
        name: Which stands for the content.
        pieces: The content.

    Raises:
        OSError: It cannot be written.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, name)
    file = _whole_file(path)
    if file is None:
        file = _locked_and_written(path, pieces)
        with suppress(OSError):  # Another process removes them too.
            _remove_old(directory)
    return file


def unnamed_file(pieces: Iterable[bytes]) -> PreparedFile:
    """Return a file that disappears with the process; blocking.

    Raises:
        OSError: It cannot be written.
    """
    with tempfile.TemporaryFile() as file:
        _write(file.fileno(), pieces)
        return PreparedFile(os.dup(file.fileno()))


def _whole_file(path: str) -> PreparedFile | None:
    try:
        file = PreparedFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
    except OSError:
        return None
    if file.is_whole():
        return file
    file.close()
    return None


def _locked_and_written(path: str, pieces: Iterable[bytes]) -> PreparedFile:
    """Write a file aside, or wait for the worker that writes it."""
    aside = f"{path}.part"
    make_private(aside)
    descriptor = os.open(aside, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        file = _whole_file(path)
        if file is not None:
            os.close(descriptor)
            return file
        _write(descriptor, pieces)
        # Not synced: what a power cut leaves of it has no right digest.
        os.replace(aside, path)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return PreparedFile(descriptor)
    except BaseException:
        os.ftruncate(descriptor, 0)
        os.close(descriptor)
        raise


def _write(descriptor: int, pieces: Iterable[bytes]) -> None:
    os.ftruncate(descriptor, 0)
    digest = hashlib.sha256()
    with open(descriptor, "wb", closefd=False) as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
        file.write(digest.digest())


def _remove_old(directory: str) -> None:
    """Remove the oldest files; who sends one of them has it open."""
    with os.scandir(directory) as entries:
        ages = sorted(((entry.stat().st_mtime_ns, entry.path) for entry in entries), reverse=True)
    for _, path in ages[_MOST_FILES:]:
        os.unlink(path)
