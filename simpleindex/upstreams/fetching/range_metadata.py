"""Find the bytes of a wheel's end that have its metadata, where an upstream does not list them (PEP 658); requests are ``file_requests.py``'s.

A resolver without them downloads whole wheels only for their dependencies. The end of a wheel, which is a zip archive, states where
its METADATA is, and nearly always has it too: two or three small requests instead of hundreds of megabytes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination.protocol import WheelMetadata
from simpleindex.core.files import Sidecar
from simpleindex.upstreams.errors import NoRanges
from simpleindex.upstreams.fetching.wheel_examiner import WheelParts
from simpleindex.upstreams.pages.enrich import FileFacts

if TYPE_CHECKING:
    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache_context import CacheContext

_TAIL: Final = 128 * 1024
"""Bytes of the first request: the largest end record, and the directory and METADATA of most wheels."""

_SMALL: Final = _TAIL
"""Bytes of a wheel that is not worth a range request."""

_MOST: Final = 8 * 1024 * 1024
"""Bytes that are read of one wheel; one that needs more is given up."""

_MOST_ROUNDS: Final = 5


class RangeMetadata:
    """Reads the metadata of wheels by range requests, into the cache.

    Args:
        context: The upstream and its cache; it examines wheels.
        index: The upstream's URL. Nothing verifies a part of a file, so only the host of the index is trusted, which could state
            the same in its listing.
    """

    def __init__(self, context: CacheContext, index: str) -> None:
        assert context.wheels is not None
        self._origin = urlsplit(index)[:2]
        self._context = context
        self._upstream = context.upstream
        self._wheels = context.wheels

    async def __call__(self, project: ProjectName, file: File) -> FileFacts:
        """Read a wheel's metadata from its end into the cache; return the facts that this shows.

        Raises:
            NoRanges: The upstream does not support range requests.
            BrokenArchive: It is no wheel, it lies on another host, or too much of it would have to be read.
            NotHere: The upstream does not have it.
            UpstreamFailed: It cannot be requested.
            NotExamined: It cannot be examined now.
        """
        assert file.url is not None  # an upstream's files have one
        if urlsplit(file.url)[:2] != self._origin:
            raise BrokenArchive("it lies on another host than its index")
        size = file.size
        if size is None:
            size = await self._size(file.url)
        if size <= _SMALL and file.metadata is None:
            raise BrokenArchive("all of it is fetched as soon")
        with WheelParts() as parts:
            metadata = await self._find(file.url, file.filename, size, parts)
        cache, identity = self._context.cache, self._context.identity
        if not await self._context.threads.run(cache.store_metadata, identity, project, file, metadata.data):
            raise BrokenArchive("its metadata cannot be cached")
        sidecar = Sidecar(hashlib.sha256(metadata.data).hexdigest(), len(metadata.data))
        return FileFacts(size, None, metadata.requires_python, sidecar)

    async def _find(self, url: str, filename: str, size: int, parts: WheelParts) -> WheelMetadata:
        start = max(0, size - _TAIL)
        await self._read(url, start, size - start, parts)
        for _ in range(_MOST_ROUNDS):
            metadata = await self._wheels.end(parts, filename, size)
            if isinstance(metadata, WheelMetadata):
                return metadata
            if parts.size + metadata.length > _MOST:
                break
            await self._read(url, metadata.offset, metadata.length, parts)
        raise BrokenArchive("too much of it would have to be read")

    async def _size(self, url: str) -> int:
        # Not from the beginning: a server without range requests would begin to send all of it.
        stream = await self._upstream.open(url, 1)
        try:
            if stream.size is None or stream.offset != 1:
                raise NoRanges(self._upstream.name)
            return stream.size
        finally:
            stream.close()

    async def _read(self, url: str, offset: int, length: int, parts: WheelParts) -> None:
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
        parts.add(offset, data)
