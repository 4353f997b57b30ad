"""Check faulty listings again when they are due, in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from simpleindex.core.errors import FileRefused, NotHere, SimpleIndexError, WrongFile
from simpleindex.upstreams.pages.listing_faults import due_rechecks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from twisted.python.failure import Failure

    from simpleindex.core.model import File, Project
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.pages.listing_faults import ListingFault

_MOST_PROJECTS: Final = 4
"""Projects that are looked at at a time."""

_MOST_FILES: Final = 20
"""Files of one of them; the others the next time."""


class FaultRechecker:
    """Looks again at files and metadata.

    Args:
        probe: Sees whether a file is given again; raises if it is not.
        fetch_metadata: Fetches the metadata that are listed with a wheel; raises if they are not there, or others.
        found: Takes what came of a file, under the name by which its fault is noted: the error, or None if it is right.
        failed: Told of what should never happen.
    """

    def __init__(
        self,
        probe: Callable[[ProjectName, File], Awaitable[object]],
        fetch_metadata: Callable[[ProjectName, File], Awaitable[object]],
        found: Callable[[ProjectName, File, str, SimpleIndexError | None], Awaitable[None]],
        failed: Callable[[Failure], None],
    ) -> None:
        self._probe = probe
        self._fetch_metadata = fetch_metadata
        self._found = found
        self._failed = failed
        self._projects: set[ProjectName] = set()

    def begin(self, project: Project, faults: Mapping[str, ListingFault], now: float) -> None:
        """Begin with what is due of a project; if too many others are looked at, it is left for the next time.

        Args:
            project: As its upstream lists it.
            faults: What was found to be wrong with that.
            now: Seconds since 1970.
        """
        name = project.name
        if not faults or name in self._projects or len(self._projects) >= _MOST_PROJECTS:
            return
        found = due_rechecks(project, faults, now)[:_MOST_FILES]
        if found:
            self._projects.add(name)
            Deferred.fromCoroutine(self._look(name, found)).addErrback(self._failed)

    async def _look(self, name: ProjectName, found: Sequence[tuple[File, str]]) -> None:
        try:
            for file, key in found:
                error: SimpleIndexError | None = None
                try:
                    if key == file.filename:
                        await self._probe(name, file)
                    elif file.metadata is not None:
                        await self._fetch_metadata(name, file)
                except (NotHere, WrongFile, FileRefused) as wrong:
                    error = wrong
                except SimpleIndexError:
                    # It cannot be told now.
                    continue
                await self._found(name, file, key, error)
        finally:
            self._projects.discard(name)
