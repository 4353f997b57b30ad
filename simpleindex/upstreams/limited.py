"""An upstream of which not everything is wanted at once: so many requests, and the others wait their turn."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from simpleindex.core.errors import UpstreamBusy

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.interface import Listing, Stream, Upstream, Validators

PATIENCE: Final = 10.0
"""Seconds that a request waits for its turn; clients give up after 15 or 30."""

_MOST_WAITING: Final = 500
"""More cannot have their turn in that time."""


class LimitedUpstream:
    """Asks an upstream for so many pages, and so many files, at a time.

    Pages do not wait for files: a few large ones would hold up every resolver.

    Args:
        upstream: Asked.
        limit: How many of each at once.
        clock: The reactor.
    """

    def __init__(self, upstream: Upstream, limit: int, clock: Any) -> None:
        self._upstream = upstream
        self._pages = _Turns(upstream.name, limit, clock)
        self._files = _Turns(upstream.name, limit, clock)

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._upstream.name

    async def projects(self) -> tuple[ProjectName, ...]:
        """Its projects."""
        await self._pages.take()
        try:
            return await self._upstream.projects()
        finally:
            self._pages.give()

    async def project(self, name: ProjectName, known: Validators | None) -> Listing | None:
        """One of them."""
        await self._pages.take()
        try:
            return await self._upstream.project(name, known)
        finally:
            self._pages.give()

    async def open(
        self, url: str, offset: int = 0, validators: Validators | None = None, *, size: int | None = None
    ) -> Stream:
        """Begin to fetch a file, whose turn ends when it is closed."""
        await self._files.take()
        try:
            return _Taken(await self._upstream.open(url, offset, validators, size=size), self._files)
        except BaseException:
            self._files.give()
            raise

    async def modified(self, url: str) -> int | None:
        """When a file was modified; the question has its turn among files."""
        await self._files.take()
        try:
            return await self._upstream.modified(url)
        finally:
            self._files.give()


class _Taken:
    """A stream that gives its turn back."""

    def __init__(self, stream: Stream, turns: _Turns) -> None:
        self._stream = stream
        self._turns: _Turns | None = turns

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
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.give()


class _Turns:
    """So many at a time, in the order in which they came."""

    def __init__(self, name: str, limit: int, clock: Any) -> None:
        self._name = name
        self._limit = limit
        self._clock = clock
        self._taken = 0
        self._waiting: deque[Deferred[None]] = deque()

    async def take(self) -> None:
        if self._taken < self._limit:
            self._taken += 1
            return
        if len(self._waiting) >= _MOST_WAITING:
            raise UpstreamBusy(self._name, self._limit)
        turn: Deferred[None] = Deferred()
        self._waiting.append(turn)
        turn.addTimeout(PATIENCE, self._clock)
        try:
            await turn
        except TookTooLong:
            raise UpstreamBusy(self._name, self._limit) from None
        finally:
            # Whoever does not wait any more gets none.
            if turn in self._waiting:
                self._waiting.remove(turn)

    def give(self) -> None:
        if self._waiting:
            self._waiting.popleft().callback(None)
        else:
            self._taken -= 1
