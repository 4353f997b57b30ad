"""Read the structure of a zip file: whether it is whole, what is in it, where one member's bytes lie (APPNOTE.TXT 6.3).

Not :mod:`zipfile`: it makes an object of every member before it gives a first answer, so that a directory of
32 MiB costs more than 300 MiB; and it is lenient where installers differ (data before the archive, a comment that does not
reach the end), while here only what every installer reads alike may pass.

Everything is read by a function with the order of :func:`os.pread`: ``pread(length, offset)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final

from simpleindex.archives.errors import BrokenArchive, CutOff
from simpleindex.archives.paths import shown_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

Pread = Callable[[int, int], bytes]
"""Length and offset to bytes, as :func:`os.pread` with its descriptor bound; may return fewer."""

MAXIMUM_DIRECTORY: Final = 32 * 1024 * 1024
"""Bytes; a central directory beyond it (some 300,000 members) is not read."""

LOCAL_HEADER: Final = Struct("<4s5H3L2H")
LOCAL_SIGNATURE: Final = b"PK\x03\x04"

_END: Final = Struct("<4s4H2LH")
_LOCATOR: Final = Struct("<4sLQL")
_END_64: Final = Struct("<4sQ2H2L4Q")
_ENTRY: Final = Struct("<4s6H3L5H2L")
_EXTRA: Final = Struct("<2H")
_LONG: Final = Struct("<Q")
_END_SIGNATURE: Final = b"PK\x05\x06"

_CHUNK: Final = 1024 * 1024
_LONGEST_ENTRY: Final = _ENTRY.size + 3 * 0xFFFF


def pread_of(file: BinaryIO) -> Pread:
    """Return what reads an open file from any offset."""

    def pread(length: int, offset: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    return pread


@dataclass(frozen=True, slots=True)
class ZipDirectory:
    """Where the central directory lies.

    Attributes:
        offset: Bytes from the start of the file; the members' data end here.
        size: Bytes.
        entries: How many members the end record states, modulo 65536.
    """

    offset: int
    size: int
    entries: int


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One entry of the central directory; sizes and offset in bytes."""

    path: bytes
    flags: int
    method: int
    crc: int
    stored_size: int
    size: int
    header_offset: int
    extra: bytes


def find_directory(pread: Pread, size: int) -> ZipDirectory:
    """Find the central directory from the end of the file; what is looked at does not grow with the file.

    Raises:
        BrokenArchive: The end does not prove the archive whole.
    """
    tail_offset = max(0, size - _END.size - 0xFFFF)
    tail = read_exactly(pread, size - tail_offset, tail_offset)
    # An archive without a comment first, then the last signature: the order in which zipfile, hence pip, looks.
    at = len(tail) - _END.size
    if not (tail[-_END.size :].startswith(_END_SIGNATURE) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END_SIGNATURE, 0, max(0, at) + len(_END_SIGNATURE))
    if at < 0 or len(tail) < _END.size:
        raise _without_end(pread)
    _, _, _, _, entries, length, offset, comment = _END.unpack_from(tail, at)
    if (rest := len(tail) - at - _END.size - comment) != 0:
        if rest > 0 and _is_directory(pread, offset, length, tail_offset + at):
            raise BrokenArchive(f"{rest} bytes follow the end of its zip archive")
        raise _without_end(pread)
    limit, (entries, length, offset) = _zip64(pread, tail_offset + at, (entries, length, offset))
    # Also where other data lie before the archive: an inner archive at the end of what has arrived so far looks like that.
    if offset + length != limit:
        raise _without_end(pread)
    if not length:
        raise BrokenArchive("it is an empty zip archive")
    if length > MAXIMUM_DIRECTORY:
        raise BrokenArchive(f"its zip directory is larger than {MAXIMUM_DIRECTORY >> 20} MiB")
    return ZipDirectory(offset, length, entries % 0x10000)


def zip_members(pread: Pread, directory: ZipDirectory) -> Iterator[ZipMember]:
    """Go through the central directory, a piece at a time.

    Raises:
        BrokenArchive: An entry is damaged, or its data do not lie before the directory.
    """
    buffer, at, count = b"", 0, 0
    offset, left = directory.offset, directory.size
    while left or at < len(buffer):
        if len(buffer) - at < _LONGEST_ENTRY and left:
            piece = read_exactly(pread, min(left, _CHUNK), offset)
            buffer, at = buffer[at:] + piece, 0
            offset, left = offset + len(piece), left - len(piece)
        member, at = _entry(buffer, at)
        count += 1
        if member.header_offset + LOCAL_HEADER.size + member.stored_size > directory.offset:
            raise BrokenArchive(f"its member {shown_path(member.path)} lies outside of the archive")
        yield member
    if count % 0x10000 != directory.entries:
        raise BrokenArchive("its zip directory has not as many entries as its end record says")


def read_exactly(pread: Pread, length: int, offset: int) -> bytes:
    """Read that many bytes; a short read is tried on.

    Raises:
        BrokenArchive: The file ends before.
    """
    data = pread(length, offset)
    while len(data) < length:
        more = pread(length - len(data), offset + len(data))
        if not more:
            raise BrokenArchive("it became shorter while it was read", perhaps_unfinished=True)
        data += more
    return data


def _zip64(pread: Pread, end: int, stated: tuple[int, int, int]) -> tuple[int, tuple[int, int, int]]:
    """Return where the central directory must end, and (entries, size, offset) of it."""
    if end < _LOCATOR.size + _END_64.size:
        return end, stated
    locator = read_exactly(pread, _LOCATOR.size, end - _LOCATOR.size)
    signature, _, record, _ = _LOCATOR.unpack(locator)
    if signature != b"PK\x06\x07":
        return end, stated
    if record + _END_64.size > end - _LOCATOR.size:
        raise _without_end(pread)
    signature, length, *_, entries, directory_size, offset = _END_64.unpack(
        read_exactly(pread, _END_64.size, record)
    )
    # The length does not count its own field and the signature.
    if signature != b"PK\x06\x06" or record + 12 + length != end - _LOCATOR.size:
        raise _without_end(pread)
    true = (entries, directory_size, offset)
    for short, long, limit in zip(stated, true, (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF), strict=True):
        # Installers differ in which of two differing numbers they believe.
        if short not in {long, limit}:
            raise BrokenArchive("its two zip end records contradict each other")
    return record, true


def _entry(buffer: bytes, at: int) -> tuple[ZipMember, int]:
    """Return the entry that begins there, and where the next one does."""
    if len(buffer) - at < _ENTRY.size:
        raise BrokenArchive("its zip directory is damaged")
    # fmt: off
    (
        signature, _, _, flags, method, _, _, crc, stored_size, size,
        path_length, extra_length, comment_length, _, _, _, offset,
    ) = _ENTRY.unpack_from(buffer, at)
    # fmt: on
    extra_at = at + _ENTRY.size + path_length
    end = extra_at + extra_length + comment_length
    path = buffer[at + _ENTRY.size : extra_at]
    # zipfile cuts a path at NUL, others do not: two installers would see two archives.
    if signature != b"PK\x01\x02" or end > len(buffer) or b"\0" in path:
        raise BrokenArchive("its zip directory is damaged")
    numbers = (size, stored_size, offset)
    if 0xFFFFFFFF in numbers:
        size, stored_size, offset = long_numbers(numbers, buffer[extra_at : extra_at + extra_length])
    return ZipMember(
        path, flags, method, crc, stored_size, size, offset, buffer[extra_at : extra_at + extra_length]
    ), end


def long_numbers(numbers: tuple[int, ...], extra: bytes) -> Iterator[int]:
    """Yield the numbers, with those that did not fit into 32 bits replaced by those of the zip64 extra field (APPNOTE.TXT 4.5.3)."""
    longs = _longs(extra)
    for number in numbers:
        replaced = next(longs, None) if number == 0xFFFFFFFF else number
        if replaced is None:
            raise BrokenArchive("its zip directory is damaged")
        yield replaced


def extra_kinds(extra: bytes) -> list[int]:
    """Return the kinds of all extra fields of a member.

    Raises:
        BrokenArchive: One is cut off.
    """
    return [kind for kind, _ in extra_fields(extra)]


def extra_fields(extra: bytes) -> list[tuple[int, bytes]]:
    """Return all extra fields of a member with their kinds.

    Raises:
        BrokenArchive: One is cut off.
    """
    fields, at = [], 0
    while at + _EXTRA.size <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        fields.append((kind, extra[at : at + length]))
        at += length
    if at > len(extra):
        raise BrokenArchive("its zip directory is damaged")
    return fields


def _longs(extra: bytes) -> Iterator[int]:
    at = 0
    while at + _EXTRA.size <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        if kind == 1:
            field = extra[at : at + length]
            return (number for (number,) in _LONG.iter_unpack(field[: len(field) // 8 * 8]))
        at += length
    return iter(())


def _is_directory(pread: Pread, offset: int, length: int, end: int) -> bool:
    """Whether a central directory lies there: not where a nested archive's end record says, whose offsets are its own."""
    signature = b"PK\x01\x02"
    return length > 0 and offset + length == end and pread(len(signature), offset) == signature


def _without_end(pread: Pread) -> BrokenArchive:
    head = pread(len(LOCAL_SIGNATURE), 0)
    if LOCAL_SIGNATURE.startswith(head):
        return CutOff()
    return BrokenArchive("it is not a zip archive")
