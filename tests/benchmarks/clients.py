"""What a real client takes: ``uv`` resolving and installing real packages with a cold cache, near and far away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.bench import Part
from tests.benchmarks.load import LoadFailedError
from tests.benchmarks.processes import LOAD_PROCESSOR, on_processor
from tests.benchmarks.relay import distant
from tests.benchmarks.repository import Repository
from tests.benchmarks.servers import NginxStatic, Simpleindex
from tests.benchmarks.setup import REAL_PROJECTS, find

if TYPE_CHECKING:
    from tests.benchmarks.bench import Bench, Values
    from tests.benchmarks.servers import Server

_SECONDS = 300

_AWAY = (0, 0.05)
"""Seconds of a round trip."""


def uv(bench: Bench) -> None:
    """``uv pip compile`` and ``uv pip install`` of forty projects, against simpleindex and nginx over the same files."""
    if find("uv") is None or not bench.workplace.real.is_dir():
        bench.note("uv is left out: it, or the real packages, are not set up.")
        return
    real = Repository(bench.workplace.real, len(os.listdir(bench.workplace.real)), 1)
    with bench.started(bench.among(Simpleindex, NginxStatic), real) as servers:
        bench.rounds(
            Part("uv pip compile", servers, lambda server: _compiled(server, tls=False)),
            Part("uv pip install", servers, lambda server: _installed(server, tls=False)),
            Part("uv pip compile TLS", servers, lambda server: _compiled(server, tls=True)),
            Part("uv pip install TLS", servers, lambda server: _installed(server, tls=True)),
        )


def _compiled(server: Server, *, tls: bool, away: float = 0) -> Values:
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory)
        return _uv(server, target, "compile", "--quiet", "--output-file", f"{target}/out", tls=tls, away=away)


def _installed(server: Server, *, tls: bool, away: float = 0) -> Values:
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory)
        return _uv(server, target, "install", "--quiet", "--target", f"{target}/to", tls=tls, away=away)


def _uv(server: Server, directory: Path, command: str, *options: str, tls: bool, away: float = 0) -> Values:
    with distant(server.tls_port if tls else server.port, away) as port:
        url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{port}{server.prefix}/"
        return asked(server, url, directory, command, *options)


def asked(server: Server, url: str, directory: Path, command: str, *options: str) -> Values:
    """Let uv resolve or install the real packages from an index, and weigh the server meanwhile."""
    wanted = directory / "requirements.in"
    wanted.write_text("\n".join(REAL_PROJECTS))
    source = [str(wanted)] if command == "compile" else ["--requirement", str(wanted)]
    index = ["--index-url", url, "--only-binary", ":all:", "--no-config"]
    python = ["--python", sys.executable, "--cache-dir", str(directory / "cache")]
    before = server.running.weigh()
    begin = time.monotonic()
    with on_processor(LOAD_PROCESSOR):
        result = subprocess.run(
            [find("uv") or "uv", "pip", command, *source, *index, *python, *options],
            check=False,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env={**os.environ, "SSL_CERT_FILE": str(server.workplace.certs / "fullchain.pem")},
        )
    seconds = time.monotonic() - begin
    if result.returncode:
        raise LoadFailedError(f"uv pip {command}: {result.stderr[-400:]}")
    shutil.rmtree(directory / "cache", ignore_errors=True)
    return {"seconds": seconds, "server_cpu_ms": (server.running.weigh().cpu - before.cpu) * 1e3}
