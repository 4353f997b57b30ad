"""The metadata of an upstream's wheels: from the cache, from beside the wheel, or from the wheel itself."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from simpleindex.core import severity
from simpleindex.core.errors import FileRefused, NotHere, SimpleIndexError, Unavailable, WrongFile
from simpleindex.core.metadata import MAXIMUM_SIZE
from simpleindex.core.names import METADATA_SUFFIX
from simpleindex.system.bodies import BytesBody, BytesCache
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.fetches import PATIENCE
from simpleindex.upstreams.pages.enrich import identity_of, metadata_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simpleindex.core.model import File, Sidecar
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache.cache import UpstreamCache
    from simpleindex.upstreams.fetch import Stream
    from simpleindex.upstreams.fetches import Fetches
    from simpleindex.upstreams.pages.enrich import FileFacts
    from simpleindex.upstreams.range_metadata_queue import RangeMetadataQueue
    from simpleindex.upstreams.single_flight import SingleFlight

_SMALL: Final = 8 * 1024 * 1024
"""Bytes of a wheel that is fetched for its metadata where nothing less of it can be had."""

_IN_MEMORY: Final = 16 * 1024 * 1024
"""Bytes of metadata that each upstream has in memory."""


class MetadataFiles:
    """Gives the metadata that are listed, and nothing else.

    Args:
        upstream: Its name, for errors.
        index: What identifies it.
        cache: Where things are kept.
        clock: The reactor.
        in_thread: Calls a blocking function in a thread.
        begin: Asks it for what is at a URL.
        fetches: Has wheels fetched.
        shared: Has work done once.
        tails: Reads the ends of wheels; None where that is not wanted.
        found: Told how a wheel's stated metadata were found: with the error if they are not there or others, and with what the
            wheel's end told, if that was read.
        say: Takes a sentence for the operator.
    """

    def __init__(
        self,
        upstream: str,
        cache: UpstreamCache,
        clock: Any,
        in_thread: Callable[..., Awaitable[Any]],
        *,
        index: str,
        begin: Callable[[str], Awaitable[Stream]],
        fetches: Fetches,
        shared: SingleFlight,
        tails: RangeMetadataQueue | None,
        found: Callable[[ProjectName, File, SimpleIndexError | None, FileFacts | None], Awaitable[None]],
        say: Callable[[str], None],
    ) -> None:
        self._upstream = upstream
        self._index = index
        self._begin = begin
        self._cache = cache
        self._fetches = fetches
        self._clock = clock
        self._in_thread = in_thread
        self._shared = shared
        self._tails = tails
        self._found = found
        self._say = say
        self._data = BytesCache(_IN_MEMORY)

    async def body(self, name: ProjectName, file: File, shown: File) -> BytesBody:
        """The metadata of a wheel.

        Args:
            name: Its project.
            file: As the upstream lists it.
            shown: As it is offered here.

        Raises:
            NotHere: None are listed.
            Unavailable: They cannot be had now.
        """
        sidecar = shown.metadata
        if sidecar is None:
            raise NotHere(f"file {file.filename}{METADATA_SUFFIX}")
        # Not by digest alone: another project's metadata are not for whoever states their digest.
        key = ("metadata", name, file.filename, identity_of(file), sidecar.sha256)
        data = self._data.get(key)
        if data is None:
            reading = Deferred.fromCoroutine(
                self._shared.do(key, lambda: self._read(name, file, shown, sidecar))
            )
            try:
                data = bytes(await reading.addTimeout(PATIENCE, self._clock))
            except TookTooLong:
                # It goes on, and is kept.
                raise Unavailable(
                    f"The metadata of {file.filename} are being fetched from {self._upstream}, which takes long; try again."
                ) from None
            self._data.put(key, data)
        return BytesBody(data, sidecar.sha256, shown.uploaded_ns)

    async def _read(self, name: ProjectName, file: File, shown: File, sidecar: Sidecar) -> bytes:
        wheel = UpstreamFileKey(self._index, name, file.filename)
        data = await self._in_thread(self._kept, wheel, shown.sha256, sidecar.sha256)
        if data is None and file.metadata is not None and file.metadata.sha256 == sidecar.sha256:
            try:
                data = await self.fetch(name, file)
            except (NotHere, WrongFile, FileRefused) as error:
                data = await self._instead(name, file, shown, error)
                if data is None:
                    raise
        elif data is None:
            # Only the wheel told of them, and is gone from the cache.
            await self._fetch_wheel(name, file, shown)
            data = await self._in_thread(self._kept, wheel, shown.sha256, sidecar.sha256)
        if data is None:
            raise Unavailable(f"The metadata of {file.filename} cannot be had now.", retry_after=30)
        return bytes(data)

    def _kept(self, wheel: UpstreamFileKey, sha256: str | None, sidecar: str) -> bytes | None:
        files, key = self._cache.files, wheel.metadata(sidecar)
        if files.may_have(key):
            data = files.read(key, sidecar, MAXIMUM_SIZE)
            if data is not None:
                return data
        if sha256 is None or not files.may_have(wheel):
            return None
        return files.read_sidecar(wheel, sha256, sidecar)

    async def _fetch_wheel(self, name: ProjectName, file: File, shown: File) -> None:
        fetch = self._fetches.fetch(name, file, shown)
        fetch.growing.release()
        done = Deferred.fromCoroutine(fetch.until_done())
        with suppress(TookTooLong):
            await done.addTimeout(PATIENCE, self._clock)

    async def _instead(
        self, name: ProjectName, file: File, shown: File, error: SimpleIndexError
    ) -> bytes | None:
        """Read metadata that are listed and not there from the wheel itself; None if those are others, or too far away.

        Mirrors copy the pages of the index that they mirror, without the metadata that these list.
        """
        assert file.metadata is not None
        file_facts = None if self._tails is None else await self._tails.read(name, file)
        if file_facts is None and await self._is_small(file):
            with suppress(SimpleIndexError):
                await self._fetch_wheel(name, file, shown)
        await self._found(name, file, error, file_facts)
        wheel = UpstreamFileKey(self._index, name, file.filename)
        data: bytes | None = await self._in_thread(self._kept, wheel, shown.sha256, file.metadata.sha256)
        return data

    async def _is_small(self, file: File) -> bool:
        """Whether all of a wheel is had as soon as its end."""
        size = file.size
        if size is None and file.url is not None:
            with suppress(SimpleIndexError):
                stream = await self._begin(file.url)
                size = stream.size
                stream.close()
        return size is not None and size <= _SMALL

    async def fetch(self, name: ProjectName, file: File) -> bytes:
        """Fetch and keep the metadata that an upstream lists for a wheel.

        Raises:
            NotHere: They are not there.
            WrongFile: They are others.
            UpstreamFailed: They cannot be fetched.
        """
        assert file.metadata is not None
        data = await self._fetch(file, file.metadata)
        key = UpstreamFileKey(self._index, name, file.filename).metadata(file.metadata.sha256)
        await self._in_thread(self._cache.files.keep_bytes, data, key)
        return data

    async def _fetch(self, file: File, sidecar: Sidecar) -> bytes:
        assert file.url is not None
        stream = await self._begin(metadata_url(file.url))
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
        error = WrongFile(self._upstream, file.filename + METADATA_SUFFIX, reason)
        self._say(severity.warning(f"{error} It was thrown away."))
        raise error
