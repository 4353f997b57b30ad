"""Members of a zip file: where the bytes of one lie, whether they can be read, and unpacking them (APPNOTE.TXT 4.3.7)."""

from __future__ import annotations

import zlib
from typing import Final

from simpleindex.archives.archive_info import MemberSpan
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.paths import shown_path
from simpleindex.archives.zip import (
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    Pread,
    ZipDirectory,
    ZipMember,
    long_numbers,
    read_exactly,
)
from simpleindex.core.metadata import MAXIMUM_SIZE

STORED: Final = 0

DEFLATED: Final = 8

# Encrypted; compressed patched data; strong encryption; masked local header (APPNOTE.TXT 4.4.4).
_UNREADABLE: Final = 0x0001 | 0x0020 | 0x0040 | 0x2000


def data_start(pread: Pread, member: ZipMember, directory: ZipDirectory) -> MemberSpan:
    """Find where a member's data begin, if they can be served.

    Raises:
        BrokenArchive: They are too large, encrypted, compressed in an unusual way, or not where they should be.
    """
    check_readable(member)
    if max(member.size, member.stored_size) > MAXIMUM_SIZE:
        raise BrokenArchive(f"its {shown_path(member.path)} is larger than {MAXIMUM_SIZE >> 20} MiB")
    local, data_offset = read_local_header(pread, member, directory)
    if local.path != member.path or data_offset + member.stored_size > directory.offset:
        raise misplaced(member)
    return MemberSpan(data_offset, member.stored_size, member.method)


def check_readable(member: ZipMember) -> None:
    """Judge whether every installer can unpack a member.

    Raises:
        BrokenArchive: It is encrypted, or compressed in an unusual way.
    """
    if member.flags & _UNREADABLE:
        raise BrokenArchive(f"its {shown_path(member.path)} is encrypted")
    if member.method not in {STORED, DEFLATED}:
        raise BrokenArchive(
            f"its {shown_path(member.path)} is compressed by method {member.method}, not deflated"
        )


def read_local_header(pread: Pread, member: ZipMember, directory: ZipDirectory) -> tuple[ZipMember, int]:
    """Read what the header before a member's data says of it, and where they begin.

    Raises:
        BrokenArchive: There is none, or it reaches into the directory.
    """
    fixed = read_exactly(pread, LOCAL_HEADER.size, member.header_offset)
    # fmt: off
    (
        signature, _, flags, method, _, _, crc, stored_size, size, path_length, extra_length,
    ) = LOCAL_HEADER.unpack(fixed)
    # fmt: on
    path_offset = member.header_offset + LOCAL_HEADER.size
    data_offset = path_offset + path_length + extra_length
    if signature != LOCAL_SIGNATURE or data_offset > directory.offset:
        raise misplaced(member)
    rest = read_exactly(pread, path_length + extra_length, path_offset)
    path, extra = rest[:path_length], rest[path_length:]
    return ZipMember(path, flags, method, crc, stored_size, size, member.header_offset, extra), data_offset


def long_sizes(local: ZipMember) -> tuple[int, int]:
    """Return the stored size and the size in a local header, wherever in it they are.

    Raises:
        BrokenArchive: They should be in a zip64 extra field, which is missing.
    """
    size, stored_size = long_numbers((local.size, local.stored_size), local.extra)
    return stored_size, size


def misplaced(member: ZipMember) -> BrokenArchive:
    """Say that a member's header does not lie where the directory says, or is another's."""
    return BrokenArchive(f"its {shown_path(member.path)} is not where the zip directory says")


def unpack(pread: Pread, place: MemberSpan, size: int) -> bytes:
    """Read a member's data, never making more than ``size`` bytes and one.

    Raises:
        BrokenArchive: The data are damaged, or not of that size.
    """
    data = read_exactly(pread, place.stored_size, place.offset)
    if place.method == DEFLATED:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflater.decompress(data, size + 1)
        except zlib.error as error:
            raise BrokenArchive("its metadata are damaged") from error
        if not inflater.eof:
            raise BrokenArchive("its metadata do not end where they should")
    if len(data) != size:
        raise BrokenArchive("its metadata have another size than was stated")
    return data
