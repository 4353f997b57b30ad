"""What is hoped for: ratios within one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.bench import Row

_OURS: Final = "simpleindex"
_MEMORY_AT: Final = 50_000
"""Files with which memory and starts are judged."""
_MANY: Final = 200_000
"""Files of 100,000 projects."""
_ALL_OF_PYPI: Final = 700_000
"""Files of as many projects as PyPI has."""


class Table:
    """The rows, to be asked by measure and server."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __call__(self, measure: str, key: str, server: str = _OURS, size: int | None = None) -> float | None:
        """The median of a value; of the largest size measured if none is given."""
        rows = [row for row in self._rows if (row.measure, row.server) == (measure, server)]
        rows = [row for row in rows if size is None or row.size == size]
        return max(rows, key=lambda row: row.size).median(key) if rows else None


@dataclass(frozen=True)
class Goal:
    """A bound for a value.

    Attributes:
        what: Is measured.
        bound: That it has to keep.
        at_most: Whether the bound is its greatest; else its least.
        value: Takes it from the table; None where a part of it was not measured.
    """

    what: str
    bound: float
    at_most: bool
    value: Callable[[Table], float | None]

    def judged(self, table: Table) -> tuple[float | None, str]:
        """The value and the verdict."""
        value = self.value(table)
        if value is None:
            return None, "not measured"
        return value, "met" if (value <= self.bound if self.at_most else value >= self.bound) else "MISSED"


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _against(measure: str, key: str, server: str, size: int | None = None) -> Callable[[Table], float | None]:
    return lambda table: _ratio(table(measure, key, size=size), table(measure, key, server, size))


def _ours(first: str, second: str, key: str = "cpu_us") -> Callable[[Table], float | None]:
    return lambda table: _ratio(table(first, key), table(second, key))


def _value(measure: str, key: str, size: int | None = None) -> Callable[[Table], float | None]:
    return lambda table: table(measure, key, size=size)


def _per_file(table: Table) -> float | None:
    less, more = (table("start, warm", "resident_mb", size=size) for size in (5_000, _MEMORY_AT))
    return None if less is None or more is None else (more - less) * 1e6 / (_MEMORY_AT - 5_000)


def _every_core(table: Table) -> float | None:
    one = table("start, cold", "complete_s", size=_MEMORY_AT)
    return _ratio(one, table("start, cold", "complete_s", "simpleindex, every core", size=_MEMORY_AT))


def _logged(table: Table) -> float | None:
    return _ratio(table("access log", "cpu_us", "simpleindex --access-log"), table("access log", "cpu_us"))


def _counting(measure: str) -> Callable[[Table], float | None]:
    return lambda table: _ratio(
        table(measure, "cpu_us"), table(measure, "cpu_us", "simpleindex --downloads off")
    )


def _through(measure: str, key: str, server: str) -> Callable[[Table], float | None]:
    """What a measure through our cache is beside that of another server."""
    return lambda table: _ratio(table(measure, key, "simpleindex --sources"), table(measure, key, server))


def _immutable(table: Table) -> float | None:
    ours = table("file 300 MB", "mb_per_s", "simpleindex --immutable-files")
    return _ratio(ours, table("file 300 MB", "mb_per_s", "nginx static"))


def _further_worker(table: Table) -> float | None:
    one = table("large, workers", "one_process_mb", "simpleindex, 4 workers", _MANY)
    return _ratio(table("large, workers", "further_mb", "simpleindex, 4 workers", _MANY), one)


def _two_workers(table: Table) -> float | None:
    two = table("workers, page in step", "cpu_us", "simpleindex, two servers at once")
    return _ratio(table("workers, page in step", "cpu_us", "simpleindex --workers 2"), two)


def _large(warmth: str, key: str, size: int) -> Callable[[Table], float | None]:
    return lambda table: table(f"large, {warmth}", key, "simpleindex, every core", size)


_SEARCHES: Final = ("name", "beginning of a name", "words", "common letters", "phrase", "filters", "nothing")


def _slowest_search(table: Table) -> float | None:
    values = [table(f"search, {kind}", "cpu_p99_ms") for kind in _SEARCHES]
    return max((value for value in values if value is not None), default=None)


GOALS: Final = (
    Goal("project page, CPU: x nginx autoindex", 1.0, True, _against("page", "cpu_us", "nginx autoindex")),
    Goal("project page, CPU: x pypiron", 1.2, True, _against("page", "cpu_us", "pypiron")),
    Goal("project page, CPU: x twistd web", 0.25, True, _against("page", "cpu_us", "twistd web")),
    Goal(
        "project page HTTPS, CPU: x nginx static", 2.5, True, _against("page TLS", "cpu_us", "nginx static")
    ),
    Goal("304, CPU: x plain page", 1.0, True, _ours("page 304", "page")),
    Goal("JSON with gzip, CPU: x plain page", 1.0, True, _ours("page JSON gzip", "page")),
    Goal("1,000 random pages, CPU: x one hot page", 1.3, True, _ours("random pages, 1,000", "hot page")),
    Goal("all pages at random, CPU: x one hot page", 1.3, True, _ours("random pages, all", "hot page")),
    Goal(
        "root of 10,000, per second: x nginx autoindex",
        50,
        False,
        _against("root", "per_s", "nginx autoindex", 10_000),
    ),
    Goal("300 MB HTTPS, MB/s: x nginx", 0.7, False, _against("file 300 MB TLS", "mb_per_s", "nginx static")),
    Goal("300 MB HTTPS, MB/s: x twistd web", 5, False, _against("file 300 MB TLS", "mb_per_s", "twistd web")),
    Goal("300 MB HTTP, MB/s: x pypiron", 1.0, False, _against("file 300 MB", "mb_per_s", "pypiron")),
    Goal(
        "300 MB HTTP, MB/s: x nginx with sendfile",
        0.7,
        False,
        _against("file 300 MB", "mb_per_s", "nginx static"),
    ),
    Goal("300 MB HTTP, --immutable-files, MB/s: x nginx", 0.9, False, _immutable),
    Goal(
        "share of new connections of the busier one of 2 workers",
        0.6,
        True,
        lambda table: table("workers, new connections", "largest_share", "simpleindex --workers 2"),
    ),
    Goal("processor time of a page with 2 workers: x that of two servers at once", 1.05, True, _two_workers),
    Goal("peak memory, 10,000 x 5, warm start, MB", 100, True, _value("start, warm", "peak_mb", _MEMORY_AT)),
    Goal("peak memory, 10,000 x 5, cold start, MB", 100, True, _value("start, cold", "peak_mb", _MEMORY_AT)),
    Goal("memory for each further file, bytes", 1_000, True, _per_file),
    Goal("warm start, 10,000 x 5, first answer, s", 1, True, _value("start, warm", "first_s", _MEMORY_AT)),
    Goal("warm start, 10,000 x 5, complete, s", 3, True, _value("start, warm", "complete_s", _MEMORY_AT)),
    Goal("cold start, 10,000 x 5, first answer, s", 1, True, _value("start, cold", "first_s", _MEMORY_AT)),
    Goal("cold start, 10,000 x 5: x as fast on every core as on one", 1.6, False, _every_core),
    Goal("warm start, 100,000 x 2, complete, s", 6, True, _large("warm", "complete_s", _MANY)),
    Goal("cold start, 100,000 x 2, complete, s", 60, True, _large("cold", "complete_s", _MANY)),
    Goal("memory, 100,000 x 2, MB", 250, True, _large("warm", "memory_mb", _MANY)),
    Goal("memory of each further worker, 100,000 x 2: x one process", 0.4, True, _further_worker),
    Goal("memory, 700,000 x 1, MB", 1_000, True, _large("warm", "memory_mb", _ALL_OF_PYPI)),
    Goal(
        "slowest page while the root of 700,000 is made, ms",
        50,
        True,
        _large("warm", "page_during_root_max_ms", _ALL_OF_PYPI),
    ),
    Goal(
        "page of 20,000 files, CPU per byte: x a small one",
        1.3,
        True,
        lambda table: table("large, page of one project", "ratio", "simpleindex, every core"),
    ),
    Goal("change to listing, p99, ms", 100, True, _value("change to listing", "p99_ms")),
    Goal(
        "slowest page while files arrive, ms", 50, True, _value("answers while files arrive", "page_max_ms")
    ),
    Goal(
        "slowest root while files arrive, ms", 50, True, _value("answers while files arrive", "root_max_ms")
    ),
    Goal(
        "page while 200 uploads arrive, p99, ms",
        50,
        True,
        lambda table: table("answers while uploads arrive", "page_p99_ms", "simpleindex --access"),
    ),
    Goal(
        "memory for a 300 MB upload, MB",
        50,
        True,
        lambda table: table("upload of a large file TLS", "growth_mb", "simpleindex --access"),
    ),
    Goal("access log on, CPU: x off", 1.15, True, _logged),
    Goal("page while downloads are counted, CPU: x not counted", 1.05, True, _counting("page, counting")),
    Goal("file while downloads are counted, CPU: x not counted", 1.05, True, _counting("file, counting")),
    Goal(
        "page through a warm cache, CPU: x local", 1.2, True, _through("cached page", "cpu_us", "simpleindex")
    ),
    Goal(
        "1 MB through a warm cache, CPU: x local",
        1.2,
        True,
        _through("cached file 1 MB", "cpu_us", "simpleindex"),
    ),
    Goal(
        "300 MB through a warm cache, s: x local",
        1.2,
        True,
        _through("warm file 300 MB", "seconds", "simpleindex"),
    ),
    Goal(
        "300 MB, cold cache, 1 Gbit/s, s: x direct",
        1.2,
        True,
        _through("cold file 300 MB, 1 Gbit/s", "seconds", "direct"),
    ),
    Goal("300 MB, cold cache, s: x proxpi", 1.0, True, _through("cold file 300 MB", "seconds", "proxpi")),
    Goal(
        "300 MB, cold cache, s: x devpi",
        1.0,
        True,
        _through("cold file 300 MB", "seconds", "devpi-server mirror"),
    ),
    Goal("page, cold cache, ms: x proxpi", 1.0, True, _through("cold page", "mean_ms", "proxpi")),
    Goal("page, cold cache, ms: x devpi", 1.0, True, _through("cold page", "mean_ms", "devpi-server mirror")),
    *(
        Goal(
            f"uv install, {state} cache, s: x {server.split('-')[0]}",
            1.0,
            True,
            _through(f"uv pip install through a {state} cache", "seconds", server),
        )
        for state in ("cold", "warm")
        for server in ("proxpi", "devpi-server mirror")
    ),
    Goal("search in 100,000 projects, slowest, CPU p99, ms", 50, True, _slowest_search),
    Goal(
        "search index in the background, % of a core", 15, True, _value("search index", "percent_of_a_core")
    ),
)
