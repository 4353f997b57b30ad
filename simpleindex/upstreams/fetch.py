"""One file on its way from an upstream into the cache, read by everybody who wants it meanwhile."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from simpleindex.core.dates import http_date
from simpleindex.core.errors import NotHere, SimpleIndexError, Unavailable, UpstreamFailed, WrongFile
from simpleindex.upstreams.cache.incoming import is_known_hash
from simpleindex.upstreams.cache.partial_file import PartialFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simpleindex.archives.inspect import ArchiveInfo
    from simpleindex.upstreams.cache.cache import UpstreamCache
    from simpleindex.upstreams.cache.file_keys import FileKey
    from simpleindex.upstreams.cache.incoming import Incoming
    from simpleindex.upstreams.wheel_examiner import WheelExaminer

_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each attempt to go on with what broke off; then it has failed."""


class Stream(Protocol):
    """What the source gives: bytes from an offset on."""

    @property
    def size(self) -> int | None: ...

    @property
    def offset(self) -> int: ...

    @property
    def validators(self) -> Any: ...

    async def read(self) -> bytes: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """What is said of a file before it comes.

    Attributes:
        key: What it is kept under.
        size: Bytes, if that is said.
        sha256: Lower-case hex digest, if that is said.
        other_hash: Another, by its name.
    """

    key: FileKey
    size: int | None
    sha256: str | None
    other_hash: tuple[str, str] | None = None

    @property
    def filename(self) -> str:
        """Its name."""
        return self.key.filename


class Fetch:
    """Fetches a file.

    What is too long, too short or another file is thrown away before anybody has its last byte.

    Args:
        upstream: Its name, for errors.
        expected: What is said of the file.
        begin: Asks the upstream for the file from an offset on, as long as it is what these validators, once its own, stand for.
        cache: Where it goes.
        clock: For pauses.
        in_thread: Calls a blocking function in a thread.
        wheels: Has wheels examined; None where nothing is to be learnt of them.

    Attributes:
        growing: What there is of it.
        has_begun: Whether the upstream has begun to send it.
        size: Bytes of it, as soon as it is whole.
    """

    def __init__(
        self,
        upstream: str,
        expected: ExpectedFile,
        begin: Callable[[int, Any], Awaitable[Stream]],
        *,
        cache: UpstreamCache,
        clock: Any,
        in_thread: Callable[..., Awaitable[Any]],
        wheels: WheelExaminer | None = None,
    ) -> None:
        self._upstream = upstream
        self._expected = expected
        self._begin = begin
        self._cache = cache
        self._clock = clock
        self._in_thread = in_thread
        self._wheels = wheels
        self._stopped = self._is_finished = False
        self._when_finished: list[Deferred[None]] = []
        self._why_stopped = ""
        self._beginning: Deferred[Stream] | None = None
        self._validators: Any = None
        self._stream: Stream | None = None
        self.growing = PartialFile()
        self.has_begun = False
        self.size = 0

    async def run(self) -> ArchiveInfo:
        """Fetch it, prove it, keep it.

        Returns:
            What is known of it then.

        Raises:
            NotHere: The upstream has not got it.
            WrongFile: It is another file than the one that is listed.
            UpstreamFailed: It cannot be fetched.
            Unavailable: There is no room for it.
        """
        incoming: Incoming | None = None
        try:
            incoming = await self._in_thread(self._cache.files.begin, self._expected.size)
            assert incoming is not None
            self.growing.place(os.dup(incoming.descriptor))
            await self._receive(incoming)
            await self._in_thread(self._require_right, incoming)
            self.size = incoming.size
            if self.growing.error is None:
                self.growing.complete(incoming.size)
            file_facts = self._wheels and await self._wheels.whole(incoming, self._expected.filename)
            facts: ArchiveInfo = await self._in_thread(
                self._cache.files.keep, incoming, self._expected.key, file_facts
            )
        except OSError as error:
            failed = Unavailable(f"There is no room here for {self._expected.filename} now.", retry_after=30)
            self.growing.fail(failed)
            raise failed from error
        except BaseException as error:
            self.growing.fail(error if isinstance(error, SimpleIndexError) else self._failed("an error here"))
            raise
        else:
            return facts
        finally:
            if incoming is not None:
                incoming.close()

    @property
    def modified_ns(self) -> int | None:
        """What the upstream called the file's last modification, nanoseconds since 1970; None if it did not say."""
        seconds = http_date(getattr(self._validators, "last_modified", None))
        return None if seconds is None or seconds <= 0 else seconds * 1_000_000_000

    @property
    def _is_provable(self) -> bool:
        """Whether the listing states a hash by which the file can be proven."""
        other = self._expected.other_hash
        return self._expected.sha256 is not None or (other is not None and is_known_hash(other[0]))

    @property
    def is_whole(self) -> bool:
        """Whether all of it is here and right, so that only keeping it is left."""
        return self.size > 0 and not self._is_finished

    async def until_done(self) -> None:
        """Wait until it is in the cache, or will not be."""
        if not self._is_finished:
            waiting: Deferred[None] = Deferred()
            self._when_finished.append(waiting)
            await waiting

    def finish(self) -> None:
        """Let go of it: nobody is to begin reading it any more."""
        self._is_finished = True
        self.growing.release()
        for waiting in self._when_finished:
            if not waiting.called:
                waiting.callback(None)

    def stop(self, why: str = "this index is shutting down") -> None:
        """Give up, as soon as no thread is at work for it.

        Args:
            why: The reason, as a clause.
        """
        self._stopped = True
        self._why_stopped = why
        if self._beginning is not None:
            self._beginning.cancel()
        if self._stream is not None:
            self._stream.close()

    async def _receive(self, incoming: Incoming) -> None:
        for pause in (*_PAUSES, None):
            try:
                await self._receive_on(incoming)
                return
            except WrongFile:
                raise
            except NotHere:
                if not incoming.size:
                    raise
                raise self._failed(
                    f"{self._expected.filename} is gone while it was fetched", is_passing=True
                ) from None
            except UpstreamFailed:
                if incoming.size and incoming.size == self.growing.size:
                    # It broke off behind the last byte, where there is nothing more to ask for.
                    return
                if pause is None or not incoming.size or self._stopped:
                    raise
            await deferLater(self._clock, pause, lambda: None)

    async def _receive_on(self, incoming: Incoming) -> None:
        """Receive from where it broke off, or, where that cannot be proven to fit, from the beginning to there once more."""
        if self._stopped:
            raise self._failed(self._why_stopped, is_passing=True)
        etag = getattr(self._validators, "etag", None)
        # RFC 9110 section 13.1.5: a weak tag is no proof.
        is_same = etag is not None and not etag.startswith("W/")
        offset = incoming.size if self._is_provable or is_same else 0
        stream = self._stream = await self._begun(offset, self._validators if offset and is_same else None)
        try:
            self.has_begun = True
            if stream.offset > incoming.size:
                raise self._failed("it sent another part of the file than it was asked for")
            first = b""
            if not incoming.size and not self._is_provable:
                first = await stream.read()
                if _is_page(first):
                    raise self._wrong("it is a page")
            self._begin_growing(stream.size)
            if not incoming.size:
                self._validators = stream.validators
            await self._read_all(stream, incoming, first)
        finally:
            self._stream = None
            stream.close()

    async def _begun(self, offset: int, validators: Any) -> Stream:
        beginning = self._beginning = Deferred.fromCoroutine(self._opened(offset, validators))
        try:
            return await beginning
        except CancelledError:
            if not self._stopped:
                raise
            raise self._failed(self._why_stopped, is_passing=True) from None
        finally:
            self._beginning = None

    async def _opened(self, offset: int, validators: Any) -> Stream:
        return await self._begin(offset, validators)

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
            size, largest = self.growing.size, self._cache.room.largest
            if size is not None and incoming.size + len(data) > size and self._may_be_larger(stream):
                self.growing.fail(self._wrong(f"it has more than {size} bytes"))
                size = _most_of(size)
            elif size is None and self._expected.size is not None:
                size = _most_of(self._expected.size)
            if incoming.size + len(data) > (largest if size is None else size):
                raise self._wrong(f"it has more than {largest if size is None else size} bytes")
            await self._in_thread(incoming.write, data)
            self.growing.advance(incoming.size)
        if self._stopped:
            raise self._failed(self._why_stopped, is_passing=True)
        size = self.growing.size
        if size is not None and incoming.size < size and self._expected.sha256 == incoming.sha256:
            self.growing.fail(self._wrong(f"it has {incoming.size} bytes, not {size}"))
        elif again or (size is not None and incoming.size < size):
            raise self._failed(
                f"{self._expected.filename} broke off after {incoming.size} bytes", is_passing=True
            )

    def _may_be_larger(self, stream: Stream) -> bool:
        """Whether a file that is larger than its listing says may be right: only its hash tells, and nobody else said a size."""
        return self._is_provable and stream.size is None

    def _begin_growing(self, size: int | None) -> None:
        known = self.growing.size if self.growing.size is not None else self._expected.size
        if None not in (size, known) and size != known:
            is_known = self.growing.size is not None or not self._is_provable
            if is_known or (size or 0) > _most_of(known or 0):
                raise self._wrong(f"it has {size} bytes, not {known}")
            # The listing states a hash too, which tells whether only its size is wrong; nothing is sent on before.
            self.growing.begin(None)
            return
        self.growing.begin(known if size is None else size)

    def _require_right(self, incoming: Incoming) -> None:
        expected = self._expected
        if expected.size is not None and incoming.size != expected.size and not self._is_provable:
            raise self._wrong(f"it has {incoming.size} bytes, not {expected.size}")
        if expected.sha256 is not None and incoming.sha256 != expected.sha256:
            raise self._wrong(f"its sha256 is {incoming.sha256}, not {expected.sha256}")
        if expected.sha256 is None and expected.other_hash is not None:
            algorithm, digest = expected.other_hash
            found = incoming.hexdigest(algorithm) if is_known_hash(algorithm) else digest
            if found.lower() != digest.lower():
                raise self._wrong(f"its {algorithm} is {found}, not {digest}")

    def _wrong(self, reason: str) -> WrongFile:
        return WrongFile(self._upstream, self._expected.filename, reason)

    def _failed(self, reason: str, *, is_passing: bool = False) -> UpstreamFailed:
        return UpstreamFailed(self._upstream, f"{reason}.", retry_after=2 if is_passing else None)


def _most_of(size: int) -> int:
    """The bytes that a file can have whose size is listed wrongly; more need not be received to be refused."""
    return max(2 * size, size + 1_048_576)


def _is_page(beginning: bytes) -> bool:
    """Whether bytes are the beginning of a page of HTML: some servers send one, with status 200, for what they have not got."""
    return beginning.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


async def open_in_thread(
    opens: Callable[[], tuple[int, ArchiveInfo] | None], in_thread: Callable[..., Awaitable[Any]]
) -> tuple[int, ArchiveInfo] | None:
    """Open a kept file in a thread; a request that is given up meanwhile leaves nothing open.

    Args:
        opens: Opens it; blocking.
        in_thread: Calls a blocking function in a thread.

    Returns:
        As :meth:`simpleindex.upstreams.cache.cached_files.CachedFiles.open`.
    """
    wanted: Deferred[tuple[int, ArchiveInfo] | None] = Deferred()

    async def opened() -> tuple[int, ArchiveInfo] | None:
        found: tuple[int, ArchiveInfo] | None = await in_thread(opens)
        return found

    def hand_over(found: tuple[int, ArchiveInfo] | None) -> None:
        # Whoever asked may have left by now, and a thread's result cannot be called back.
        if not wanted.called:
            wanted.callback(found)
        elif found is not None:
            os.close(found[0])

    Deferred.fromCoroutine(opened()).addCallbacks(hand_over, wanted.errback)
    return await wanted
