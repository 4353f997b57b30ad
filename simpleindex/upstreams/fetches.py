"""The files of an upstream that are on their way, each fetched once for all who want it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from simpleindex.core import severity
from simpleindex.core.errors import NotHere, SimpleIndexError, Unavailable, UpstreamFailed, WrongFile
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.cache.partial_file import PartialFileBody
from simpleindex.upstreams.fetch import ExpectedFile, Fetch
from simpleindex.upstreams.pages.enrich import FileFacts, identity_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from twisted.python.failure import Failure

    from simpleindex.archives.inspect import ArchiveInfo
    from simpleindex.core.model import File
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache.cache import UpstreamCache
    from simpleindex.upstreams.fetch import Stream
    from simpleindex.upstreams.wheel_examiner import WheelExaminer

PATIENCE: Final = 10.0
"""Seconds that a request waits for what cannot be sent before it is whole; clients give up after 15 or 30."""

_SILENT_SECONDS: Final = 60.0
"""Between two lines of the log about files that cannot be fetched."""

_SMALL: Final = 1024 * 1024
"""Bytes of a file that is fetched to see whether it is right again."""

_MOST_WRONG: Final = 1_000


class Fetches:
    """Fetches files into the cache.

    Args:
        upstream: Its name, for errors.
        index: What identifies it.
        begin: Asks it for the file at a URL from an offset on, as long as it is what these validators stand for; ``size`` is
            what the listing states.
        cache: Where files go.
        clock: The reactor.
        in_thread: Calls a blocking function in a thread.
        learn: Told what a file itself taught.
        doubt: Told of a file that is not there, or not the one that is listed, with the error that says so.
        failing_for: Seconds for which a wrong file is not fetched again.
        background: How many files may be waited for although no client does any more, since the upstream has not begun to send
            them.
        wheels: Has wheels examined; None where nothing is to be learnt of them.
        say: Takes a sentence for the operator.
        failed: Told of what should never happen.
    """

    def __init__(
        self,
        upstream: str,
        begin: Callable[..., Awaitable[Stream]],
        cache: UpstreamCache,
        clock: Any,
        in_thread: Callable[..., Awaitable[Any]],
        *,
        index: str,
        learn: Callable[[ProjectName, File, FileFacts], Awaitable[None]],
        doubt: Callable[[ProjectName, File, SimpleIndexError], Awaitable[None]],
        failing_for: float,
        background: int,
        wheels: WheelExaminer | None = None,
        say: Callable[[str], None],
        failed: Callable[[Failure], None],
    ) -> None:
        self._upstream = upstream
        self._index = index
        self._begin = begin
        self._cache = cache
        self._clock = clock
        self._in_thread = in_thread
        self._learn = learn
        self._doubt = doubt
        self._failing_for = failing_for
        self._background = background
        self._wheels = wheels
        self._late: set[Fetch] = set()
        self._say = say
        self._failed = failed
        self._silent_until = 0.0
        self._under_way: dict[Hashable, Fetch] = {}
        self._wrong: OrderedDict[Hashable, tuple[float, WrongFile]] = OrderedDict()

    def stop(self) -> None:
        """Give up whatever is being fetched."""
        for fetch in [*self._under_way.values()]:
            fetch.stop()

    def keeping(self) -> list[Deferred[None]]:
        """Return a Deferred for each file that is whole, which fires once it is kept."""
        whole = [fetch for fetch in self._under_way.values() if fetch.is_whole]
        return [Deferred.fromCoroutine(fetch.until_done()) for fetch in whole]

    def is_under_way(self, name: ProjectName, file: File) -> bool:
        """Whether a file of a project is being fetched."""
        return _identity(name, file) in self._under_way

    async def body(self, name: ProjectName, file: File, shown: File) -> PartialFileBody:
        """A file, while it is on its way.

        Args:
            name: Its project.
            file: As the upstream lists it.
            shown: As it is offered here.
        """
        fetch = self.fetch(name, file, shown)
        begun = Deferred.fromCoroutine(fetch.growing.until_begun())
        try:
            await begun.addTimeout(PATIENCE, self._clock)
            return PartialFileBody(
                fetch.growing, file.filename, shown.sha256, shown.uploaded_ns, in_thread=self._in_thread
            )
        except TookTooLong:
            raise Unavailable(
                f"{file.filename} is being fetched from {self._upstream}, which takes long; try again."
            ) from None
        finally:
            fetch.growing.release()

    def fetch(self, name: ProjectName, file: File, shown: File) -> Fetch:
        """The one fetch of a file that is under way, or a new one; what it fetches is held for the caller.

        Raises:
            WrongFile: So it was a moment ago.
        """
        assert file.url is not None
        url, identity = file.url, _identity(name, file)
        under_way = self._under_way.get(identity)
        if under_way is not None:
            under_way.growing.hold()
            return under_way
        until, error = self._wrong.get(identity, (0.0, None))
        if error is not None and self._clock.seconds() < until:
            raise error
        fetch = Fetch(
            self._upstream,
            # A size that only a part of it told is not what it must have.
            ExpectedFile(
                UpstreamFileKey(self._index, name, file.filename),
                file.size if shown.sha256 is None else shown.size,
                shown.sha256,
                file.other_hash,
            ),
            lambda offset, validators: self._begin(url, offset, validators, size=file.size),
            cache=self._cache,
            clock=self._clock,
            in_thread=self._in_thread,
            wheels=self._wheels,
        )
        self._under_way[identity] = fetch
        fetch.growing.hold()
        Deferred.fromCoroutine(self._run(name, file, fetch)).addErrback(self._failed)
        return fetch

    async def probe(self, name: ProjectName, file: File) -> None:
        """See whether an upstream gives a file again that it did not give, or not as it lists it.

        A small one is fetched, so that it is proven; of a large one the headers are believed, until it is fetched.

        Raises:
            NotHere: It is not there.
            WrongFile: It is another one.
            UpstreamFailed: It cannot be asked.
        """
        assert file.url is not None
        stream = await self._begin(file.url, 0, None, size=file.size)
        size = stream.size
        stream.close()
        if size is not None and size <= _SMALL:
            fetch = self.fetch(name, file, file)
            fetch.growing.release()
            await fetch.until_done()
            if fetch.growing.error is not None:
                raise fetch.growing.error
        elif None not in (size, file.size) and size != file.size and file.sha256 is None:
            raise WrongFile(self._upstream, file.filename, f"it has {size} bytes, not {file.size}")

    async def _run(self, name: ProjectName, file: File, fetch: Fetch) -> None:
        identity = _identity(name, file)
        look = self._clock.callLater(PATIENCE, self._let_wait, fetch)
        try:
            facts = await fetch.run()
        except SimpleIndexError as error:
            if isinstance(error, WrongFile):
                self._say(severity.warning(f"{error} It was thrown away."))
                self._wrong[identity] = self._clock.seconds() + self._failing_for, error
                if len(self._wrong) > _MOST_WRONG:
                    self._wrong.popitem(last=False)
            elif isinstance(error, UpstreamFailed) and self._clock.seconds() >= self._silent_until:
                # Whoever wanted it is told too, but installers show only a number.
                self._silent_until = self._clock.seconds() + _SILENT_SECONDS
                self._say(severity.warning(f"{file.filename} cannot be fetched. {error}"))
            if isinstance(error, WrongFile | NotHere):
                await self._doubt(name, file, error)
        else:
            await self._learn(name, file, facts_of_file(facts, fetch.size, fetch.modified_ns))
        finally:
            if look.active():
                look.cancel()
            self._late.discard(fetch)
            # In this order: nobody begins to read what is let go of.
            del self._under_way[identity]
            fetch.finish()

    def _let_wait(self, fetch: Fetch) -> None:
        """Let a fetch go on for the next client, if not too many files are waited for already."""
        if fetch.has_begun:
            return
        if sum(not late.has_begun for late in self._late) >= self._background:
            fetch.stop(f"it is slow to send {self._background} other files that are waited for")
        else:
            self._late.add(fetch)


def _identity(name: ProjectName, file: File) -> Hashable:
    """What tells a fetch from others: also of one URL, of which two listings may state different things."""
    return name, file.filename, identity_of(file)


def facts_of_file(facts: ArchiveInfo, size: int, modified_ns: int | None) -> FileFacts:
    """What a whole file teaches.

    Args:
        facts: What reading it taught.
        size: Bytes.
        modified_ns: Its last modification, if its server said so.
    """
    return FileFacts(size, facts.sha256, facts.requires_python, facts.sidecar, modified_ns)
