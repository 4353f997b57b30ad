"""A zip file that is uploaded: every byte of it is accounted for, and every reader sees the same members.

A reader that goes by the directory at the end and one that goes from header to header must find the same (APPNOTE.TXT
4.3); so nothing may lie between, before or after, and both places must say the same of each member.
"""

from __future__ import annotations

import zlib
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from simpleindex.archives.archive_info import MemberSpan
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.paths import Paths, plain_path, shown_path
from simpleindex.archives.tar import is_header
from simpleindex.archives.zip import extra_fields, extra_kinds, find_directory, read_exactly, zip_members
from simpleindex.archives.zip_members import (
    DEFLATED,
    STORED,
    check_readable,
    long_sizes,
    misplaced,
    read_local_header,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.archives.zip import Pread, ZipDirectory, ZipMember

_CHUNK: Final = 1024 * 1024
# Smaller for compressed data, so that what one chunk unpacks to seldom has to wait for the next call.
_COMPRESSED_CHUNK: Final = 64 * 1024

_END: Final = 22
_END_64: Final = 56 + 20 + _END
_END_SIGNATURE: Final = b"PK\x05\x06"
_END_64_SIGNATURE: Final = b"PK\x06\x06"
_LONGEST_COMMENT: Final = 0xFFFF
_DESCRIPTOR: Final = 0x0008
_UTF_8: Final = 0x0800
_ZIP64_FIELD: Final = 0x0001
_OTHER_PATH_FIELD: Final = 0x7075


def find_strictly(pread: Pread, size: int) -> ZipDirectory:
    """Find the central directory of a file that has nothing else at its end, and is nothing else.

    Raises:
        BrokenArchive: It is not whole, has a hidden record, or is a tar archive as well.
    """
    directory = find_directory(pread, size)
    at = directory.offset + directory.size
    rest = read_exactly(pread, size - at, at) if size - at <= _END_64 + _LONGEST_COMMENT else b""
    end = _END_64 - _END if rest.startswith(_END_64_SIGNATURE) else 0
    # What looks like a record in a comment is one to some readers.
    if not rest.startswith(_END_SIGNATURE, end) or b"PK" in rest[end + _END :]:
        raise BrokenArchive(
            "it has other data after its zip directory, or a comment that looks like zip records"
        )
    if is_header(pread(512, 0)):
        raise BrokenArchive("it is a zip and a tar archive at once")
    return directory


def read_zip_strictly(pread: Pread, directory: ZipDirectory, most: int, *, with_digests: bool) -> Paths:
    """Unpack every member in little memory, and throw the data away.

    Args:
        pread: Of the file.
        directory: Of :func:`find_strictly`.
        most: Bytes that may come out.
        with_digests: Whether the word about each file is to be :func:`fingerprint` of its data.

    Returns:
        The paths.

    Raises:
        BrokenArchive: It is damaged, a bomb, or ambiguous in any way.
    """
    paths = Paths()
    end, total = 0, 0
    for member in zip_members(pread, directory):
        path = _path(member)
        is_directory = member.path.endswith(b"/")
        paths.add(path, is_directory=is_directory)
        if member.header_offset != end:
            raise BrokenArchive(
                f"other data lie before its member {shown_path(member.path)}, or it is out of order"
            )
        place = _place(pread, member, directory)
        end = place.offset + place.stored_size
        total += member.size
        if total > most or (is_directory and member.size):
            raise (
                _bomb(total, most)
                if total > most
                else BrokenArchive(f"its directory {shown_path(member.path)} has data")
            )
        digest = sha256() if with_digests and not is_directory else None
        for chunk in unpacked_member(pread, member, place):
            if digest is not None:
                digest.update(chunk)
        if digest is not None:
            paths.note(path, fingerprint(digest.digest(), member.size))
    if end != directory.offset:
        raise BrokenArchive("other data lie before its zip directory")
    return paths


def fingerprint(digest: bytes, size: int) -> bytes:
    """Put a file's sha256 and size into one word."""
    return digest + size.to_bytes(8)


def unpacked_member(pread: Pread, member: ZipMember, place: MemberSpan) -> Iterator[bytes]:
    """Unpack a member in chunks of at most 1 MiB; its last byte comes only if all were as stated.

    Raises:
        BrokenArchive: They were not.
    """
    crc, size = 0, 0
    chunks = _stored(pread, place) if place.method == STORED else _inflated(pread, place)
    try:
        for chunk in chunks:
            crc, size = zlib.crc32(chunk, crc), size + len(chunk)
            if size > member.size:
                break
            yield chunk
    except zlib.error:
        size = -1
    if (crc, size) != (member.crc, member.size):
        raise BrokenArchive(f"its member {shown_path(member.path)} is damaged")


def _stored(pread: Pread, place: MemberSpan) -> Iterator[bytes]:
    for at in range(0, place.stored_size, _CHUNK):
        yield read_exactly(pread, min(_CHUNK, place.stored_size - at), place.offset + at)


def _inflated(pread: Pread, place: MemberSpan) -> Iterator[bytes]:
    """Unpack deflated data, which must end exactly where their place does."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for at in range(0, place.stored_size, _COMPRESSED_CHUNK):
        length = min(_COMPRESSED_CHUNK, place.stored_size - at)
        data = read_exactly(pread, length, place.offset + at)
        while data:
            if inflater.eof:
                raise zlib.error("other data follow")
            yield inflater.decompress(data, _CHUNK)
            data = inflater.unconsumed_tail or inflater.unused_data
    # What is left came from the last bytes and did not fit into the last chunk.
    while not inflater.eof:
        chunk = inflater.decompress(b"", _CHUNK)
        if not chunk and not inflater.eof:
            raise zlib.error("cut off")
        yield chunk


def _path(member: ZipMember) -> str:
    if not member.path.isascii() and not member.flags & _UTF_8:
        raise BrokenArchive(f"the name of its member {shown_path(member.path)} is not marked as UTF-8")
    return plain_path(member.path)


def _place(pread: Pread, member: ZipMember, directory: ZipDirectory) -> MemberSpan:
    """Find a member's data if both its headers say the same."""
    check_readable(member)
    if member.flags & _DESCRIPTOR:
        raise BrokenArchive(
            f"its member {shown_path(member.path)} states its size only after its data; write the archive to a file, not to a pipe"
        )
    local, offset = read_local_header(pread, member, directory)
    for extra in (member.extra, local.extra):
        kinds = extra_kinds(extra)
        if _has_other_path(extra, member.path) or kinds.count(_ZIP64_FIELD) > 1:
            raise BrokenArchive(
                f"its member {shown_path(member.path)} has a second name or size in an extra field"
            )
    if local.path != member.path or offset + member.stored_size > directory.offset:
        raise misplaced(member)
    here = (local.flags, local.method, local.crc, *long_sizes(local))
    if here != (member.flags, member.method, member.crc, member.stored_size, member.size):
        raise BrokenArchive(f"the two headers of its member {shown_path(member.path)} contradict each other")
    if member.method != DEFLATED and member.stored_size != member.size:
        raise misplaced(member)
    return MemberSpan(offset, member.stored_size, member.method)


def _has_other_path(extra: bytes, path: bytes) -> bool:
    """Whether an Info-ZIP field gives a member another path: a version, a check sum, and the path (APPNOTE.TXT 4.6.9)."""
    return any(kind == _OTHER_PATH_FIELD and field[5:] != path for kind, field in extra_fields(extra))


def _bomb(total: int, most: int) -> BrokenArchive:
    return BrokenArchive(f"it unpacks to {total} bytes or more, and {most} are allowed for its size")
