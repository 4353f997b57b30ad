"""Reading an archive once: is it whole, its digest, its metadata (docs/directory.md, docs/protocol.md).

Everything here blocks and runs in a thread. That the file did not change meanwhile is for the caller to see, by ``fstat``
before and after.
"""

from __future__ import annotations

import hashlib
import zlib
from os import SEEK_END
from typing import TYPE_CHECKING, Final

from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.tar import read_tar
from simpleindex.archives.zip import find_directory, pread_of, zip_members
from simpleindex.archives.zip_members import data_start, unpack
from simpleindex.core import bounds
from simpleindex.core.errors import InvalidMetadata
from simpleindex.core.files import Sidecar
from simpleindex.core.metadata import (
    MAXIMUM_SIZE,
    is_sdist_metadata,
    read_metadata,
    read_sdist_metadata,
    states,
)
from simpleindex.core.names import PROVENANCE_SUFFIX, Kind, distribution_suffix
from simpleindex.core.parsing.json_text import load_json
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from simpleindex.archives.zip import Pread, ZipMember
    from simpleindex.core.names import DistributionName

_ZIP_SUFFIXES: Final = (".whl", ".zip")
_DIST_INFO: Final = b".dist-info"
_PRIVATE_KEY: Final = b"PRIVATE KEY"

# hashlib lets other threads run for any read of more than 2 KiB; at 1 MiB calls cost nothing against the bytes.
_CHUNK: Final = 1024 * 1024
# Smaller for compressed data, where the rest of a chunk is copied at every stream's end.
_COMPRESSED_CHUNK: Final = 64 * 1024


def inspect_distribution(file: BinaryIO, name: DistributionName) -> ArchiveInfo:
    """Read an open distribution: whether it is whole, then its metadata, then every byte for the digest.

    Args:
        file: Seekable, buffered or not.
        name: What its file name says.

    Raises:
        BrokenArchive: It cannot be offered.
        OSError: It cannot be read.
    """
    size = file.seek(0, SEEK_END)
    if not size:
        raise BrokenArchive("it is empty", perhaps_unfinished=True)
    suffix = distribution_suffix(name.filename) or ""
    if suffix in _ZIP_SUFFIXES:
        return _examine_zip(file, size, name)
    digest = hashlib.sha256()
    data = read_tar(_hashed(file, size, digest.update, _COMPRESSED_CHUNK), size, suffix)
    return ArchiveInfo(name.version, digest.hexdigest(), _requires_python(data, name), None, None)


def read_wheel_metadata(pread: Pread, size: int, name: DistributionName) -> tuple[bytes, str | None]:
    """Read a wheel's METADATA without reading the rest of it, so that nothing is proven but that they are a part of it.

    Args:
        pread: ``pread(length, offset)``; whatever else it raises passes through.
        size: Bytes of the wheel.
        name: What its file name says.

    Returns:
        The metadata, and their Requires-Python as :class:`ArchiveInfo` has it.

    Raises:
        BrokenArchive: It is no wheel.
    """
    directory = find_directory(pread, size)
    member = wheel_metadata(zip_members(pread, directory), name)
    data = unpack(pread, data_start(pread, member, directory), member.size)
    if zlib.crc32(data) != member.crc:
        raise BrokenArchive("its metadata are damaged")
    return data, _requires_python(data, name)


def read_sidecar(pread: Pread, facts: ArchiveInfo) -> bytes:
    """Read a wheel's METADATA straight from its place.

    Args:
        pread: ``pread(length, offset)``, as :func:`os.pread` with its descriptor bound.
        facts: What :func:`inspect_distribution` returned, perhaps long ago and from a cache, so nothing in it is trusted.

    Raises:
        BrokenArchive: These are not the bytes whose digest was listed.
        OSError: They cannot be read.
    """
    place, sidecar = facts.place, facts.sidecar
    if place is None or sidecar is None:
        raise BrokenArchive("it has no metadata to serve")
    if not (0 < place.stored_size <= MAXIMUM_SIZE and 0 < sidecar.size <= MAXIMUM_SIZE):
        raise BrokenArchive("its metadata have another size than any that was listed")
    data = unpack(pread, place, sidecar.size)
    if hashlib.sha256(data).hexdigest() != sidecar.sha256:
        raise BrokenArchive("its metadata are not those that were listed")
    return data


def examine_side_file(file: BinaryIO, suffix: str) -> str:
    """Read a signature or provenance file and return its sha256, lower-case hex.

    Raises:
        BrokenArchive: It is empty, too large, a private key, or (provenance) not a JSON object (PEP 740).
        OSError: It cannot be read.
    """
    size = file.seek(0, SEEK_END)
    if not size:
        raise BrokenArchive("it is empty", perhaps_unfinished=True)
    if excess := bounds.PROVENANCE.excess(size):
        raise BrokenArchive(excess)
    digest = hashlib.sha256()
    data = b"".join(_hashed(file, size, digest.update, _CHUNK))
    if _PRIVATE_KEY in data:
        # A hard link to a key looks like any other file.
        raise BrokenArchive("it holds a private key")
    if suffix == PROVENANCE_SUFFIX and not _is_json_object(data):
        raise BrokenArchive("it is not a JSON object", perhaps_unfinished=data.lstrip().startswith(b"{"))
    return digest.hexdigest()


def _hashed(file: BinaryIO, size: int, update: Callable[[bytes], object], chunk_size: int) -> Iterator[bytes]:
    """Go through the file from its start, a chunk at a time, feeding a digest."""
    file.seek(0)
    left = size
    # One byte more than is left shows that the file has grown; a file that grows for ever is not followed.
    while chunk := file.read(min(chunk_size, left + 1)):
        left -= len(chunk)
        if left < 0:
            break
        update(chunk)
        yield chunk
    if left:
        raise BrokenArchive("it changed while it was read", perhaps_unfinished=True)


def _examine_zip(file: BinaryIO, size: int, name: DistributionName) -> ArchiveInfo:
    """Judge what is cheap to judge first; the digest of a large wheel takes seconds."""
    pread = pread_of(file)
    directory = find_directory(pread, size)
    choose = wheel_metadata if name.kind is Kind.WHEEL else sdist_metadata
    member = choose(zip_members(pread, directory), name)
    data, place = None, None
    if member is not None:
        place = data_start(pread, member, directory)
        data = unpack(pread, place, member.size)
        if zlib.crc32(data) != member.crc:
            raise BrokenArchive("its metadata are damaged")
    requires_python = _requires_python(data, name)
    digest = hashlib.sha256()
    for _ in _hashed(file, size, digest.update, _CHUNK):
        pass
    if data is None or name.kind is not Kind.WHEEL:
        return ArchiveInfo(name.version, digest.hexdigest(), requires_python, None, None)
    sidecar = Sidecar(hashlib.sha256(data).hexdigest(), len(data))
    return ArchiveInfo(name.version, digest.hexdigest(), requires_python, sidecar, place)


def wheel_metadata(found: Iterator[ZipMember], name: DistributionName) -> ZipMember:
    """Choose METADATA in the only ``.dist-info`` directory: pip refuses wheels with several, and so it names the files.

    Raises:
        BrokenArchive: There is not exactly one of them, with METADATA in it once; or it is another distribution's.
    """
    directory: bytes | None = None
    metadata: ZipMember | None = None
    for member in found:
        top, _, rest = member.path.partition(b"/")
        if not top.endswith(_DIST_INFO):
            continue
        if directory not in {None, top}:
            raise BrokenArchive("it has several .dist-info directories")
        directory = top
        if rest == b"METADATA":
            if metadata is not None:
                raise BrokenArchive("it has METADATA twice")
            metadata = member
    if directory is None:
        raise BrokenArchive("it has no .dist-info directory, as every wheel has")
    stem = directory.removesuffix(_DIST_INFO).decode("utf-8", "backslashreplace")
    project, _, version = stem.rpartition("-")
    if not states(project, version, name):
        raise BrokenArchive(
            f"its .dist-info directory is that of {shown(stem)}, not of {name.project} {name.version}"
        )
    if metadata is None:
        raise BrokenArchive("it has no METADATA in its .dist-info directory")
    return metadata


def sdist_metadata(found: Iterator[ZipMember], _: DistributionName) -> ZipMember | None:
    """Choose the first PKG-INFO in a top directory; old sdists have none."""
    metadata: ZipMember | None = None
    for member in found:
        # All are taken, because taking one checks it.
        if metadata is None and is_sdist_metadata(member.path):
            metadata = member
    return metadata


def _requires_python(data: bytes | None, name: DistributionName) -> str | None:
    if data is None:
        return None
    try:
        if name.kind is Kind.SDIST:
            return read_sdist_metadata(data, name)
        return read_metadata(data, name).requires_python
    except InvalidMetadata as error:
        raise BrokenArchive(error.reason) from error


def _is_json_object(data: bytes) -> bool:
    try:
        return isinstance(load_json(data.decode(), bounds.PROVENANCE_VALUES), dict)
    except ValueError:
        return False
