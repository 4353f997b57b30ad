"""Hooks of the installed server: a receiver over HTTP verifies the signature of what twine uploads; a program is run."""

from __future__ import annotations

import hashlib
import hmac
import json
import stat
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.publishing import command, make_dist, start_publishing, twine
from tests.end_to_end.running import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow

SECRET = b"a secret of receiver and index"


class Receiver(HTTPServer):
    """A server that refuses the first request, and keeps the others.

    Attributes:
        received: Headers and bodies.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiving)
        self.received: Queue[tuple[dict[str, str], bytes]] = Queue()
        self.refused: list[str] = []


class _Receiving(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.refused:
            self.server.refused.append(self.headers["X-Simpleindex-Delivery"])
            self.send_response(503)
        else:
            self.send_response(204)
            self.server.received.put((dict(self.headers.items()), body))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver in a thread."""
    with Receiver() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_an_upload_and_a_yank(new_server: Callable[..., Server], receiver: Receiver, tmp_path: Path) -> None:
    """The receiver gets both, signed, once each though it refused at first; so does the program; the log shows them."""
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ncat >> {tmp_path}/events; echo >> {tmp_path}/events\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(
        f'[[hook]]\nname = "receiver"\nurl = "http://127.0.0.1:{receiver.server_port}/hook"\n'
        f'secret = "file:secret"\nevents = ["upload", "yank"]\n[[hook]]\nname = "program"\nrun = "{program}"\nevents = ["yank"]\n'
    )
    publishing = start_publishing(new_server, "--hooks", str(hooks))
    server = publishing.server
    wheel, _ = make_dist(tmp_path, "hook-app")
    login = ("--repository-url", publishing.legacy, "-u", "alice", "-p", publishing.passwords["alice"])
    twine(tmp_path, server.ca)(*login, wheel)
    yank = ("yank", "hook-app", "1.0", "--path", str(server.root))
    done = command(server.home, *yank, state=server.home / "state")
    assert done.returncode == 0, done.stderr
    bodies = []
    for event in ("upload", "yank"):
        headers, body = receiver.received.get(timeout=PATIENCE)
        signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        assert headers["X-Hub-Signature-256"] == f"sha256={signature}"
        assert headers["X-Simpleindex-Event"] == event
        bodies.append(json.loads(body))
        assert headers["X-Simpleindex-Delivery"] == bodies[-1]["delivery"]
    assert receiver.refused == [bodies[0]["delivery"]]
    assert (bodies[0]["who"], bodies[0]["filename"]) == ("alice", wheel.name)
    assert bodies[0]["digest"] == hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert bodies[1]["version"] == "1.0"
    events = tmp_path / "events"
    wait_until(lambda: events.exists() and events.read_text().endswith("\n"), "the program was run")
    assert json.loads(events.read_text()) == bodies[1]
    shown = command(server.home, "log", "hook-app", state=server.home / "state").stdout
    assert [line.split()[2] for line in shown.splitlines()[1:]] == ["upload", "yank"]
    publishing.assert_no_secret_was_told()
