"""Cached files, each under the source, project and file name that it came from. Blocking.

A file is hashed again unless it is, by the file system's word, in the very state in which that was done before, since the machine
last started: nothing is forced to the disk, so a power cut may leave anything.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import time
from contextlib import suppress
from dataclasses import astuple, dataclass
from io import FileIO
from typing import TYPE_CHECKING, Any, Final

from simpleindex.archives.inspect import ArchiveInfo, MemberSpan, read_sidecar
from simpleindex.core.errors import BrokenArchive
from simpleindex.core.model import Sidecar
from simpleindex.system.stamp import Stamp, is_young
from simpleindex.upstreams.cache.cache_space import FACTS
from simpleindex.upstreams.cache.incoming import Incoming
from simpleindex.upstreams.cache.packed_records import pack, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.upstreams.cache.cache_space import CacheSpace
    from simpleindex.upstreams.cache.file_keys import FileKey

_FORMAT: Final = 3
"""Raised whenever what is packed changes. Of format 2, which had neither owner nor digest, are the records of older pins."""

_TOUCH_EVERY: Final = 3600
"""Seconds: how exactly it is noted on the disk when a file was used last."""

_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file that is in the cache.

    Attributes:
        path: Where.
        sha256: Its digest, computed here.
        size: Bytes.
        fetched_at: Seconds since 1970.
        used_at: The same; to the hour.
        is_proven: Whether its bytes were hashed in this very state since the machine started; else they are before they are
            served again.
    """

    path: str
    sha256: str
    size: int
    fetched_at: float
    used_at: float
    is_proven: bool


class CachedFiles:
    """Kept files; usable from any thread.

    Args:
        space: Where they lie.
    """

    def __init__(self, space: CacheSpace) -> None:
        self._space = space
        self._proven: dict[str, tuple[str, Stamp]] = {}

    def may_have(self, key: FileKey) -> bool:
        """Whether looking for a file makes sense; at once."""
        return self._space.may_have(self._path(key))

    def held(self, key: FileKey) -> CachedFile | None:
        """What the disk says of a file, which is not opened; None if it is not there."""
        path = self._path(key)
        try:
            status = os.stat(path)
        except OSError:
            return None
        known = _noted(key, path)
        sha256 = key.computed_sha256 if known is None else known[0].sha256
        if sha256 is None:
            return None
        used = status.st_mtime
        with suppress(OSError):
            used = os.stat(path + FACTS).st_mtime
        proven = None if known is None else known[1]
        is_proven = proven is not None and Stamp.of(status).may_be(proven)
        return CachedFile(path, sha256, status.st_size, status.st_mtime, used, is_proven)

    def remove(self, key: FileKey) -> None:
        """Remove a file; whoever has it open goes on reading."""
        self._remove(self._path(key))

    def open(self, key: FileKey, sha256: str) -> tuple[int, ArchiveInfo] | None:
        """Open a file, whose bytes have been proven to have a digest.

        Args:
            key: Which file.
            sha256: The digest that it must have; a file with another one is not the one that is meant, and stays.

        Returns:
            A descriptor, and what is known of the file; None if it is not to be had.
        """
        path = self._path(key)
        known = _noted(key, path)
        if known is not None and known[0].sha256 != sha256:
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            self._forget(path)
            return None
        facts, proven = known or (ArchiveInfo("", sha256, None, None, None), None)
        with suppress(OSError):
            if self._is_proven(path, descriptor, facts, proven) or self._prove(key, descriptor, facts):
                self._space.use(path)
                with suppress(OSError):
                    if os.stat(path + FACTS).st_mtime < self._space.now() - _TOUCH_EVERY:
                        os.utime(path + FACTS)
                return descriptor, facts
        os.close(descriptor)
        self._remove(path)
        return None

    def read(self, key: FileKey, sha256: str, most: int) -> bytes | None:
        """All of a small file.

        Args:
            key: Which.
            sha256: The digest that it must have.
            most: Bytes; a larger one is none of these.
        """
        found = self.open(key, sha256)
        if found is None:
            return None
        with FileIO(found[0]) as file, suppress(OSError):
            data = file.read(most + 1) if os.fstat(found[0]).st_size <= most else b""
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
        return None

    def read_sidecar(self, key: FileKey, sha256: str, sidecar: str) -> bytes | None:
        """The METADATA of a wheel, from within it.

        Args:
            key: The wheel.
            sha256: The digest that the wheel must have.
            sidecar: The digest that the metadata must have.
        """
        found = self.open(key, sha256)
        if found is None:
            return None
        descriptor, facts = found
        try:
            if facts.sidecar is not None and facts.sidecar.sha256 == sidecar:
                return read_sidecar(lambda length, offset: os.pread(descriptor, length, offset), facts)
        except (BrokenArchive, OSError):
            pass
        finally:
            os.close(descriptor)
        return None

    def begin(self, size: int | None = None) -> Incoming:
        """Begin a file.

        Args:
            size: Bytes that it will have, if that is known.

        Raises:
            OSError: It can be written nowhere.
        """
        self._space.make_room(size or 0)
        path = self._space.new_path()
        try:
            descriptor = self._space.create(path)
        except OSError as error:
            self._space.complain(error)
            # Whoever waits for the file gets it all the same.
            with tempfile.TemporaryFile() as file:
                return Incoming(self._space, os.dup(file.fileno()), None)
        return Incoming(self._space, descriptor, path)

    def keep(self, incoming: Incoming, key: FileKey, facts: ArchiveInfo | None = None) -> ArchiveInfo:
        """Keep a file that is whole and right, if there is room for it.

        Args:
            incoming: All of it.
            key: What it is found by.
            facts: What is known of it; if it is not given, its digest.

        Returns:
            What is known of it.
        """
        facts = facts or ArchiveInfo("", incoming.sha256, None, None, None)
        if facts.sidecar is not None:
            # By itself too: it outlives the wheel, which is a thousand times as large.
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
            # What is noted of the file before must not be taken for what is known of this one.
            with suppress(FileNotFoundError):
                os.unlink(path + FACTS)
            os.rename(incoming.path, path)
            incoming.path = None
            self._proven[path] = facts.sha256, Stamp.of(os.fstat(incoming.descriptor))
            self._note(key, facts, None)
            self._space.add(path, incoming.size)
        except OSError as error:
            self._space.complain(error)
            incoming.discard()
        self._space.make_room(0)
        return facts

    def keep_bytes(self, data: bytes, key: FileKey) -> bool:
        """Keep a small file; returns whether it is there now."""
        with suppress(OSError):
            incoming = self.begin(len(data))
            try:
                incoming.write(data)
                facts = self.keep(incoming, key)
            finally:
                incoming.close()
            held = self.held(key)
            return held is not None and held.sha256 == facts.sha256
        return False

    def _is_proven(self, path: str, descriptor: int, facts: ArchiveInfo, stamp: Stamp | None) -> bool:
        now = Stamp.of(os.fstat(descriptor))
        sha256, proven = self._proven.get(path, (facts.sha256, stamp))
        return sha256 == facts.sha256 and proven is not None and now.may_be(proven)

    def _prove(self, key: FileKey, descriptor: int, facts: ArchiveInfo) -> bool:
        before = Stamp.of(os.fstat(descriptor))
        digest, offset = hashlib.sha256(), 0
        while data := os.pread(descriptor, _CHUNK, offset):
            digest.update(data)
            offset += len(data)
        stamp = Stamp.of(os.fstat(descriptor))
        if digest.hexdigest() != facts.sha256 or not stamp.may_be(before):
            return False
        if not is_young(stamp, time.time_ns()):
            self._proven[self._path(key)] = facts.sha256, stamp
            self._note(key, facts, stamp)
        return True

    def _note(self, key: FileKey, facts: ArchiveInfo, proven: Stamp | None) -> None:
        record = pack((_FORMAT, key.owner, facts.sha256, *_facts_row(facts, proven)))
        self._space.write(self._path(key) + FACTS, record, counts=False)

    def _path(self, key: FileKey) -> str:
        return os.path.join(self._space.root, key.path)

    def _forget(self, path: str) -> None:
        self._space.forget(path)
        self._proven.pop(path, None)

    def _remove(self, path: str) -> None:
        self._proven.pop(path, None)
        self._space.remove(path)


def _facts_row(facts: ArchiveInfo, proven: Stamp | None) -> tuple[Any, ...]:
    return (
        *(facts.version, facts.requires_python),
        facts.sidecar and astuple(facts.sidecar),
        facts.place and astuple(facts.place),
        proven and (_BOOT, *proven),
    )


def _noted(key: FileKey, path: str) -> tuple[ArchiveInfo, Stamp | None] | None:
    """What the record beside a file says of it; None if it says nothing, or is that of another file."""
    record = read_record(path + FACTS)
    with suppress(ValueError, TypeError):
        match record:
            case (3, owner, str(sha256), *row) if owner == key.owner:
                return _facts(sha256, row)
            case (2, *row) if key.computed_sha256 is not None:
                return _facts(key.computed_sha256, row)
    return None


def _facts(sha256: str, row: Iterable[Any]) -> tuple[ArchiveInfo, Stamp | None]:
    version, requires_python, sidecar, place, proven = row
    facts = ArchiveInfo(
        version, sha256, requires_python, sidecar and Sidecar(*sidecar), place and MemberSpan(*place)
    )
    return facts, Stamp(*proven[1:]) if proven and proven[0] == _BOOT else None


def _boot() -> str:
    """Since when the machine has kept what it was told to keep."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return secrets.token_hex(8)


_BOOT: Final = _boot()
