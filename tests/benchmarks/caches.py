"""What stands between a client and an index costs: cold, where all has to be fetched first, and warm, beside local files."""

from __future__ import annotations

import contextlib
import http.client
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks import clients, repository
from tests.benchmarks.bench import Part, loaded
from tests.benchmarks.caching_servers import CACHES, Caching, Direct, Upstream
from tests.benchmarks.load import Ask, LoadFailedError, many, percentile
from tests.benchmarks.measures import JSON
from tests.benchmarks.processes import LOAD_PROCESSOR, on_processor
from tests.benchmarks.relay import distant
from tests.benchmarks.repository import Repository
from tests.benchmarks.servers import Simpleindex
from tests.benchmarks.setup import find

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.benchmarks.bench import Bench, Values
    from tests.benchmarks.load import Outcome
    from tests.benchmarks.servers import Server

_PIECE: Final = 1 << 18
_MEMORY: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where uv puts what it installs: a slow disk would be most of what is measured."""
_HTML: Final = {"Accept": "text/html"}
"""Without it proxpi answers 406."""

LINE: Final = (0.02, 125e6)
"""An index that is not on loopback: seconds of a round trip, and bytes a second (1 Gbit/s)."""


def caches(bench: Bench) -> None:
    """Pages, files and ``uv``, through ours and others, of one index."""
    kinds = bench.further(*CACHES)
    _pages(bench, kinds)
    _files(bench, kinds)
    if find("uv") is None or not bench.workplace.real.is_dir():
        bench.note("uv through caches is left out: it, or the real packages, are not set up.")
        return
    _uv(bench, kinds)


@contextlib.contextmanager
def _in_front(
    bench: Bench, kinds: Sequence[type[Server]], files: Repository
) -> Iterator[tuple[Upstream, list[Caching]]]:
    """An index, and servers in front of it, which have nothing of it yet."""
    with contextlib.ExitStack() as started:
        upstream = Upstream(bench.workplace, files)
        started.callback(upstream.stop)
        upstream.start()
        servers = []
        for kind in kinds:
            server = kind(bench.workplace, files)
            assert isinstance(server, Caching)
            server.behind = upstream.nearest()
            started.callback(server.stop)
            server.start_cold()
            server.running.freeze()
            servers.append(server)
        yield upstream, servers


def _pages(bench: Bench, kinds: Sequence[type[Server]]) -> None:
    small = repository.repository(bench.workplace.repositories, *bench.sizes.small)
    names = list(small.names())
    with (
        _in_front(bench, kinds, small) as (_, servers),
        bench.started(bench.versions(Simpleindex), small) as local,
        bench.started((Direct,), small) as direct,
    ):
        bench.rounds(Part("cold page", [*direct, *servers], lambda server: _cold_pages(server, names)))
        # They are warm now.
        every = [*local, *servers]
        bench.rounds(
            loaded("cached page", every, lambda server: _load(bench, server, server.page(names[0]))),
            loaded(
                "cached page JSON gzip",
                every,
                lambda server: _load(bench, server, server.page(names[0]), headers=JSON),
            ),
        )


def _load(
    bench: Bench, server: Server, path: str, *, headers: Mapping[str, str] = _HTML, connections: int = 16
) -> Outcome:
    return many(server, [Ask(path)], headers=headers, connections=connections, seconds=bench.sizes.seconds)


def _cold_pages(server: Server, names: Sequence[str]) -> Values:
    if isinstance(server, Caching):
        server.start_cold()
    before = server.running.weigh()
    times = [_fetch(server, server.page(name))[1] for name in names]
    after = server.running.weigh()
    return {
        "mean_ms": sum(times) / len(times) * 1e3,
        "p99_ms": percentile(times, 99) * 1e3,
        "cpu_us": (after.cpu - before.cpu) * 1e6 / len(names),
    }


def _files(bench: Bench, kinds: Sequence[type[Server]]) -> None:
    size = bench.sizes.medium_file
    medium = repository.large_file(bench.workplace.repositories, size)
    name = next(medium.names())
    with (
        _in_front(bench, kinds, medium) as (_, servers),
        bench.started(bench.versions(Simpleindex), medium) as local,
    ):
        bench.rounds(
            loaded(
                "cached file 1 MB",
                [*local, *servers],
                lambda server: _load(bench, server, server.file(name, medium.filename(name)), connections=4),
            ),
            size=size,
        )
    size = bench.sizes.large_file
    large = repository.large_file(bench.workplace.repositories, size)
    with (
        _in_front(bench, kinds, large) as (upstream, servers),
        bench.started(bench.versions(Simpleindex), large) as local,
        bench.started((Direct,), large) as direct,
    ):
        every = [*direct, *servers]
        bench.rounds(
            Part("cold file 300 MB", every, lambda server: _cold_file(server, upstream)),
            Part("warm file 300 MB", [*local, *every], _warm_file),
            Part("cold file 300 MB, 1 Gbit/s", every, lambda server: _cold_file(server, upstream, LINE)),
            size=size,
        )


def _cold_file(server: Server, upstream: Upstream, line: tuple[float, float] = (0, float("inf"))) -> Values:
    asked_at = upstream if isinstance(server, Caching) else server
    with distant(asked_at.port, *line) as port:
        if isinstance(server, Caching):
            server.behind = upstream.index(port)
            server.start_cold()
            return _one_file(server)
        return _one_file(server, port)


def _warm_file(server: Server) -> Values:
    # What has just been written is read more slowly the first time.
    _one_file(server)
    return _one_file(server)


def _one_file(server: Server, port: int | None = None) -> Values:
    name = next(server.repository.names())
    path = server.file(name, server.repository.filename(name))
    before = server.running.weigh()
    size, seconds = _fetch(server, path, port)
    after = server.running.weigh()
    if size < server.repository.large:
        raise LoadFailedError(f"{server.name}: {size} bytes of {path}")
    return {
        "seconds": seconds,
        "mb_per_s": size / seconds / 1e6,
        "cpu_s": after.cpu - before.cpu,
        "peak_mb": after.peak / 1e6,
    }


def _fetch(server: Server, path: str, port: int | None = None) -> tuple[int, float]:
    """Take something over a connection of its own; return its bytes and the seconds."""
    buffer = bytearray(_PIECE)
    connection = http.client.HTTPConnection("127.0.0.1", port or server.port, timeout=600)
    with contextlib.closing(connection), on_processor(LOAD_PROCESSOR):
        begin = time.monotonic()
        connection.request("GET", path, headers={"Accept": "*/*"})
        response = connection.getresponse()
        if response.status != 200:
            raise LoadFailedError(f"{server.name}: {path} is answered with {response.status}")
        size = 0
        while got := response.readinto(buffer):
            size += got
        return size, time.monotonic() - begin


def _uv(bench: Bench, kinds: Sequence[type[Server]]) -> None:
    real = Repository(bench.workplace.real, len(os.listdir(bench.workplace.real)), 1)
    with _in_front(bench, kinds, real) as (_, servers), bench.started((Direct,), real) as (direct,):
        every = [direct, *servers]
        bench.rounds(
            Part("uv pip install through a cold cache", every, lambda server: _installed(server, cold=True)),
            Part("uv pip install through a warm cache", every, _installed),
        )


def _installed(server: Server, *, cold: bool = False) -> Values:
    if cold and isinstance(server, Caching):
        server.start_cold()
    with tempfile.TemporaryDirectory(dir=_MEMORY) as directory:
        target = Path(directory)
        url = f"{server.url()}{server.prefix}/"
        return clients.asked(server, url, target, "install", "--quiet", "--target", f"{target}/to")
