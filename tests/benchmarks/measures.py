"""What is measured of pages, files and connections: one function each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks import load, repository
from tests.benchmarks.bench import Part, loaded, turn
from tests.benchmarks.load import Ask
from tests.benchmarks.servers import (
    ImmutableSimpleindex,
    LoggingSimpleindex,
    NginxAutoindex,
    NginxStatic,
    Pypiron,
    Simpleindex,
    TwistdWeb,
    UncountedSimpleindex,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.bench import Bench, Sizes, Values
    from tests.benchmarks.load import Outcome
    from tests.benchmarks.repository import Repository
    from tests.benchmarks.servers import Server

JSON: Final = {"Accept": "application/vnd.pypi.simple.v1+json", "Accept-Encoding": "gzip"}

_RANDOM_PAGES: Final = 1_000

_SMALL_FILE: Final = 100_000  # bytes


class _Asking:
    """A load of small requests, as :func:`load.many` takes it."""

    def __init__(self, bench: Bench, path: Callable[[Server], str | Sequence[Ask]], **options: Any) -> None:
        self._path = path
        self._options = {"seconds": bench.sizes.seconds, **options}

    def __call__(self, server: Server) -> Outcome:
        wanted = self._path(server)
        return load.many(server, [Ask(wanted)] if isinstance(wanted, str) else wanted, **self._options)


def pages(bench: Bench) -> None:
    """One project's page: HTML, JSON with gzip, both over TLS, and 304 for pages with a tag each; and ``.metadata``."""
    small = repository.repository(bench.workplace.repositories, *bench.sizes.small)
    name = next(small.names())
    metadata = small.filename(name) + ".metadata"

    def page(server: Server) -> str:
        return server.page(name)

    def sidecar(server: Server) -> str:
        return server.file(name, metadata)

    with bench.started(bench.servers, small) as servers:
        json = [server for server in servers if "json" in _type(server, page(server))]
        having = [server for server in servers if _answers(server, sidecar(server))]
        tagged = _tagged(bench, servers, small)
        bench.rounds(
            loaded("page", servers, _Asking(bench, page)),
            loaded("page JSON gzip", json, _Asking(bench, page, headers=JSON)),
            loaded("page 304", list(tagged), _Asking(bench, tagged.__getitem__)),
            loaded(".metadata", having, _Asking(bench, sidecar)),
            loaded("page TLS", _with_tls(servers), _Asking(bench, page, tls=True)),
            loaded("page JSON gzip TLS", _with_tls(json), _Asking(bench, page, headers=JSON, tls=True)),
        )


def _tagged(bench: Bench, servers: Sequence[Server], small: Repository) -> dict[Server, list[Ask]]:
    found: dict[Server, list[Ask]] = {}
    for server in servers:
        with turn(server):
            tags = {}
            for path in map(server.page, small.names()):
                tags[path] = server.get(path)[1].get("etag", "")
                if not tags[path]:
                    break
        if all(tags.values()):
            found[server] = [Ask(path, tag) for path, tag in tags.items()]
        else:
            bench.note(f"{server.name} has no ETag on pages, so no 304.")
    return found


def access_log(bench: Bench) -> None:
    """What the access log costs."""
    small = repository.repository(bench.workplace.repositories, *bench.sizes.small)
    name = next(small.names())
    with bench.started(bench.versions(Simpleindex, LoggingSimpleindex), small) as servers:
        bench.rounds(loaded("access log", servers, _Asking(bench, lambda server: server.page(name))))


def counted_downloads(bench: Bench) -> None:
    """What counting downloads costs a page, which is none, and a file of 100 kB."""
    small = repository.repository(bench.workplace.repositories, *bench.sizes.small)
    name = next(small.names())
    files = repository.large_file(bench.workplace.repositories, min(bench.sizes.medium_file, _SMALL_FILE))
    kinds = bench.versions(Simpleindex, UncountedSimpleindex)
    with bench.started(kinds, small) as servers:
        bench.rounds(loaded("page, counting", servers, _Asking(bench, lambda server: server.page(name))))
    with bench.started(kinds, files) as servers:
        paths = _file_paths(bench, servers, files)
        bench.rounds(loaded("file, counting", servers, _Asking(bench, paths.__getitem__)))


def random_pages(bench: Bench) -> None:
    """Pages of very many projects in random order, all warm, beside a single one."""
    wide = repository.repository(bench.workplace.repositories, *bench.sizes.wide)
    names = list(wide.names())
    choices = {
        "hot page": names[:1],
        "random pages, 1,000": names[:: max(1, len(names) // _RANDOM_PAGES)],
        "random pages, all": names,
    }
    with bench.started(bench.among(Simpleindex, TwistdWeb, NginxAutoindex), wide) as servers:
        for server in servers:
            with turn(server):
                for name in names:
                    server.get(server.page(name))
        bench.rounds(
            *(
                loaded(measure, servers, _Asking(bench, _pages_of(chosen)))
                for measure, chosen in choices.items()
            )
        )


def _pages_of(names: Sequence[str]) -> Callable[[Server], list[Ask]]:
    return lambda server: [Ask(server.page(name)) for name in names]


def roots(bench: Bench) -> None:
    """The list of all projects."""
    for projects in bench.sizes.roots:
        listed = repository.repository(bench.workplace.repositories, projects, 1)
        with bench.started(bench.servers, listed) as servers:
            json = [server for server in servers if "json" in _type(server, server.root())]
            bench.rounds(
                loaded("root", servers, _Asking(bench, _root, connections=4)),
                loaded("root JSON gzip", json, _Asking(bench, _root, headers=JSON, connections=4)),
            )


def _root(server: Server) -> str:
    return server.root()


def files(bench: Bench) -> None:
    """A file of 1 MB asked for often, one of 300 MB once, over HTTP and HTTPS, and many that take it slowly."""
    size = bench.sizes.medium_file
    medium = repository.large_file(bench.workplace.repositories, size)
    # nginx over pages serves files in the very same way.
    with bench.started([kind for kind in bench.servers if kind is not NginxAutoindex], medium) as servers:
        paths = _file_paths(bench, servers, medium)
        get = paths.__getitem__
        bench.rounds(
            loaded("file 1 MB", servers, _Asking(bench, get, connections=4)),
            loaded("file 1 MB TLS", _with_tls(servers), _Asking(bench, get, connections=4, tls=True)),
            size=size,
        )
    size = bench.sizes.large_file
    large = repository.large_file(bench.workplace.repositories, size)
    kinds = bench.among(Simpleindex, TwistdWeb, NginxStatic, Pypiron)
    with bench.started([*kinds, *bench.versions(ImmutableSimpleindex)], large) as servers:
        paths = _file_paths(bench, servers, large)
        secure = _with_tls(servers)
        bench.rounds(
            Part("file 300 MB", servers, lambda s: _downloaded(s, paths[s], tls=False)),
            Part("file 300 MB TLS", secure, lambda s: _downloaded(s, paths[s], tls=True)),
            Part("slow readers", servers, lambda s: _read_slowly(s, paths[s], bench.sizes, tls=False)),
            Part("slow readers TLS", secure, lambda s: _read_slowly(s, paths[s], bench.sizes, tls=True)),
            size=size,
        )


def _downloaded(server: Server, path: str, *, tls: bool) -> Values:
    server.running.forget_peak()
    before = server.running.weigh()
    size, seconds = load.download(server, path, tls=tls)
    after = server.running.weigh()
    return {
        "mb_per_s": size / seconds / 1e6,
        "cpu_ms_per_100mb": (after.cpu - before.cpu) * 1e3 / (size / 1e8),
        "peak_mb": after.peak / 1e6,
    }


def _read_slowly(server: Server, path: str, sizes: Sizes, *, tls: bool) -> Values:
    server.running.forget_peak()
    before = server.running.weigh()
    with load.slow_readers(server, path, sizes.readers, tls=tls):
        time.sleep(sizes.seconds)
        after = server.running.weigh()
    return {
        "grown_mb": (after.peak - before.resident) / 1e6,
        "peak_mb": after.peak / 1e6,
        "cpu_ms": (after.cpu - before.cpu) * 1e3,
    }


def tls_connections(bench: Bench) -> None:
    """New connections with one request each: full handshakes, and resumed ones."""
    small = repository.repository(bench.workplace.repositories, *bench.sizes.small)
    name = next(small.names())
    with bench.started([kind for kind in bench.servers if kind.has_tls], small) as servers:
        bench.rounds(
            loaded("TLS connections, new", servers, _connecting(name, bench.sizes.seconds, resume=False)),
            loaded("TLS connections, resumed", servers, _connecting(name, bench.sizes.seconds, resume=True)),
        )


def _connecting(name: str, seconds: float, *, resume: bool) -> Callable[[Server], Outcome]:
    return lambda server: load.new_tls_connections(server, server.page(name), resume=resume, seconds=seconds)


def _with_tls(servers: Sequence[Server]) -> list[Server]:
    return [server for server in servers if server.has_tls]


def _file_paths(bench: Bench, servers: Sequence[Server], repository: Repository) -> dict[Server, str]:
    name = next(repository.names())
    paths = {}
    for server in servers:
        with turn(server):
            paths[server] = server.file(name, repository.filename(name))
    return paths


def _type(server: Server, path: str) -> str:
    with turn(server):
        return server.get(path, JSON)[1].get("content-type", "")


def _answers(server: Server, path: str) -> bool:
    with turn(server):
        return server.get(path)[0] == 200
