"""The files of a :class:`~simpleindex.core.model.Project` in little memory; only this room knows how they are packed.

Few of the many thousands of files of an index are ever requested. With 50,000 files the process took 143 MB while all were
objects, and 105 MB once they and the facts about them were packed. The garbage collector has nothing to visit in them either.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, overload

from packaging.version import Version

from simpleindex.core.files import File, Sidecar, StoredFiles, file_order
from simpleindex.core.names import Kind
from simpleindex.core.serialization import deserialize, serialize

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_LOCAL: Final = (None, None, None, None, "local")
"""The last values of most files, those of a directory; left out."""


class PackedFiles(Sequence[File]):
    """An immutable sequence of files; equal to any other sequence of equal ones.

    Attributes:
        data: All of them.
        size: The sum of their sizes, bytes.
    """

    __slots__ = ("_number", "data", "size")

    def __init__(self, files: Iterable[File]) -> None:
        self._take([_row(file) for file in files])

    @classmethod
    def _of(cls, rows: list[tuple[Any, ...]]) -> PackedFiles:
        self = cls.__new__(cls)
        self._take(rows)
        return self

    def _take(self, rows: list[tuple[Any, ...]]) -> None:
        self.data = serialize(rows)
        self._number = len(rows)
        self.size: int = sum(row[3] or 0 for row in rows)

    def replaced(self, removed: Collection[str], added: Iterable[File]) -> PackedFiles:
        """Return the files without those of some names, and with others in their places.

        These are sorted by :func:`~simpleindex.core.files.file_order`.
        """
        rows = [row for row in deserialize(self.data) if row[0] not in removed]
        for file in added:
            rows.insert(bisect_left(rows, file_order(file), key=_order), _row(file))
        return self._of(rows)

    def of_version(self, version: str) -> tuple[File, ...]:
        """Return the files of a version, however it is written; these are sorted as in :meth:`replaced`."""
        rows, wanted = deserialize(self.data), Version(version)
        start, stop = (find(rows, wanted, key=_version) for find in (bisect_left, bisect_right))
        return tuple(map(_file, rows[start:stop]))

    @classmethod
    def restored(cls, stored: StoredFiles) -> PackedFiles:
        """Return the files that were stored."""
        self = cls.__new__(cls)
        self.data, self._number, self.size = stored
        return self

    @property
    def stored(self) -> StoredFiles:
        """The files as plain values."""
        return StoredFiles(self.data, self._number, self.size)

    @property
    def filenames(self) -> list[str]:
        """Their names, for which no file is unpacked."""
        return [filename for filename, *_ in deserialize(self.data)]

    def named(self, filename: str) -> File | None:
        """Return the file of this name, for which no other is unpacked; None if there is none."""
        row = _rows(self.data).get(filename)
        return None if row is None else _file(row)

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[File]:
        return iter(_unpacked(self.data))

    @overload
    def __getitem__(self, index: int) -> File: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[File, ...]: ...

    def __getitem__(self, index: int | slice) -> File | tuple[File, ...]:
        return _unpacked(self.data)[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedFiles):
            return self.data == other.data
        return tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def _version(row: tuple[Any, ...]) -> Version:
    return Version(row[1])


def _order(row: tuple[Any, ...]) -> tuple[Version, str]:
    return Version(row[1]), row[0]


def _row(file: File) -> tuple[Any, ...]:
    row = (
        file.filename,
        file.version,
        file.kind is Kind.WHEEL,
        file.size,
        file.sha256 and bytes.fromhex(file.sha256),
        file.uploaded_ns,
        file.requires_python,
        file.metadata and (bytes.fromhex(file.metadata.sha256), file.metadata.size),
        file.yanked,
        file.signatures,
        file.provenance,
    )
    upstream = (file.other_hash, file.provenance_url, file.url, file.dated_by, file.source)
    return row if upstream == _LOCAL else (*row, *upstream)


# Rendering a page reads the files several times, and a resolver requests many files of few projects.
@lru_cache(maxsize=8)
def _unpacked(data: bytes) -> tuple[File, ...]:
    return tuple(map(_file, deserialize(data)))


@lru_cache(maxsize=8)
def _rows(data: bytes) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row for row in reversed(deserialize(data))}


def _file(row: tuple[Any, ...]) -> File:
    filename, version, is_wheel, size, digest, uploaded_ns, requires_python, sidecar, *beside = row
    kind = Kind.WHEEL if is_wheel else Kind.SDIST
    metadata = sidecar and Sidecar(sidecar[0].hex(), sidecar[1])
    sha256 = digest and digest.hex()
    return File(filename, version, kind, size, sha256, uploaded_ns, requires_python, metadata, *beside)
