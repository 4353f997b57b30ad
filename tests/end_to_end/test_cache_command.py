"""``simpleindex cache`` beside a running server: fetched ahead, listed, installed without anybody behind, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip, version_in
from tests.end_to_end.test_sources import asked_for, start_pair
from tests.fixtures.distributions import add_sdist, add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow


def run(front: Server, *words: str | Path) -> str:
    """Run the command from the installed wheel."""
    done = front.installed.run("-m", "simpleindex", "cache", *words, home=front.home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return done.stdout


def test_warm_then_alone(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """What a lock file needs is had from the cache once the upstream is gone, and nothing else is."""
    behind, front = start_pair(new_server, tmp_path / "own")
    add_wheel(behind.root, "so-app", "1.0", "Requires-Dist: so-lib")
    add_wheel(behind.root, "so-lib", "2.0")
    add_sdist(behind.root, "so-lib", "1.0")
    (tmp_path / "requirements.txt").write_text("so-app==1.0\nso-lib==2.0\n")
    places = ("--sources", front.home / "sources.toml", "--cache", front.cache)
    url = ("--index-url", front.simple, "--cert", front.ca)
    assert run(front, "warm", tmp_path / "requirements.txt", *url).startswith("2 files for 2 lines")
    assert asked_for(behind) == {"so-app", "so-lib"}
    behind.stop()
    arguments = (
        "--only-binary",
        ":all:",
        "--index-url",
        front.simple,
        "--target",
        tmp_path / "pip",
        "so-app",
    )
    pip(tmp_path, front.ca)("install", *arguments)
    assert version_in(tmp_path / "pip", "so_lib") == "2.0"
    listed = run(front, "ls", *places)
    assert "so_app-1.0-py3-none-any.whl" in listed
    assert "so_lib-1.0" not in listed
    assert "2 files" in run(front, "prune", "--older-than", "0d", *places)
    wheel = "/simple/so-app/so_app-1.0-py3-none-any.whl"
    assert front.get(wheel).status == 503
