"""What is measured of the search: building its index in the background, and queries to it."""

from __future__ import annotations

import random
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from simpleindex.core.files import File, Sidecar
from simpleindex.core.model import Project, ProjectList
from simpleindex.core.names import Kind, ProjectName
from simpleindex.search.database import SearchDatabase
from simpleindex.search.indexer import Indexer
from simpleindex.search.origins import DirectoryOrigin
from simpleindex.search.query import parse_query
from simpleindex.search.search import Search
from simpleindex.system.bodies import BytesBody
from tests.benchmarks.bench import Row
from tests.benchmarks.load import percentile
from tests.fixtures.distributions import metadata_text, wheel_name
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.bench import Bench, Values

_DESCRIPTION: Final = 450
"""Words of the longest descriptions: 3 KiB."""

_QUERIES: Final = {
    "name": ("{0}", "{0}-{1}", "{0} {1}"),
    "beginning of a name": ("{0:.2}", "{0:.1}"),
    "words": ("{0} {2}", "{2}", "{3} {4} {5}"),
    "common letters": ("ing", "tion", "the", "er "),
    "phrase": ('"{2} {3}"', '"the {4} of"'),
    "filters": ("author:{1}", "depends:{0} {2}", "python:3.9 {2}"),
    "nothing": ("qqxyzzy", '"the of the of"'),
}
"""What is typed, with words of the index in it."""


class _AwaitedThreads(InlineThreads):
    """Makes each call in a thread, whose processor time is its own, and waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._executor = ThreadPoolExecutor(1)

    def run(self, function: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
        return super().run(lambda: self._executor.submit(function, *args, **kwargs).result())


class _ManyProjects:
    """A source of projects whose metadata are made when they are read."""

    def __init__(self, number: int) -> None:
        draw = random.Random(13)
        syllables = [a + b for a in "bcdfghlmnprst" for b in ("a", "er", "ing", "o", "tion", "u")]
        self.words = ["".join(draw.choices(syllables, k=draw.choice((1, 2, 2, 3)))) for _ in range(8_000)]
        self.words += ["the", "of", "a", "is"] * 400
        names = {f"{draw.choice(self.words)}-{draw.choice(self.words)}-{n}" for n in range(number)}
        self._list = ProjectList(tuple(map(ProjectName, sorted(names))))

    def in_passing(self, name: ProjectName) -> AbstractContextManager[None]:
        return nullcontext()

    def listing_digest(self, name: ProjectName) -> int:
        return random.Random(name).getrandbits(62)

    async def projects(self) -> ProjectList:
        return self._list

    async def project(self, name: ProjectName) -> Project:
        sidecar = Sidecar(f"{random.Random(name).getrandbits(256):064x}", 1)
        filename = wheel_name(name)
        return Project(name, (File(filename, "1.0", Kind.WHEEL, 1, "0" * 64, 1, ">=3.8", metadata=sidecar),))

    async def file(self, name: ProjectName, filename: str) -> BytesBody:
        draw = random.Random(name)
        words = draw.choices(self.words, k=draw.randrange(20, 2 * _DESCRIPTION))
        data = metadata_text(
            name,
            "1.0",
            f"Summary: {' '.join(words[:8])}",
            f"Author: {words[9]} {words[10]}",
            f"Requires-Dist: {draw.choice(self._list.names)}",
            body=" ".join(words),
        )
        return BytesBody(data, "", None)


def search(bench: Bench) -> None:
    """Build the index, with the share of a core that it takes; and searches, as a reader of everything."""
    projects = bench.sizes.searched
    place = bench.workplace.directory("search")
    shutil.rmtree(place, ignore_errors=True)
    source, database = _ManyProjects(projects), SearchDatabase(str(place))
    clock, threads = Clock(), _AwaitedThreads()
    print(f"search index [{projects}]", file=sys.stderr)
    built = _built(Indexer(database, [DirectoryOrigin("local", source)], clock, threads), clock)
    built["mb"] = sum(file.stat().st_size for file in place.iterdir()) / 1e6
    built["cpu_us"] /= projects
    bench.rows.append(Row("search index", "simpleindex", projects, [built]))
    finder = Search(database, ("local",), clock, threads)
    for kind, queries in _QUERIES.items():
        row = Row(f"search, {kind}", "simpleindex", projects)
        row.samples.extend(
            _searched(finder, source, queries, bench.sizes.searches) for _ in range(bench.sizes.rounds)
        )
        bench.rows.append(row)
    database.close()


def _built(indexer: Indexer, clock: Clock) -> Values:
    """Build the index with a clock that jumps over the waiting, which is the larger part."""
    before = time.process_time()
    indexer.start()
    while not indexer.is_idle:
        clock.advance(min(call.getTime() for call in clock.getDelayedCalls()) - clock.seconds())
    worked = time.process_time() - before
    indexer.stop()
    return {"cpu_us": worked * 1e6, "percent_of_a_core": 100 * worked / (worked + clock.seconds())}


def _searched(finder: Search, source: _ManyProjects, queries: Sequence[str], number: int) -> Values:
    draw = random.Random(number)
    times, work = [], []
    for _ in range(number):
        text = draw.choice(queries).format(*draw.choices(source.words[:8_000], k=6))
        query = parse_query(text)
        started, worked = time.perf_counter(), time.process_time()
        finding = Deferred.fromCoroutine(finder.search(source, query))
        assert finding.called
        work.append(1_000 * (time.process_time() - worked))
        times.append(1_000 * (time.perf_counter() - started))
    # On a machine that is busy with other work, what the processor did says more than the time that passed.
    return {
        "p50_ms": percentile(times, 50),
        "p99_ms": percentile(times, 99),
        "cpu_p50_ms": percentile(work, 50),
        "cpu_p99_ms": percentile(work, 99),
    }
