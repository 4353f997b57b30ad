"""Where indexed projects come from: what every origin does, and the local directories."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from simpleindex.core.errors import NotHere, SimpleIndexError
from simpleindex.core.metadata import MAXIMUM_SIZE
from simpleindex.core.names import METADATA_SUFFIX, Kind
from simpleindex.core.selection import default_file, metadata_digest, yanked_releases
from simpleindex.core.source import Elsewhere, Source
from simpleindex.search.document_rows import IndexedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.search.sdists import SdistMetadata


class Representative(NamedTuple):
    """The distribution whose metadata represent a project.

    Attributes:
        file: The distribution, as it is offered.
        indexed: What the search index stores of it.
        yanked_ns: The yanked releases of the project, with the time of their newest upload.
    """

    file: File
    indexed: IndexedFile
    yanked_ns: Mapping[str, int] = {}


class IndexedSource(Source, Protocol):
    """A directory as the index reads it."""

    def in_passing(self, name: ProjectName) -> AbstractContextManager[None]:
        """Keep nothing in memory of a project that is read within the block."""
        ...

    def listing_digest(self, name: ProjectName) -> int | None:
        """Return a number for what is listed of a project; None while it is not known. Usable from any thread."""
        ...


class Origin(Protocol):
    """Projects to be indexed.

    Attributes:
        name: As files name their source.
        is_followed: Whether every change of it is noted.
    """

    name: str
    is_followed: bool

    @property
    def seconds(self) -> float:
        """Return the time that other processes have worked for it so far."""
        ...

    async def names(self) -> Sequence[ProjectName]:
        """Return the projects.

        Raises:
            SimpleIndexError: They are not known now.
        """
        ...

    def listing_digest(self, name: ProjectName) -> int | None:
        """Return a number that is another one where a project is; None where only reading it tells. Usable from any thread."""
        ...

    async def representatives(
        self, names: Sequence[ProjectName]
    ) -> Mapping[ProjectName, Representative | None]:
        """Return the distribution that represents each of some projects; None if there is none to be found.

        A project is left out if that is not known now.
        """
        ...

    async def metadata(self, name: ProjectName, file: File) -> bytes | None:
        """Return the core metadata of this distribution; None if they cannot be read."""
        ...


class DirectoryOrigin:
    """The projects of a local directory.

    Args:
        name: Its name.
        source: Its projects and files.
        sdists: Reads the metadata of sdists; without it projects that have nothing else are found by their names.
    """

    is_followed = True

    def __init__(self, name: str, source: IndexedSource, sdists: SdistMetadata | None = None) -> None:
        self.name = name
        self._source = source
        self._sdists = sdists
        self.listing_digest = source.listing_digest

    @property
    def seconds(self) -> float:
        """Return the time that examining processes have worked so far."""
        return 0.0 if self._sdists is None else self._sdists.seconds

    async def names(self) -> Sequence[ProjectName]:
        """Return the projects."""
        return (await self._source.projects()).names

    async def representatives(
        self, names: Sequence[ProjectName]
    ) -> Mapping[ProjectName, Representative | None]:
        """Return a distribution of the latest release of each project."""
        found = {}
        for name in names:
            with suppress(SimpleIndexError, OSError), self._source.in_passing(name):
                found[name] = await self._representative(name)
        return found

    async def _representative(self, name: ProjectName) -> Representative | None:
        # Before the project is read: what comes in between is so found by the next comparison.
        listing = self.listing_digest(name)
        try:
            project = await self._source.project(name)
        except NotHere:
            return None
        file = default_file(project.files)
        if file is None:
            return None
        yanked = {
            version: newest_time(each for each in project.files if each.version == version)
            for version in yanked_releases(project.files)
        }
        newest = newest_time(project.files)
        return Representative(
            file, IndexedFile(file.filename, metadata_digest(file), newest, " ".join(yanked), listing), yanked
        )

    async def metadata(self, name: ProjectName, file: File) -> bytes | None:
        """Return the metadata beside a wheel, or in an sdist."""
        is_sdist = file.kind is Kind.SDIST and self._sdists is not None
        if file.metadata is None and not is_sdist:
            return None
        suffix = "" if file.metadata is None else METADATA_SUFFIX
        with self._source.in_passing(name):
            body = await self._source.file(name, file.filename + suffix)
        if isinstance(body, Elsewhere):
            return None
        try:
            if file.metadata is None and self._sdists is not None:
                return await self._sdists.read(body, file.filename)
            return await body.read(0, min(body.size or 0, MAXIMUM_SIZE))
        finally:
            body.close()


class GoneOrigin:
    """An upstream or directory that is behind this index no more, while its projects are removed from the search index."""

    is_followed = True
    seconds = 0.0

    def __init__(self, name: str) -> None:
        self.name = name

    async def names(self) -> Sequence[ProjectName]:
        """Return no project."""
        return ()

    def listing_digest(self, name: ProjectName) -> int | None:
        """Return None."""
        del name
        return None

    async def representatives(
        self, names: Sequence[ProjectName]
    ) -> Mapping[ProjectName, Representative | None]:
        """Return None for each project."""
        return dict.fromkeys(names)

    async def metadata(self, name: ProjectName, file: File) -> bytes | None:
        """Return None."""
        del name, file
        return None


def newest_time(files: Iterable[File]) -> int:
    """Return when the newest of files was uploaded, nanoseconds since 1970; 0 if that is not known."""
    return max((file.uploaded_ns or 0 for file in files), default=0)
