"""Check faulty listings again when they are due, in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from simpleindex.core.errors import NotHere, SimpleIndexError
from simpleindex.system.log import logger
from simpleindex.upstreams.errors import FileRefused, WrongFile
from simpleindex.upstreams.pages.listing_faults import due_rechecks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.pages.listing_faults import ListingFault

_log: Final = logger(__name__)

_MOST_PROJECTS: Final = 4
"""Projects that are checked at a time."""

_MOST_FILES: Final = 20
"""Files of one project that are checked; the others wait for the next time."""


class FaultRechecker:
    """Checks files and metadata again that were missing or wrong.

    Args:
        probe: Checks whether an upstream has a file; raises if not.
        fetch_metadata: Fetches the metadata that are listed with a wheel; raises if they are missing or wrong.
        report: Called with a file, the name under which its fault is stored, and the error; None if it is right now.
    """

    def __init__(
        self,
        probe: Callable[[ProjectName, File], Awaitable[object]],
        fetch_metadata: Callable[[ProjectName, File], Awaitable[object]],
        report: Callable[[ProjectName, File, str, SimpleIndexError | None], Awaitable[None]],
    ) -> None:
        self._probe = probe
        self._fetch_metadata = fetch_metadata
        self._report = report
        self._projects: set[ProjectName] = set()

    def begin(self, project: Project, faults: Mapping[str, ListingFault], now: float) -> None:
        """Begin to check what is due of a project; do nothing if too many projects are under way.

        Args:
            project: As its upstream lists it.
            faults: What was wrong with it.
            now: Seconds since 1970.
        """
        name = project.name
        if not faults or name in self._projects or len(self._projects) >= _MOST_PROJECTS:
            return
        files = due_rechecks(project, faults, now)[:_MOST_FILES]
        if files:
            self._projects.add(name)
            checking = Deferred.fromCoroutine(self._check(name, files))
            checking.addErrback(lambda failure: _log.failure("", failure))

    async def _check(self, name: ProjectName, files: Sequence[tuple[File, str]]) -> None:
        try:
            for file, key in files:
                error: SimpleIndexError | None = None
                try:
                    if key == file.filename:
                        await self._probe(name, file)
                    elif file.metadata is not None:
                        await self._fetch_metadata(name, file)
                except (NotHere, WrongFile, FileRefused) as wrong:
                    error = wrong
                except SimpleIndexError:
                    # The upstream is in trouble; the next listing begins again.
                    continue
                await self._report(name, file, key, error)
        finally:
            self._projects.discard(name)
