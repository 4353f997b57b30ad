"""Serve the metadata of an upstream's wheels: from the cache, from beside the wheel, or from the wheel itself."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from simpleindex.core.caches import SizedCache
from simpleindex.core.errors import NotHere, SimpleIndexError, Unavailable
from simpleindex.core.metadata import MAXIMUM_SIZE
from simpleindex.core.names import METADATA_SUFFIX
from simpleindex.system.bodies import BytesBody
from simpleindex.system.log import logger
from simpleindex.upstreams.errors import FileRefused, WrongFile
from simpleindex.upstreams.fetching.fetches import PATIENCE
from simpleindex.upstreams.pages.enrich import identity_of, metadata_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from simpleindex.core.files import File, Sidecar
    from simpleindex.core.names import ProjectName
    from simpleindex.system.single_flight import SingleFlight
    from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
    from simpleindex.upstreams.cache_context import CacheContext
    from simpleindex.upstreams.fetching.fetches import Fetches
    from simpleindex.upstreams.fetching.range_metadata_queue import RangeMetadataQueue
    from simpleindex.upstreams.pages.enrich import FileFacts

_log: Final = logger(__name__)

_SMALL: Final = 8 * 1024 * 1024
"""Bytes of a wheel that is fetched whole for its metadata where they cannot be read from its end."""

_IN_MEMORY: Final = 16 * 1024 * 1024
"""Bytes of metadata that each upstream has in memory."""


class MetadataFiles:
    """Serves the metadata whose digest is listed, and no others.

    Args:
        context: The upstream and its cache.
        fetches: Fetches wheels.
        flights: Does work once.
        wheel_ends: Reads the ends of wheels; None if that is off.
        report: Called with a wheel whose listed metadata were fetched: with the error if they are missing or wrong, and with what
            the wheel's end showed, if it was read.
    """

    def __init__(
        self,
        context: CacheContext,
        fetches: Fetches,
        flights: SingleFlight,
        wheel_ends: RangeMetadataQueue | None,
        report: Callable[[ProjectName, File, SimpleIndexError | None, FileFacts | None], Awaitable[None]],
    ) -> None:
        self._context = context
        self._upstream = context.upstream
        self._files = context.cache.files
        self._threads = context.threads
        self._fetches = fetches
        self._flights = flights
        self._wheel_ends = wheel_ends
        self._report = report
        self._memory: SizedCache[Hashable, bytes] = SizedCache(_IN_MEMORY, len)

    async def body(self, name: ProjectName, file: File, offered: File) -> BytesBody:
        """Return the metadata of a wheel.

        Args:
            name: Its project.
            file: As the upstream lists it.
            offered: As it is offered here.

        Raises:
            NotHere: The listing has none.
            Unavailable: They cannot be read or fetched now.
        """
        sidecar = offered.metadata
        if sidecar is None:
            raise NotHere(f"file {file.filename}{METADATA_SUFFIX}")
        # Not by digest alone: an upstream that states a digest must not get another project's metadata.
        key = ("metadata", name, file.filename, identity_of(file), sidecar.sha256)
        data = self._memory.get(key)
        if data is None:
            reading = self._flights.run(key, lambda: self._read(name, file, offered, sidecar))
            try:
                data = bytes(await reading.addTimeout(PATIENCE, self._context.clock))
            except TookTooLong:
                # The fetch goes on, and ends in the cache.
                raise Unavailable(
                    f"The metadata of {file.filename} are being fetched from {self._upstream.name}, which takes long; try again."
                ) from None
            self._memory.put(key, data)
        return BytesBody(data, sidecar.sha256, offered.uploaded_ns)

    async def _read(self, name: ProjectName, file: File, offered: File, sidecar: Sidecar) -> bytes:
        wheel = self._context.key(name, file.filename)
        data = await self._threads.run(self._read_cached, wheel, offered.sha256, sidecar.sha256)
        if data is None and file.metadata is not None and file.metadata.sha256 == sidecar.sha256:
            try:
                data = await self.fetch(name, file)
            except (NotHere, WrongFile, FileRefused) as error:
                data = await self._read_from_wheel(name, file, offered, error)
                if data is None:
                    raise
        elif data is None:
            # The digest came from the wheel itself, which has left the cache.
            await self._fetch_wheel(name, file, offered)
            data = await self._threads.run(self._read_cached, wheel, offered.sha256, sidecar.sha256)
        if data is None:
            raise Unavailable(f"The metadata of {file.filename} cannot be fetched now.", retry_after=30)
        return bytes(data)

    def _read_cached(self, wheel: UpstreamFileKey, sha256: str | None, sidecar: str) -> bytes | None:
        files, key = self._files, wheel.metadata(sidecar)
        if files.may_have(key):
            data = files.read(key, sidecar, MAXIMUM_SIZE)
            if data is not None:
                return data
        if sha256 is None or not files.may_have(wheel):
            return None
        return files.read_sidecar(wheel, sha256, sidecar)

    async def _fetch_wheel(self, name: ProjectName, file: File, offered: File) -> None:
        fetch = self._fetches.fetch(name, file, offered)
        fetch.partial.release()
        done = Deferred.fromCoroutine(fetch.until_done())
        with suppress(TookTooLong):
            await done.addTimeout(PATIENCE, self._context.clock)

    async def _read_from_wheel(
        self, name: ProjectName, file: File, offered: File, error: SimpleIndexError
    ) -> bytes | None:
        """Read metadata that are listed but missing from the wheel itself; None if they differ, or the wheel is large.

        Mirrors copy the pages of the index that they mirror, without the metadata that these list.
        """
        assert file.metadata is not None
        file_facts = None if self._wheel_ends is None else await self._wheel_ends.read(name, file)
        if file_facts is None and await self._is_small(file):
            with suppress(SimpleIndexError):
                await self._fetch_wheel(name, file, offered)
        await self._report(name, file, error, file_facts)
        wheel = self._context.key(name, file.filename)
        data: bytes | None = await self._threads.run(
            self._read_cached, wheel, offered.sha256, file.metadata.sha256
        )
        return data

    async def _is_small(self, file: File) -> bool:
        """Return whether a wheel is fetched about as fast as its end."""
        size = file.size
        if size is None and file.url is not None:
            with suppress(SimpleIndexError):
                stream = await self._upstream.open(file.url)
                size = stream.size
                stream.close()
        return size is not None and size <= _SMALL

    async def fetch(self, name: ProjectName, file: File) -> bytes:
        """Fetch the metadata that an upstream lists for a wheel into the cache.

        Raises:
            NotHere: The upstream does not have them.
            WrongFile: Their digest is not the listed one.
            UpstreamFailed: They cannot be fetched.
        """
        assert file.metadata is not None
        data = await self._fetch(file, file.metadata)
        key = self._context.key(name, file.filename).metadata(file.metadata.sha256)
        await self._threads.run(self._files.keep_bytes, data, key)
        return data

    async def _fetch(self, file: File, sidecar: Sidecar) -> bytes:
        assert file.url is not None
        stream = await self._upstream.open(metadata_url(file.url))
        parts, size = [], 0
        try:
            while size <= MAXIMUM_SIZE and (data := await stream.read()):
                size += len(data)
                parts.append(data)
        finally:
            stream.close()
        whole = b"".join(parts)
        if size <= MAXIMUM_SIZE and hashlib.sha256(whole).hexdigest() == sidecar.sha256:
            return whole
        reason = f"their sha256 is not {sidecar.sha256}" if size <= MAXIMUM_SIZE else "they do not end"
        error = WrongFile(self._upstream.name, file.filename + METADATA_SUFFIX, reason)
        _log.warn("{error} It was thrown away.", error=str(error))
        raise error
