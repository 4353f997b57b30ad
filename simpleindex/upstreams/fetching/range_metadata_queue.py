"""Read the ends of wheels in the background, so that the next resolver finds their metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cachetools import FIFOCache
from twisted.internet.defer import Deferred

from simpleindex.archives.errors import BrokenArchive
from simpleindex.core.errors import InvalidFilename, NotHere, SimpleIndexError
from simpleindex.system.log import logger
from simpleindex.upstreams.errors import NoRanges

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.pages.enrich import FileFacts

_log: Final = logger(__name__)

_MOST_UNREADABLE: Final = 1_000
_MOST_PROJECTS: Final = 4
"""Projects whose wheels are read at a time."""

_NO_RANGES_SECONDS: Final = 3600.0
"""Seconds without requests after an upstream did not answer with a part of a file."""

_TROUBLE_SECONDS: Final = 10.0
"""Seconds without requests after an upstream was busy or failed."""


class RangeMetadataQueue:
    """Reads the ends of wheels, of a few projects at a time.

    Args:
        read_end: Reads the end of a wheel, as :class:`~simpleindex.upstreams.fetching.range_metadata.RangeMetadata`.
        clock: The reactor.
        report: Called with what the ends of a project's wheels showed.
    """

    def __init__(
        self,
        read_end: Callable[[ProjectName, File], Awaitable[FileFacts]],
        clock: Any,
        report: Callable[[ProjectName, Mapping[File, FileFacts]], Awaitable[None]],
    ) -> None:
        self._read_end = read_end
        self._clock = clock
        self._report = report
        self._paused_until = 0.0
        self._projects: set[ProjectName] = set()
        self._unreadable: FIFOCache[File, None] = FIFOCache(_MOST_UNREADABLE)

    def begin(self, name: ProjectName, wheels: Sequence[File]) -> None:
        """Begin with a project's wheels; do nothing if too many projects are under way."""
        if name in self._projects or len(self._projects) >= _MOST_PROJECTS:
            return
        wheels = [file for file in wheels if file not in self._unreadable]
        if wheels and self._clock.seconds() >= self._paused_until:
            self._projects.add(name)
            reading = Deferred.fromCoroutine(self._read(name, wheels))
            reading.addErrback(lambda failure: _log.failure("", failure))

    async def read(self, name: ProjectName, file: File) -> FileFacts | None:
        """Read one wheel's end for a client that waits; return None if it cannot be read."""
        if file in self._unreadable or self._clock.seconds() < self._paused_until:
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
            await self._report(name, file_facts)

    async def _read_one(self, name: ProjectName, file: File, file_facts: dict[File, FileFacts]) -> bool:
        """Read one wheel's end; return whether the upstream may be requested for more."""
        try:
            file_facts[file] = await self._read_end(name, file)
        except (BrokenArchive, InvalidFilename, NotHere):
            self._unreadable[file] = None
        except NoRanges:
            self._paused_until = self._clock.seconds() + _NO_RANGES_SECONDS
        except SimpleIndexError:
            self._paused_until = self._clock.seconds() + _TROUBLE_SECONDS
        else:
            return True
        return bool(self._clock.seconds() >= self._paused_until)
