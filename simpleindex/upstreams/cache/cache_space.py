"""The disk space of the cache: sizes, order of use, and eviction."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import threading
from collections import Counter, OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.faults import Fault
from simpleindex.core.text import human_size
from simpleindex.system.atomic import write_all
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import logger
from simpleindex.system.ownership import give_to_owner_of, make_directories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log: Final = logger(__name__)

FACTS_DIRECTORY: Final = ".facts"
"""Suffix of the record beside a cached file."""

_LISTINGS_SHARE: Final = 4
"""Listings go before files once they take more than this part of the budget."""

_SILENT_SECONDS: Final = 24 * 3600.0
"""Seconds between two lines of the log about eviction, or about a cache that cannot be written."""

_LEFT_OVER: Final = 24 * 3600
"""Seconds after which an unfinished file is abandoned: no fetch lasts so long without writing to it."""


@dataclass(frozen=True, slots=True)
class DiskBudget:
    """How much of the disk may be used.

    Attributes:
        budget: Bytes of all files.
        floor: Bytes that stay free on its file system.
        largest: Bytes of one file; so that an endless one ends.
    """

    budget: int = 20 * 1024**3
    floor: int = 1024**3
    largest: int = 20 * 1024**3


class CacheSpace:
    """A directory with a budget; usable from any thread.

    Args:
        root: The directory; it is created with the first file.
        room: How much of the disk may be used.
        now: The time, seconds since 1970.
        is_cache: Whether an error costs speed only, so that it is logged here; else callers report it.
        option: What sets its budget, for the log.
        is_shared: Whether other processes write here too, of which one makes room for all.

    Attributes:
        makes_room: Whether this process removes what exceeds the budget.
        is_cache: As it was given.
        evictions: How many files and listings were removed to make room, by the directory of their index.
    """

    def __init__(
        self,
        root: str,
        room: DiskBudget,
        now: Callable[[], float],
        *,
        is_cache: bool = True,
        option: str = "[cache] in the sources file",
        is_shared: bool = False,
    ) -> None:
        self.root = root
        self.room = room
        self.now = now
        self.makes_room = not is_shared
        self._is_shared = is_shared
        self._option = option
        self._lock = threading.Lock()
        self._files: OrderedDict[str, int] = OrderedDict()
        self._listings: OrderedDict[str, int] = OrderedDict()
        self._size = self._listings_size = 0
        self._silent_until = self._complained_until = 0.0
        self.evictions: Counter[str] = Counter()
        self._prefix = os.path.join(root, "listings", "")
        self._is_loaded = False
        self.is_cache = is_cache

    def load(self) -> None:
        """Index the directory; remove unfinished files, and what exceeds the budget."""
        for path in self._scan("new"):
            with suppress(OSError):
                if os.stat(path).st_mtime < self.now() - _LEFT_OVER:
                    os.unlink(path)
        self._remove_older_form()
        self._remove_empty_directories()
        self._index()
        self.make_room(0)

    def load_others(self) -> None:
        """Index what all processes have written, by the hour of its last use, and remove what exceeds the budget."""
        with self._lock:
            self._files.clear()
            self._listings.clear()
            self._size = self._listings_size = 0
        self._index()
        self.make_room(0)

    def _index(self) -> None:
        entries = []
        for kind in ("given", "listings"):
            for path in self._scan(kind):
                with suppress(OSError):
                    if not path.endswith(FACTS_DIRECTORY):
                        marker = path + FACTS_DIRECTORY if os.path.lexists(path + FACTS_DIRECTORY) else path
                        entries.append((os.stat(marker).st_mtime, path, os.stat(path).st_size))
        with self._lock:
            for _, path, size in sorted(entries, reverse=True):
                index = self._index_of(path)
                if path not in index:
                    index[path] = size
                    index.move_to_end(path, last=False)
                    self._count(path, size)
            self._is_loaded = True

    def _scan(self, kind: str) -> Iterator[str]:
        for directory, _, names in os.walk(os.path.join(self.root, kind)):
            yield from (os.path.join(directory, name) for name in names)

    def _remove_older_form(self) -> None:
        """Remove files that older versions stored by digest alone: nothing says which index they came from."""
        older = os.path.join(self.root, "files")
        if os.path.lexists(older):
            shutil.rmtree(older, ignore_errors=True)
            _log.info(
                "Removed {path}, which an older version wrote: its files are fetched again when they are requested.",
                path=ascii(older),
            )

    def _remove_empty_directories(self) -> None:
        """Remove the directories of projects without cached files."""
        for directory, _, names in os.walk(os.path.join(self.root, "given"), topdown=False):
            if not names:
                with suppress(OSError):
                    os.rmdir(directory)

    @property
    def size(self) -> int:
        """The bytes of all files and listings."""
        return self._size

    @property
    def counts(self) -> tuple[int, int]:
        """The number of files, and that of listings."""
        return len(self._files), len(self._listings)

    def may_have(self, path: str) -> bool:
        """Return whether a file may be in the cache; without touching the disk."""
        return self._is_shared or not self._is_loaded or path in self._index_of(path)

    def may_fit(self, size: int) -> bool:
        """Return whether this many bytes would fit if all else were removed: for what cannot fit, nothing has to go."""
        free = self.free()
        return size <= self.room.budget and (free is None or free + self._size - size >= self.room.floor)

    def make_room(self, size: int) -> None:
        """Remove the least recently used until this many more bytes fit: files first, then listings.

        A file without its listing could not be served, and a listing is a thousandth of its files.
        """
        while self._is_loaded and self.makes_room and self._is_too_much(size):
            path = self._least_used()
            if path is None:
                break
            self._log_eviction(size)
            self.evictions[os.path.relpath(path, self.root).split(os.sep)[1]] += 1
            self.remove(path)

    def _least_used(self) -> str | None:
        with self._lock:
            if self._files and self._listings_size <= self.room.budget // _LISTINGS_SHARE:
                return next(iter(self._files))
            return next(iter(self._listings), None) or next(iter(self._files), None)

    def _log_eviction(self, size: int) -> None:
        if self._is_silent(self._silent_until):
            return
        self._silent_until = self.now() + _SILENT_SECONDS
        if self._exceeds_budget(size):
            _log.info(
                "The cache in {path} is full: the least recently used files make room for new ones. "
                "Its size is set by {option}.",
                path=ascii(self.root),
                option=self._option,
            )
            return
        _log.warn(
            "The disk of the cache {path} has too little room: {floor} of it stay free for others, so the least recently used "
            "files are removed. Make room on it, or give --cache a larger disk.",
            path=ascii(self.root),
            floor=human_size(self.room.floor),
        )

    def _is_too_much(self, size: int) -> bool:
        if self._exceeds_budget(size):
            return True
        free = self.free()
        return free is not None and free - size < self.room.floor

    def _exceeds_budget(self, size: int) -> bool:
        # Nothing is evicted for a file that is larger than the whole budget.
        return size <= self.room.budget < self._size + size

    def free(self) -> int | None:
        """Return the free bytes of its file system; None if it does not say."""
        try:
            status = os.statvfs(self.root)
        except OSError:
            return None
        return status.f_frsize * status.f_bavail

    def use(self, path: str) -> None:
        """Note that a file was used."""
        with self._lock:
            index = self._index_of(path)
            if path in index:
                index.move_to_end(path)

    def add(self, path: str, size: int) -> None:
        """Count a file that was added."""
        with self._lock:
            index = self._index_of(path)
            self._count(path, size - index.pop(path, 0))
            index[path] = size

    def forget(self, path: str) -> None:
        """Stop counting a file."""
        with self._lock:
            self._count(path, -self._index_of(path).pop(path, 0))

    def _index_of(self, path: str) -> OrderedDict[str, int]:
        return self._listings if path.startswith(self._prefix) else self._files

    def _count(self, path: str, size: int) -> None:
        self._size += size
        if path.startswith(self._prefix):
            self._listings_size += size

    def remove(self, path: str) -> None:
        """Remove a file, and the record beside it."""
        self.forget(path)
        for name in (path + FACTS_DIRECTORY, path):
            with suppress(OSError):
                os.unlink(name)

    def new_path(self) -> str:
        """Return where a file can be written until it is whole."""
        return os.path.join(self.root, "new", secrets.token_hex(8))

    def write(self, path: str, data: bytes, *, counts: bool = True) -> None:
        """Write a small file, whole or not at all; an error is logged once.

        Args:
            path: Its path.
            data: Its bytes.
            counts: Whether it counts, and can be evicted.
        """
        aside = self.new_path()
        try:
            descriptor = self.create(aside)
            try:
                write_all(descriptor, data)
            finally:
                os.close(descriptor)
            self.make_parent(path)
            os.rename(aside, path)
        except OSError as error:
            self.complain(error)
            with suppress(OSError):
                os.unlink(aside)
            return
        if counts:
            self.add(path, len(data))
            self.make_room(0)

    def create(self, path: str) -> int:
        """Create a file; return its descriptor.

        Raises:
            OSError: It cannot be created.
        """
        self.make_parent(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        give_to_owner_of(os.path.dirname(path), descriptor)
        return descriptor

    @staticmethod
    def make_parent(path: str) -> None:
        """Create the directory of a file."""
        make_directories(os.path.dirname(path))

    def complain(self, error: OSError) -> None:
        """Log, once a day, that the cache cannot be written."""
        if not self.is_cache or self._is_silent(self._complained_until):
            return
        self._complained_until = self.now() + _SILENT_SECONDS
        trouble = trouble_of(error, self.root)
        consequence, remedy = "and all others are fetched again each time", trouble.remedy
        if trouble.fault is Fault.FULL:
            consequence = "new ones that do not fit are not kept"
            remedy = "make room on its disk, or give --cache a larger one."
        _log.error(
            "The cache in {path} cannot be written ({error}). Files that it has are served on, {consequence}: {remedy}",
            path=ascii(self.root),
            error=trouble.cause,
            consequence=consequence,
            remedy=remedy,
        )

    def _is_silent(self, until: float) -> bool:
        # A date that lay years ahead and was set right must not silence the log for years.
        return 0 < until - self.now() <= _SILENT_SECONDS


def require_disk(descriptor: int, size: int, place: str) -> None:
    """Refuse a file for which its disk has no room, before its first byte.

    Raises:
        OSError: There is none.
    """
    status = os.fstatvfs(descriptor)
    if status.f_frsize * status.f_bavail < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)
