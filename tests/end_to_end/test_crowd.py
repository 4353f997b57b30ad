"""Hundreds of clients who want the same at once, over real connections: the upstream hears of one.

SIMPLEINDEX_CLIENTS says how many there are.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import threading
from collections import Counter
from contextlib import ExitStack
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

import pytest

from tests.end_to_end.running import JSON, PATIENCE, wait_until
from tests.fixtures.depth import number_of
from tests.fixtures.distributions import metadata_text, wheel_bytes, wheel_name

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow

CLIENTS: Final = int(os.environ.get("SIMPLEINDEX_CLIENTS", number_of(800)))
FILE: Final = wheel_bytes("wanted", files={"blob": random.Random(1).randbytes(200_000)})
PAGE: Final = json.dumps(
    {
        "meta": {"api-version": "1.1"},
        "name": "wanted",
        "versions": ["1.0"],
        "files": [
            {
                "filename": wheel_name("wanted"),
                "url": f"/files/{wheel_name('wanted')}",
                "size": len(FILE),
                "hashes": {"sha256": hashlib.sha256(FILE).hexdigest()},
                "core-metadata": {"sha256": hashlib.sha256(metadata_text("wanted", "1.0")).hexdigest()},
            }
        ],
    }
).encode()
SOURCES: Final = """
[[upstream]]
name = "slow"
url = "http://127.0.0.1:{port}/simple/"
"""


class SlowUpstream:
    """Begins an answer at once, and ends it when it is allowed to.

    Attributes:
        asked: How often each path was asked for.
        waiting: How many answers wait for that.
        may_end: Set while it need not wait.
        port: Where it is.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.waiting = 0
        self.may_end = threading.Event()
        bodies = {
            "/simple/wanted/": PAGE,
            f"/files/{wheel_name('wanted')}": FILE,
            f"/files/{wheel_name('wanted')}.metadata": metadata_text("wanted", "1.0"),
        }
        upstream = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                upstream.asked[self.path] += 1
                body = bodies.get(self.path, b"")
                self.send_response(200 if body else 503 if "failing" in self.path else 404)
                self.send_header("Content-Type", JSON)
                self.send_header("Content-Length", str(len(body)))
                half = len(body) // 2
                if half:
                    self.end_headers()
                    self.wfile.write(body[:half])
                upstream.waiting += 1
                upstream.may_end.wait(PATIENCE)
                upstream.waiting -= 1
                if not half:
                    self.end_headers()
                self.wfile.write(body[half:])

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """End."""
        self.may_end.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def upstream() -> Iterator[SlowUpstream]:
    """One."""
    made = SlowUpstream()
    yield made
    made.close()


@pytest.fixture
def front(upstream: SlowUpstream, new_server: Callable[..., Server]) -> Server:
    """Our server in front of it."""
    server = new_server("--max-connections-per-address", "0", name="front")
    (server.home / "sources.toml").write_text(SOURCES.format(port=upstream.port))
    server.options = (*server.options, "--sources", str(server.home / "sources.toml"))
    return server.start()


class Crowd:
    """Clients with a connection each."""

    def __init__(self, front: Server, entered: ExitStack) -> None:
        self._front = front
        self._connections = []
        for _ in range(CLIENTS):
            plain = socket.create_connection(("127.0.0.1", front.port), timeout=PATIENCE)
            connection = entered.enter_context(front.trust.wrap_socket(plain, server_hostname="localhost"))
            self._connections.append(connection)
            # After its first request it may wait for 75 seconds, before that for 20, which a busy machine needs for all.
            connection.sendall(b"GET /-/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert _answer(connection)[0] == 200

    def ask(self, path: str) -> None:
        """All ask, and the server has read it."""
        for connection in self._connections:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {JSON}\r\n\r\n".encode())
        assert self._front.get("/-/health").status == 200

    def answers(self) -> Counter[tuple[int, bytes]]:
        """How often each answer came."""
        return Counter(map(_answer, self._connections))


def _answer(connection: ssl.SSLSocket) -> tuple[int, bytes]:
    response = HTTPResponse(connection)
    response.begin()
    return response.status, response.read()


def test_a_page(front: Server, upstream: SlowUpstream) -> None:
    """One question for all of them, whether there is such a project, or none, or nobody can tell."""
    expected = {"wanted": 200, "missing": 404, "failing": 503}
    with ExitStack() as entered:
        crowd = Crowd(front, entered)
        for name, status in expected.items():
            upstream.may_end.clear()
            crowd.ask(f"/simple/{name}/")
            wait_until(lambda: upstream.waiting, "the upstream is asked")
            upstream.may_end.set()
            answers = crowd.answers()
            ((got, _),) = answers
            assert (got, answers.total()) == (status, CLIENTS)
    assert upstream.asked == {f"/simple/{name}/": 1 for name in expected}


def test_metadata_and_file(front: Server, upstream: SlowUpstream) -> None:
    """One fetch for all of them, from the question to the last byte; and none for those who come when it is over."""
    name = wheel_name("wanted")
    wanted = {f"{name}.metadata": metadata_text("wanted", "1.0"), name: FILE}
    with ExitStack() as entered:
        crowd = Crowd(front, entered)
        for path, body in wanted.items():
            upstream.may_end.clear()
            crowd.ask(f"/simple/wanted/{path}")
            # Of the first the page is asked for before it.
            wait_until(lambda: upstream.waiting, "the upstream is asked")
            upstream.may_end.set()
            assert crowd.answers() == {(200, body): CLIENTS}
            crowd.ask(f"/simple/wanted/{path}")
            assert crowd.answers() == {(200, body): CLIENTS}
    assert upstream.asked == {"/simple/wanted/": 1, **{f"/files/{path}": 1 for path in wanted}}
