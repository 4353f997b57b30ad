"""Very many projects, and very many files of one: starts, memory, what answers take meanwhile, and the large pages."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from tests.benchmarks import repository
from tests.benchmarks.bench import Row
from tests.benchmarks.load import Asker, percentile
from tests.benchmarks.processes import cpu_of, wait_until
from tests.benchmarks.servers import EveryCoreSimpleindex, Simpleindex
from tests.benchmarks.workers import are_workers_complete, workers_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.benchmarks.bench import Bench, Values
    from tests.benchmarks.repository import Repository
    from tests.benchmarks.servers import Server

_LONGEST_START = 1_800.0
_HEALTH = "/-/health"
_PAGES = 10_000
_CATALOGUED = 1_000
"""Files; a directory of a few projects has no catalogue."""
_CONNECTIONS = 40


class UnwatchedSimpleindex(EveryCoreSimpleindex):
    """Over a directory that it does not watch: four times as many watches are more than systems let a user have."""

    name = "simpleindex, not watching"
    count: ClassVar[int] = 1

    def command(self) -> list[str]:
        return [*super().command(), "--watch=off", f"--workers={self.count}"]


class FourWorkersSimpleindex(UnwatchedSimpleindex):
    """With four workers over it."""

    name = "simpleindex, 4 workers"
    count = 4


def large(bench: Bench) -> None:
    """Starts over very many projects with their memory, workers, and pages of one project with very many files."""
    for projects, files_each in bench.sizes.many:
        served = repository.repository(bench.workplace.repositories, projects, files_each)
        kinds = bench.further(EveryCoreSimpleindex)
        rows: dict[tuple[str, str], Row] = {}
        for _ in range(bench.sizes.rounds):
            for kind in kinds:
                for warmth in ("cold", "warm"):
                    print(f"large, {warmth} [{served.files}] {kind.name}", file=sys.stderr)
                    row = rows.setdefault(
                        (warmth, kind.name), Row(f"large, {warmth}", kind.name, served.files)
                    )
                    row.samples.append(_started(kind(bench.workplace, served), is_cold=warmth == "cold"))
        bench.rows += rows.values()
        _measure_workers(bench, served)
    for kind in bench.further(EveryCoreSimpleindex):
        _measure_page(bench, kind)


def _started(server: Server, *, is_cold: bool) -> Values:
    """Start a server, and request its list of projects once it is complete; others keep requesting meanwhile."""
    assert isinstance(server, Simpleindex)
    if is_cold:
        shutil.rmtree(server.cache, ignore_errors=True)
    begin = time.monotonic()
    server.launch()
    try:
        wait_until(lambda: server.get(_HEALTH)[0] == 200, _LONGEST_START, "the first answer")
        health = _latencies(
            server, _HEALTH, lambda: wait_until(server.is_complete, _LONGEST_START, "the start", every=0.2)
        )
        complete, weight = time.monotonic() - begin, server.running.weigh()
        # The examining processes of a cold start have ended by then, and what is done once after it is over; without the catalogue
        # the next start would be none that is warm.
        if server.repository.files >= _CATALOGUED:
            wait_until(
                lambda: any(server.cache.glob("catalogue-*")), _LONGEST_START, "the catalogue", every=0.2
            )
        time.sleep(5)
        share = max(server.running.shares())
        page = server.page(next(server.repository.names()))
        root = _latencies(server, page, lambda: server.get(server.root()))
        return {
            "complete_s": complete,
            "cpu_s": weight.cpu,
            "memory_mb": share / 1e6,
            "health_p99_ms": percentile(health, 99) * 1e3,
            "health_max_ms": max(health) * 1e3,
            "page_during_root_max_ms": max(root) * 1e3,
        }
    finally:
        server.stop()


def _latencies(server: Server, path: str, work: Callable[[], object]) -> list[float]:
    """Do something, and meanwhile request a path every few milliseconds; return the seconds of each answer."""
    asker, times, is_over = Asker(server), [0.0], threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            times.append(asker.ask(path)[0])
            time.sleep(0.003)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        work()
    finally:
        is_over.set()
        asking.join()
        asker.close()
    return times


def _measure_workers(bench: Bench, served: Repository) -> None:
    """Measure the memory that a further worker takes, beside that of one process: after the start, and after many pages."""
    for alone, several in zip(
        bench.further(UnwatchedSimpleindex), bench.further(FourWorkersSimpleindex), strict=True
    ):
        print(f"large, workers [{served.files}] {several.name}", file=sys.stderr)
        ((one, one_later),) = _memory(alone(bench.workplace, served))
        found = _memory(several(bench.workplace, served))
        # The first one works for all, as on the search index.
        further, further_later = (max(values) for values in zip(*sorted(found)[:-1], strict=True))
        sample = {
            "one_process_mb": one / 1e6,
            "further_mb": further / 1e6,
            "one_process_later_mb": one_later / 1e6,
            "further_later_mb": further_later / 1e6,
        }
        bench.rows.append(Row("large, workers", several.name, served.files, [sample]))


def _memory(server: Server) -> list[tuple[int, int]]:
    """Return what each process that serves has to itself, in bytes: after the start, and after pages of many projects."""
    assert isinstance(server, UnwatchedSimpleindex)
    log = server.place / "log"
    log.unlink(missing_ok=True)
    server.launch()
    try:
        wait_until(server.is_complete, _LONGEST_START, "the start", every=0.2)
        if server.count > 1:
            wait_until(partial(_is_logged, log, "workers serve"), _LONGEST_START, "the start", every=0.5)
            # They serve before they have read everything.
            wait_until(partial(are_workers_complete, server), _LONGEST_START, "all workers' start", every=0.5)
        time.sleep(10)
        before = server.running.memory()
        _request_pages(server)
        after = server.running.memory()
        workers = workers_of(server) or [max(before, key=cpu_of)]
        return [(before[pid].unshared, after[pid].unshared) for pid in workers]
    finally:
        server.stop()


def _request_pages(server: Server) -> None:
    """Request pages of many projects, over connections that reach all workers."""
    askers = [Asker(server) for _ in range(_CONNECTIONS)]
    for number, name in enumerate(islice(server.repository.names(), _PAGES)):
        askers[number % _CONNECTIONS].ask(server.page(name))
    for asker in askers:
        asker.close()


def _is_logged(log: Path, words: str) -> bool:
    return log.exists() and words in log.read_text()


def _measure_page(bench: Bench, kind: type[Server]) -> None:
    """Measure the processor time for each byte of a page that is rendered, of a large project and of small ones."""
    values: Values = {}
    for size, (projects, files_each) in (("small", bench.sizes.growing[0]), ("large", bench.sizes.one)):
        served = repository.repository(bench.workplace.repositories, projects, files_each)
        server = kind(bench.workplace, served)
        server.start()
        try:
            time.sleep(1)
            before = server.running.weigh().cpu
            # In the forms that clients want; none was rendered before.
            got = [
                len(server.get(server.page(name), {"Accept": accept})[2])
                for accept in ("application/vnd.pypi.simple.v1+json", "text/html")
                for name in served.names()
            ]
            values[f"{size}_ns_per_byte"] = (server.running.weigh().cpu - before) * 1e9 / sum(got)
        finally:
            server.stop()
    values["ratio"] = values["large_ns_per_byte"] / max(values["small_ns_per_byte"], 1)
    bench.rows.append(Row("large, page of one project", kind.name, bench.sizes.one[1], [values]))
