"""Composition of the search: the index, what keeps it up to date, and what searches it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from simpleindex.core.names import ProjectName
from simpleindex.search.database import SearchDatabase
from simpleindex.search.indexer import Indexer
from simpleindex.search.origins import CacheOrigin, DirectoryOrigin
from simpleindex.search.sdists import SdistMetadata
from simpleindex.search.search import Search

if TYPE_CHECKING:
    from simpleindex.search.origins import Origin
    from simpleindex.service.composition.sources import ComposedSources
    from simpleindex.service.runtime import Runtime
    from simpleindex.upstreams.cache.file_keys import FileKey


@dataclass(frozen=True)
class ComposedSearch:
    """The search."""

    search: Search
    indexer: Indexer
    database: SearchDatabase

    def start(self) -> None:
        """Index what is there; call it once more when more is there."""
        self.indexer.start()
        self.indexer.survey()


def compose_search(runtime: Runtime, sources: ComposedSources) -> ComposedSearch:
    """Create the search; nothing is opened or read yet.

    Args:
        runtime: What all parts share.
        sources: The directories and upstreams whose projects are indexed.
    """
    database = SearchDatabase(str(runtime.settings.cache))
    sdists = SdistMetadata(runtime.examination, runtime.threads.search)
    origins: list[Origin] = [
        DirectoryOrigin(directory.name, directory.source, sdists) for directory in sources.directories
    ]
    origins += _cache_origins(runtime, sources)
    indexer = Indexer(database, origins, runtime.reactor, runtime.threads.search)
    _follow(indexer, runtime, sources)
    names = tuple(directory.name for directory in sources.directories)
    search = Search(database, names, runtime.reactor, runtime.threads.search)
    return ComposedSearch(search, indexer, database)


def _cache_origins(runtime: Runtime, sources: ComposedSources) -> list[CacheOrigin]:
    """Return the origins for what the cache holds; the files of a flat page are in the cache under no project."""
    if sources.upstreams is None:
        return []
    cache, threads = sources.upstreams.cache, runtime.threads.search
    settings = [each.settings for each in sources.upstreams.connected if not each.settings.flat]
    return [CacheOrigin(each.name, each.identity, cache, threads) for each in settings]


def _follow(indexer: Indexer, runtime: Runtime, sources: ComposedSources) -> None:
    """Let the indexer hear of changes in directories and in the cache."""
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
            case (identity, name, _):
                note(identity, name)

    sources.upstreams.cache.listener = note
    sources.upstreams.cache.files.listener = note_file
