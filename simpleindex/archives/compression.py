"""Unpack gzip, bzip2 and xz in chunks, to the trailer of every stream and to the end of the file.

Memory stays flat whatever a header asks for, and an archive that is only whole up to some point is not whole.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.archives.errors import BrokenArchive, CutOff
from simpleindex.core import bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BOMB_RATIO: Final = 200
BOMB_SIZE: Final = 4 * 1024**3
"""An archive that unpacks to more than this many bytes and to more than the ratio times its own size is refused."""

# What xz -9 needs is 65 MiB; a hostile header can ask for 4 GiB.
_XZ_MEMORY: Final = 80 * 1024 * 1024

_CHUNK: Final = 1024 * 1024


class _Unpacker(Protocol):
    """The interface that the decompressors of bz2 and lzma share."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib's decompressor, which checks the trailer too, in that form."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _unxz() -> _Unpacker:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)


_UNPACKERS: Final[Mapping[str, Callable[[], _Unpacker]]] = {
    ".tar.gz": _Gunzip,
    ".tgz": _Gunzip,
    ".tar.bz2": bz2.BZ2Decompressor,
    ".tbz": bz2.BZ2Decompressor,
    ".tar.xz": _unxz,
    ".txz": _unxz,
}


_MAGIC: Final[Mapping[str, bytes]] = {
    **dict.fromkeys((".tar.gz", ".tgz"), b"\x1f\x8b"),
    **dict.fromkeys((".tar.bz2", ".tbz"), b"BZh"),
    **dict.fromkeys((".tar.xz", ".txz"), b"\xfd7zXZ\0"),
}
"""How a stream begins (RFC 1952, the formats of bzip2 and xz)."""


def is_compressed(suffix: str) -> bool:
    """Whether files with this suffix of an sdist are unpacked here."""
    return suffix in _UNPACKERS


def unpacked(
    raw: Iterator[bytes],
    size: int,
    suffix: str,
    *,
    most: int | None = None,
    single: bool = False,
    is_over: Callable[[], bool] = lambda: False,
) -> Iterator[bytes]:
    """Unpack one or more streams, with zeros after them or not, in chunks of at most 1 MiB.

    Args:
        raw: A file's bytes in chunks.
        size: Their number.
        suffix: Of the file's name.
        most: Bytes that may come out; if it is not given, what only a bomb exceeds.
        single: Whether there may be only one stream, which not even zeros may follow.
        is_over: Tells, at the end of a stream, whether the archive in the streams has come to its own end. Then what follows
            is passed over if it is no whole stream: installers do not look at it.

    Raises:
        BrokenArchive: The last stream does not end, something else follows it, or it is damaged, or a bomb.
    """
    new = _UNPACKERS[suffix]
    most = max(BOMB_SIZE, BOMB_RATIO * size) if most is None else most
    unpacker, streams, total = new(), 1, 0
    for piece in raw:
        data = piece
        while True:
            if unpacker.eof:
                if data and single:
                    raise BrokenArchive("other data follow the end of its compressed data")
                data = data.lstrip(b"\0")
                if not data:
                    break
                if is_over() and not _may_begin_a_stream(data, suffix):
                    yield from _nothing_of(raw)
                    return
                unpacker, streams = new(), streams + 1
                if excess := bounds.STREAMS.excess(streams):
                    raise BrokenArchive(excess)
            try:
                chunk = unpacker.decompress(data, _CHUNK)
            # bz2 raises OSError; the file itself is read outside of this.
            except (zlib.error, lzma.LZMAError, OSError) as error:
                if is_over() and streams > 1:
                    yield from _nothing_of(raw)
                    return
                raise _undecodable(total, streams, error) from error
            total += len(chunk)
            if total > most:
                raise _bomb(most)
            yield chunk
            if unpacker.eof:
                data = unpacker.unused_data
            elif unpacker.needs_input:
                break
            else:
                data = b""
    if not unpacker.eof:
        raise CutOff


def _may_begin_a_stream(data: bytes, suffix: str) -> bool:
    magic = _MAGIC[suffix]
    return data.startswith(magic) or magic.startswith(data)


def _nothing_of(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Read all that is left, so that its digest is computed, and unpack none of it."""
    for _ in raw:
        yield b""


def _bomb(most: int) -> BrokenArchive:
    return BrokenArchive(f"it unpacks to more than {most} bytes, out of all proportion to its size")


def _undecodable(total: int, streams: int, error: Exception) -> BrokenArchive:
    if not total:
        return BrokenArchive(f"it is not compressed as its name says ({error})")
    if streams > 1:
        return BrokenArchive("it is damaged, or other data follow its end")
    return BrokenArchive(f"its compressed data are damaged ({error})")
