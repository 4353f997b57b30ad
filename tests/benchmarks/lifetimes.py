"""What is measured over time: starts, and changes of the directory while it is served."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from tests.benchmarks import repository
from tests.benchmarks.bench import Part, Row
from tests.benchmarks.load import Asker, percentile
from tests.benchmarks.processes import LOAD_PROCESSOR, on_processor, wait_until
from tests.benchmarks.servers import (
    START_SECONDS,
    EveryCoreSimpleindex,
    NginxAutoindex,
    Pypiserver,
    Server,
    Simpleindex,
    TwistdWeb,
)
from tests.fixtures.distributions import wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.benchmarks.bench import Bench, Values
    from tests.benchmarks.repository import Repository

_RENAME: Final = "import os, sys\nfor line in open(sys.argv[1]): os.rename(*line.rstrip('\\n').split('\\t'))"

_ROOT_EVERY: Final = 20
"""One in so many answers asked for while files arrive is the list of projects."""


def starts(bench: Bench) -> None:
    """Start to first answer, and to the complete catalogue; cold is without a cache of ours, the disk's cache is warm."""
    for projects, files_each in bench.sizes.growing:
        served = repository.repository(bench.workplace.repositories, projects, files_each)
        rows: dict[tuple[str, type[Server]], Row] = {}
        for _ in range(bench.sizes.rounds):
            kinds = bench.among(Simpleindex, TwistdWeb, NginxAutoindex, Pypiserver)
            for kind in (*kinds, *bench.further(EveryCoreSimpleindex)):
                for warmth in _warmths(kind):
                    print(f"start, {warmth} [{served.files}] {kind.name}", file=sys.stderr)
                    row = rows.setdefault((warmth, kind), Row(f"start, {warmth}", kind.name, served.files))
                    try:
                        row.samples.append(_started(kind(bench.workplace, served), cold=warmth == "cold"))
                    except (TimeoutError, AssertionError) as error:
                        bench.note(f"{kind.name} is left out of starts: {error}")
        bench.rows += [row for row in rows.values() if row.samples]


def _warmths(kind: type[Server]) -> tuple[str, ...]:
    if issubclass(kind, EveryCoreSimpleindex):
        return ("cold",)
    return ("cold", "warm") if issubclass(kind, Simpleindex) else ("warm",)


def _started(server: Server, *, cold: bool) -> Values:
    server.prepare()
    if cold and isinstance(server, Simpleindex):
        shutil.rmtree(server.cache, ignore_errors=True)
    # Neither the first nor the last that is read.
    name = list(server.repository.names())[server.repository.projects // 2]
    begin = time.monotonic()
    server.launch()
    try:
        wait_until(
            lambda: server.answers(server.page(name)), START_SECONDS, f"the first answer of {server.name}"
        )
        first = time.monotonic() - begin
        # Seldom, since an answer costs what is measured.
        wait_until(server.is_complete, START_SECONDS, f"the start of {server.name}", every=0.05)
        complete = time.monotonic() - begin
        weight = server.running.weigh()
    finally:
        server.stop()
    return {
        "first_s": first,
        "complete_s": complete,
        "cpu_s": weight.cpu,
        "peak_mb": weight.peak / 1e6,
        "resident_mb": weight.resident / 1e6,
    }


def changes(bench: Bench) -> None:
    """From a file's rename into place to its listing; and what answers cost while very many files arrive."""
    wide = repository.repository(bench.workplace.repositories, *bench.sizes.wide)
    with bench.started(bench.versions(Simpleindex), wide) as servers:
        bench.rounds(
            Part("change to listing", servers, lambda server: _noticed(server, bench)),
            Part("answers while files arrive", servers, lambda server: _flooded(server, bench)),
        )


def _noticed(server: Server, bench: Bench) -> Values:
    with _arrivals(bench.workplace.path, server.repository, bench.sizes.changes) as moves:
        asker, times = Asker(server), []
        for source, target in moves:
            os.rename(source, target)
            begin = time.monotonic()
            wanted, page = target.name.encode(), server.page(target.parent.name)
            wait_until(_listing(asker, page, wanted), 30, f"the listing of {target.name}")
            times.append(time.monotonic() - begin)
        asker.close()
    settle(server)
    return {
        "p50_ms": percentile(times, 50) * 1e3,
        "p99_ms": percentile(times, 99) * 1e3,
        "max_ms": max(times) * 1e3,
    }


def _listing(asker: Asker, page: str, wanted: bytes) -> Callable[[], bool]:
    return lambda: wanted in asker.ask(page)[1]


def _flooded(server: Server, bench: Bench) -> Values:
    quiet = latencies(server, _for(bench.sizes.seconds))
    with _arrivals(bench.workplace.path, server.repository, bench.sizes.arrivals) as moves:
        plan = bench.workplace.path / "moves"
        plan.write_text("".join(f"{source}\t{target}\n" for source, target in moves))
        last = moves[-1][1]
        begin = time.monotonic()
        with on_processor(LOAD_PROCESSOR):
            moving = subprocess.Popen([sys.executable, "-c", _RENAME, str(plan)])
        busy = latencies(server, lambda: moving.poll() is not None and time.monotonic() - begin > 0.5)
        asker = Asker(server)
        wait_until(
            _listing(asker, server.page(last.parent.name), last.name.encode()), 120, "the last file's listing"
        )
        asker.close()
        listed = time.monotonic() - begin
    settle(server)
    return {
        "quiet_page_max_ms": max(quiet[0]) * 1e3,
        "quiet_root_max_ms": max(quiet[1]) * 1e3,
        "page_p99_ms": percentile(busy[0], 99) * 1e3,
        "page_max_ms": max(busy[0]) * 1e3,
        "root_max_ms": max(busy[1]) * 1e3,
        "all_listed_s": listed,
    }


def latencies(server: Server, is_over: Callable[[], bool]) -> tuple[list[float], list[float]]:
    """Seconds of each answer: a project's page that does not change, and the list of projects."""
    asker, pages, roots, count = Asker(server), [0.0], [0.0], 0
    page = server.page(next(server.repository.names()))
    while not is_over():
        count += 1
        if count % _ROOT_EVERY:
            pages.append(asker.ask(page)[0])
        else:
            roots.append(asker.ask(server.root())[0])
    asker.close()
    return pages, roots


def _for(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def settle(server: Server) -> None:
    """Wait until the index has seen that everything is as it was."""
    status = "/-/status"
    wanted = f'"files": {server.repository.files},'.encode()
    wait_until(lambda: wanted in server.get(status)[2], 60, "settling", every=0.2)


@contextlib.contextmanager
def _arrivals(work: Path, served: Repository, count: int) -> Iterator[list[tuple[Path, Path]]]:
    """Wheels that lie aside, each with the place that it is to be renamed to; all are gone afterwards."""
    aside = work / "arriving"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    # The first project is the one whose page is to stay as it is.
    names = list(served.names())[1:]
    moves = []
    for number in range(count):
        name = names[number * 7919 % len(names)]
        filename = wheel_name(name, f"2.{number}.0")
        (aside / filename).write_bytes(wheel_bytes(name, f"2.{number}.0"))
        moves.append((aside / filename, served.path / name / filename))
    try:
        yield moves
    finally:
        for _, target in moves:
            target.unlink(missing_ok=True)
        shutil.rmtree(aside)
