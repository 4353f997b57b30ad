"""Open, write and remove cached files (``file_keys.py`` says where each lies). Blocking.

A file is hashed again unless its stat shows that it has not changed since it was hashed, and the machine has not restarted since:
nothing is forced to the disk, so a power cut may leave anything.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING, Final, NamedTuple

from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.inspect import read_sidecar
from simpleindex.system.stamp import Stamp, is_young
from simpleindex.upstreams.cache.cache_space import FACTS_DIRECTORY, require_disk
from simpleindex.upstreams.cache.file_facts import pack_facts, read_facts
from simpleindex.upstreams.cache.incoming import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.upstreams.cache.cache_space import CacheSpace
    from simpleindex.upstreams.cache.file_keys import FileKey

_TOUCH_EVERY: Final = 3600
"""Seconds: how exactly the time of the last use is written to the disk."""

_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file that is in the cache.

    Attributes:
        path: Its path.
        sha256: Its digest, computed here.
        size: Bytes.
        fetched_at: Seconds since 1970.
        used_at: The same; to the hour.
        is_verified: Whether its bytes were hashed in this state since the machine started; else they are hashed before they are
            served.
    """

    path: str
    sha256: str
    size: int
    fetched_at: float
    used_at: float
    is_verified: bool


class _Verified(NamedTuple):
    """A file whose bytes were hashed here.

    Attributes:
        sha256: Their digest.
        until: From when on a use of it must be written to the disk.
    """

    sha256: str
    stamp: Stamp
    until: float


class CachedFiles:
    """The files of the cache; usable from any thread.

    Attributes:
        listener: Called with the key of each file that is stored, in the thread that stores it.
    """

    def __init__(self, space: CacheSpace) -> None:
        self.listener: Callable[[FileKey], object] = lambda _: None
        self._space = space
        self._verified: dict[str, _Verified] = {}

    def may_have(self, key: FileKey) -> bool:
        """Return whether a file may be in the cache; without touching the disk."""
        return self._space.may_have(self._path(key))

    def has_directory_of(self, key: FileKey) -> bool:
        """Return whether there is a directory for a file and those beside it, as those of a project are; blocking."""
        return os.path.isdir(os.path.dirname(self._path(key)))

    def find(self, key: FileKey) -> CachedFile | None:
        """Return a file's path, digest and times without opening it; None if it is not in the cache."""
        path = self._path(key)
        try:
            status = os.stat(path)
        except OSError:
            return None
        record = read_facts(key, path)
        sha256 = key.computed_sha256 if record is None else record[0].sha256
        if sha256 is None:
            return None
        used = status.st_mtime
        with suppress(OSError):
            used = os.stat(path + FACTS_DIRECTORY).st_mtime
        verified_stamp = None if record is None else record[1]
        is_verified = verified_stamp is not None and Stamp.of(status).may_be(verified_stamp)
        return CachedFile(path, sha256, status.st_size, status.st_mtime, used, is_verified)

    def remove(self, key: FileKey) -> None:
        """Remove a file; clients that have it open go on reading."""
        self._remove(self._path(key))

    def open(self, key: FileKey, sha256: str) -> tuple[int, ArchiveInfo] | None:
        """Open a file whose bytes were verified.

        Args:
            key: Which file.
            sha256: The digest that it must have; a file with another one is not opened, and stays.

        Returns:
            A descriptor and the facts of the file; None if it cannot be opened.
        """
        path = self._path(key)
        record = read_facts(key, path)
        if record is not None and record[0].sha256 != sha256:
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            self._forget(path)
            return None
        facts, verified_stamp = record or (ArchiveInfo("", sha256, None, None, None), None)
        with suppress(OSError):
            if self._is_verified(path, descriptor, facts, verified_stamp) or self._verify(
                key, descriptor, facts
            ):
                self._space.use(path)
                with suppress(OSError):
                    if os.stat(path + FACTS_DIRECTORY).st_mtime < self._space.now() - _TOUCH_EVERY:
                        os.utime(path + FACTS_DIRECTORY)
                return descriptor, facts
        os.close(descriptor)
        self._remove(path)
        return None

    def open_verified(self, key: FileKey, sha256: str) -> int | None:
        """Open a file that was stored or verified here before, in a moment; None where :meth:`open` may still do it."""
        path = self._path(key)
        verified = self._verified.get(path)
        if verified is None or verified.sha256 != sha256 or verified.until < self._space.now():
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        if not Stamp.of(os.fstat(descriptor)).may_be(verified.stamp):
            os.close(descriptor)
            return None
        self._space.use(path)
        return descriptor

    def read(self, key: FileKey, sha256: str, most: int) -> bytes | None:
        """Read all of a small file.

        Args:
            key: Which file.
            sha256: The digest that it must have.
            most: Bytes that it may have.
        """
        opened = self.open(key, sha256)
        if opened is None:
            return None
        with FileIO(opened[0]) as file, suppress(OSError):
            data = file.read(most + 1) if os.fstat(opened[0]).st_size <= most else b""
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
        return None

    def read_sidecar(self, key: FileKey, sha256: str, sidecar: str) -> bytes | None:
        """Read the METADATA in a wheel.

        Args:
            key: The wheel.
            sha256: The digest that the wheel must have.
            sidecar: The digest that the metadata must have.
        """
        opened = self.open(key, sha256)
        if opened is None:
            return None
        descriptor, facts = opened
        try:
            if facts.sidecar is not None and facts.sidecar.sha256 == sidecar:
                return read_sidecar(lambda length, offset: os.pread(descriptor, length, offset), facts)
        except (BrokenArchive, OSError):
            pass
        finally:
            os.close(descriptor)
        return None

    def begin(self, size: int | None = None) -> Incoming:
        """Begin to write a file: into the cache, or elsewhere where that cannot be written.

        Args:
            size: Its size in bytes, if that is known.

        Raises:
            OSError: It cannot be written anywhere.
        """
        try:
            return self.begin_kept(size)
        except OSError:
            if not self._space.is_cache:
                raise
        # Clients that wait for the file get it all the same, if it fits there.
        with tempfile.TemporaryFile() as file:
            require_disk(file.fileno(), size or 0, tempfile.gettempdir())
            return Incoming(self._space, os.dup(file.fileno()), None)

    def begin_kept(self, size: int | None) -> Incoming:
        """Begin to write a file into the cache.

        Args:
            size: Its size in bytes, if that is known.

        Raises:
            OSError: The cache cannot be written.
        """
        space = self._space
        # An upstream states the size, and may state any.
        if space.may_fit(size or 0):
            space.make_room(size or 0)
        path = space.new_path()
        try:
            incoming = Incoming(space, space.create(path), path)
            try:
                require_disk(incoming.descriptor, size or 0, space.root)
            except OSError:
                incoming.close()
                raise
        except OSError as error:
            space.complain(error)
            raise
        return incoming

    def keep(self, incoming: Incoming, key: FileKey, facts: ArchiveInfo | None = None) -> ArchiveInfo:
        """Take a complete and verified file into the cache, if it fits.

        Args:
            incoming: The file.
            key: Its key.
            facts: What reading it showed; by default its digest only.

        Returns:
            Its facts.
        """
        facts = facts or ArchiveInfo("", incoming.sha256, None, None, None)
        if facts.sidecar is not None:
            # As a file too: it outlives the wheel, which is a thousand times as large.
            with suppress(BrokenArchive, OSError):
                data = read_sidecar(
                    lambda length, offset: os.pread(incoming.descriptor, length, offset), facts
                )
                self.keep_bytes(data, key.metadata(facts.sidecar.sha256))
        path = self._path(key)
        if incoming.path is None or incoming.size > self._space.room.budget:
            incoming.discard()
            return facts
        try:
            self._space.make_parent(path)
            # The record of the file before must not be taken for that of this one.
            with suppress(FileNotFoundError):
                os.unlink(path + FACTS_DIRECTORY)
            os.rename(incoming.path, path)
            incoming.path = None
            self._remember(path, facts.sha256, Stamp.of(os.fstat(incoming.descriptor)))
            self._note(key, facts, None)
            self._space.add(path, incoming.size)
            self.listener(key)
        except OSError as error:
            self._space.complain(error)
            incoming.discard()
        self._space.make_room(0)
        return facts

    def keep_bytes(self, data: bytes, key: FileKey) -> bool:
        """Store a small file; return whether it is in the cache now."""
        with suppress(OSError):
            incoming = self.begin(len(data))
            try:
                incoming.write(data)
                facts = self.keep(incoming, key)
            finally:
                incoming.close()
            cached = self.find(key)
            return cached is not None and cached.sha256 == facts.sha256
        return False

    def _is_verified(self, path: str, descriptor: int, facts: ArchiveInfo, stamp: Stamp | None) -> bool:
        now = Stamp.of(os.fstat(descriptor))
        verified = self._verified.get(path)
        sha256, verified_stamp = (facts.sha256, stamp) if verified is None else verified[:2]
        if sha256 != facts.sha256 or verified_stamp is None or not now.may_be(verified_stamp):
            return False
        self._remember(path, sha256, verified_stamp)
        return True

    def _remember(self, path: str, sha256: str, stamp: Stamp) -> None:
        self._verified[path] = _Verified(sha256, stamp, self._space.now() + _TOUCH_EVERY)

    def _verify(self, key: FileKey, descriptor: int, facts: ArchiveInfo) -> bool:
        before = Stamp.of(os.fstat(descriptor))
        digest, offset = hashlib.sha256(), 0
        while data := os.pread(descriptor, _CHUNK, offset):
            digest.update(data)
            offset += len(data)
        stamp = Stamp.of(os.fstat(descriptor))
        if digest.hexdigest() != facts.sha256 or not stamp.may_be(before):
            return False
        if not is_young(stamp, time.time_ns()):
            self._remember(self._path(key), facts.sha256, stamp)
            self._note(key, facts, stamp)
        return True

    def _note(self, key: FileKey, facts: ArchiveInfo, verified_stamp: Stamp | None) -> None:
        self._space.write(
            self._path(key) + FACTS_DIRECTORY, pack_facts(key, facts, verified_stamp), counts=False
        )

    def _path(self, key: FileKey) -> str:
        return os.path.join(self._space.root, key.path)

    def _forget(self, path: str) -> None:
        self._space.forget(path)
        self._verified.pop(path, None)

    def _remove(self, path: str) -> None:
        self._verified.pop(path, None)
        self._space.remove(path)
