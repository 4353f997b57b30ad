"""An upstream with a limited number of requests at a time (the key ``connections``); further ones wait in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import DeferredSemaphore
from twisted.internet.defer import TimeoutError as TookTooLong

from simpleindex.upstreams.errors import UpstreamBusy

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.interface import Listing, Stream, Upstream, Validators

PATIENCE: Final = 10.0
"""Seconds that a request waits for others; clients give up after 15 or 30."""

_MOST_WAITING: Final = 500
"""Requests that wait; more could not begin in that time."""


class LimitedUpstream:
    """Requests a limited number of pages, and of files, at a time.

    Pages do not wait for files: a few large ones would hold up every resolver.

    Args:
        upstream: The upstream.
        limit: How many of each at once.
        clock: The reactor.
    """

    def __init__(self, upstream: Upstream, limit: int, clock: Any) -> None:
        self._upstream = upstream
        self._limit = limit
        self._clock = clock
        self._pages = DeferredSemaphore(limit)
        self._files = DeferredSemaphore(limit)

    @property
    def name(self) -> str:
        """Its name in the sources file."""
        return self._upstream.name

    async def projects(self) -> tuple[ProjectName, ...]:
        """Return the names of its projects."""
        await self._acquire(self._pages)
        try:
            return await self._upstream.projects()
        finally:
            self._pages.release()

    async def project(self, name: ProjectName, validators: Validators | None) -> Listing | None:
        """Return the listing of a project; None if it has not changed."""
        await self._acquire(self._pages)
        try:
            return await self._upstream.project(name, validators)
        finally:
            self._pages.release()

    async def open(
        self, url: str, offset: int = 0, validators: Validators | None = None, *, size: int | None = None
    ) -> Stream:
        """Begin to fetch a file; it counts until the stream is closed."""
        await self._acquire(self._files)
        try:
            return _LimitedStream(await self._upstream.open(url, offset, validators, size=size), self._files)
        except BaseException:
            self._files.release()
            raise

    async def modified(self, url: str) -> int | None:
        """Return when a file was modified; the request counts among files."""
        await self._acquire(self._files)
        try:
            return await self._upstream.modified(url)
        finally:
            self._files.release()

    async def _acquire(self, semaphore: DeferredSemaphore) -> None:
        if len(semaphore.waiting) >= _MOST_WAITING:
            raise UpstreamBusy(self.name, self._limit)
        try:
            await semaphore.acquire().addTimeout(PATIENCE, self._clock)
        except TookTooLong:
            raise UpstreamBusy(self.name, self._limit) from None


class _LimitedStream:
    """A stream that counts until it is closed."""

    def __init__(self, stream: Stream, semaphore: DeferredSemaphore) -> None:
        self._stream = stream
        self._semaphore: DeferredSemaphore | None = semaphore

    @property
    def size(self) -> int | None:
        return self._stream.size

    @property
    def offset(self) -> int:
        return self._stream.offset

    @property
    def validators(self) -> Validators:
        return self._stream.validators

    async def read(self) -> bytes:
        return await self._stream.read()

    def close(self) -> None:
        self._stream.close()
        semaphore, self._semaphore = self._semaphore, None
        if semaphore is not None:
            semaphore.release()
