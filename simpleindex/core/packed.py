"""The files of a project, packed: of the many thousands that an index keeps, most are asked for by nobody.

With 50,000 files the process took 143 MB while all were objects, and 105 MB once they and what is known of them were packed.
The garbage collector has nothing to visit in them either.
"""

from __future__ import annotations

# Only what this program has packed itself is ever unpacked; what comes back from the cache is proven by a checksum.
import marshal
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, overload

from simpleindex.core.files import File, Sidecar
from simpleindex.core.names import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSION: Final = 2
"""Of marshal's form: later ones write references, by which equal values can have unequal bytes."""

_LOCAL: Final = (None, None, None, None, "local")
"""What is said of a file that lies here where an upstream's tells more; left out, for most are such."""


class PackedFiles(Sequence[File]):
    """An immutable sequence of files; equal to any other sequence of equal ones.

    Args:
        files: What it holds, in this order.

    Attributes:
        packed: All of it.
        size: The sum of the files' sizes, bytes.
    """

    __slots__ = ("_count", "packed", "size")

    def __init__(self, files: Iterable[File]) -> None:
        rows = [_row(file) for file in files]
        self.packed = marshal.dumps(rows, VERSION)
        self._count = len(rows)
        self.size: int = sum(row[3] or 0 for row in rows)

    @classmethod
    def restored(cls, packed: bytes, count: int, size: int) -> PackedFiles:
        """Return the sequence with these attributes and this length."""
        self = cls.__new__(cls)
        self.packed, self._count, self.size = packed, count, size
        return self

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[File]:
        return iter(unpacked_files(self.packed))

    @overload
    def __getitem__(self, index: int) -> File: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[File, ...]: ...

    def __getitem__(self, index: int | slice) -> File | tuple[File, ...]:
        return unpacked_files(self.packed)[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedFiles):
            return self.packed == other.packed
        return tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def total_size(files: Sequence[File]) -> int:
    """Return the sum of the files' sizes in bytes; packed files know it."""
    return files.size if isinstance(files, PackedFiles) else sum(file.size or 0 for file in files)


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


# Whoever renders a page goes through the files several times, and a resolver asks for many of a few projects.
@lru_cache(maxsize=8)
def unpacked_files(packed: bytes) -> tuple[File, ...]:
    """Return the files that a :class:`PackedFiles` holds."""
    return tuple(map(_file, marshal.loads(packed)))  # noqa: S302  (see the import)


def _file(row: tuple[Any, ...]) -> File:
    filename, version, is_wheel, size, digest, uploaded_ns, requires_python, sidecar, *beside = row
    kind = Kind.WHEEL if is_wheel else Kind.SDIST
    metadata = sidecar and Sidecar(sidecar[0].hex(), sidecar[1])
    sha256 = digest and digest.hex()
    return File(filename, version, kind, size, sha256, uploaded_ns, requires_python, metadata, *beside)
