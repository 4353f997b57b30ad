"""The catalogue: projects at rest, packed in a file of the cache directory, for the next start and for all workers.

A start compares the states of the files with those in the catalogue, and leaves in the file what is as it was: a project is read
from there when it is requested. The file may be deleted, damaged or older than the directory at any time: that costs speed only.

It is a row of blocks, each with a digest of itself: the packed projects and after every 128 of them a page about these, then the
places of the projects, which have no digest, the index of the pages with all names, and the place of the index. A place is the
number of a byte, and that of the bytes from there. The digest of a packed project is one of its name too, so that a damaged place
leads to nothing. The names are in memory while the catalogue is open; all else is read when it is needed.
"""

from __future__ import annotations

import os
from array import array
from contextlib import suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from functools import lru_cache
from glob import escape, glob
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from simpleindex.core.serialization import deserialize, serialize
from simpleindex.directory.scan.digest_cache import FORMAT
from simpleindex.directory.scan.name_sets import SortedNames, names_as_text
from simpleindex.directory.scan.resting import resting
from simpleindex.directory.scan.scanned_files import packed_states
from simpleindex.system.ownership import make_private

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simpleindex.core.names import ProjectName

    _Row = tuple[int, tuple[str, ...], tuple[tuple[int, ...], ...], int, int]

_FORMAT: Final = b"simpleindex catalogue 3 %d\n" % FORMAT
"""To be changed with whatever is packed; it changes with the judgement of files. An older catalogue is then not used."""

_PAGE: Final = 128
"""Projects of a page, about as many as are compared with the disk in one go."""

_PAGES_KEPT: Final = 2
"""A start reads them in their order; 170 kB each."""

_DIGEST_BYTES: Final = 16
_PLACE_BYTES: Final = 8
_LENGTH_BITS: Final = 28
_MOST_BYTES: Final = (1 << _LENGTH_BITS) - 1


class StoredProject(NamedTuple):
    """A project in the catalogue.

    Attributes:
        name: Which.
        number: Its number among the catalogue's names.
        paths: Its directory, and each of its files.
        states: The state of each of them, as plain values of a :class:`~simpleindex.system.stamp.Stamp`.
        files: Number of its listed files.
        size: Bytes of these.
    """

    name: ProjectName
    number: int
    paths: tuple[str, ...]
    states: tuple[tuple[int, ...], ...]
    files: int
    size: int


class _Index(NamedTuple):
    """The index of a catalogue.

    Attributes:
        pages: The place of each page.
        places: Where the places of the projects begin.
        names: Of the projects, as a text.
        written_ns: When the catalogue was written, nanoseconds since 1970.
    """

    pages: list[int]
    places: int
    names: str
    written_ns: int


class Catalogue:
    """An open catalogue; usable from any thread. A newer one may take its name on the disk meanwhile.

    Args:
        descriptor: Of the file; it is closed with the catalogue.
        index: Of the file.

    Attributes:
        names: Of its projects.
        written_ns: When it was written, nanoseconds since 1970.
    """

    def __init__(self, descriptor: int, index: _Index) -> None:
        self._descriptor = descriptor
        self._pages = array("Q", index.pages)
        self._places = index.places
        self.names = SortedNames(index.names)
        self.written_ns = index.written_ns
        self._page = lru_cache(_PAGES_KEPT)(self._read_page)

    @classmethod
    def opened(cls, path: str, key: bytes) -> Catalogue | None:
        """Open a file; None if there is none that can be used.

        Args:
            path: The file.
            key: As in :class:`CatalogueFile`.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        with suppress(OSError, ValueError, TypeError, EOFError):
            end = os.fstat(descriptor).st_size - _PLACE_BYTES
            index = _block(descriptor, _place(descriptor, end))
            if index is not None:
                written_with, *values = deserialize(index)
                if written_with == (_FORMAT, key):
                    return cls(descriptor, _Index(*values))
        os.close(descriptor)
        return None

    def project(self, name: ProjectName) -> StoredProject | None:
        """Return a project; None if it is not there, or cannot be read."""
        number = self.names.number(name)
        row = self._page(number // _PAGE).get(name) if number >= 0 else None
        return None if row is None else StoredProject(name, *row)

    def projects(self) -> Iterator[StoredProject]:
        """Yield all that can be read."""
        for number in range(len(self._pages)):
            for name, row in self._read_page(number).items():
                yield StoredProject(name, *row)

    def packed(self, name: ProjectName, number: int) -> bytes | None:
        """Return the packed snapshot of a project; None if it cannot be read, or is damaged."""
        try:
            place = _place(self._descriptor, self._places + number * _PLACE_BYTES)
            return _block(self._descriptor, place, name)
        except OSError:
            return None

    def clear_caches(self) -> None:
        """Forget what was read for a start: it lies scattered among what the start has freed, and would keep that memory."""
        self._page.cache_clear()
        self.names.number.cache_clear()

    def close(self) -> None:
        """Close the file; nothing can be read of it from then on."""
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

    def _read_page(self, number: int) -> dict[ProjectName, _Row]:
        try:
            data = _block(self._descriptor, self._pages[number])
        except OSError:
            data = None
        page: dict[ProjectName, _Row] = {} if data is None else deserialize(data)
        return page


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """The file of the catalogue of one root.

    Attributes:
        key: What it is of: the root, and what the root is called among the sources.
    """

    path: str
    key: bytes

    @classmethod
    def of(cls, cache: str, root: str, source: str) -> CatalogueFile:
        """Return the file in a cache directory, which several roots may share."""
        key = b"\0".join(map(os.fsencode, (root, source)))
        return cls(os.path.join(cache, f"catalogue-{blake2b(key, digest_size=8).hexdigest()}"), key)

    def open(self) -> Catalogue | None:
        """Open the catalogue; None if there is none that can be used. Blocking."""
        return Catalogue.opened(self.path, self.key)

    def write(self, projects: Iterable[tuple[ProjectName, bytes]], *, now_ns: int) -> None:
        """Write a catalogue in place of the one before. Blocking.

        Args:
            projects: Packed snapshots, in the order of the names.
            now_ns: The time, nanoseconds since 1970.

        Raises:
            OSError: It cannot be written.
        """
        temporary = f"{self.path}.{os.getpid()}"
        self._remove_unfinished()
        make_private(temporary)
        try:
            with open(temporary, "wb") as file:
                flock(file, LOCK_EX)
                _Writer(file).write_all(projects, (_FORMAT, self.key), now_ns)
            # Not synced: what a power cut leaves of it has no right digest.
            os.replace(temporary, self.path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _remove_unfinished(self) -> None:
        """Remove what processes left that were killed while they wrote, which may be as large as the catalogue itself."""
        for path in glob(f"{escape(self.path)}.*"):
            with suppress(OSError), open(path, "rb") as file:
                flock(file, LOCK_EX | LOCK_NB)  # Another process may be writing it.
                os.unlink(path)


class _Writer:
    """Writes the blocks of a catalogue to an empty file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0
        self._places = array("Q")

    def write_all(
        self, projects: Iterable[tuple[ProjectName, bytes]], key: tuple[bytes, bytes], now_ns: int
    ) -> None:
        """Write projects, and the index."""
        names: list[ProjectName] = []
        pages: list[int] = []
        left = iter(projects)
        while page := {name: self._row(name, data) for name, data in islice(left, _PAGE)}:
            names += page
            pages.append(self._write(serialize(page)))
        places = self._position
        for place in self._places:
            self._position += self._file.write(place.to_bytes(_PLACE_BYTES, "big"))
        index = self._write(serialize((key, *_Index(pages, places, names_as_text(names), now_ns))))
        self._file.write(index.to_bytes(_PLACE_BYTES, "big"))

    def _row(self, name: ProjectName, data: bytes) -> _Row:
        """Write a packed snapshot; return the rest of the values of its :class:`StoredProject`."""
        values = resting(data)
        states = {values.directory: values.stamp, **packed_states(values.known, values.files)}
        number = len(self._places)
        self._places.append(self._write(data, name))
        return number, tuple(states), tuple(states.values()), values.number, values.size

    def _write(self, data: bytes, name: str = "") -> int:
        """Write a block; return its place."""
        start = self._position
        self._position += self._file.write(_digest(data, name)) + self._file.write(data)
        return start << _LENGTH_BITS | len(data)


def _place(descriptor: int, start: int) -> int:
    """Read a place, which may be damaged."""
    return int.from_bytes(os.pread(descriptor, _PLACE_BYTES, start), "big")


def _block(descriptor: int, place: int, name: str = "") -> bytes | None:
    """Return the block at a place; None if it is damaged."""
    start, length = place >> _LENGTH_BITS, place & _MOST_BYTES
    if start + length > os.fstat(descriptor).st_size:
        # A damaged place may be that of more bytes than there is memory.
        return None
    block = os.pread(descriptor, _DIGEST_BYTES + length, start)
    data = block[_DIGEST_BYTES:]
    return data if len(data) == length and block[:_DIGEST_BYTES] == _digest(data, name) else None


def _digest(data: bytes, name: str) -> bytes:
    digest = blake2b(data, digest_size=_DIGEST_BYTES)
    digest.update(name.encode())
    return digest.digest()
