"""Files of a bucket in the cache directory: kept as they are downloaded, verified, and opened again by their digests."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, BinaryIO, Final

from simpleindex.system.log import logger
from simpleindex.upstreams.cache.cache_space import CacheSpace, DiskBudget
from simpleindex.upstreams.cache.cached_files import CachedFiles
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.fetching.fetch import open_in_thread

if TYPE_CHECKING:
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.cache.incoming import Incoming

_log: Final = logger(__name__)

_CHUNK: Final = 1024 * 1024

_LOOSE: Final = "-"
"""In place of the directory of a file that lies in none; no project is called so."""


class BucketFileCache:
    """Files of a bucket on the local disk. The listing decides which digest is served; the cache only has bytes.

    Args:
        directory: The cache directory.
        location: The bucket with its prefix.
        size: Bytes that the files may take.
        threads: For what waits for the disk.
        is_shared: Whether other workers keep files here too.
    """

    def __init__(
        self, directory: str, location: str, size: int, threads: Threads, *, is_shared: bool = False
    ) -> None:
        room = DiskBudget(size, largest=size)
        space = CacheSpace(
            os.path.join(directory, "bucket"),
            room,
            time.time,
            option="--bucket-cache",
            is_shared=is_shared,
        )
        self._is_shared = is_shared
        self._indexed_at: int | None = None
        self._space = space
        self._files = CachedFiles(space)
        self._location = location
        self._threads = threads
        self._copied: set[str] = set()

    def load(self) -> None:
        """Index the files that are there; blocking."""
        self._space.load()

    def make_room_for_all(self) -> None:
        """Remove what exceeds the size that all workers have together; blocking. One of them does so, at intervals."""
        if not self._is_shared:
            return
        self._space.makes_room = True
        with suppress(FileNotFoundError):
            # Each file is begun there, so nothing has come since while its time is the same.
            changed_at = os.stat(os.path.join(self._space.root, "new")).st_mtime_ns
            if changed_at != self._indexed_at:
                self._space.load_others()
                self._indexed_at = changed_at

    async def open(self, path: str, sha256: str) -> int | None:
        """Open a file; return its descriptor, or None if the cache does not have these bytes."""
        key = self._key(path)
        descriptor = self._files.open_verified(key, sha256)
        if descriptor is not None or not self._files.may_have(key):
            return descriptor
        opened = await open_in_thread(lambda: self._files.open(key, sha256), self._threads)
        return None if opened is None else opened[0]

    def copy(self, path: str, size: int, sha256: str) -> ObjectCopy | None:
        """Return what keeps a file while it is downloaded; None if another download does, or if it is too large."""
        if path in self._copied or size > self._space.room.budget:
            return None
        self._copied.add(path)
        return ObjectCopy(self, path, size, sha256)

    def begin(self, size: int) -> Incoming:
        """Begin to write a file; blocking.

        Raises:
            OSError: It cannot be written.
        """
        return self._files.begin_kept(size)

    def keep(self, incoming: Incoming, path: str) -> None:
        """Take a whole and verified file into the cache; blocking."""
        self._files.keep(incoming, self._key(path))

    def keep_upload(self, file: BinaryIO, path: str, size: int) -> None:
        """Keep a file that was put into the bucket just now; blocking. What cannot be kept is read from the store later."""
        if size > self._space.room.budget:
            return
        with suppress(OSError), closing(self.begin(size)) as incoming:
            while data := file.read(_CHUNK):
                incoming.write(data)
            self.keep(incoming, path)

    def end_copy(self, path: str) -> None:
        """Let another download keep the file."""
        self._copied.discard(path)

    def _key(self, path: str) -> UpstreamFileKey:
        directory, _, filename = path.rpartition("/")
        return UpstreamFileKey(self._location, directory or _LOOSE, filename)


class ObjectCopy:
    """A copy of an object that is being downloaded; it is kept if every byte arrives, and the digest is right.

    Args:
        cache: Where it is kept.
        path: The object's path.
        size: Its size.
        sha256: Its digest as it is listed.
    """

    def __init__(self, cache: BucketFileCache, path: str, size: int, sha256: str) -> None:
        self._cache = cache
        self._path = path
        self._size = size
        self._sha256 = sha256
        self._lock = threading.Lock()
        self._incoming: Incoming | None = None
        self._early: dict[int, bytes] = {}
        self._is_over = False

    def add(self, offset: int, data: bytes) -> None:
        """Add bytes of the object; blocking. A piece may come before the one in front of it, but no more than one."""
        with self._lock:
            if self._is_over:
                return
            self._early[offset] = data
            try:
                self._write()
            except OSError:
                self._end()
            if len(self._early) > 1:
                # The client reads a range, not the whole.
                self._end()

    def close(self) -> None:
        """End the copy, and forget it unless it is whole; blocking."""
        with self._lock:
            self._end()

    def _write(self) -> None:
        while (
            data := self._early.pop(0 if self._incoming is None else self._incoming.size, None)
        ) is not None:
            if self._incoming is None:
                self._incoming = self._cache.begin(self._size)
            self._incoming.write(data)
            if self._incoming.size >= self._size:
                self._keep(self._incoming)
                self._end()
                return

    def _keep(self, incoming: Incoming) -> None:
        if incoming.sha256 == self._sha256:
            self._cache.keep(incoming, self._path)
            return
        _log.error(
            "The store gave other bytes of {path} than the listed digest is of; compare the object with its upload.",
            path=ascii(self._path),
        )

    def _end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._early.clear()
        self._cache.end_copy(self._path)
        if self._incoming is not None:
            with suppress(OSError):
                self._incoming.close()
