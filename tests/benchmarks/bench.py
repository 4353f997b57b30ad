"""Take turns: start the servers of a measure, give each its turn in every round, and keep what was seen."""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.benchmarks.load import LoadFailedError
from tests.benchmarks.versions import with_before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.benchmarks.load import Outcome
    from tests.benchmarks.repository import Repository
    from tests.benchmarks.servers import Server
    from tests.benchmarks.setup import Workplace

Values = dict[str, float]


@dataclass(frozen=True)
class Sizes:
    """How much is done.

    Attributes:
        rounds: Turns that each server gets.
        seconds: Of load in each.
        small: Projects and files each of the repository whose single pages are asked for.
        roots: Numbers of projects for the root listing, with one file each.
        growing: Projects and files each that a start is measured with.
        wide: Projects and files each for random pages and changes.
        many: Projects and files each of directories that are very large.
        one: The same of one project with very many files.
        medium_file: Bytes.
        large_file: Bytes.
        readers: That read slowly.
        changes: Renames that are waited for.
        arrivals: Files that arrive in a burst.
        uploads: Files that are uploaded at a time.
        objects: Projects and files each of the bucket that a fresh node starts over.
        revocations: Tokens that are revoked.
        connections: That are open at once, to see how they spread over workers.
        searched: Projects in the search index.
        searches: Of each kind in each round.
    """

    rounds: int = 3
    seconds: float = 3
    small: tuple[int, int] = (100, 5)
    roots: tuple[int, ...] = (1_000, 10_000)
    growing: tuple[tuple[int, int], ...] = ((1_000, 5), (10_000, 5))
    wide: tuple[int, int] = (10_000, 5)
    many: tuple[tuple[int, int], ...] = ((100_000, 2),)
    one: tuple[int, int] = (1, 20_000)
    medium_file: int = 1_000_000
    large_file: int = 300_000_000
    readers: int = 200
    changes: int = 200
    arrivals: int = 5_000
    uploads: int = 200
    objects: tuple[int, int] = (2_000, 5)
    revocations: int = 50
    connections: int = 400
    searched: int = 100_000
    searches: int = 200


SMOKE = Sizes(
    rounds=1,
    seconds=0.3,
    small=(3, 2),
    roots=(3,),
    growing=((3, 2),),
    wide=(3, 2),
    many=((3, 2),),
    one=(1, 400),
    medium_file=10_000,
    large_file=1_000_000,
    readers=5,
    changes=2,
    arrivals=10,
    uploads=5,
    objects=(3, 2),
    revocations=2,
    connections=40,
    searched=50,
    searches=5,
)


@dataclass(frozen=True)
class Row:
    """A server in a measure.

    Attributes:
        measure: Its name.
        server: Its name.
        size: Projects in the repository, or bytes of the file: the x of a plot.
        samples: Of each round.
    """

    measure: str
    server: str
    size: int
    samples: list[Values] = field(default_factory=list)

    def median(self, key: str) -> float | None:
        """The median of the rounds."""
        values = [sample[key] for sample in self.samples if key in sample]
        return statistics.median(values) if values else None


@dataclass(frozen=True, eq=False)
class Part:
    """A measure and the servers that take turns in it.

    Attributes:
        measure: Its name.
        servers: Which.
        measured: What is done in a turn, and seen.
    """

    measure: str
    servers: Sequence[Server]
    measured: Callable[[Server], Values]


def loaded(measure: str, servers: Sequence[Server], load: Callable[[Server], Outcome]) -> Part:
    """A part in which many requests are sent."""
    return Part(measure, servers, lambda server: weighed(server, lambda: load(server)))


class Bench:
    """Everything that a run has.

    Attributes:
        rows: What was measured.
        notes: What was left out, and why.
        servers: What is measured.
        others: What only one measure has.
        before: The ``twistd`` of the version of simpleindex to compare with, if there is one.
    """

    def __init__(
        self,
        workplace: Workplace,
        sizes: Sizes,
        servers: Sequence[type[Server]],
        before: Path | None = None,
    ) -> None:
        self.workplace = workplace
        self.sizes = sizes
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self.others: list[type[Server]] = []
        self.before = before
        self.servers = self._present(self.versions(*servers))

    def note(self, sentence: str) -> None:
        """Keep a sentence for the report."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def among(self, *servers: type[Server]) -> list[type[Server]]:
        """Those of these that are measured, in every version."""
        return [server for server in self.versions(*servers) if server in self.servers]

    def versions(self, *servers: type[Server]) -> list[type[Server]]:
        """These, and those of them that are simpleindex also in the version before."""
        return with_before(servers, self.before)

    def further(self, *servers: type[Server]) -> list[type[Server]]:
        """Those of these, which only one measure has, that can be measured here."""
        every = self.versions(*servers)
        self.others += self._present(every)
        return [server for server in every if server in self.others]

    def _present(self, servers: Sequence[type[Server]]) -> list[type[Server]]:
        found = []
        for server in servers:
            if reason := server.missing(self.workplace):
                self.note(f"{server.name} is left out: {reason}.")
            else:
                found.append(server)
        return found

    @contextlib.contextmanager
    def started(self, kinds: Sequence[type[Server]], repository: Repository) -> Iterator[list[Server]]:
        """Start servers over a repository, and freeze them; one that does not start is left out."""
        servers: list[Server] = []
        try:
            for kind in kinds:
                if kind.most_files is not None and repository.files > kind.most_files:
                    self.note(
                        f"{kind.name} is not filled with {repository.files:,} files; that would take long."
                    )
                    continue
                server = kind(self.workplace, repository)
                servers.append(server)
                try:
                    server.start()
                except (TimeoutError, AssertionError) as error:
                    self.note(f"{kind.name} is left out over {repository.path.name}: {error}")
                    server.stop()
                    servers.remove(server)
                    continue
                server.running.freeze()
            yield servers
        finally:
            for server in servers:
                server.stop()

    def rounds(self, *parts: Part, size: int = 0) -> None:
        """In every round give each server of each part a turn; one whose turn fails gets no further one in that part.

        What is to be compared belongs into one call, so that it is measured under the same circumstances.
        """
        rows = {
            (part, server): Row(part.measure, server.name, size or server.repository.projects)
            for part in parts
            for server in part.servers
        }
        for number in range(self.sizes.rounds):
            turns = list(rows.items())
            # The first of two equal servers took up to 1.3 of the second's processor time: so every other round goes backwards.
            for (part, server), row in reversed(turns) if number % 2 else turns:
                place = f"{number + 1}/{self.sizes.rounds}"
                print(f"{part.measure} [{row.size}] {place} {server.name}", file=sys.stderr)
                try:
                    with turn(server):
                        row.samples.append(part.measured(server))
                except (LoadFailedError, OSError, AssertionError) as error:
                    self.note(f"{server.name} is left out of {part.measure}: {error or type(error).__name__}")
                    del rows[part, server]
        self.rows += rows.values()


@contextlib.contextmanager
def turn(server: Server) -> Iterator[None]:
    """Let a frozen server run for a while."""
    server.running.thaw()
    try:
        yield
    finally:
        server.running.freeze()


def weighed(server: Server, load: Callable[[], Outcome]) -> Values:
    """Put a load on a server and weigh it before and after."""
    server.running.forget_peak()
    before = server.running.weigh()
    outcome = load()
    # What the last answers still cost.
    time.sleep(0.02)
    after = server.running.weigh()
    return {
        "cpu_us": (after.cpu - before.cpu) * 1e6 / outcome.requests,
        "per_s": outcome.requests / outcome.seconds,
        "p99_ms": outcome.p99_ms,
        "peak_mb": after.peak / 1e6,
    }
