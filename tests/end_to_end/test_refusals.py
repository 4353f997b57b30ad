"""Real clients that are refused: each prints the reason, and none tries again what somebody has to mend first."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip, poetry, uv
from tests.fixtures.distributions import wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow

WHEEL = wheel_name("re-file")

POETRY_PROJECT = """\
[project]
name = "refused"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["re-page"]
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "mine"
url = "{url}"
priority = "primary"
"""


class _Faulty(BaseHTTPRequestHandler):
    """An upstream that lists a wrong hash of re-file's wheel, and wants a login for re-page."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, body = 404, b""
        if self.path.endswith("/re-file/"):
            status, body = 200, f'<html><a href="{WHEEL}#sha256={"0" * 64}">{WHEEL}</a></html>'.encode()
        elif self.path.endswith(WHEEL):
            status, body = 200, wheel_bytes("re-file")
        elif self.path.endswith("/re-page/"):
            status = 401
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that leave, as an index does once it has seen that a file is wrong."""


@pytest.fixture
def front(new_server: Callable[..., Server]) -> Iterator[Server]:
    """An index in front of that upstream, with an access log."""
    faulty = _Server(("127.0.0.1", 0), _Faulty)
    Thread(target=faulty.serve_forever, daemon=True).start()
    front = new_server()
    sources = front.home / "sources.toml"
    sources.write_text(
        f'[[upstream]]\nname = "behind"\nurl = "http://127.0.0.1:{faulty.server_address[1]}/simple/"\n'
    )
    front.options = ("--sources", str(sources), "--access-log", str(front.home / "access.log"))
    yield front.start()
    faulty.shutdown()
    faulty.server_close()


def requests(front: Server, path: str) -> int:
    """How often a path was asked for by GET, all in all: the log is written in pieces, and whole when the server ends."""
    if not front.is_over:
        front.stop()
    return (front.home / "access.log").read_text().count(f'"GET {path} ')


def test_pip(front: Server, tmp_path: Path) -> None:
    """It prints the reason phrase for a file, and nothing for a page; both at once."""
    client = pip(tmp_path, front.ca)
    arguments = ("download", "--dest", tmp_path / "pip", "--no-deps", "--index-url", front.simple)
    done = client.try_to(*arguments, "re-file")
    assert done.returncode
    assert f"{WHEEL} is not the file that it lists" in done.stdout + done.stderr
    done = client.try_to(*arguments, "re-page")
    assert "No matching distribution" in done.stderr
    assert requests(front, f"/simple/re-file/{WHEEL}") == 1
    assert requests(front, "/simple/re-page/") == 1


def test_uv(front: Server, tmp_path: Path) -> None:
    """It prints the problem's title and detail for both, and stops."""
    client = uv(tmp_path, front.ca)
    arguments = ("pip", "install", "--target", tmp_path / "uv", "--index-url", front.simple)
    done = client.try_to(*arguments, "re-page")
    assert done.returncode
    assert "Failed Dependency, The upstream index behind cannot answer: it wants credentials" in done.stderr
    done = client.try_to(*arguments, "re-file")
    assert f"{WHEEL} is not the file that it lists" in done.stderr
    assert requests(front, "/simple/re-page/") == 1


def test_poetry(front: Server, tmp_path: Path) -> None:
    """It prints the reason phrase for a page, and stops."""
    (tmp_path / "pyproject.toml").write_text(POETRY_PROJECT.format(url=front.simple))
    client = poetry(tmp_path)
    client("config", "--local", "certificates.mine.cert", str(front.ca))
    done = client.try_to("lock")
    assert done.returncode
    assert "The upstream index behind cannot answer: it wants credentials" in done.stdout + done.stderr
    assert requests(front, "/simple/re-page/") == 1
