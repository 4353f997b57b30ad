"""Ask a server: many small requests as fast as they are answered, large files, new TLS connections, slow readers.

Small requests come from ``wrk`` where it is installed and there is a second for it, else from a loop of our own, which is
slower than some servers: then requests per second say little, while processor time per request stays true.
"""

from __future__ import annotations

import contextlib
import math
import selectors
import socket
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.processes import LOAD_PROCESSOR, on_processor
from tests.benchmarks.setup import find

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.benchmarks.servers import Server

_LUA: Final = """
local requests, count = {}, 0
local several = HEADERS
init = function(args)
  for line in io.lines(PATHS) do
    local path, tag = line:match("^(%S+)%s?(.*)$")
    local headers = {}
    for name, value in pairs(wrk.headers) do headers[name] = value end
    for name, value in pairs(several) do headers[name] = value end
    if tag ~= "" then headers["If-None-Match"] = tag end
    count = count + 1
    requests[count] = wrk.format("GET", path, headers)
  end
  math.randomseed(1)
end
request = function()
  if count == 1 then return requests[1] end
  return requests[math.random(count)]
end
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(99)))
end
"""

_BUFFER: Final = 256 * 1024


@dataclass(frozen=True)
class Ask:
    """One request: a path, and the tag that it is conditional on."""

    path: str
    tag: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a load.

    Attributes:
        requests: Answered.
        seconds: It took.
        p99_ms: Latency that 99 % stayed below, in milliseconds, with all connections busy.
    """

    requests: int
    seconds: float
    p99_ms: float


class LoadFailedError(Exception):
    """Requests were not answered, or not well."""


def many(
    server: Server,
    asks: Sequence[Ask],
    *,
    headers: Mapping[str, str] | None = None,
    tls: bool = False,
    connections: int = 16,
    seconds: float,
) -> Outcome:
    """Ask for these in random order, over kept connections, for so long.

    Raises:
        LoadFailedError: Some were not answered with 2xx or 3xx.
    """
    # wrk knows whole seconds only.
    program = find("wrk") if seconds >= 1 else None
    if program is None:
        return _many_of_our_own(
            server, asks, headers or {}, tls=tls, connections=connections, seconds=seconds
        )
    with tempfile.TemporaryDirectory() as directory:
        paths, script = Path(directory, "paths"), Path(directory, "load.lua")
        paths.write_text("".join(f"{ask.path} {ask.tag}\n" for ask in asks))
        table = ", ".join(f"[{_lua(name)}] = {_lua(value)}" for name, value in (headers or {}).items())
        script.write_text(_LUA.replace("PATHS", _lua(str(paths))).replace("HEADERS", f"{{ {table} }}"))
        length = [
            "-d",
            f"{math.ceil(seconds)}s",
            "-t",
            "1",
            "-c",
            str(connections),
            "--timeout",
            "30s",
        ]
        with on_processor(LOAD_PROCESSOR):
            result = subprocess.run(
                [program, *length, "-s", str(script), server.url(tls=tls)],
                check=False,
                capture_output=True,
                text=True,
                timeout=seconds + 120,
            )
    found = [line.split()[1:] for line in result.stdout.splitlines() if line.startswith("RESULT")]
    if not found:
        raise LoadFailedError(f"{server.name}: wrk said {result.stdout} {result.stderr}")
    requests, took_us, refused, broken, p99_us = map(int, found[0])
    # Servers that close after each answer make wrk count a read error now and then.
    if refused or not requests or broken > requests // 20:
        raise LoadFailedError(f"{server.name}: of {requests} requests {refused} were refused, {broken} broke")
    return Outcome(requests, took_us / 1e6, p99_us / 1e3)


def download(server: Server, path: str, *, tls: bool = False) -> tuple[int, float]:
    """Take a whole file over one connection; return its bytes and the seconds."""
    begin = time.monotonic()
    with connected(server, tls=tls) as connection:
        connection.sendall(_request(path, {"Connection": "close"}))
        buffer = bytearray(_BUFFER)
        got = connection.recv_into(buffer)
        head, _, rest = bytes(buffer[:got]).partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise LoadFailedError(f"{server.name}: {head!r}")
        size, expected = len(rest), _content_length(head)
        while size < expected:
            got = connection.recv_into(buffer)
            if not got:
                raise LoadFailedError(f"{server.name}: {path} ended after {size} of {expected} bytes")
            size += got
    return size, time.monotonic() - begin


def new_tls_connections(server: Server, path: str, *, resume: bool, seconds: float) -> Outcome:
    """Connect, ask once, and close, again and again; with tickets, or with a full handshake each time.

    Raises:
        LoadFailedError: Sessions were not resumed.
    """
    context = _context()
    session: ssl.SSLSession | None = None
    count, resumed, times = 0, 0, []
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        start = time.monotonic()
        plain = socket.create_connection(("127.0.0.1", server.tls_port), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname="localhost", session=session) as connection:
            connection.sendall(_request(path, {"Connection": "close"}))
            while connection.recv(65536):
                pass
            resumed += bool(connection.session_reused)
            if resume:
                session = connection.session
        count += 1
        times.append(time.monotonic() - start)
    if resume and resumed < count - 1:
        raise LoadFailedError(f"{server.name}: {resumed} of {count} connections were resumed")
    return Outcome(count, time.monotonic() - begin, percentile(times, 99) * 1e3)


@contextlib.contextmanager
def slow_readers(server: Server, path: str, count: int, *, tls: bool = False) -> Iterator[None]:
    """So many clients have asked for a file, and take next to nothing of it."""
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(connected(server, tls=tls, receive_buffer=4096)) for _ in range(count)
        ]
        for connection in connections:
            connection.sendall(_request(path, {}))
        for connection in connections:
            connection.recv(1024)
        yield


class Asker:
    """One client on one kept connection that measures each answer."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, path: str) -> tuple[float, bytes]:
        """Ask for a path; return the seconds and the answer, head and body."""
        begin = time.monotonic()
        self._connection.sendall(_request(path, {}))
        data = b""
        while not _is_whole(data):
            got = self._connection.recv(_BUFFER)
            if not got:
                raise LoadFailedError(f"{self._server.name}: {path} ended early")
            data += got
        return time.monotonic() - begin, data

    def close(self) -> None:
        """Leave."""
        self._connection.close()


@contextlib.contextmanager
def connected(server: Server, *, tls: bool = False, receive_buffer: int = 0) -> Iterator[socket.socket]:
    """A connection, with a receive buffer of so many bytes if that is given."""
    plain = socket.socket()
    if receive_buffer:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.settimeout(120)
    with plain:
        plain.connect(("127.0.0.1", server.tls_port if tls else server.port))
        if not tls:
            yield plain
            return
        with _context().wrap_socket(plain, server_hostname="localhost") as secure:
            yield secure


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many per cent stay at or below."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _many_of_our_own(
    server: Server,
    asks: Sequence[Ask],
    headers: Mapping[str, str],
    *,
    tls: bool,
    connections: int,
    seconds: float,
) -> Outcome:
    """As :func:`many`, with one thread of Python; over TLS on one connection."""
    raw = [_request(ask.path, {**headers, **({"If-None-Match": ask.tag} if ask.tag else {})}) for ask in asks]
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        begin = time.monotonic()
        count, times = 0, []
        for _ in range(1 if tls else connections):
            _send_next(selector, stack.enter_context(connected(server, tls=tls)), raw[count % len(raw)])
            count += 1
        while time.monotonic() - begin < seconds:
            for key, _ in selector.select(1):
                state: _Waiting = key.data
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                got = connection.recv(_BUFFER)
                state.data += got
                if got and not _is_whole(state.data):
                    continue
                if int(state.data.split(b" ", 2)[1]) >= 400:
                    raise LoadFailedError(f"{server.name}: {state.data[:200]!r}")
                times.append(time.monotonic() - state.begin)
                selector.unregister(connection)
                if not got or b"\r\nconnection: close" in state.data[:2000].lower():
                    connection.close()
                    connection = stack.enter_context(connected(server, tls=tls))
                _send_next(selector, connection, raw[count * 7919 % len(raw)])
                count += 1
        return Outcome(len(times), time.monotonic() - begin, percentile(times, 99) * 1e3)


@dataclass
class _Waiting:
    begin: float
    data: bytes = b""


def _send_next(selector: selectors.BaseSelector, connection: socket.socket, request: bytes) -> None:
    selector.register(connection, selectors.EVENT_READ, _Waiting(time.monotonic()))
    connection.sendall(request)


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    return head.startswith(b"HTTP/1.1 304") or len(body) >= _content_length(head)


def _content_length(head: bytes) -> float:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return math.inf


def _request(path: str, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join((*lines, "", "")).encode()


def _context() -> ssl.SSLContext:
    # Whose certificate it is, is not what is measured; loading the system's authorities for each connection would be.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _lua(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
