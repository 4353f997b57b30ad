"""Real clients against an installed server that speaks HTTP/2."""

from __future__ import annotations

import re
import secrets
import shutil
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.builders import add_wheel, wheel_bytes, wheel_name
from tests.end_to_end.clients import pip, uv, version_in
from tests.end_to_end.publishing import start_publishing
from tests.end_to_end.running import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def server(new_server: Callable[..., Server]) -> Server:
    """With two projects, one of which needs the other."""
    server = new_server("--http2")
    add_wheel(server.root, "h2-lib", "1.0")
    add_wheel(server.root, "h2-app", "1.0", "Requires-Dist: h2-lib")
    return server.start()


def versions(server: Server, agent: str) -> set[str]:
    """The versions of HTTP with which a client asked, by the access log."""
    server.requests()
    log = (server.home / "access.log").read_text()
    return set(re.findall(rf'"GET /simple/\S+ HTTP/(\S+)" 200 \S+ "-" "{agent}', log))


def test_uv(server: Server, tmp_path: Path) -> None:
    """It negotiates HTTP/2, and installs over it."""
    client = uv(tmp_path, server.ca)
    client("pip", "install", "--index-url", server.simple, "--target", tmp_path / "target", "h2-app")
    assert version_in(tmp_path / "target", "h2_lib") == "1.0"
    assert versions(server, "uv") == {"2.0"}


def test_pip(server: Server, tmp_path: Path) -> None:
    """It speaks HTTP/1.1 only, and installs over that."""
    client = pip(tmp_path, server.ca)
    client("install", "--index-url", server.simple, "--target", tmp_path / "target", "h2-app")
    assert version_in(tmp_path / "target", "h2_lib") == "1.0"
    assert versions(server, "pip") == {"1.1"}


def test_uploads(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """What uv publishes over HTTP/2 is what it installs over HTTP/2, also where it is larger than any window."""
    publishing = start_publishing(new_server, "--http2")
    server, client = publishing.server, uv(tmp_path, publishing.server.ca)
    wheel = tmp_path / wheel_name("h2-new", "1.0")
    wheel.write_bytes(wheel_bytes("h2-new", "1.0", files={"payload.bin": secrets.token_bytes(5_000_000)}))
    client("publish", "--publish-url", publishing.legacy, "--token", publishing.token(), wheel)
    client("pip", "install", "--index-url", server.simple, "--target", tmp_path / "target", "h2-new")
    assert version_in(tmp_path / "target", "h2_new") == "1.0"
    assert versions(server, "uv") == {"2.0"}
    assert '"POST /legacy/ HTTP/2.0" 200 ' in (server.home / "access.log").read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(server: Server, tmp_path: Path) -> None:
    """A client of another library: a page, a file, and many at once."""
    wheel = add_wheel(server.root, "h2-app", "2.0")
    urls = [f"{server.simple}h2-app/", f"{server.simple}h2-app/{wheel.name}"] * 10
    outputs = [word for number, url in enumerate(urls) for word in ("-o", str(tmp_path / str(number)), url)]
    options = ["--http2", "--parallel", "--fail", "--silent", "--show-error", "--cacert", str(server.ca)]
    subprocess.run(["curl", *options, *outputs], check=True, timeout=PATIENCE)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "19").read_bytes() == wheel.read_bytes()
    assert versions(server, "curl") == {"2.0"}


def test_agreed_on(server: Server) -> None:
    """ALPN: the best that both know."""
    for offered, agreed in ((["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(server.ca)
        context.set_alpn_protocols(offered)
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        with context.wrap_socket(plain, server_hostname="localhost") as channel:
            assert channel.selected_alpn_protocol() == agreed
