"""Reading a tar archive once, from end to end, in little memory: is it whole, and what is its PKG-INFO?

Not :mod:`tarfile`: it takes a header that it cannot read for the end, keeps an object of every member, and its compressed
modes read past data that follow the archive.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from simpleindex.archives.compression import is_compressed, unpacked
from simpleindex.archives.errors import BrokenArchive, CutOff
from simpleindex.core import bounds
from simpleindex.core.metadata import MAXIMUM_SIZE, is_sdist_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_TAR: Final = "it is not a tar archive"
_DAMAGED: Final = "its tar archive is damaged"

REGULAR: Final = b"\x007S0"
"""Kinds of members that are files: of before POSIX, contiguous, sparse, and plain ones."""

_BLOCK: Final = 512
_END: Final = bytes(_BLOCK)
_CHECKSUM: Final = slice(148, 156)
_OCTAL: Final = re.compile(rb" *+([0-7]*+) *+")
_PAX_RECORD: Final = re.compile(rb"([0-9]{1,9}) ([^=]++)=")

# Links, devices, directories, pipes: no data follow, whatever their size field says.
_WITHOUT_DATA: Final = b"123456"

# Of pax records those that decide where a member lies and how long it is, and its time.
_TELLING: Final = frozenset({b"path", b"size", b"linkpath", b"mtime"})

_OWNER_GROUP_AND_TIME: Final = (108, 116, 136)
"""Where in a header these numbers begin; one of GNU's that is below zero begins with a byte of ones."""

SPARSE: Final = b"GNU.sparse."
"""How the keywords of records begin that state a member's holes; all of them are kept as one of this name."""


class TarHeader(NamedTuple):
    """A member's header, with what extended headers say of it.

    Attributes:
        kind: One byte; ``g`` for records that hold for all members that follow.
        path: As it is written.
        link: What a link points to; empty for others.
        size: Bytes of data that follow, without padding.
        stated_size: What the header says, which for members without data is another.
        extensions: Of the pax records path, size, linkpath and mtime, and :data:`SPARSE` for those of holes, by keyword.
        is_negative: Whether its owner, group or time is a number below zero.
    """

    kind: bytes
    path: bytes
    link: bytes
    size: int
    stated_size: int
    extensions: dict[bytes, bytes]
    is_negative: bool = False


def read_tar(raw: Iterator[bytes], size: int, suffix: str) -> bytes | None:
    """Read a tar archive to the end of its last byte.

    Args:
        raw: The file's bytes in chunks, of which none is kept. All are taken.
        size: Their number.
        suffix: Of the file's name; says how they are compressed.

    Returns:
        The content of the PKG-INFO in the top directory, or None without one.

    Raises:
        BrokenArchive: It is cut off, damaged, not a tar archive, or a bomb.
    """
    compressed = is_compressed(suffix)
    is_over = False
    stream = TarStream(unpacked(raw, size, suffix, is_over=lambda: is_over) if compressed else raw)
    metadata: bytes | None = None
    for header in headers(stream):
        if header.kind in REGULAR and metadata is None and is_sdist_metadata(header.path):
            metadata = body_of(stream, header.size, MAXIMUM_SIZE)
        else:
            pass_over(stream, header.size)
    # POSIX ends an archive with two blocks. One is enough for tarfile, but only where a trailer vouches for the rest.
    if not compressed and stream.take(_BLOCK) != _END:
        raise CutOff
    is_over = True
    has_data = stream.drain()
    # A writer that fills its last record with zeros is still at it; other data are nobody's business behind the end.
    if not compressed and size % _BLOCK and not has_data:
        raise CutOff
    return metadata


class TarStream:
    """Bytes taken or skipped in any portion from an iterator of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = memoryview(b"")

    def take(self, length: int) -> bytes:
        """Return that many bytes, or all that are left."""
        return b"".join(self._portions(length))

    def skip(self, length: int) -> bool:
        """Pass over that many bytes; whether there were as many."""
        return sum(map(len, self._portions(length))) == length

    def drain(self) -> bool:
        """Take everything that is left; whether there were other bytes than zeros in it."""
        has_data = self._chunk.tobytes().strip(b"\0") != b""
        for chunk in self._chunks:
            has_data = has_data or chunk.count(0) != len(chunk)
        return has_data

    def _portions(self, length: int) -> Iterator[memoryview]:
        while length:
            if not self._chunk:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return
                self._chunk = memoryview(chunk)
            portion, self._chunk = self._chunk[:length], self._chunk[length:]
            length -= len(portion)
            yield portion


def headers(stream: TarStream) -> Iterator[TarHeader]:
    """Go from header to header up to the end mark; the caller takes each one's data before the next.

    Raises:
        BrokenArchive: It is cut off, damaged, empty, or not a tar archive.
    """
    extensions: dict[bytes, bytes] = {}
    extended = number = 0
    first = True
    while (block := _block(stream, first=first)) != _END:
        number += 1
        if excess := bounds.TAR_HEADERS.excess(number):
            raise BrokenArchive(excess)
        kind, stated = block[156:157], _checked_size(block, first=first)
        first = False
        if kind in b"xXLK":
            extended += stated
            if excess := bounds.EXTENSIONS.excess(extended):
                raise BrokenArchive(excess)
            extensions |= _extensions(kind, body_of(stream, stated, stated))
            continue
        if kind == b"g":
            yield TarHeader(kind, b"", b"", stated, stated, {})
            continue
        if b"size" in extensions:
            stated = _decimal(extensions[b"size"])
        path = extensions.get(b"path", _path(block))
        link = extensions.get(b"linkpath", block[157:257].partition(b"\0")[0])
        if kind == b"S":
            _pass_over_sparse_map(stream, block)
        # Before POSIX, a directory was a file whose name ends in a slash.
        is_empty = kind in _WITHOUT_DATA or (kind == b"\0" and path.endswith(b"/"))
        is_negative = extensions.get(b"mtime", b"").startswith(b"-") or any(
            block[at] == 0xFF for at in _OWNER_GROUP_AND_TIME
        )
        yield TarHeader(kind, path, link, 0 if is_empty else stated, stated, extensions, is_negative)
        extensions, extended = {}, 0
    if first:
        raise BrokenArchive("it is an empty tar archive")


def is_header(block: bytes) -> bool:
    """Whether a file that begins with this block may be taken for a tar archive."""
    try:
        return len(block) == _BLOCK and block != _END and _checked_size(block, first=True) >= 0
    except BrokenArchive:
        return False


def _block(stream: TarStream, *, first: bool = False) -> bytes:
    block = stream.take(_BLOCK)
    if len(block) < _BLOCK:
        raise BrokenArchive(_NOT_TAR, perhaps_unfinished=True) if first else CutOff
    return block


def body_of(stream: TarStream, size: int, most: int) -> bytes:
    """Take a member's data.

    Raises:
        BrokenArchive: They are more than ``most`` bytes, or cut off.
    """
    if size > most:
        raise BrokenArchive(f"it has metadata of more than {most >> 20} MiB")
    padded = stream.take(_padded(size))
    if len(padded) < _padded(size):
        raise CutOff
    return padded[:size]


def pass_over(stream: TarStream, size: int) -> None:
    """Leave a member's data.

    Raises:
        CutOff: The archive ends before.
    """
    if not stream.skip(_padded(size)):
        raise CutOff


def _pass_over_sparse_map(stream: TarStream, block: bytes) -> None:
    """Skip GNU's continued list of holes, which the size does not count."""
    continued = block[482]
    while continued:
        continued = _block(stream)[504]


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _checked_size(block: bytes, *, first: bool) -> int:
    """Return a header's size field if the header is one: its checksum, as signed or unsigned bytes, is right."""
    stated, size = _number(block[_CHECKSUM]), _number(block[124:136])
    others = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    total = sum(others)
    if stated != total:
        # Some old writers add the bytes up as signed ones.
        total -= 256 * sum(byte > 127 for byte in others)
    if size is None or stated != total:
        raise BrokenArchive(_NOT_TAR if first else _DAMAGED)
    return size


def _number(field: bytes) -> int | None:
    if field[0] == 0x80:
        return int.from_bytes(field[1:])
    match = _OCTAL.fullmatch(field.partition(b"\0")[0])
    return int(match[1] or b"0", 8) if match else None


def _path(block: bytes) -> bytes:
    path = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + path if prefix else path


def _extensions(kind: bytes, body: bytes) -> dict[bytes, bytes]:
    """Read what an extended header says of the next member: GNU's long names, or pax records."""
    if kind in b"LK":
        return {b"path" if kind == b"L" else b"linkpath": body.partition(b"\0")[0]}
    return {
        SPARSE if keyword.startswith(SPARSE) else keyword: value
        for keyword, value in _pax_records(body)
        if keyword in _TELLING or keyword.startswith(SPARSE)
    }


def _pax_records(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while match := _PAX_RECORD.match(body, at):
        end = at + int(match[1])
        if end <= match.end():
            raise BrokenArchive(_DAMAGED)
        yield match[2], body[match.end() : end - 1]
        at = end


def pax_keywords(body: bytes) -> Iterator[str]:
    """Go through the keywords of pax records.

    Raises:
        BrokenArchive: They are damaged.
    """
    for keyword, _ in _pax_records(body):
        yield keyword.decode("utf-8", "backslashreplace")


def _decimal(text: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,20}", text):
        raise BrokenArchive(_DAMAGED)
    return int(text)
