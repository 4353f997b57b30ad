"""A server that is started for a trial: a small program stands for it here."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from simpleindex.backup import trial_server
from simpleindex.backup.trial_server import _ENDS_WITH_PARENT, _TWISTD, NoAnswer, TrialServer

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import http.server, json, sys
port = int(sys.argv[-1].split(":")[1])
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = {"/-/ready": "yes", "/json": json.dumps(self.headers["Authorization"]), "/text": "no JSON"}.get(self.path)
        self.send_response(404 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", port), Answers).serve_forever()
"""


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What is run in place of twistd."""
    monkeypatch.setattr(trial_server, "_TWISTD", PROGRAM)
    monkeypatch.setattr(trial_server, "_BETWEEN_LOOKS", 0.01)
    return monkeypatch


def trial(place: Path, *, is_tls: bool = False) -> TrialServer:
    return TrialServer("options.toml", str(place), os.environ, is_tls=is_tls)


@pytest.mark.usefixtures("program")
def test_requests(tmp_path: Path) -> None:
    with trial(tmp_path) as server:
        server.wait_until_ready(120)
        assert server.get("text") == b"no JSON"
        assert server.get_json("json?x=1") is None
        assert server.get_json("text") is None
        assert server.get_json("json") is None
        server.token = "secret"
        assert server.get_json("json") == "Basic X190b2tlbl9fOnNlY3JldA=="
        with pytest.raises(NoAnswer, match="answers nothing with status 404"):
            server.get("nothing")
    for request in (server.get, server.get_json):
        with pytest.raises(NoAnswer, match="does not send text: ConnectionRefusedError"):
            request("text")


def test_it_ends_at_once(tmp_path: Path, program: pytest.MonkeyPatch) -> None:
    """The last line of its log says why."""
    program.setattr(trial_server, "_TWISTD", "print('The reason.\\n'); raise SystemExit(1)")
    with trial(tmp_path) as server, pytest.raises(NoAnswer, match=r"does not start: The reason\.$"):
        server.wait_until_ready(120)
    program.setattr(trial_server, "_TWISTD", "")
    with trial(tmp_path) as server, pytest.raises(NoAnswer, match="it wrote no log"):
        server.wait_until_ready(120)


def test_it_is_never_ready_nor_ends(tmp_path: Path, program: pytest.MonkeyPatch) -> None:
    """It is killed then."""
    program.setattr(trial_server, "_END_SECONDS", 0.01)
    waiting = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    program.setattr(trial_server, "_TWISTD", waiting)
    with trial(tmp_path, is_tls=True) as server:
        while not (tmp_path / "trial.log").read_text():
            pass
        with pytest.raises(NoAnswer, match="was not ready after 0 seconds: up"):
            server.wait_until_ready(0)


PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such call")
def test_it_ends_with_a_command_that_is_killed() -> None:
    """Nobody else would end it: it has a session of its own, and serves what is in the backup."""
    server = f"{_ENDS_WITH_PARENT}import signal, sys; print('up', flush=True); signal.pause()"
    # Both ends of the standard error are closed when both processes have ended.
    done = subprocess.run(
        [sys.executable, "-c", PARENT, server], stderr=subprocess.PIPE, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (-9, b"")
    assert _TWISTD.startswith(_ENDS_WITH_PARENT)
