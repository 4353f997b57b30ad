"""``simpleindex copy`` beside a running server: a release goes from staging to stable, and one from an upstream stays for good."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip, uv, version_in
from tests.end_to_end.running import STAGING_AND_UPSTREAM, wait_until
from tests.end_to_end.test_sources import asked_for
from tests.fixtures.distributions import add_sdist, add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow


def copy(front: Server, release: str, source: str, target: str) -> str:
    """Run the command from the installed wheel."""
    places = ("--path", front.root, "--state", front.home / "state", "--cache", front.cache)
    words = ("copy", release, "--from", source, "--to", target, *places)
    sources = ("--sources", front.home / "sources.toml")
    done = front.installed.run("-m", "simpleindex", *words, *sources, home=front.home)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_staging_to_stable_and_vendoring(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Each is there at once for pip and uv, and stays when staging, cache and upstream are gone."""
    behind = new_server(name="behind").start()
    add_wheel(behind.root, "copy-lib", "1.0")
    add_sdist(behind.root, "copy-lib", "1.0")
    add_wheel(behind.root, "copy-lib", "2.0")
    staging = tmp_path / "staging"
    wheel = add_wheel(staging, "copy-app", "1.0", "Requires-Dist: copy-lib")
    front = new_server(name="front")
    text = STAGING_AND_UPSTREAM.format(staging=staging, url=behind.simple, ca=behind.ca)
    (front.home / "sources.toml").write_text(text)
    front.options = ("--sources", str(front.home / "sources.toml"))
    front.start()
    assert front.get("/stable/copy-app/").status == 404
    assert "Copied copy_app-1.0-py3-none-any.whl into local" in copy(
        front, "copy-app==1.0", "staging", "local"
    )
    wait_until(lambda: front.get("/stable/copy-app/").status == 200, "the release is in stable")
    for file in front.project("copy-lib")["files"]:
        assert front.get(f"/simple/copy-lib/{file['filename']}").status == 200
    time = {file["filename"]: file["upload-time"] for file in front.project("copy-lib")["files"]}
    said = copy(front, "copy-lib==1.0", "behind", "local")
    assert "copy-lib is a local project from now on" in said
    wait_until(lambda: front.project("copy-lib")["versions"] == ["1.0"], "it is local")
    files = front.project("copy-lib")["files"]
    assert {file["filename"]: file["upload-time"] for file in files}.items() <= time.items()
    assert asked_for(behind) == {"copy-lib"}
    front.stop()
    behind.stop()
    shutil.rmtree(front.cache)
    shutil.rmtree(staging / "copy-app")
    front.start()
    arguments = ("--only-binary", ":all:", "--index-url", f"{front.url}/stable/simple/", "copy-app")
    pip(tmp_path, front.ca)("install", "--target", tmp_path / "pip", *arguments)
    uv(tmp_path, front.ca)("pip", "install", "--target", tmp_path / "uv", *arguments)
    for target in (tmp_path / "pip", tmp_path / "uv"):
        assert (version_in(target, "copy_app"), version_in(target, "copy_lib")) == ("1.0", "1.0")
    assert wheel.name in (front.root / "copy-app" / ".simpleindex-copied").read_text()
