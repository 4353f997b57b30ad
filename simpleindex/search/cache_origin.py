"""What the cache holds of an upstream, for the search index."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from simpleindex.core.metadata import MAXIMUM_SIZE
from simpleindex.core.model import Status
from simpleindex.core.names import Kind
from simpleindex.core.selection import default_file, metadata_digest
from simpleindex.search.document_rows import IndexedFile
from simpleindex.search.origins import Representative, newest_time
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.pages.enrich import enriched_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.search.sdists import SdistMetadata
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.cache.cache import UpstreamCache


class CacheOrigin:
    """The projects of an upstream that the cache holds. The upstream is never requested, and nothing counts as used.

    Args:
        name: The upstream's name.
        identity: What tells it from others in the cache.
        cache: The cache of upstreams.
        threads: For reading it.
        sdists: Reads the metadata of sdists; without it projects that have nothing else are found by their names.
    """

    is_followed = False

    def __init__(
        self,
        name: str,
        identity: str,
        cache: UpstreamCache,
        threads: Threads,
        sdists: SdistMetadata | None = None,
    ) -> None:
        self.name = name
        self._sdists = sdists
        self._identity = identity
        self._cache = cache
        self._threads = threads

    @property
    def seconds(self) -> float:
        """Return the time that examining processes have worked so far."""
        return 0.0 if self._sdists is None else self._sdists.seconds

    async def names(self) -> Sequence[ProjectName]:
        """Return the projects with a cached listing."""
        return await self._threads.run(self._cache.cached_names, self._identity)

    def listing_digest(self, name: ProjectName) -> int | None:
        """Return None: whether what the cache holds of a project is another, only reading it tells."""
        del name
        return None

    async def representatives(
        self, names: Sequence[ProjectName]
    ) -> Mapping[ProjectName, Representative | None]:
        """Return the distribution of the latest release of each project whose metadata the cache holds."""
        return await self._threads.run(lambda: {name: self._representative(name) for name in names})

    async def metadata(self, name: ProjectName, file: File) -> bytes | None:
        """Return the cached metadata of a wheel, or those in a cached sdist."""
        # Of most projects the cache holds no metadata, and a thread would be woken for nothing.
        if file.metadata is not None:
            return await self._threads.run(self._metadata, name, file)
        if file.kind is Kind.SDIST and file.sha256 is not None:
            return await self._threads.run(self._sdist_metadata, name, file)
        return None

    def _representative(self, name: ProjectName) -> Representative | None:
        listing = self._cache.listing(self._identity, name, is_use=False)
        if listing is None or listing.project.status is Status.QUARANTINED:
            return None
        files, facts = tuple(listing.project.files), listing.file_facts
        if facts:
            files = tuple(enriched_file(file, facts.get(file.filename)) for file in files)
        newest = newest_time(files)
        file = default_file(self._with_cached_metadata(name, files))
        if file is not None:
            return Representative(file, IndexedFile(file.filename, metadata_digest(file), newest))
        file = default_file(files)
        if file is None:
            return None
        # Nothing of it is cached, so nothing of it is read.
        return Representative(replace(file, metadata=None, sha256=None), IndexedFile("", "", newest))

    def _with_cached_metadata(self, name: ProjectName, files: Sequence[File]) -> Sequence[File]:
        # Of most projects the cache holds the listing only.
        if not self._cache.files.has_directory_of(UpstreamFileKey(self._identity, name, "")):
            return ()
        return [
            file
            for file in files
            if (file.metadata is not None and self._path(name, file) is not None)
            or (
                file.metadata is None and file.kind is Kind.SDIST and self._sdist_path(name, file) is not None
            )
        ]

    def _sdist_path(self, name: ProjectName, file: File) -> str | None:
        key = UpstreamFileKey(self._identity, name, file.filename)
        if self._sdists is None or file.sha256 is None or not self._cache.files.may_have(key):
            return None
        cached = self._cache.files.find(key)
        return cached.path if cached is not None and cached.sha256 == file.sha256 else None

    def _sdist_metadata(self, name: ProjectName, file: File) -> bytes | None:
        path = self._sdist_path(name, file)
        if path is None or self._sdists is None:
            return None
        try:
            with open(path, "rb") as opened:
                return self._sdists.read_file(opened, os.fstat(opened.fileno()).st_size, file.filename)
        except OSError:
            return None

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
