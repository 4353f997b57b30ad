"""The fetches of one upstream's files that are under way, each shared by all clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cachetools import FIFOCache
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from simpleindex.core.errors import NotHere, SimpleIndexError, Unavailable
from simpleindex.core.source import Delivery, FileOrigin
from simpleindex.system.log import logger
from simpleindex.upstreams.errors import UpstreamFailed, WrongFile
from simpleindex.upstreams.fetching.expected_file import ExpectedFile
from simpleindex.upstreams.fetching.fetch import Fetch, facts_of_file
from simpleindex.upstreams.fetching.partial_file import PartialFileBody
from simpleindex.upstreams.pages.enrich import identity_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache_context import CacheContext
    from simpleindex.upstreams.pages.enrich import FileFacts

_log: Final = logger(__name__)

PATIENCE: Final = 10.0
"""Seconds that a request waits for a file that cannot be sent before it is complete; clients give up after 15 or 30."""

_SILENT_SECONDS: Final = 60.0
"""Seconds between two lines of the log about files that cannot be fetched."""

_SMALL: Final = 1024 * 1024
"""Bytes of a file that is fetched to check whether it is right again."""

_MOST_WRONG: Final = 1_000


class Fetches:
    """Fetches files into the cache, each once for all clients that request it.

    Args:
        context: The upstream and its cache.
        report_facts: Called with what a fetched file showed.
        report_fault: Called with a file that is missing, or not as listed, and with the error that says so.
        failing_for: Seconds for which a wrong file is not fetched again.
        background: How many fetches may wait for their first byte although no client waits any more.
    """

    def __init__(
        self,
        context: CacheContext,
        *,
        report_facts: Callable[[ProjectName, File, FileFacts], Awaitable[None]],
        report_fault: Callable[[ProjectName, File, SimpleIndexError], Awaitable[None]],
        failing_for: float,
        background: int,
    ) -> None:
        self._context = context
        self._upstream = context.upstream.name
        self._origin = FileOrigin(context.upstream.name, Delivery.FETCHED)
        self._clock = context.clock
        self._report_facts = report_facts
        self._report_fault = report_fault
        self._failing_for = failing_for
        self._background = background
        self._late: set[Fetch] = set()
        self._silent_until = 0.0
        self._under_way: dict[Hashable, Fetch] = {}
        self._wrong: FIFOCache[Hashable, tuple[float, WrongFile]] = FIFOCache(_MOST_WRONG)

    def stop(self) -> None:
        """Stop every fetch."""
        for fetch in [*self._under_way.values()]:
            fetch.stop()

    def keeping(self) -> list[Deferred[None]]:
        """Return a Deferred for each file that is complete, which fires once it is in the cache."""
        complete = [fetch for fetch in self._under_way.values() if fetch.is_whole]
        return [Deferred.fromCoroutine(fetch.until_done()) for fetch in complete]

    def is_under_way(self, name: ProjectName, file: File) -> bool:
        """Return whether a file of a project is being fetched."""
        return _key(name, file) in self._under_way

    async def body(self, name: ProjectName, file: File, offered: File) -> PartialFileBody:
        """Return the body of a file that is fetched meanwhile.

        Args:
            name: Its project.
            file: As the upstream lists it.
            offered: As it is offered here.
        """
        fetch = self.fetch(name, file, offered)
        beginning = Deferred.fromCoroutine(fetch.partial.until_begun())
        try:
            await beginning.addTimeout(PATIENCE, self._clock)
            body = PartialFileBody(
                fetch.partial, file.filename, offered.sha256, offered.uploaded_ns, self._context.threads
            )
            body.origin = self._origin
            return body
        except TookTooLong:
            raise Unavailable(
                f"{file.filename} is being fetched from {self._upstream}, which takes long; try again."
            ) from None
        finally:
            fetch.partial.release()

    def fetch(self, name: ProjectName, file: File, offered: File) -> Fetch:
        """Return the fetch of a file that is under way, or a new one; the caller releases its partial file.

        Raises:
            WrongFile: Fetching it showed that a moment ago.
        """
        assert file.url is not None
        key = _key(name, file)
        under_way = self._under_way.get(key)
        if under_way is not None:
            under_way.partial.hold()
            return under_way
        until, error = self._wrong.get(key, (0.0, None))
        if error is not None and self._clock.seconds() < until:
            raise error
        expected = ExpectedFile(
            self._context.key(name, file.filename),
            file.url,
            # A size that comes from a part of the file only is not binding.
            file.size if offered.sha256 is None else offered.size,
            offered.sha256,
            file.other_hash,
            file.size,
        )
        fetch = self._under_way[key] = Fetch(self._context, expected)
        fetch.partial.hold()
        running = Deferred.fromCoroutine(self._run(name, file, fetch))
        running.addErrback(lambda failure: _log.failure("", failure))
        return fetch

    async def probe(self, name: ProjectName, file: File) -> None:
        """Check whether an upstream has a file again that was missing or wrong.

        A small one is fetched, so that it is verified; of a large one the headers are believed until it is fetched.

        Raises:
            NotHere: It is missing.
            WrongFile: It is another one than listed.
            UpstreamFailed: The upstream cannot be requested.
        """
        assert file.url is not None
        stream = await self._context.upstream.open(file.url, 0, None, size=file.size)
        size = stream.size
        stream.close()
        if size is not None and size <= _SMALL:
            fetch = self.fetch(name, file, file)
            fetch.partial.release()
            await fetch.until_done()
            if fetch.partial.error is not None:
                raise fetch.partial.error
        elif None not in (size, file.size) and size != file.size and file.sha256 is None:
            raise WrongFile(self._upstream, file.filename, f"it has {size} bytes, not {file.size}")

    async def _run(self, name: ProjectName, file: File, fetch: Fetch) -> None:
        key = _key(name, file)
        patience = self._clock.callLater(PATIENCE, self._let_wait, fetch)
        try:
            archive = await fetch.run()
        except SimpleIndexError as error:
            self._log_failure(file, error)
            if isinstance(error, WrongFile):
                self._wrong[key] = self._clock.seconds() + self._failing_for, error
            if isinstance(error, WrongFile | NotHere):
                await self._report_fault(name, file, error)
        else:
            await self._report_facts(name, file, facts_of_file(archive, fetch.size, fetch.modified_ns))
        finally:
            if patience.active():
                patience.cancel()
            self._late.discard(fetch)
            # In this order: no client begins to read a file that is released.
            del self._under_way[key]
            fetch.finish()

    def _log_failure(self, file: File, error: SimpleIndexError) -> None:
        if isinstance(error, WrongFile):
            _log.warn("{error} It was thrown away.", error=str(error))
        elif isinstance(error, UpstreamFailed) and self._clock.seconds() >= self._silent_until:
            # The client gets the reason too, but installers show only a number.
            self._silent_until = self._clock.seconds() + _SILENT_SECONDS
            _log.warn("{filename} cannot be fetched. {error}", filename=file.filename, error=str(error))

    def _let_wait(self, fetch: Fetch) -> None:
        """Let a fetch go on for the next client unless too many wait already."""
        if fetch.has_begun:
            return
        if sum(not late.has_begun for late in self._late) >= self._background:
            fetch.stop(f"it is slow to send {self._background} other files that are waited for")
        else:
            self._late.add(fetch)


def _key(name: ProjectName, file: File) -> Hashable:
    """Return what tells a fetch from others, also of one URL, for which two listings may state different things."""
    return name, file.filename, identity_of(file)
