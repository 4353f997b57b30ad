"""Read the ends of wheels in the background, so that the next resolver finds their metadata."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from simpleindex.core.errors import BrokenArchive, InvalidFilename, NoRanges, NotHere, SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from twisted.python.failure import Failure

    from simpleindex.core.model import File
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.pages.enrich import FileFacts

_MOST_IN_VAIN: Final = 1_000
_MOST_PROJECTS: Final = 4
"""Projects of whose wheels the ends are read at a time."""

_NO_RANGES_SECONDS: Final = 3600.0
"""After an upstream gave no part of a file, none is asked of it."""

_TROUBLE_SECONDS: Final = 10.0
"""After an upstream that is busy, or in trouble, none is asked of it."""


class RangeMetadataQueue:
    """Reads the ends of wheels, of a few projects at a time.

    Args:
        tail: Learns of a wheel what its end tells.
        clock: The reactor.
        learned: Takes what was learnt of files of a project.
        failed: Told of what should never happen.
    """

    def __init__(
        self,
        tail: Callable[[ProjectName, File], Awaitable[FileFacts]],
        clock: Any,
        learned: Callable[[ProjectName, Mapping[File, FileFacts]], Awaitable[None]],
        failed: Callable[[Failure], None],
    ) -> None:
        self._tail = tail
        self._clock = clock
        self._learned = learned
        self._failed = failed
        self._resting_until = 0.0
        self._projects: set[ProjectName] = set()
        self._in_vain: OrderedDict[File, None] = OrderedDict()

    def begin(self, name: ProjectName, wheels: Sequence[File]) -> None:
        """Begin with wheels of a project; if too many others are being read, they are left for the next time."""
        if name in self._projects or len(self._projects) >= _MOST_PROJECTS:
            return
        wheels = [file for file in wheels if file not in self._in_vain]
        if wheels and self._clock.seconds() >= self._resting_until:
            self._projects.add(name)
            Deferred.fromCoroutine(self._read(name, wheels)).addErrback(self._failed)

    async def read(self, name: ProjectName, file: File) -> FileFacts | None:
        """Read one wheel's end now, for a client that waits; return what it tells, None if nothing."""
        if file in self._in_vain or self._clock.seconds() < self._resting_until:
            return None
        file_facts: dict[File, FileFacts] = {}
        await self._read_one(name, file, file_facts)
        return file_facts.get(file)

    async def _read(self, name: ProjectName, wheels: Sequence[File]) -> None:
        file_facts: dict[File, FileFacts] = {}
        try:
            for file in wheels:
                if not await self._read_one(name, file, file_facts):
                    break
        finally:
            self._projects.discard(name)
        if file_facts:
            await self._learned(name, file_facts)

    async def _read_one(self, name: ProjectName, file: File, file_facts: dict[File, FileFacts]) -> bool:
        """Read one; returns whether the upstream may be asked for more."""
        try:
            file_facts[file] = await self._tail(name, file)
        except (BrokenArchive, InvalidFilename, NotHere):
            self._in_vain[file] = None
            if len(self._in_vain) > _MOST_IN_VAIN:
                self._in_vain.popitem(last=False)
        except NoRanges:
            self._resting_until = self._clock.seconds() + _NO_RANGES_SECONDS
        except SimpleIndexError:
            self._resting_until = self._clock.seconds() + _TROUBLE_SECONDS
        else:
            return True
        return bool(self._clock.seconds() >= self._resting_until)
