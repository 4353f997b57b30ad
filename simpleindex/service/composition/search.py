"""Composition of the search: the index, what keeps it up to date, and what searches it."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from simpleindex.core.names import WHEEL_SUFFIX, ProjectName
from simpleindex.search.database import SearchDatabase
from simpleindex.search.indexer import Indexer
from simpleindex.search.origins import DirectoryOrigin
from simpleindex.search.sdists import SdistMetadata

if TYPE_CHECKING:
    from simpleindex.search.origins import Origin
    from simpleindex.search.search import Search
    from simpleindex.service.composition.sources import ComposedSources
    from simpleindex.service.runtime import Runtime
    from simpleindex.upstreams.cache.file_keys import FileKey


class ComposedSearch:
    """The search.

    Args:
        runtime: What all parts share.
        sources: The directories and upstreams whose projects are indexed.

    Attributes:
        database: The search index.
        indexer: Keeps it up to date.
    """

    def __init__(self, runtime: Runtime, sources: ComposedSources) -> None:
        self._runtime = runtime
        self._directories = tuple(directory.name for directory in sources.directories)
        roots = [directory.directory.root for directory in sources.directories]
        self.database = SearchDatabase(str(runtime.settings.cache), roots)
        origins = _origins(runtime, sources)
        self.indexer = Indexer(self.database, origins, runtime.reactor, runtime.threads.search)
        self.database.lost = lambda: runtime.reactor.callFromThread(self.indexer.survey)

    @cached_property
    def search(self) -> Search:
        """What searches the index; made for the first page that needs it."""
        from simpleindex.search.search import Search  # noqa: PLC0415

        runtime = self._runtime
        indexer = self.indexer
        return Search(
            self.database,
            self._directories,
            runtime.reactor,
            runtime.threads.search,
            lambda: indexer.is_behind,
        )

    def start(self, *, is_first: bool = True) -> None:
        """Index what is there; call it once more when more is there.

        Args:
            is_first: Whether this process does so for all; each can be searched, and indexes what it fetches of upstreams.
        """
        self.indexer.start(surveys=is_first)
        self.indexer.survey()


def compose_search(runtime: Runtime, sources: ComposedSources) -> ComposedSearch:
    """Create the search; nothing is opened or read yet.

    Args:
        runtime: What all parts share.
        sources: The directories and upstreams whose projects are indexed.
    """
    search = ComposedSearch(runtime, sources)
    _follow(search.indexer, runtime, sources)
    return search


def _origins(runtime: Runtime, sources: ComposedSources) -> list[Origin]:
    """Return the directories, and what the cache holds; the files of a flat page are in the cache under no project."""
    sdists = SdistMetadata(runtime.examination, runtime.threads.search)
    origins: list[Origin] = [
        DirectoryOrigin(directory.name, directory.source, sdists) for directory in sources.directories
    ]
    if sources.upstreams is not None:
        from simpleindex.search.cache_origin import CacheOrigin  # noqa: PLC0415  (most have no upstreams)

        cache, threads = sources.upstreams.cache, runtime.threads.search
        settings = [each.settings for each in sources.upstreams.connected if not each.settings.flat]
        origins += [CacheOrigin(each.name, each.identity, cache, threads, sdists) for each in settings]
    return origins


def _follow(indexer: Indexer, runtime: Runtime, sources: ComposedSources) -> None:
    """Notify the indexer of changes in directories and in the cache."""
    for directory in sources.directories:
        directory.live.listener = partial(indexer.note, directory.name)
    if sources.upstreams is None:
        return
    upstreams = {each.settings.identity: each.settings.name for each in sources.upstreams.connected}

    def note(identity: str, name: str) -> None:
        # Listings and files are stored in threads.
        if identity in upstreams:
            runtime.reactor.callFromThread(indexer.note, upstreams[identity], ProjectName(name))

    def note_file(key: FileKey) -> None:
        match key.owner:
            # The metadata of a wheel are stored as a file of their own.
            case (identity, name, filename) if not filename.endswith(WHEEL_SUFFIX):
                note(identity, name)

    sources.upstreams.cache.listener = note
    sources.upstreams.cache.files.listener = note_file
