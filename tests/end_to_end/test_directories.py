"""Several local directories in one index, before an upstream that has packages with their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip, uv, version_in
from tests.end_to_end.running import STAGING_AND_UPSTREAM, wait_until
from tests.end_to_end.test_sources import asked_for
from tests.fixtures.distributions import add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow


def test_two_directories(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Installers find what is in either; in a view that hides one, nobody else's package of its name is to be had."""
    behind = new_server(name="behind").start()
    for name in ("dir-first", "dir-staged"):
        add_wheel(behind.root, name, "9.0")
    add_wheel(behind.root, "dir-lib", "3.0")
    staging = tmp_path / "staging"
    add_wheel(staging, "dir-staged", "2.0", "Requires-Dist: dir-first", "Requires-Dist: dir-lib")
    add_wheel(tmp_path / "own", "dir-first", "1.0")
    front = new_server(name="front", root=tmp_path / "own")
    text = STAGING_AND_UPSTREAM.format(staging=staging, url=behind.simple, ca=behind.ca)
    (front.home / "sources.toml").write_text(text)
    front.options = ("--sources", str(front.home / "sources.toml"))
    front.start()
    arguments = ("--only-binary", ":all:", "dir-staged", "--index-url")
    pip(tmp_path, front.ca)("install", "--target", tmp_path / "pip", *arguments, front.simple)
    uv(tmp_path, front.ca)("pip", "install", "--target", tmp_path / "uv", *arguments, front.simple)
    for target in ("pip", "uv"):
        versions = [version_in(tmp_path / target, name) for name in ("dir_staged", "dir_first", "dir_lib")]
        assert versions == ["2.0", "1.0", "3.0"]
    assert front.get("/stable/dir-staged/").status == 404
    assert front.get("/stable/dir-first/").status == 200
    # One that comes while it runs is there with the next request.
    add_wheel(staging, "dir-new", "1.0")
    wait_until(lambda: front.get("/simple/dir-new/").status == 200, "the new project is found")
    # A disk that is unmounted: what was only there is unknown now, for this index and for everybody behind it.
    staging.rename(tmp_path / "away")
    wait_until(lambda: front.get("/simple/dir-staged/").status == 503, "it is noticed")
    for path in ("/simple/dir-unknown/", "/stable/dir-unknown/", "/stable/dir-staged/"):
        assert front.get(path).status == 503
    assert front.get("/simple/dir-first/").status == 200
    (tmp_path / "away").rename(staging)
    wait_until(lambda: front.get("/simple/dir-staged/").status == 200, "it is back")
    assert asked_for(behind) == {"dir-lib"}
