"""Request modification times (HEAD) from indexes that state no upload times, before rules judge age."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from simpleindex.core.errors import FileRefused, NotHere, SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from twisted.python.failure import Failure

    from simpleindex.core.model import File
    from simpleindex.core.names import ProjectName

UNKNOWN: Final = 0
"""Stands for the time of a file whose server does not say it."""

_PATIENCE: Final = 4.0
"""Seconds that a client waits for them: half of what is left of pip's patience after a listing."""

_AT_ONCE: Final = 8
_MOST: Final = 400
"""Files of one project; of more, the older versions have the time at which they were first seen here."""


class _Job:
    """The files of one project that are asked about."""

    def __init__(self, files: Sequence[File]) -> None:
        self.waiting = deque(files)
        self.found: dict[str, int] = {}
        self.workers = 0
        self.readers: list[Deferred[None]] = []


class ModificationTimes:
    """Asks servers of files for their last modification.

    Args:
        modified: Asks the server at a URL; returns nanoseconds since 1970, None if it does not say.
        clock: The reactor.
        learned: Takes the times of files of a project by their name, :data:`UNKNOWN` included.
        failed: Told of what should never happen.
    """

    def __init__(
        self,
        modified: Callable[[str], Awaitable[int | None]],
        clock: Any,
        learned: Callable[[ProjectName, Mapping[str, int]], Awaitable[None]],
        failed: Callable[[Failure], None],
    ) -> None:
        self._modified = modified
        self._clock = clock
        self._learned = learned
        self._failed = failed
        self._jobs: dict[ProjectName, _Job] = {}

    async def read(self, name: ProjectName, files: Sequence[File]) -> None:
        """Ask about files, and wait for some seconds; what comes later counts for the next client.

        Args:
            name: Their project.
            files: In the order in which they are asked about.
        """
        job = self._jobs.get(name)
        if job is None:
            job = self._jobs[name] = _Job(files[:_MOST])
            job.workers = min(_AT_ONCE, len(job.waiting))
            for _ in range(job.workers):
                Deferred.fromCoroutine(self._work(name, job)).addErrback(self._failed)
        if name not in self._jobs:
            return
        done: Deferred[None] = Deferred()
        job.readers.append(done)
        try:
            await done.addTimeout(_PATIENCE, self._clock)
        except TookTooLong:
            job.readers.remove(done)
            await self._learned(name, dict(job.found))

    async def _work(self, name: ProjectName, job: _Job) -> None:
        try:
            while job.waiting:
                file = job.waiting.popleft()
                assert file.url is not None  # an upstream's files have one
                try:
                    job.found[file.filename] = await self._modified(file.url) or UNKNOWN
                except (NotHere, FileRefused):
                    job.found[file.filename] = UNKNOWN
        except SimpleIndexError:
            # An upstream in trouble is left in peace; the next listing asks again.
            job.waiting.clear()
        finally:
            job.workers -= 1
            if not job.workers:
                await self._finish(name, job)

    async def _finish(self, name: ProjectName, job: _Job) -> None:
        try:
            await self._learned(name, job.found)
        finally:
            del self._jobs[name]
            for reader in [*job.readers]:
                if not reader.called:
                    reader.callback(None)
