"""A wheel's metadata, read from its end by ranged requests, where an upstream has no sidecars.

A resolver that finds none fetches whole wheels only to learn what they depend on. The end of a wheel, which is a zip archive, says
where its METADATA lie, and they nearly always lie there too: two or three small requests instead of hundreds of megabytes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from simpleindex.core.errors import BrokenArchive, NoRanges
from simpleindex.core.model import Sidecar
from simpleindex.core.names import parse_distribution_name
from simpleindex.core.repair import Learnt
from simpleindex.store.archives import metadata_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simpleindex.core.model import File
    from simpleindex.core.names import ProjectName
    from simpleindex.sources.interface import Upstream

_TAIL: Final = 128 * 1024
"""Bytes asked for first: what an end record can be, and the directory and METADATA of most wheels."""

_SMALL: Final = _TAIL
"""Bytes of wheels that are left to whoever wants all of them."""

_MOST: Final = 8 * 1024 * 1024
"""Bytes of one wheel; one that needs more is left to whoever wants all of it."""

_MOST_ROUNDS: Final = 5


class WheelTails:
    """Reads the metadata of wheels.

    Args:
        upstream: Has them.
        index: Its URL: nothing proves a part of a file, so that only the index itself is believed, which could state the same.
        keep: Keeps the metadata of a wheel of a project in the cache, and says whether they are there then; blocking.
        in_thread: Calls a blocking function in a thread.
    """

    def __init__(
        self,
        upstream: Upstream,
        index: str,
        keep: Callable[[ProjectName, File, bytes], bool],
        in_thread: Callable[..., Awaitable[Any]],
    ) -> None:
        self._origin = urlsplit(index)[:2]
        self._upstream = upstream
        self._keep = keep
        self._in_thread = in_thread

    async def __call__(self, project: ProjectName, file: File) -> Learnt:
        """Learn what a wheel's end tells, and keep its metadata.

        Raises:
            NoRanges: The upstream gives no parts of files.
            BrokenArchive: It is no wheel, or too much of it would have to be read; or it is not for the index to say.
            NotHere: The upstream has not got it.
            UpstreamFailed: It cannot be asked.
        """
        assert file.url is not None  # an upstream's files have one
        if urlsplit(file.url)[:2] != self._origin:
            raise BrokenArchive("it lies on another host than its index")
        known = _Parts()
        size = file.size
        if size is None:
            size = await self._size(file.url)
        if size <= _SMALL and file.metadata is None:
            raise BrokenArchive("all of it is had as soon")
        start = max(0, size - _TAIL)
        await self._read(file.url, start, size - start, known)
        name = parse_distribution_name(file.filename)
        for _ in range(_MOST_ROUNDS):
            try:
                data, requires_python = metadata_of(known.pread, size, name)
            except _Missing as missing:
                if known.size + missing.length > _MOST:
                    break
                await self._read(file.url, missing.offset, missing.length, known)
            else:
                if not await self._in_thread(self._keep, project, file, data):
                    raise BrokenArchive("its metadata cannot be kept")
                sidecar = Sidecar(hashlib.sha256(data).hexdigest(), len(data))
                return Learnt(size, None, requires_python, sidecar)
        raise BrokenArchive("too much of it would have to be read")

    async def _size(self, url: str) -> int:
        # Not from the beginning: whoever gives no parts would begin to send all of it.
        stream = await self._upstream.open(url, 1)
        try:
            if stream.size is None or stream.offset != 1:
                raise NoRanges(self._upstream.name)
            return stream.size
        finally:
            stream.close()

    async def _read(self, url: str, offset: int, length: int, known: _Parts) -> None:
        stream = await self._upstream.open(url, offset)
        try:
            if stream.offset != offset:
                raise NoRanges(self._upstream.name)
            data = b""
            while len(data) < length and (more := await stream.read()):
                data += more
        finally:
            stream.close()
        if len(data) < length:
            raise BrokenArchive("it ends before its end")
        known.add(offset, data)


class _Missing(Exception):
    def __init__(self, offset: int, length: int) -> None:
        super().__init__(offset, length)
        self.offset = offset
        self.length = length


class _Parts:
    """What is known of a file's bytes."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[tuple[int, bytes]] = []

    def add(self, offset: int, data: bytes) -> None:
        self._parts.append((offset, data))
        self.size += len(data)

    def pread(self, length: int, offset: int) -> bytes:
        for start, data in self._parts:
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        raise _Missing(offset, max(length, 4096))
