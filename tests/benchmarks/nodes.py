"""More than one process and more than one machine: workers, nodes over one bucket, and how soon one knows what another did."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from simpleindex.access.identity import Action
from simpleindex.access.token_options import TokenOptions
from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.archives.examination import protocol
from simpleindex.bucket.facts import object_metadata
from simpleindex.core.text import plural
from simpleindex.records.opening import open_records
from simpleindex.records.tokens import TokenTable
from tests.benchmarks import load, repository
from tests.benchmarks.bench import Part, Row, loaded
from tests.benchmarks.load import Ask, percentile
from tests.benchmarks.processes import wait_until
from tests.benchmarks.servers import START_SECONDS, EveryCoreSimpleindex, Pypiron, Server
from tests.benchmarks.uploads import form
from tests.end_to_end.haproxy import MISSING_HAPROXY, configuration
from tests.end_to_end.object_stores import BUCKET, MISSING_SEAWEEDFS, SeaweedFS
from tests.fixtures.distributions import wheel_bytes, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.postgresql import MISSING_POSTGRESQL, running_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.bench import Bench, Values
    from tests.benchmarks.load import Outcome
    from tests.benchmarks.repository import Repository

_WORKERS = (1, 2, 4)
_NODES = (1, 2, 3)
_ACCESS = '[[rule]]\nprojects = ["*"]\nread = ["anyone"]\nupload = ["ci"]\n'
_FILLERS = 16
"""Objects that are put at once while the bucket is filled."""


@dataclass(frozen=True)
class Engines:
    """What nodes share.

    Attributes:
        store: The S3-compatible store.
        records: The URL of a PostgreSQL database.
        location: The bucket with its prefix.
        access: The access file.
    """

    store: SeaweedFS
    records: str
    location: str
    access: Path


class WorkersSimpleindex(EveryCoreSimpleindex):
    """With several workers over a directory."""

    count: ClassVar[int]

    def command(self) -> list[str]:
        return [*super().command(), f"--workers={self.count}"]


class NodeSimpleindex(EveryCoreSimpleindex):
    """One node over the bucket."""

    engines: ClassVar[Engines]
    further: ClassVar[tuple[str, ...]] = ()

    @property
    def cache(self) -> Path:
        return self.place / "cache"

    def command(self) -> list[str]:
        command = super().command()
        command[command.index("--path") + 1] = self.engines.location
        return [
            *command,
            "--records",
            self.engines.records,
            "--access",
            str(self.engines.access),
            *self.further,
        ]

    def environment(self) -> dict[str, str]:
        return {**self.engines.store.environment()}


class NodesSimpleindex(NodeSimpleindex):
    """Several nodes behind haproxy, as one tree of processes."""

    count: ClassVar[int]

    def command(self) -> list[str]:
        nodes = [
            _node(f"{self.name} {number}", self.engines, *self.further)(self.workplace, self.repository)
            for number in range(self.count)
        ]
        config = configuration(self.place, self.port, [node.port for node in nodes])
        plain = config.read_text()
        before, _, rest = plain.partition(" ssl crt ")
        config.write_text(f"{before}\n{rest.partition(chr(10))[2]}")
        words = [node.command() for node in nodes] + [["haproxy", "-f", str(config)]]
        return ["sh", "-c", " & ".join(map(shlex.join, words)) + " & wait"]

    def is_complete(self) -> bool:
        # Each of the nodes answers in its turn.
        return all(self.answers(self.root()) for _ in range(3 * self.count))


class BucketPypiron(Pypiron):
    """pypiron over a bucket of the same store."""

    name = "pypiron, bucket"
    processor = None
    engines: ClassVar[Engines]

    def prepare(self) -> None:
        # The store is another one in each run: what an earlier one was filled with is gone.
        (self.place / "done").unlink(missing_ok=True)
        super().prepare()

    def command(self) -> list[str]:
        words = super().command()
        place = words.index("--data-dir")
        del words[place : place + 2]
        return [
            *words,
            "--buckets",
            f"s3://{BUCKET}@us-east-1",
            "--storage-prefix",
            "pypiron",
            "--s3-force-path-style",
        ]

    def environment(self) -> dict[str, str]:
        shared = self.engines.store.environment()
        return {**super().environment(), **shared, "PYPIRON_S3_ENDPOINT_URL": shared["AWS_ENDPOINT_URL"]}


def nodes(bench: Bench) -> None:
    """Pages and downloads of workers and of nodes; a fresh node; and how soon a node knows what another one did."""
    _measure_workers(bench)
    for reason in (MISSING_SEAWEEDFS, MISSING_POSTGRESQL, MISSING_HAPROXY):
        if reason is not None:
            bench.note(f"Nodes are left out: {reason}.")
            return
    with _engines(bench) as engines:
        _measure_nodes(bench, engines)
        _measure_fresh_start(bench, engines)
        _measure_propagation(bench, engines)


def _measure_workers(bench: Bench) -> None:
    small = repository.repository(bench.workplace.repositories, *bench.sizes.small)
    kinds = [
        type(
            f"Workers{count}",
            (WorkersSimpleindex,),
            {"name": f"simpleindex --workers {count}", "count": count},
        )
        for count in _WORKERS
    ]
    with bench.started(kinds, small) as servers:
        bench.rounds(*_pages_and_files(bench, servers, small, "workers"))


def _pages_and_files(bench: Bench, servers: list[Server], small: Repository, what: str) -> list[Part]:
    name = next(small.names())

    def asking(path: Callable[[Server], str]) -> Callable[[Server], Outcome]:
        return lambda server: load.many(server, [Ask(path(server))], seconds=bench.sizes.seconds)

    return [
        loaded(f"{what}, page", servers, asking(lambda server: server.page(name))),
        loaded(f"{what}, file", servers, asking(lambda server: server.file(name, small.filename(name)))),
    ]


@contextlib.contextmanager
def _engines(bench: Bench) -> Iterator[Engines]:
    # The database's user must be able to enter its directory.
    directory = Path(tempfile.mkdtemp(prefix="nodes-"))
    directory.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        (directory / "postgresql").mkdir()
        database = stack.enter_context(running_postgresql(directory / "postgresql"))
        store = SeaweedFS(directory / "seaweedfs")
        stack.callback(store.stop)
        access = directory / "access.toml"
        access.write_text(_ACCESS)
        yield Engines(store.start(), database.create_database(), f"s3://{BUCKET}/python", access)


def _node(name: str, engines: Engines, *further: str) -> type[NodeSimpleindex]:
    return type("Node", (NodeSimpleindex,), {"name": name, "engines": engines, "further": further})


def _fill(engines: Engines, served: Repository) -> None:
    """Put a repository into the bucket, as uploads do."""
    client, prefix = engines.store.client(), engines.location.partition(f"{BUCKET}/")[2]

    def put(place: tuple[str, int]) -> None:
        name, release = place
        path = served.path / name / served.filename(name, release)
        with path.open("rb") as file:
            request = protocol.distribution(file.fileno(), path.stat().st_size, path.name, name)  # type: ignore[arg-type]
            (info,) = InProcessExaminer().examine([request])
        assert isinstance(info, ArchiveInfo)
        client.put_object(
            Bucket=BUCKET,
            Key=f"{prefix}/{name}/{path.name}",
            Body=path.read_bytes(),
            Metadata=dict(object_metadata(info)),
        )

    with ThreadPoolExecutor(_FILLERS) as pool:
        list(
            pool.map(
                put, [(name, release) for name in served.names() for release in range(served.files_each)]
            )
        )


def _measure_nodes(bench: Bench, engines: Engines) -> None:
    small = repository.repository(bench.workplace.repositories, *bench.sizes.small)
    _fill(engines, small)
    variants = [(f"simpleindex, {plural(count, 'node')}", count, ()) for count in _NODES]
    kinds: list[type[Server]] = [
        type(
            "Nodes",
            (NodesSimpleindex,),
            {"name": name, "count": count, "engines": engines, "further": further},
        )
        for name, count, further in (
            *variants,
            ("simpleindex, 1 node, --bucket-cache 0", 1, ("--bucket-cache=0",)),
        )
    ]
    # As pypiron is measured: without a proxy.
    kinds.append(_node("simpleindex, 1 node without haproxy", engines))
    kinds += bench.further(type("Peer", (BucketPypiron,), {"engines": engines}))
    with bench.started(kinds, small) as servers:
        bench.rounds(*_pages_and_files(bench, servers, small, "nodes"))


def _measure_fresh_start(bench: Bench, engines: Engines) -> None:
    """The first node takes facts from the objects' metadata, others from the database, one that was there before from its cache."""
    served = repository.repository(bench.workplace.repositories, *bench.sizes.objects)
    place = Engines(engines.store, engines.records, f"s3://{BUCKET}/many", engines.access)
    _fill(place, served)
    for name in ("first node", "fresh node", "restarted node"):
        server = _node("starting node", place)(bench.workplace, served)
        if name != "restarted node":
            shutil.rmtree(server.cache, ignore_errors=True)
        print(f"nodes, start [{served.files}] {name}", file=sys.stderr)
        begin = time.monotonic()
        server.launch()
        try:
            wait_until(server.is_complete, START_SECONDS, f"the start of {name}", every=0.05)
            seconds, weight = time.monotonic() - begin, server.running.weigh()
        finally:
            server.stop()
        sample = {"complete_s": seconds, "cpu_s": weight.cpu, "peak_mb": weight.peak / 1e6}
        bench.rows.append(Row("nodes, start", name, served.files, [sample]))


def _measure_propagation(bench: Bench, engines: Engines) -> None:
    """From the answer to one node, until another one lists an upload, and refuses a revoked token."""
    small = repository.repository(bench.workplace.repositories, *bench.sizes.small)
    records = open_records(str(bench.workplace.directory("records")), engines.records)
    tokens = TokenTable(records)
    with contextlib.ExitStack() as stack:
        stack.callback(records.close)
        first, second = (_node(f"node {number}", engines)(bench.workplace, small) for number in (1, 2))
        for server in (first, second):
            stack.callback(server.stop)
            server.start()
        now = int(time.time())
        _, secret = tokens.create("ci", TokenOptions((Action.UPLOAD,), ("*",), None, ""), now)
        visible = [
            _seconds_to_see(bench, number, (first, second), secret) for number in range(bench.sizes.uploads)
        ]
        bench.rows.append(
            Row("nodes, upload to listed on another", "simpleindex", len(visible), [_spread(visible)])
        )
        revoked = [_seconds_to_refuse(tokens, second) for _ in range(bench.sizes.revocations)]
        bench.rows.append(
            Row("nodes, token revoked to refused", "simpleindex", len(revoked), [_spread(revoked)])
        )


def _seconds_to_see(bench: Bench, number: int, pair: tuple[Server, Server], secret: str) -> float:
    first, second = pair
    name = f"seen{number % 50}"
    version = f"1.{number}.{time.time_ns()}"
    path = bench.workplace.directory("uploads") / wheel_name(name, version)
    path.write_bytes(wheel_bytes(name, version))
    kind, body = form(path, name, version)
    path.unlink()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": kind}
    status = first.post("/legacy/", body, headers)
    begin = time.monotonic()
    assert status == 200, status
    wanted = path.name.encode()
    # A page of a project that is not here yet is answered with 404.
    wait_until(
        lambda: wanted in second.get(second.page(name))[2], 30, f"{path.name} on the other node", every=0.001
    )
    return time.monotonic() - begin


def _seconds_to_refuse(tokens: TokenTable, server: Server) -> float:
    now = int(time.time())
    made, secret = tokens.create("ci", TokenOptions((Action.READ,), ("*",), None, ""), now)
    headers = {"Authorization": f"Bearer {secret}"}
    wait_until(lambda: server.get(server.root(), headers)[0] == 200, 30, "the token counts", every=0.001)
    tokens.revoke(made.id, now)
    begin = time.monotonic()
    wait_until(
        lambda: server.get(server.root(), headers)[0] in (401, 403), 30, "the token is refused", every=0.001
    )
    return time.monotonic() - begin


def _spread(seconds: list[float]) -> Values:
    return {
        "p50_ms": percentile(seconds, 50) * 1e3,
        "p99_ms": percentile(seconds, 99) * 1e3,
        "max_ms": max(seconds) * 1e3,
    }
