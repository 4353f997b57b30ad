"""The command; see the package's documentation."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks import (
    caches,
    clients,
    large,
    lifetimes,
    measures,
    nodes,
    publishing,
    report,
    searching,
    workers,
)
from tests.benchmarks.bench import SMOKE, Bench, Sizes
from tests.benchmarks.servers import NEED_NO_SETUP, PEERS
from tests.benchmarks.setup import Workplace, default_work

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MEASURES: Final[dict[str, Callable[[Bench], None]]] = {
    "pages": measures.pages,
    "access-log": measures.access_log,
    "downloads": measures.counted_downloads,
    "random": measures.random_pages,
    "roots": measures.roots,
    "files": measures.files,
    "tls": measures.tls_connections,
    "starts": lifetimes.starts,
    "changes": lifetimes.changes,
    "uploads": publishing.uploads,
    "caches": caches.caches,
    "uv": clients.uv,
    "search": searching.search,
    "nodes": nodes.nodes,
    "workers": workers.spread,
    "large": large.large,
}

_LONG: Final = ("uv", "nodes", "workers", "large")
"""What takes long also over tiny sizes."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Set up, measure, report."""
    given = _parse(arguments)
    # The end of the benchmark ends its servers too, some of which are frozen.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    if given.smoke:
        with tempfile.TemporaryDirectory() as directory:
            # Nodes need three engines, and workers as many processes: they are measured when they are named.
            chosen = (
                given.only if len(given.only) == 1 else [name for name in given.only if name not in _LONG]
            )
            bench = Bench(Workplace(Path(directory)), SMOKE, NEED_NO_SETUP, given.before)
            _run(bench, chosen, given.output)
        return
    workplace = Workplace(given.work.absolute())
    if given.setup:
        workplace.set_up()
    sizes = replace(Sizes(), rounds=given.rounds, seconds=given.seconds)
    if given.large:
        sizes = replace(
            sizes,
            roots=(*sizes.roots, 100_000),
            growing=(*sizes.growing, (100_000, 2)),
            many=(*sizes.many, (700_000, 1)),
            objects=(20_000, 5),
        )
    kinds = [kind for kind in PEERS if not given.servers or kind.name in given.servers]
    _run(Bench(workplace, sizes, kinds, given.before), given.only, given.output)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = ", ".join(MEASURES)
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Measure simpleindex and its peers."
    )
    parser.add_argument(
        "--setup", action="store_true", help="install the peers and fetch real packages first"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="only see that everything works, in under a minute"
    )
    parser.add_argument("--large", action="store_true", help="also with 100,000 and 700,000 projects")
    parser.add_argument("--only", type=_measures, default=list(MEASURES), metavar="NAME,...", help=names)
    parser.add_argument("--servers", type=_words, default=[], metavar="NAME,...", help="only these servers")
    parser.add_argument(
        "--before",
        type=_program,
        metavar="TWISTD",
        help="the twistd of another environment, whose version of simpleindex takes its turns beside this one",
    )
    parser.add_argument("--rounds", type=int, default=Sizes.rounds, help="turns of each server")
    parser.add_argument("--seconds", type=float, default=Sizes.seconds, help="of load in each turn")
    parser.add_argument(
        "--work", type=Path, default=default_work(), help="where peers and repositories are kept"
    )
    parser.add_argument(
        "--output", type=Path, default=default_work() / "results", help="where results are written"
    )
    return parser.parse_args(arguments)


def _words(text: str) -> list[str]:
    return text.split(",")


def _measures(text: str) -> list[str]:
    if unknown := [name for name in _words(text) if name not in MEASURES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is no measure; there are {', '.join(MEASURES)}")
    return _words(text)


def _program(text: str) -> Path:
    if not os.access(text, os.X_OK) or os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text} is no program")
    return Path(text).absolute()


def _run(bench: Bench, names: Sequence[str], output: Path) -> None:
    bench.workplace.certify()
    for name in names:
        MEASURES[name](bench)
        # After each, so that a run that is broken off leaves what it has.
        report.write(bench, output)
    print(report.write(bench, output))
    print(f"All of it is in {output}.")


if __name__ == "__main__":
    main()
