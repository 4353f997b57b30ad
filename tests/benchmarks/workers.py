"""How the kernel spreads connections over the workers of ``--workers``, and whether clients that wait keep all of them busy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from tests.benchmarks import repository
from tests.benchmarks.bench import Part, turn
from tests.benchmarks.processes import cpu_of, processes_below
from tests.benchmarks.servers import EveryCoreSimpleindex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.benchmarks.bench import Bench, Values
    from tests.benchmarks.servers import Server

_COUNTS: Final = (2, 4)
_THINK_SECONDS: Final = 0.02


class WorkersSimpleindex(EveryCoreSimpleindex):
    """With several workers over a directory."""

    count: ClassVar[int]

    def command(self) -> list[str]:
        return [*super().command(), f"--workers={self.count}"]

    def is_complete(self) -> bool:
        """Whether each worker serves all projects; the first one serves before the others are started."""
        return super().is_complete() and len(workers_of(self)) == self.count and are_workers_complete(self)


def with_workers(count: int) -> type[WorkersSimpleindex]:
    """Return the server with so many workers."""
    name = f"simpleindex --workers {count}"
    return type(f"Workers{count}", (WorkersSimpleindex,), {"name": name, "count": count})


class OneProcess(EveryCoreSimpleindex):
    """One process beside another one that does nothing."""

    name = "simpleindex, one process"


class TwoServers(EveryCoreSimpleindex):
    """The second of two servers that have nothing in common and are as busy: the control of what two workers cost."""

    name = "simpleindex, two servers at once"


def spread(bench: Bench) -> None:
    """The share of the busiest worker: of new connections, and of the processor time for clients that wait between requests."""
    small = repository.repository(bench.workplace.repositories, *bench.sizes.small)
    page = f"/simple/{next(small.names())}/"
    with bench.started([OneProcess, TwoServers, with_workers(2)], small) as servers:
        one, *_ = servers

        def in_step(server: Server) -> Values:
            if not isinstance(server, TwoServers):
                return _in_step([server], page, bench)
            with turn(one):
                return _in_step([one, server], page, bench)

        bench.rounds(Part("workers, page in step", servers, in_step))
    with bench.started([with_workers(count) for count in _COUNTS], small) as servers:
        bench.rounds(
            Part("workers, new connections", servers, lambda server: asyncio.run(_connected(bench, server))),
            Part(
                "workers, clients that wait",
                servers,
                lambda server: asyncio.run(_waiting_clients(bench, server, page)),
            ),
        )


async def _connected(bench: Bench, server: Server) -> Values:
    """Open connections, and count those of each worker while all are open."""
    workers = workers_of(server)
    before = {pid: _sockets(pid) for pid in workers}
    async with _connections(server, bench.sizes.connections) as streams:
        # A connection that is answered has been accepted.
        await asyncio.gather(*(_get(*each, "/-/health") for each in streams))
        opened = [_sockets(pid) - before[pid] for pid in workers]
    return {"largest_share": max(opened) / sum(opened), "connections": sum(opened)}


async def _waiting_clients(bench: Bench, server: Server, page: str) -> Values:
    """Let each client wait before each request; measure how busy each worker is."""
    workers = workers_of(server)
    end = time.monotonic() + bench.sizes.seconds

    async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        count = 0
        while time.monotonic() < end:
            await asyncio.sleep(_THINK_SECONDS)
            await _get(reader, writer, page)
            count += 1
        return count

    async with _connections(server, bench.sizes.connections // 4) as streams:
        before = {pid: cpu_of(pid) for pid in workers}
        requests = sum(await asyncio.gather(*(request(*each) for each in streams)))
        used = [cpu_of(pid) - before[pid] for pid in workers]
    return {
        "largest_share": max(used) / sum(used),
        "least_busy_share": min(used) / sum(used),
        "per_s": requests / bench.sizes.seconds,
        "cpu_us": sum(used) / requests * 1e6,
    }


def _in_step(servers: Sequence[Server], page: str, bench: Bench) -> Values:
    """Request a page over many connections at once, again when all are answered, so that all processes are busy at the same time.

    The processor time of two processes on two processors that share parts is larger for the same work; so it is compared with that
    of two servers, and not of one.
    """
    request = f"GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    count = max(2, bench.sizes.connections // 8)
    ports = [servers[number % len(servers)].port for number in range(count)]
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)) for port in ports
        ]
        size = _size_of_answer(connections, request)
        before = sum(server.running.weigh().cpu for server in servers)
        pages, end = 0, time.monotonic() + bench.sizes.seconds
        while time.monotonic() < end:
            for each in connections:
                each.sendall(request)
            for each in connections:
                each.recv(size, socket.MSG_WAITALL)
            pages += count
        used = sum(server.running.weigh().cpu for server in servers) - before
        return {"cpu_us": used / pages * 1e6}


def _size_of_answer(connections: Sequence[socket.socket], request: bytes) -> int:
    """Request a page once over each connection; return how long the answer is, which is the same each time."""
    sizes = set()
    for each in connections:
        each.sendall(request)
        answer = each.recv(65536)
        head, _, body = answer.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        rest = int(fields[b"content-length"]) - len(body)
        sizes.add(len(answer) + len(each.recv(rest, socket.MSG_WAITALL) if rest else b""))
    assert len(sizes) == 1, sizes
    return sizes.pop()


def workers_of(server: Server) -> list[int]:
    """Return the workers' process numbers, by the names that workers give themselves."""
    return [pid for pid in processes_below(server.running.pid) if _name(pid).startswith("worker ")]


def are_workers_complete(server: Server) -> bool:
    """Return whether each worker has read all projects."""
    status, _, body = server.get("/-/status")
    return status == 200 and all(worker["ready"] for worker in json.loads(body)["workers"])


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text()
    return ""


def _sockets(pid: int) -> int:
    found = 0
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/{pid}/fd/{descriptor}").startswith("socket:")
    return found


@contextlib.asynccontextmanager
async def _connections(
    server: Server, count: int
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    streams = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(count)]
    try:
        yield streams
    finally:
        for _, writer in streams:
            writer.close()


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> bytes:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    return await reader.readexactly(int(fields[b"content-length"]))
