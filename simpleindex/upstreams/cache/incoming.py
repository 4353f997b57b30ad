"""A file that is being written into the cache."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from io import FileIO
from typing import TYPE_CHECKING, Final

from simpleindex.system.atomic import write_all

if TYPE_CHECKING:
    from simpleindex.upstreams.cache.cache_space import CacheSpace

_CHECK_ROOM_EVERY: Final = 64 * 1024 * 1024
"""Bytes written between two checks of the free space."""

_CHUNK: Final = 1024 * 1024


class Incoming:
    """A file that is being written; used by one thread at a time.

    Args:
        space: The cache's disk space.
        descriptor: Open for reading and writing.
        path: Its temporary path; None if it has no name.

    Attributes:
        size: Bytes so far.
    """

    def __init__(self, space: CacheSpace, descriptor: int, path: str | None) -> None:
        self._space = space
        self.descriptor = descriptor
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        self._checked = 0

    @property
    def sha256(self) -> str:
        """The lower-case hex digest of its bytes so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            OSError: The disk is full.
        """
        try:
            write_all(self.descriptor, data, self.size)
        except OSError:
            if self.path is None:
                raise  # It lies on another disk than the cache.
            self._space.make_room(len(data) + _CHECK_ROOM_EVERY)
            try:
                write_all(self.descriptor, data, self.size)
            except OSError as error:
                self._space.complain(error)
                raise
        self.size += len(data)
        self._digest.update(data)
        if self.path is not None and self.size - self._checked >= _CHECK_ROOM_EVERY:
            self._checked = self.size
            self._space.make_room(_CHECK_ROOM_EVERY)

    def hexdigest(self, algorithm: str) -> str:
        """Return another digest of all of it."""
        digest, offset = hashlib.new(algorithm, usedforsecurity=False), 0
        while data := os.pread(self.descriptor, _CHUNK, offset):
            digest.update(data)
            offset += len(data)
        return digest.hexdigest()

    def reader(self) -> FileIO:
        """Open its bytes so far, read-only where the system allows that; the caller closes it."""
        try:
            # Another description of the same file, whatever its name is by now.
            return FileIO(os.open(f"/proc/self/fd/{self.descriptor}", os.O_RDONLY | os.O_CLOEXEC), "rb")
        except OSError:
            return FileIO(os.dup(self.descriptor), "rb")

    def discard(self) -> None:
        """Remove it unless the cache has taken it; clients that have it open go on reading."""
        if self.path is not None:
            with suppress(OSError):
                os.unlink(self.path)
            self.path = None

    def close(self) -> None:
        """Close it; remove it unless the cache has taken it."""
        self.discard()
        os.close(self.descriptor)
