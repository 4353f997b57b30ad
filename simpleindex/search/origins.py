"""Where indexed projects come from: the local directories, and what the cache holds of upstreams."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Protocol

from simpleindex.core.errors import NotHere
from simpleindex.core.metadata import MAXIMUM_SIZE
from simpleindex.core.model import Status
from simpleindex.core.names import METADATA_SUFFIX, Kind
from simpleindex.core.selection import default_file, yanked_releases
from simpleindex.core.source import Elsewhere
from simpleindex.search.database import IndexedFile
from simpleindex.search.visibility import metadata_digest
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.pages.enrich import enriched_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.search.sdists import SdistMetadata
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.cache.cache import UpstreamCache


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

    async def representative(self, name: ProjectName) -> Representative | None:
        """Return the distribution that represents a project; None if there is none to be found.

        Raises:
            SimpleIndexError: It is not known now.
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

    def __init__(self, name: str, source: Source, sdists: SdistMetadata | None = None) -> None:
        self.name = name
        self._source = source
        self._sdists = sdists

    @property
    def seconds(self) -> float:
        """Return the time that examining processes have worked so far."""
        return 0.0 if self._sdists is None else self._sdists.seconds

    async def names(self) -> Sequence[ProjectName]:
        """Return the projects."""
        return (await self._source.projects()).names

    async def representative(self, name: ProjectName) -> Representative | None:
        """Return the distribution of a project's latest release."""
        try:
            project = await self._source.project(name)
        except NotHere:
            return None
        file = default_file(project.files)
        if file is None:
            return None
        yanked = {
            version: _newest_time(each for each in project.files if each.version == version)
            for version in yanked_releases(project.files)
        }
        newest = _newest_time(project.files)
        return Representative(
            file, IndexedFile(file.filename, metadata_digest(file), newest, " ".join(yanked)), yanked
        )

    async def metadata(self, name: ProjectName, file: File) -> bytes | None:
        """Return the metadata beside a wheel, or in an sdist."""
        is_sdist = file.kind is Kind.SDIST and self._sdists is not None
        if file.metadata is None and not is_sdist:
            return None
        suffix = "" if file.metadata is None else METADATA_SUFFIX
        body = await self._source.file(name, file.filename + suffix)
        if isinstance(body, Elsewhere):
            return None
        try:
            if file.metadata is None and self._sdists is not None:
                return await self._sdists.read(body, file.filename)
            return await body.read(0, min(body.size or 0, MAXIMUM_SIZE))
        finally:
            body.close()


class CacheOrigin:
    """The projects of an upstream that the cache holds. The upstream is never requested, and nothing counts as used.

    Args:
        name: The upstream's name.
        identity: What tells it from others in the cache.
        cache: The cache of upstreams.
        threads: For reading it.
    """

    is_followed = False
    seconds = 0.0

    def __init__(self, name: str, identity: str, cache: UpstreamCache, threads: Threads) -> None:
        self.name = name
        self._identity = identity
        self._cache = cache
        self._threads = threads

    async def names(self) -> Sequence[ProjectName]:
        """Return the projects with a cached listing."""
        return await self._threads.run(self._cache.cached_names, self._identity)

    async def representative(self, name: ProjectName) -> Representative | None:
        """Return the distribution of the latest release whose metadata the cache holds."""
        return await self._threads.run(self._representative, name)

    async def metadata(self, name: ProjectName, file: File) -> bytes | None:
        """Return the cached metadata of a wheel."""
        return await self._threads.run(self._metadata, name, file)

    def _representative(self, name: ProjectName) -> Representative | None:
        listing = self._cache.listing(self._identity, name, is_use=False)
        if listing is None or listing.project.status is Status.QUARANTINED:
            return None
        files = [enriched_file(file, listing.file_facts.get(file.filename)) for file in listing.project.files]
        newest = _newest_time(files)
        cached = [file for file in files if file.metadata is not None and self._path(name, file) is not None]
        file = default_file(cached)
        if file is not None:
            return Representative(file, IndexedFile(file.filename, metadata_digest(file), newest))
        file = default_file(files)
        return (
            None
            if file is None
            else Representative(replace(file, metadata=None), IndexedFile("", "", newest))
        )

    def _path(self, name: ProjectName, file: File) -> str | None:
        key = UpstreamFileKey(self._identity, name, file.filename).metadata("")
        if not self._cache.files.may_have(key):
            return None
        cached = self._cache.files.find(key)
        return None if cached is None else cached.path

    def _metadata(self, name: ProjectName, file: File) -> bytes | None:
        path = None if file.metadata is None else self._path(name, file)
        if path is None or file.metadata is None:
            return None
        try:
            with open(path, "rb") as opened:
                data = opened.read(MAXIMUM_SIZE)
        except OSError:
            return None
        return data if sha256(data).hexdigest() == file.metadata.sha256 else None


def _newest_time(files: Iterable[File]) -> int:
    return max((file.uploaded_ns or 0 for file in files), default=0)
