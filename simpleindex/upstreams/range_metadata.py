"""A wheel's metadata, read from its end by ranged requests, where an upstream has no sidecars.

A resolver that finds none fetches whole wheels only to learn what they depend on. The end of a wheel, which is a zip archive, says
where its METADATA lie, and they nearly always lie there too: two or three small requests instead of hundreds of megabytes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from simpleindex.archives.examination.requests import WheelMetadata
from simpleindex.core.errors import BrokenArchive, NoRanges
from simpleindex.core.model import Sidecar
from simpleindex.upstreams.pages.enrich import FileFacts
from simpleindex.upstreams.wheel_examiner import WheelParts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simpleindex.core.model import File
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.interface import Upstream
    from simpleindex.upstreams.wheel_examiner import WheelExaminer

_TAIL: Final = 128 * 1024
"""Bytes asked for first: what an end record can be, and the directory and METADATA of most wheels."""

_SMALL: Final = _TAIL
"""Bytes of wheels that are left to whoever wants all of them."""

_MOST: Final = 8 * 1024 * 1024
"""Bytes of one wheel; one that needs more is left to whoever wants all of it."""

_MOST_ROUNDS: Final = 5


class RangeMetadata:
    """Reads the metadata of wheels.

    Args:
        upstream: Has them.
        index: Its URL: nothing proves a part of a file, so that only the index itself is believed, which could state the same.
        keep: Keeps the metadata of a wheel of a project in the cache, and says whether they are there then; blocking.
        in_thread: Calls a blocking function in a thread.
        wheels: Has parts of wheels examined.
    """

    def __init__(
        self,
        upstream: Upstream,
        index: str,
        keep: Callable[[ProjectName, File, bytes], bool],
        in_thread: Callable[..., Awaitable[Any]],
        wheels: WheelExaminer,
    ) -> None:
        self._origin = urlsplit(index)[:2]
        self._upstream = upstream
        self._keep = keep
        self._in_thread = in_thread
        self._wheels = wheels

    async def __call__(self, project: ProjectName, file: File) -> FileFacts:
        """Learn what a wheel's end tells, and keep its metadata.

        Raises:
            NoRanges: The upstream gives no parts of files.
            BrokenArchive: It is no wheel, or too much of it would have to be read; or it is not for the index to say.
            NotHere: The upstream has not got it.
            UpstreamFailed: It cannot be asked.
            NotExamined: Nothing can be found out of it now.
        """
        assert file.url is not None  # an upstream's files have one
        if urlsplit(file.url)[:2] != self._origin:
            raise BrokenArchive("it lies on another host than its index")
        size = file.size
        if size is None:
            size = await self._size(file.url)
        if size <= _SMALL and file.metadata is None:
            raise BrokenArchive("all of it is had as soon")
        with WheelParts() as known:
            found = await self._find(file.url, file.filename, size, known)
        if not await self._in_thread(self._keep, project, file, found.data):
            raise BrokenArchive("its metadata cannot be kept")
        sidecar = Sidecar(hashlib.sha256(found.data).hexdigest(), len(found.data))
        return FileFacts(size, None, found.requires_python, sidecar)

    async def _find(self, url: str, filename: str, size: int, known: WheelParts) -> WheelMetadata:
        start = max(0, size - _TAIL)
        await self._read(url, start, size - start, known)
        for _ in range(_MOST_ROUNDS):
            found = await self._wheels.end(known, filename, size)
            if isinstance(found, WheelMetadata):
                return found
            if known.size + found.length > _MOST:
                break
            await self._read(url, found.offset, found.length, known)
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

    async def _read(self, url: str, offset: int, length: int, known: WheelParts) -> None:
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
            raise BrokenArchive("it is incomplete")
        known.add(offset, data)
