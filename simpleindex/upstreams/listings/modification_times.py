"""Request modification times (HEAD) from indexes that state no upload times, before rules judge age."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from simpleindex.core.errors import NotHere, SimpleIndexError
from simpleindex.system.log import logger
from simpleindex.upstreams.errors import FileRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName

_log: Final = logger(__name__)

UNKNOWN: Final = 0
"""Stands for the time of a file whose server does not state it."""

_PATIENCE: Final = 4.0
"""Seconds that a client waits for them: half of what is left of pip's timeout after a listing."""

_AT_ONCE: Final = 8
_MOST: Final = 400
"""Files of one project; older versions count from when they were first seen here."""


class _Job:
    """The requests for the files of one project."""

    def __init__(self, files: Sequence[File]) -> None:
        self.waiting = deque(files)
        self.times: dict[str, int] = {}
        self.workers = 0
        self.readers: list[Deferred[None]] = []


class ModificationTimes:
    """Requests the modification times of files.

    Args:
        modified: Requests the time of the file at a URL, nanoseconds since 1970; None if its server does not state one.
        clock: The reactor.
        report: Called with the times of a project's files by their name, :data:`UNKNOWN` included.
    """

    def __init__(
        self,
        modified: Callable[[str], Awaitable[int | None]],
        clock: Any,
        report: Callable[[ProjectName, Mapping[str, int]], Awaitable[None]],
    ) -> None:
        self._modified = modified
        self._clock = clock
        self._report = report
        self._jobs: dict[ProjectName, _Job] = {}

    async def read(self, name: ProjectName, files: Sequence[File]) -> None:
        """Request the times of files, and wait some seconds; later answers count for the next client."""
        job = self._jobs.get(name)
        if job is None:
            job = self._jobs[name] = _Job(files[:_MOST])
            job.workers = min(_AT_ONCE, len(job.waiting))
            for _ in range(job.workers):
                working = Deferred.fromCoroutine(self._work(name, job))
                working.addErrback(lambda failure: _log.failure("", failure))
        if name not in self._jobs:
            return
        done: Deferred[None] = Deferred()
        job.readers.append(done)
        try:
            await done.addTimeout(_PATIENCE, self._clock)
        except TookTooLong:
            job.readers.remove(done)
            await self._report(name, dict(job.times))

    async def _work(self, name: ProjectName, job: _Job) -> None:
        try:
            while job.waiting:
                file = job.waiting.popleft()
                assert file.url is not None  # an upstream's files have one
                try:
                    job.times[file.filename] = await self._modified(file.url) or UNKNOWN
                except (NotHere, FileRefused):
                    job.times[file.filename] = UNKNOWN
        except SimpleIndexError:
            # The upstream is in trouble; the next listing begins again.
            job.waiting.clear()
        finally:
            job.workers -= 1
            if not job.workers:
                await self._finish(name, job)

    async def _finish(self, name: ProjectName, job: _Job) -> None:
        try:
            await self._report(name, job.times)
        finally:
            del self._jobs[name]
            for reader in [*job.readers]:
                if not reader.called:
                    reader.callback(None)
