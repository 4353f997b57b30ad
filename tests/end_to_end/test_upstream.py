"""The upstream client against real servers: our own from its wheel, and pypiserver."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import add_sdist, add_wheel
from tests.end_to_end.asking import __file__ as script
from tests.end_to_end.running import PATIENCE, bare_environment, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow


def ask(url: str, name: str, ca: Path | str, home: Path) -> dict[str, Any]:
    """Ask in a process of its own, since a reactor runs only once in one."""
    done = subprocess.run(
        [sys.executable, script, url, name, str(ca)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=bare_environment(home),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def digest(path: Path) -> str:
    """Of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_listening(port: int) -> bool:
    """Whether something does."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_our_own_server(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Over TLS with its private CA: every file is listed with its hash and fetched whole, and asked again for nothing."""
    server = new_server()
    files = [add_wheel(server.root, "acme", "1.0"), add_sdist(server.root, "acme", "2.0+local.1")]
    server.start()
    answer = ask(server.simple, "acme", server.ca, tmp_path)
    assert answer["projects"] == ["acme"]
    assert answer["files"] == {path.name: [digest(path)] * 2 for path in files}
    assert answer["unchanged"]


def test_pypiserver(tmp_path: Path) -> None:
    """Its HTML is understood."""
    pytest.importorskip("pypiserver", reason="pypiserver is not installed")
    packages = tmp_path / "packages"
    files = [add_wheel(packages, "acme", "1.0"), add_sdist(packages, "acme", "2.0")]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pypiserver", "run", "-i", "127.0.0.1", "-p", str(port), str(packages)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=bare_environment(tmp_path)
    )
    try:
        wait_until(lambda: is_listening(port), "pypiserver listens")
        answer = ask(f"http://127.0.0.1:{port}/simple/", "acme", "", tmp_path)
    finally:
        process.terminate()
        process.wait(PATIENCE)
    assert answer["projects"] == ["acme"]
    assert {name: fetched for name, (_, fetched) in answer["files"].items()} == {
        each.name: digest(each) for each in files
    }
