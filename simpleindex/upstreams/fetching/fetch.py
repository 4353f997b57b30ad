"""Fetch one file from an upstream into the cache, while clients already read it."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from simpleindex.core.errors import NotHere, SimpleIndexError, Unavailable
from simpleindex.core.text import http_date
from simpleindex.upstreams.errors import UpstreamFailed, WrongFile
from simpleindex.upstreams.fetching.expected_file import is_page, most_bytes
from simpleindex.upstreams.fetching.partial_file import PartialFile
from simpleindex.upstreams.pages.enrich import FileFacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.archives.archive_info import ArchiveInfo
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.cache.incoming import Incoming
    from simpleindex.upstreams.cache_context import CacheContext
    from simpleindex.upstreams.fetching.expected_file import ExpectedFile
    from simpleindex.upstreams.interface import Stream, Validators

_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each attempt to resume a fetch that broke off; after the last one it has failed."""


class Fetch:
    """Fetches a file.

    A file that is too long, too short or another one is discarded before any client has its last byte.

    Args:
        context: The upstream, and the cache that the file goes to.
        expected: What the listing states about the file.

    Attributes:
        partial: The part of it that has arrived.
        has_begun: Whether the upstream has begun to send it.
        size: Its bytes, as soon as it is complete.
    """

    def __init__(self, context: CacheContext, expected: ExpectedFile) -> None:
        self._context = context
        self._expected = expected
        self._stopped = self._is_finished = False
        self._when_finished: list[Deferred[None]] = []
        self._why_stopped = ""
        self._opening: Deferred[Stream] | None = None
        self._validators: Validators | None = None
        self._stream: Stream | None = None
        self.partial = PartialFile()
        self.has_begun = False
        self.size = 0

    async def run(self) -> ArchiveInfo:
        """Fetch the file, verify it, and put it into the cache.

        Returns:
            What reading it showed.

        Raises:
            NotHere: The upstream does not have it.
            WrongFile: It is another file than the one that is listed.
            UpstreamFailed: It cannot be fetched.
            Unavailable: The disk is full.
        """
        incoming: Incoming | None = None
        try:
            self._require_allowed_size()
            incoming = await self._context.threads.run(self._context.cache.files.begin, self._expected.size)
            assert incoming is not None
            self.partial.place(os.dup(incoming.descriptor))
            await self._receive(incoming)
            await self._context.threads.run(self._verify, incoming)
            self.size = incoming.size
            if self.partial.error is None:
                self.partial.complete(incoming.size)
            wheels, files = self._context.wheels, self._context.cache.files
            archive = await wheels.whole(incoming, self._expected.filename) if wheels else None
            stored: ArchiveInfo = await self._context.threads.run(
                files.keep, incoming, self._expected.key, archive
            )
        except OSError as error:
            failed = Unavailable(f"There is no room here for {self._expected.filename} now.", retry_after=30)
            self.partial.fail(failed)
            raise failed from error
        except BaseException as error:
            self.partial.fail(error if isinstance(error, SimpleIndexError) else self._failed("an error here"))
            raise
        else:
            return stored
        finally:
            if incoming is not None:
                incoming.close()

    @property
    def modified_ns(self) -> int | None:
        """When the file was last modified, nanoseconds since 1970; None if the upstream did not state that."""
        seconds = None if self._validators is None else http_date(self._validators.last_modified)
        return None if seconds is None or seconds <= 0 else seconds * 1_000_000_000

    @property
    def is_whole(self) -> bool:
        """Whether all of it has arrived and is right, so that only the cache has to take it."""
        return self.size > 0 and not self._is_finished

    async def until_done(self) -> None:
        """Wait until it is in the cache or has failed."""
        if not self._is_finished:
            waiting: Deferred[None] = Deferred()
            self._when_finished.append(waiting)
            await waiting

    def finish(self) -> None:
        """Release the file: no further client begins to read it."""
        self._is_finished = True
        self.partial.release()
        for waiting in self._when_finished:
            if not waiting.called:
                waiting.callback(None)

    def stop(self, why: str = "this index is shutting down") -> None:
        """Stop as soon as no thread works for it.

        Args:
            why: The reason, as a clause.
        """
        self._stopped = True
        self._why_stopped = why
        if self._opening is not None:
            self._opening.cancel()
        if self._stream is not None:
            self._stream.close()

    def _require_allowed_size(self) -> None:
        size, largest = self._expected.size, self._context.cache.room.largest
        if size is not None and size > largest:
            raise self._failed(
                f"{self._expected.filename} is listed with {size} bytes, and this index takes no file of more than {largest} "
                "(largest-file in [cache])"
            )

    async def _receive(self, incoming: Incoming) -> None:
        pauses = iter(_PAUSES)
        while True:
            try:
                await self._receive_on(incoming)
                return
            except WrongFile:
                raise
            except NotHere:
                if not incoming.size:
                    raise
                raise self._failed(
                    f"{self._expected.filename} vanished while it was fetched", is_passing=True
                ) from None
            except UpstreamFailed:
                if incoming.size and incoming.size == self.partial.size:
                    # It broke off behind the last byte, where nothing more is to be requested.
                    return
                pause = next(pauses, None)
                if pause is None or not incoming.size or self._stopped:
                    raise
            await deferLater(self._context.clock, pause, lambda: None)

    async def _receive_on(self, incoming: Incoming) -> None:
        """Receive from where it broke off; from the beginning where nothing proves that the rest fits."""
        if self._stopped:
            raise self._failed(self._why_stopped, is_passing=True)
        etag = None if self._validators is None else self._validators.etag
        # RFC 9110 section 13.1.5: a weak tag is no proof.
        is_same = etag is not None and not etag.startswith("W/")
        offset = incoming.size if self._expected.is_verifiable or is_same else 0
        stream = self._stream = await self._open(offset, self._validators if offset and is_same else None)
        try:
            self.has_begun = True
            if stream.offset > incoming.size:
                raise self._failed("it sent another part of the file than was requested")
            first = b""
            if not incoming.size and not self._expected.is_verifiable:
                first = await stream.read()
                if is_page(first):
                    raise self._wrong("it is a page")
            self._begin_partial(stream.size)
            if not incoming.size:
                self._validators = stream.validators
            await self._read_all(stream, incoming, first)
        finally:
            self._stream = None
            stream.close()

    async def _open(self, offset: int, validators: Validators | None) -> Stream:
        expected = self._expected
        opening = self._opening = Deferred.fromCoroutine(
            self._context.upstream.open(expected.url, offset, validators, size=expected.listed_size)
        )
        try:
            return await opening
        except CancelledError:
            if not self._stopped:
                raise
            raise self._failed(self._why_stopped, is_passing=True) from None
        finally:
            self._opening = None

    async def _read_all(self, stream: Stream, incoming: Incoming, first: bytes) -> None:
        again, repeated = incoming.size - stream.offset, hashlib.sha256()
        while not self._stopped and (data := first or await stream.read()):
            first = b""
            if again:
                repeated.update(data[:again])
                data, again = data[again:], again - len(data[:again])
                if not again and not stream.offset and repeated.hexdigest() != incoming.sha256:
                    raise self._wrong("it sent other bytes the second time")
            if not data:
                continue
            received = incoming.size + len(data)
            if received > (most := self._most(stream, received)):
                raise self._wrong(f"it has more than {most} bytes")
            await self._context.threads.run(incoming.write, data)
            self.partial.advance(incoming.size)
        if self._stopped:
            raise self._failed(self._why_stopped, is_passing=True)
        size = self.partial.size
        if size is not None and incoming.size < size and self._expected.sha256 == incoming.sha256:
            self.partial.fail(self._wrong(f"it has {incoming.size} bytes, not {size}"))
        elif again or (size is not None and incoming.size < size):
            raise self._failed(
                f"{self._expected.filename} broke off after {incoming.size} bytes", is_passing=True
            )

    def _most(self, stream: Stream, received: int) -> int:
        """Return how many bytes the file may have, of which so many are here."""
        size = self.partial.size
        if size is None:
            listed = self._expected.size
            return self._context.cache.room.largest if listed is None else most_bytes(listed)
        if received <= size or not self._expected.is_verifiable or stream.size is not None:
            return size
        # Only the listing states that size, and it states a hash too, which decides. Clients were promised the size.
        self.partial.fail(self._wrong(f"it has more than {size} bytes"))
        return most_bytes(size)

    def _begin_partial(self, size: int | None) -> None:
        stated = self.partial.size if self.partial.size is not None else self._expected.size
        if None not in (size, stated) and size != stated:
            is_known = self.partial.size is not None or not self._expected.is_verifiable
            if is_known or (size or 0) > most_bytes(stated or 0):
                raise self._wrong(f"it has {size} bytes, not {stated}")
            # The listing states a hash too, which tells whether only its size is wrong; nothing is sent on before.
            self.partial.begin(None)
            return
        self.partial.begin(stated if size is None else size)

    def _verify(self, incoming: Incoming) -> None:
        difference = self._expected.difference(incoming.size, incoming.sha256, incoming.hexdigest)
        if difference is not None:
            raise self._wrong(difference)

    def _wrong(self, reason: str) -> WrongFile:
        return WrongFile(self._context.upstream.name, self._expected.filename, reason)

    def _failed(self, reason: str, *, is_passing: bool = False) -> UpstreamFailed:
        return UpstreamFailed(
            self._context.upstream.name, f"{reason}.", retry_after=2 if is_passing else None
        )


def facts_of_file(archive: ArchiveInfo, size: int, modified_ns: int | None) -> FileFacts:
    """Return what a complete file shows.

    Args:
        archive: What reading it showed.
        size: Its bytes.
        modified_ns: When it was last modified, if its server stated that.
    """
    return FileFacts(size, archive.sha256, archive.requires_python, archive.sidecar, modified_ns)


async def open_in_thread(
    open_file: Callable[[], tuple[int, ArchiveInfo] | None], threads: Threads
) -> tuple[int, ArchiveInfo] | None:
    """Open a cached file in a thread; a request that is cancelled meanwhile leaves nothing open.

    Args:
        open_file: Opens it; blocking.
        threads: For that.

    Returns:
        As :meth:`simpleindex.upstreams.cache.cached_files.CachedFiles.open`.
    """
    opened: Deferred[tuple[int, ArchiveInfo] | None] = Deferred()

    def hand_over(result: tuple[int, ArchiveInfo] | None) -> None:
        # The request may have been cancelled by now, and a thread's result cannot be called back.
        if not opened.called:
            opened.callback(result)
        elif result is not None:
            os.close(result[0])

    threads.run(open_file).addCallbacks(hand_over, opened.errback)
    return await opened
