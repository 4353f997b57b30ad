"""The upstream client against our own server from its wheel; those of others are in ``test_peers``."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.asking import __file__ as script
from tests.end_to_end.running import PATIENCE, bare_environment
from tests.fixtures.distributions import add_sdist, add_wheel

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


def test_our_own_server(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Over TLS with its private CA: every file is listed with its hash and fetched whole, and asked again for nothing."""
    server = new_server()
    files = [add_wheel(server.root, "acme", "1.0"), add_sdist(server.root, "acme", "2.0+local.1")]
    server.start()
    answer = ask(server.simple, "acme", server.ca, tmp_path)
    assert answer["projects"] == ["acme"]
    assert answer["files"] == {path.name: [digest(path)] * 2 for path in files}
    assert answer["unchanged"]
