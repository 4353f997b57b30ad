"""A search index over sources in memory, with the test as its clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from simpleindex.search.database import SearchDatabase
from simpleindex.search.indexer import Indexer
from simpleindex.search.origins import DirectoryOrigin
from simpleindex.search.query import parse_query
from simpleindex.search.search import Search
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import metadata_text, wheel_name
from tests.fixtures.stub_source import StubSource
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.core.source import Source
    from simpleindex.search.search import SearchResults


class SearchWorld:
    """A directory in memory and everything that searches it.

    Attributes:
        clock: Its time goes on by the test.
        source: The directory.
        database: The search index.
        indexer: Keeps it up to date.
        search: Searches it.
    """

    def __init__(self, cache: Path) -> None:
        self.clock = Clock()
        self.source = StubSource()
        self.database = SearchDatabase(str(cache))
        threads = InlineThreads()
        origin = DirectoryOrigin("local", self.source)
        self.indexer = Indexer(self.database, [origin], self.clock, threads, lambda: 0.0)
        self.search = Search(self.database, ("local",), self.clock, threads, lambda: self.indexer.is_behind)

    def add(
        self, name: str, version: str = "1.0", *lines: str, body: str = "", yanked: str | None = None
    ) -> None:
        """Put a wheel into the directory."""
        data = metadata_text(name, version, *lines, body=body)
        self.source.add(wheel_name(name, version), metadata=data, yanked=yanked)

    def index(self) -> None:
        """Index everything."""
        self.indexer.start()
        self.finish()

    def finish(self) -> None:
        """Index what is due."""
        for _ in range(10_000):
            if self.indexer.is_idle or not self.database.is_open:
                return
            self.clock.advance(1)
        raise AssertionError("it does not end")

    def results(
        self, text: str, source: Source | None = None, *, limit: int = 20, start: int = 0
    ) -> SearchResults:
        """Search for a reader; by default for one who may read everything."""
        query = parse_query(text)
        finding = self.search.search(source or self.source, query, limit=limit, start=start)
        results: SearchResults = result(Deferred.fromCoroutine(finding))
        return results

    def near(self, text: str, source: Source | None = None) -> tuple[str, ...]:
        """The names that were probably meant."""
        finding = self.search.near(source or self.source, parse_query(text))
        near: tuple[str, ...] = result(Deferred.fromCoroutine(finding))
        return near

    def names(self, text: str, source: Source | None = None) -> list[str]:
        """The projects that are found."""
        return [hit.project for hit in self.results(text, source).hits]
