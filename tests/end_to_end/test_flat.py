"""Directories of files as static web servers list them, for pip's ``--find-links``, as upstreams."""

from __future__ import annotations

import hashlib
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip, sha256, uv, version_in
from tests.end_to_end.peers import Nginx, Peer
from tests.end_to_end.running import wait_until
from tests.fixtures.distributions import put, sdist_bytes, sdist_name, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.end_to_end.clients import Client
    from tests.end_to_end.running import Installed, Server

pytestmark = pytest.mark.slow

SOURCES = """
[[upstream]]
name = "wheels"
url = "http://127.0.0.1:{port}/{page}"
flat = true
mode = "{mode}"
ttl = "1s"
"""


class PythonServer(Peer):
    """Python's own, over the directory as it is."""

    name = "http.server"

    def command(self) -> Sequence[str | Path]:
        where = (str(self.port), "--bind", "127.0.0.1", "--directory", self.packages)
        return [sys.executable, "-m", "http.server", *where]


both_servers = pytest.mark.parametrize("server", [PythonServer, Nginx], indirect=True)


@pytest.fixture
def server(request: pytest.FixtureRequest, installed: Installed, tmp_path: Path) -> Iterator[Peer]:
    """A static server over a directory of wheels and an sdist of two projects."""
    packages = tmp_path / "dist"
    put(packages / wheel_name("flat-app"), wheel_bytes("flat-app", "1.0", "Requires-Dist: flat-lib"))
    put(packages / wheel_name("flat-lib", "2.0"), wheel_bytes("flat-lib", "2.0"))
    put(packages / sdist_name("flat-lib", "3.0"), sdist_bytes("flat-lib", "3.0"))
    kind: type[Peer] = getattr(request, "param", PythonServer)
    server = kind(installed, tmp_path / "static", packages)
    server.start()
    yield server
    server.stop()


def start(new_server: Callable[..., Server], server: Peer, mode: str = "cache", page: str = "") -> Server:
    """An index in front of it."""
    front = new_server()
    sources = front.home / "sources.toml"
    sources.write_text(SOURCES.format(port=server.port, page=page, mode=mode))
    front.options = ("--sources", str(sources))
    return front.start()


def install(front: Server, home: Path, *clients: Callable[..., Client]) -> None:
    """By each of these clients."""
    arguments = ("--only-binary", ":all:", "--index-url", front.simple, "flat-app")
    target = home / "target"
    for client in clients:
        words = ("install",) if client is pip else ("pip", "install", "--no-cache")
        client(home, front.ca)(*words, "--target", target, *arguments)
        assert (version_in(target, "flat_app"), version_in(target, "flat_lib")) == ("1.0", "2.0")
        shutil.rmtree(target)


@both_servers
def test_a_directory_of_wheels(new_server: Callable[..., Server], server: Peer, tmp_path: Path) -> None:
    """Pip and uv install from it; what comes is found, also which projects there are; once it is gone, from the cache."""
    front = start(new_server, server)
    install(front, tmp_path, pip, uv)
    assert list(front.catalogue()) == ["flat-app", "flat-lib"]
    wheel = server.packages / wheel_name("flat-app")
    # What the page does not say is known a moment after the file was here.
    wait_until(lambda: "size" in front.project("flat-app")["files"][0], "what it is is known")
    (file,) = front.project("flat-app")["files"]
    assert file["hashes"] == {"sha256": sha256(wheel)}
    assert file["size"] == wheel.stat().st_size
    assert file["_upload-time-by"] == "last-modified"
    assert front.get("/simple/flat-none/").status == 404
    put(server.packages / wheel_name("flat-new"), wheel_bytes("flat-new"))
    wait_until(lambda: front.get("/simple/flat-new/").status == 200, "the new one is found")
    server.stop()
    install(front, tmp_path, uv)
    wait_until(lambda: front.get("/simple/flat-lib/").headers["Cache-Control"] == "no-store", "it is away")
    assert front.get("/simple/flat-none/").status == 404


def test_redirected(new_server: Callable[..., Server], server: Peer, tmp_path: Path) -> None:
    """To the directory itself."""
    front = start(new_server, server, "redirect")
    install(front, tmp_path, pip, uv)
    answer = front.get(f"/simple/flat-app/{wheel_name('flat-app')}")
    assert answer.status == 302
    assert answer.headers["Location"] == f"http://127.0.0.1:{server.port}/{wheel_name('flat-app')}"


def test_a_page_with_hashes(new_server: Callable[..., Server], server: Peer, tmp_path: Path) -> None:
    """A page that somebody wrote, with the digests in its fragments, which are checked."""
    files = sorted(server.packages.iterdir())
    links = [f'<a href="{file.name}#sha256={sha256(file)}">{file.name}</a>' for file in files[:-1]]
    links.append(f'<a href="{files[-1].name}#sha256={hashlib.sha256().hexdigest()}">{files[-1].name}</a>')
    (server.packages / "links.html").write_text("\n".join(links))
    front = start(new_server, server, page="links.html")
    for project in ("flat-app", "flat-lib"):
        for file in front.project(project)["files"]:
            answer = front.get(f"/simple/{project}/{file['filename']}")
            assert answer.status == (424 if file["filename"] == files[-1].name else 200)
