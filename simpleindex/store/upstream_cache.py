"""What is kept of upstream indexes in the cache directory: listings, and files by their digest. Blocking.

Everything here may be deleted, damaged or unwritable at any time, which costs speed and never truth: whatever is read back
is proven first. A listing carries a checksum. A file is called by its digest, and is hashed again unless it is, by the file
system's word, in the very state in which that was done before, since the machine last started: nothing is forced to the
disk, so a power cut may leave anything.
"""

from __future__ import annotations

import hashlib

# Only what this program has packed itself is ever unpacked; a checksum proves it.
import marshal
import os
import secrets
import tempfile
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import astuple, dataclass
from io import FileIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from simpleindex.core import severity
from simpleindex.core.errors import BrokenArchive, InvalidFilename
from simpleindex.core.files import VERSION, PackedFiles
from simpleindex.core.model import Project, Sidecar, Status, Withheld
from simpleindex.core.names import WHEEL_SUFFIX, ProjectName, parse_distribution_name
from simpleindex.core.repair import Learnt
from simpleindex.store.archives import Facts, Place, examine, read_sidecar
from simpleindex.store.directory import Stamp, is_young
from simpleindex.store.ownership import give_to_owner_of, make_directories
from simpleindex.store.staging import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_FORMAT: Final = 2
"""Raised whenever what is packed changes; what has another is as good as absent."""

_FACTS: Final = ".facts"
_SUM: Final = 16
_TOUCH_EVERY: Final = 3600
"""Seconds: how exactly it is noted on the disk when a file was used last."""

_CHECK_ROOM_EVERY: Final = 64 * 1024 * 1024
"""Bytes written, after which it is seen to that there is still room."""

_CHUNK: Final = 1024 * 1024
_LONGEST_NAME: Final = 200
_LEFT_OVER: Final = 24 * 3600
"""Seconds after which an unfinished file is nobody's: no fetch lives so long without writing to it."""


@dataclass(frozen=True, slots=True)
class KeptListing:
    """What an upstream said of a project.

    Attributes:
        project: As it has it.
        etag: To ask again by; None if none came.
        last_modified: The same.
        fresh_for: Seconds for which it need not be asked again, as the upstream said; None if it did not.
        fetched_at: When it said so, seconds since 1970.
        learnt: What files themselves taught since, by name.
    """

    project: Project
    etag: str | None
    last_modified: str | None
    fresh_for: float | None
    fetched_at: float
    learnt: Mapping[str, Learnt]


@dataclass(frozen=True, slots=True)
class Room:
    """How much of the disk may be used.

    Attributes:
        budget: Bytes of all that is kept.
        floor: Bytes that are to stay free on its file system.
        largest: Bytes of one file; only so that an endless one ends.
    """

    budget: int = 20 * 1024**3
    floor: int = 1024**3
    largest: int = 20 * 1024**3


@dataclass(frozen=True, slots=True)
class Held:
    """A file that is in the cache.

    Attributes:
        path: Where.
        size: Bytes.
        fetched_at: Seconds since 1970.
        used_at: The same; to the hour.
        is_proven: Whether its bytes were hashed in this very state since the machine started; else they are before they are
            served again.
    """

    path: str
    size: int
    fetched_at: float
    used_at: float
    is_proven: bool


class UpstreamCache:
    """The cache of all upstreams together; usable from any thread.

    Args:
        directory: Where; it is made when something is written.
        log: Takes a sentence for the operator.
        room: How much of the disk may be used.
        now: The time, seconds since 1970.
    """

    def __init__(
        self,
        directory: str,
        log: Callable[[str], None],
        room: Room | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._root = os.path.join(directory, "upstream")
        self._log = log
        self._now = now
        self.room = room or Room()
        self._lock = threading.Lock()
        self._index: OrderedDict[str, int] = OrderedDict()
        self._size = 0
        self._is_loaded = False
        self._has_complained = False
        self._proven: dict[str, Stamp] = {}

    # -- the start --------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """See what is there; remove what writers that died left behind, and what is too much."""
        for path in self._scan("new"):
            with suppress(OSError):
                if os.stat(path).st_mtime < self._now() - _LEFT_OVER:
                    os.unlink(path)
        found = []
        for kind in ("files", "listings"):
            for path in self._scan(kind):
                with suppress(OSError):
                    if not path.endswith(_FACTS):
                        marker = path + _FACTS if os.path.lexists(path + _FACTS) else path
                        found.append((os.stat(marker).st_mtime, path, os.stat(path).st_size))
        with self._lock:
            for _, path, size in sorted(found, reverse=True):
                if path not in self._index:
                    self._index[path] = size
                    self._index.move_to_end(path, last=False)
                    self._size += size
            self._is_loaded = True
        self.make_room(0)

    def _scan(self, kind: str) -> Iterator[str]:
        for directory, _, names in os.walk(os.path.join(self._root, kind)):
            yield from (os.path.join(directory, name) for name in names)

    # -- listings ---------------------------------------------------------------------------------------------------

    def listing(self, upstream: str, name: ProjectName) -> KeptListing | None:
        """What was kept of a project.

        Args:
            upstream: Which; other text for another index, also where both have one name.
            name: The project.
        """
        path = self._listing_path(upstream, name)
        parts = self._unpacked(path)
        if parts is None:
            return None
        with suppress(ValueError, TypeError, KeyError, IndexError):
            kept = _listing(parts)
            if kept.project.name == name and parts[1] == upstream:
                self._use(path)
                return kept
        return None

    def keep_listing(self, upstream: str, kept: KeptListing) -> None:
        """Keep this in place of what was kept of the project before."""
        path = self._listing_path(upstream, kept.project.name)
        self._write(path, _packed(_parts_of(upstream, kept)))

    def drop_listing(self, upstream: str, name: ProjectName) -> None:
        """Forget it."""
        self._remove(self._listing_path(upstream, name))

    def kept_names(self, upstream: str) -> tuple[ProjectName, ...]:
        """The projects of which something is kept, sorted."""
        directory = self.listings_of(upstream)
        try:
            return tuple(
                ProjectName(name) for name in sorted(os.listdir(directory)) if not name.startswith(".")
            )
        except OSError:
            return ()

    def listings_of(self, upstream: str) -> str:
        """The directory of what is kept of an upstream's listings; its time changes when one comes or goes."""
        return os.path.dirname(self._listing_path(upstream, "x"))

    def _listing_path(self, upstream: str, name: str) -> str:
        digest = hashlib.sha256(upstream.encode()).hexdigest()[:8]
        stem = quote(upstream.split("://", 1)[-1], safe="")[:80].lstrip(".")
        if len(name) > _LONGEST_NAME:
            # No project is called like this.
            name = "." + hashlib.sha256(name.encode()).hexdigest()
        return os.path.join(self._root, "listings", f"{stem}-{digest}", name)

    # -- files ------------------------------------------------------------------------------------------------------

    def may_have(self, sha256: str) -> bool:
        """Whether looking for a file makes sense; at once."""
        return not self._is_loaded or self._file_path(sha256) in self._index

    def held(self, sha256: str) -> Held | None:
        """What the disk says of a file, which is not opened; None if it is not there."""
        path = self._file_path(sha256)
        try:
            status = os.stat(path)
        except OSError:
            return None
        used, proven = status.st_mtime, None
        with suppress(OSError):
            used = os.stat(path + _FACTS).st_mtime
        row = self._unpacked(path + _FACTS)
        with suppress(ValueError, TypeError):
            proven = _facts(sha256, row[1:])[1] if row else None
        is_proven = proven is not None and Stamp.of(status).may_be(proven)
        return Held(path, status.st_size, status.st_mtime, used, is_proven)

    def remove_file(self, sha256: str) -> None:
        """Remove a file; whoever has it open goes on reading."""
        self._remove(self._file_path(sha256))

    def open(self, sha256: str) -> tuple[int, Facts] | None:
        """Open a file, whose bytes have been proven to be the right ones.

        Returns:
            A descriptor, and what is known of the file; None if it is not to be had.
        """
        path = self._file_path(sha256)
        facts_path = path + _FACTS
        row = self._unpacked(facts_path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            self._forget(path)
            return None
        try:
            facts, proven = _facts(sha256, row[1:]) if row else (Facts("", sha256, None, None, None), None)
            if self._is_proven(path, descriptor, proven) or self._prove(path, descriptor, facts):
                self._use(path)
                with suppress(OSError):
                    if os.stat(facts_path).st_mtime < self._now() - _TOUCH_EVERY:
                        os.utime(facts_path)
                return descriptor, facts
        except (OSError, ValueError, TypeError):
            pass
        os.close(descriptor)
        self._remove(path)
        return None

    def read(self, sha256: str, most: int) -> bytes | None:
        """All of a small file.

        Args:
            sha256: Which.
            most: Bytes; a larger one is none of these.
        """
        found = self.open(sha256)
        if found is None:
            return None
        with FileIO(found[0]) as file, suppress(OSError):
            data = file.read(most + 1) if os.fstat(found[0]).st_size <= most else b""
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
        return None

    def read_sidecar(self, sha256: str, sidecar: str) -> bytes | None:
        """The METADATA of a wheel.

        Args:
            sha256: The wheel.
            sidecar: The digest that the metadata must have.
        """
        found = self.open(sha256)
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
        self.make_room(size or 0)
        path = os.path.join(self._root, "new", secrets.token_hex(8))
        try:
            descriptor = self._create(path)
        except OSError as error:
            self._complain(error)
            # Whoever waits for the file gets it all the same.
            with tempfile.TemporaryFile() as file:
                return Incoming(self, os.dup(file.fileno()), None)
        return Incoming(self, descriptor, path)

    def keep(self, incoming: Incoming, filename: str) -> Facts:
        """Keep a file that is whole and right, if there is room for it.

        Args:
            incoming: All of it.
            filename: What it is called upstream; of a wheel, more is learnt.

        Returns:
            What is known of it.
        """
        facts = self._examine(incoming, filename)
        if facts.sidecar is not None:
            # By itself too: it outlives the wheel, which is a thousand times as large.
            with suppress(BrokenArchive, OSError):
                self.keep_bytes(
                    read_sidecar(lambda length, offset: os.pread(incoming.descriptor, length, offset), facts)
                )
        path = self._file_path(facts.sha256)
        if incoming.path is None or incoming.size > self.room.budget:
            incoming.discard()
            return facts
        try:
            self._make_parent(path)
            os.rename(incoming.path, path)
            incoming.path = None
            self._proven[path] = Stamp.of(os.fstat(incoming.descriptor))
            self._write(path + _FACTS, _packed(_facts_row(facts, None)), counts=False)
            self._add(path, incoming.size)
        except OSError as error:
            self._complain(error)
            incoming.discard()
        self.make_room(0)
        return facts

    def keep_bytes(self, data: bytes) -> bool:
        """Keep a small file; returns whether it is there now."""
        with suppress(OSError):
            incoming = self.begin(len(data))
            try:
                incoming.write(data)
                facts = self.keep(incoming, "")
            finally:
                incoming.close()
            return self.held(facts.sha256) is not None
        return False

    @staticmethod
    def _examine(incoming: Incoming, filename: str) -> Facts:
        nothing = Facts("", incoming.sha256, None, None, None)
        if not filename.endswith(WHEEL_SUFFIX):
            return nothing
        try:
            with FileIO(os.dup(incoming.descriptor)) as file:
                facts = examine(file, parse_distribution_name(filename))
        except (BrokenArchive, InvalidFilename, OSError):
            # It is what the upstream says that it is; that no more can be said of it is not for us to judge.
            return nothing
        return facts if facts.sha256 == incoming.sha256 else nothing

    def _is_proven(self, path: str, descriptor: int, stamp: Stamp | None) -> bool:
        now = Stamp.of(os.fstat(descriptor))
        proven = self._proven.get(path) or stamp
        return proven is not None and now.may_be(proven)

    def _prove(self, path: str, descriptor: int, facts: Facts) -> bool:
        before = Stamp.of(os.fstat(descriptor))
        digest, offset = hashlib.sha256(), 0
        while data := os.pread(descriptor, _CHUNK, offset):
            digest.update(data)
            offset += len(data)
        stamp = Stamp.of(os.fstat(descriptor))
        if digest.hexdigest() != facts.sha256 or not stamp.may_be(before):
            return False
        if not is_young(stamp, time.time_ns()):
            self._proven[path] = stamp
            self._write(path + _FACTS, _packed(_facts_row(facts, stamp)), counts=False)
        return True

    def _file_path(self, sha256: str) -> str:
        return os.path.join(self._root, "files", sha256[:2], sha256)

    # -- room -------------------------------------------------------------------------------------------------------

    def make_room(self, size: int) -> None:
        """Remove what was used least recently until this much more fits."""
        while self._is_loaded and self._index and self._is_too_much(size):
            with self._lock:
                path = next(iter(self._index), None)
            if path is None:
                break
            self._remove(path)

    def _is_too_much(self, size: int) -> bool:
        # For one that is too large to be kept at all, nothing has to go.
        if size <= self.room.budget < self._size + size:
            return True
        free = self.free()
        return free is not None and free - size < self.room.floor

    def free(self) -> int | None:
        """Bytes that are free on its file system; None if that cannot be told."""
        try:
            status = os.statvfs(self._root)
        except OSError:
            return None
        return status.f_frsize * status.f_bavail

    def _use(self, path: str) -> None:
        with self._lock:
            if path in self._index:
                self._index.move_to_end(path)

    def _add(self, path: str, size: int) -> None:
        with self._lock:
            self._size += size - self._index.pop(path, 0)
            self._index[path] = size

    def _forget(self, path: str) -> None:
        with self._lock:
            self._size -= self._index.pop(path, 0)
            self._proven.pop(path, None)

    def _remove(self, path: str) -> None:
        self._forget(path)
        for name in (path + _FACTS, path):
            with suppress(OSError):
                os.unlink(name)

    # -- bytes ------------------------------------------------------------------------------------------------------

    def _unpacked(self, path: str) -> tuple[Any, ...] | None:
        try:
            with FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
                data = file.readall()
        except OSError:
            return None
        checksum, packed = data[:_SUM], data[_SUM:]
        if checksum != _sum(packed):
            return None
        try:
            parts = marshal.loads(packed)  # noqa: S302  (see the import)
        except (EOFError, ValueError, TypeError):
            return None
        return parts if isinstance(parts, tuple) and parts and parts[0] == _FORMAT else None

    def _write(self, path: str, data: bytes, *, counts: bool = True) -> None:
        aside = os.path.join(self._root, "new", secrets.token_hex(8))
        try:
            descriptor = self._create(aside)
            try:
                write_all(descriptor, data)
            finally:
                os.close(descriptor)
            self._make_parent(path)
            os.rename(aside, path)
        except OSError as error:
            self._complain(error)
            with suppress(OSError):
                os.unlink(aside)
            return
        if counts:
            self._add(path, len(data))
            self.make_room(0)

    def _create(self, path: str) -> int:
        self._make_parent(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        give_to_owner_of(os.path.dirname(path), descriptor)
        return descriptor

    @staticmethod
    def _make_parent(path: str) -> None:
        make_directories(os.path.dirname(path), 0o700)

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            self._has_complained = True
            self._log(
                severity.error(
                    f"What upstreams say cannot be kept in {self._root!a} ({error.strerror}); it is fetched again each time. "
                    "Make --cache a directory that this user can write, and that has room."
                )
            )


class Incoming:
    """A file that is being fetched; used by one thread at a time.

    Args:
        cache: Where it may be kept.
        descriptor: Open for reading and writing.
        path: Where it lies; None if nowhere.

    Attributes:
        size: Bytes so far.
    """

    def __init__(self, cache: UpstreamCache, descriptor: int, path: str | None) -> None:
        self._cache = cache
        self.descriptor = descriptor
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        self._checked = 0

    @property
    def sha256(self) -> str:
        """Lower-case hex digest of what there is so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            OSError: There is no room for it.
        """
        try:
            write_all(self.descriptor, data, self.size)
        except OSError:
            self._cache.make_room(len(data) + _CHECK_ROOM_EVERY)
            write_all(self.descriptor, data, self.size)
        self.size += len(data)
        self._digest.update(data)
        if self.size - self._checked >= _CHECK_ROOM_EVERY:
            self._checked = self.size
            self._cache.make_room(_CHECK_ROOM_EVERY)

    def hexdigest(self, algorithm: str) -> str:
        """Another digest of all of it."""
        digest, offset = hashlib.new(algorithm, usedforsecurity=False), 0
        while data := os.pread(self.descriptor, _CHUNK, offset):
            digest.update(data)
            offset += len(data)
        return digest.hexdigest()

    def discard(self) -> None:
        """Remove it unless it was kept; whoever has it open goes on reading."""
        if self.path is not None:
            with suppress(OSError):
                os.unlink(self.path)
            self.path = None

    def close(self) -> None:
        """Remove it unless it was kept, and let go."""
        self.discard()
        os.close(self.descriptor)


def is_known_hash(algorithm: str) -> bool:
    """Whether a file can be checked by a hash of this name."""
    return algorithm in hashlib.algorithms_guaranteed and not algorithm.startswith("shake")


# -- packing ------------------------------------------------------------------------------------------------------------


def _sum(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=_SUM).digest()


def _packed(parts: tuple[Any, ...]) -> bytes:
    packed = marshal.dumps((_FORMAT, *parts), VERSION)
    return _sum(packed) + packed


def _parts_of(upstream: str, kept: KeptListing) -> tuple[Any, ...]:
    project = kept.project
    files = project.files if isinstance(project.files, PackedFiles) else PackedFiles(project.files)
    return (
        *(upstream, str(project.name), project.status.value, project.status_reason),
        *(files.packed, len(files), files.size),
        [astuple(item) for item in project.withheld],
        *(kept.etag, kept.last_modified, kept.fresh_for, kept.fetched_at),
        {name: astuple(learnt) for name, learnt in kept.learnt.items()},
    )


def _listing(parts: tuple[Any, ...]) -> KeptListing:
    _, _, name, status, reason, packed, count, size, withheld, *said, fetched_at, learnt = parts
    etag, last_modified, fresh_for = said
    project = Project(
        name=ProjectName(name),
        files=PackedFiles.restored(packed, count, size),
        withheld=tuple(Withheld(*item) for item in withheld),
        status=Status(status),
        status_reason=reason,
    )
    known = dict(_learnt(learnt.items()))
    return KeptListing(project, etag, last_modified, fresh_for, fetched_at, known)


def _learnt(items: Iterable[tuple[str, tuple[Any, ...]]]) -> Iterator[tuple[str, Learnt]]:
    for name, (size, sha256, requires_python, sidecar, modified_ns) in items:
        yield name, Learnt(size, sha256, requires_python, sidecar and Sidecar(*sidecar), modified_ns)


def _facts_row(facts: Facts, proven: Stamp | None) -> tuple[Any, ...]:
    return (
        *(facts.version, facts.requires_python),
        facts.sidecar and astuple(facts.sidecar),
        facts.place and astuple(facts.place),
        proven and (_BOOT, *proven),
    )


def _facts(sha256: str, row: Iterable[Any]) -> tuple[Facts, Stamp | None]:
    version, requires_python, sidecar, place, proven = row
    facts = Facts(version, sha256, requires_python, sidecar and Sidecar(*sidecar), place and Place(*place))
    return facts, Stamp(*proven[1:]) if proven and proven[0] == _BOOT else None


def _boot() -> str:
    """Since when the machine has kept what it was told to keep."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return secrets.token_hex(8)


_BOOT: Final = _boot()
