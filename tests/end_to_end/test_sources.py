"""An upstream behind the local directory: requested, cached, and done without while it is away; never requested for private names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip, uv, version_in
from tests.end_to_end.running import wait_until
from tests.fixtures.distributions import add_sdist, add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow

SOURCES = """\
own = ["secret-*"]

[[upstream]]
name = "behind"
url = "{url}"
ca-file = "{ca}"
ttl = "1s"
"""


def start_pair(new_server: Callable[..., Server], root: Path) -> tuple[Server, Server]:
    """An upstream, and an index in front of it."""
    behind = new_server(name="behind").start()
    front = new_server(name="front", root=root)
    (front.home / "sources.toml").write_text(SOURCES.format(url=behind.simple, ca=behind.ca))
    front.options = ("--sources", str(front.home / "sources.toml"))
    return behind, front.start()


def asked_for(behind: Server) -> set[str]:
    """The projects that the upstream was asked for."""
    return {found[1] for seen in behind.requests() if (found := re.match(r"/simple/([^/]+)/", seen.path))}


def test_pip_and_uv_through_it(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """What is here is from here, the rest from behind; both also when nobody is behind any more."""
    own = tmp_path / "own"
    add_wheel(own, "so-own", "1.0", "Requires-Dist: so-lib")
    behind, front = start_pair(new_server, own)
    add_wheel(behind.root, "so-lib", "2.0")
    add_sdist(behind.root, "so-lib", "3.0")
    # A stranger's package with our name, in a version that every installer would prefer.
    add_wheel(behind.root, "so-own", "9.0")
    add_wheel(behind.root, "secret-tool", "9.0")
    files = {each["filename"]: each for each in front.project("so-lib")["files"]}
    theirs = {each["filename"]: each for each in behind.project("so-lib")["files"]}
    assert files.keys() == theirs.keys()
    for name, each in files.items():
        assert each["hashes"] == theirs[name]["hashes"]
        assert each["url"] == name
    arguments = (
        "--only-binary",
        ":all:",
        "--index-url",
        front.simple,
        "--target",
        tmp_path / "pip",
        "so-own",
    )
    pip(tmp_path, front.ca)("install", *arguments)
    assert (version_in(tmp_path / "pip", "so_own"), version_in(tmp_path / "pip", "so_lib")) == ("1.0", "2.0")
    assert front.get("/simple/secret-tool/").status == 404
    assert front.get("/simple/so-nothing/").status == 404
    asked = asked_for(behind)
    assert "so-lib" in asked
    assert not asked & {"so-own", "secret-tool"}
    behind.stop()
    client = uv(tmp_path, front.ca)
    client(
        "pip",
        "install",
        "--only-binary",
        ":all:",
        "--index-url",
        front.simple,
        "--target",
        tmp_path / "uv",
        "so-own",
    )
    assert version_in(tmp_path / "uv", "so_lib") == "2.0"
    unseen = front.get("/simple/never-asked/")
    assert unseen.status == 503
    assert b"The upstream index behind cannot answer" in unseen.body


def test_a_restart_without_the_upstream(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """What was kept is there after a restart, and says that it may be out of date."""
    behind, front = start_pair(new_server, tmp_path / "own")
    path = add_wheel(behind.root, "so-kept", "1.0")
    fetched = front.get(f"/simple/so-kept/{path.name}")
    assert fetched.body == path.read_bytes()
    # A server that ends waits a second at most for it to be examined before.
    wait_until(lambda: [*front.cache.rglob(path.name)], "it is kept")
    behind.stop()
    front.stop()
    front.start()
    assert front.get("/simple/so-kept/").status == 200
    # Once it is no longer fresh.
    wait_until(
        lambda: front.get("/simple/so-kept/").headers["Cache-Control"] == "no-store",
        "it says that it is stale",
    )
    assert front.get(f"/simple/so-kept/{path.name}").body == fetched.body
