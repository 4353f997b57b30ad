"""What the real pip and uv make of many files, quickly: one pip process for all of them, and indexes that hold one file each."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.end_to_end.clients import found
from tests.end_to_end.running import bare_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_SECONDS = 900

# pip takes a second to start, and a tenth to install a wheel.
_PIP = """
import json, os, sys
from pip._internal.cli.main import main

results = []
log = os.open(os.devnull, os.O_WRONLY)
kept = os.dup(1)
os.dup2(log, 1), os.dup2(log, 2)
for number, url in enumerate(json.load(sys.stdin)):
    words = "install -q --no-cache-dir --no-deps --no-compile --no-build-isolation --disable-pip-version-check --retries 0".split()
    try:
        results.append(main([*words, "-t", f"pip-{number}", "--index-url", url, "acme==1.0"]) == 0)
    except BaseException:
        results.append(False)
sys.stdout.flush()
os.write(kept, json.dumps(results).encode())
"""


@contextmanager
def indexes(archives: Sequence[tuple[str, bytes]]) -> Iterator[list[str]]:
    """Serve each file (name and content) as the only one of acme in an index of its own; gives the indexes' URLs."""
    answers: dict[str, tuple[bytes, str]] = {}
    for number, (filename, data) in enumerate(archives):
        link = f'<!DOCTYPE html><a href="{quote(filename)}">{filename}</a>'
        answers[f"/{number}/acme/"] = link.encode(), "text/html"
        answers[f"/{number}/acme/{quote(filename)}"] = data, "application/octet-stream"

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body, kind = answers.get(self.path, (b"", "text/plain"))
            self.send_response(200 if self.path in answers else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield [f"http://127.0.0.1:{server.server_address[1]}/{number}/" for number in range(len(archives))]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def verdicts(archives: Mapping[str, tuple[str, bytes]], directory: Path) -> dict[str, tuple[bool, bool]]:
    """Install files of acme 1.0 with pip and with uv.

    Args:
        archives: File names and contents, by what they are called here.
        directory: Where they are installed.

    Returns:
        Whether pip did, and whether uv did and could read the metadata.
    """
    with indexes([*archives.values()]) as urls, ThreadPoolExecutor(2) as threads:
        by_pip = threads.submit(_by_pip, urls, directory)
        by_uv = [_by_uv(number, url, directory) for number, url in enumerate(urls)]
        return dict(zip(archives, zip(by_pip.result(), by_uv, strict=True), strict=True))


def _by_pip(urls: list[str], directory: Path) -> list[bool]:
    ended = subprocess.run(
        [sys.executable, "-c", _PIP],
        input=json.dumps(urls),
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
        cwd=directory,
        env=bare_environment(directory, PIP_CONFIG_FILE="/dev/null"),
    )
    results: list[bool] = json.loads(ended.stdout)
    return results


def _by_uv(number: int, url: str, directory: Path) -> bool:
    environment = bare_environment(
        directory,
        UV_NO_CONFIG="1",
        UV_NO_CACHE="1",
        UV_PYTHON=sys.executable,
        UV_PYTHON_DOWNLOADS="never",
        UV_HTTP_RETRIES="0",
    )

    def run(target: str, *words: str) -> subprocess.CompletedProcess[str]:
        where = ("--target", target, "--default-index", url)
        return subprocess.run(
            [found("uv"), "pip", "install", "-q", "--no-build-isolation", *where, *words, "acme==1.0"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            cwd=directory,
            env=environment,
        )

    if run(f"uv-{number}", "--no-deps").returncode != 0:
        return False
    # Without its dependencies uv does not look at them; that there is nothing of them to install is another matter.
    return "could not be parsed" not in run("uv-nothing", "--dry-run").stderr
