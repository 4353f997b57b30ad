"""A tree of real packages, and an upstream on loopback that has them.

Only uv and pip ask the registry of this machine, each by its own settings and for nothing but the packages of the tree: uv locks
it, pip downloads what was locked. What an index says of the files is in the lock: names, sizes, hashes and upload times. From
that the upstream's pages are made, which therefore are what the registry says, of one version each.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import tomllib
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote, urlsplit

from tests.end_to_end.peers import kept, metadata_of, requires_python_of
from tests.end_to_end.running import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WANTED: Final = ("httpx[http2,cli]", "fastapi", "twine")
"""What is asked for; together with what that needs some fifty packages, most of them small and of Python alone."""

_PROJECT: Final = """\
[project]
name = "customer"
version = "1.0"
requires-python = "=={python}.*"
dependencies = {dependencies}

[tool.uv]
package = false
environments = ["{environment}"]
"""

_ENVIRONMENT: Final = f"sys_platform == '{sys.platform}' and platform_machine == '{platform.machine()}' and implementation_name == 'cpython'"
"""This machine's, in which uv and poetry stay that way: what only others need is not fetched."""

_SECONDS: Final = 300

_INDEX_URLS: Final = ("global.index-url", "install.index-url", "download.index-url", ":env:.index-url")


@dataclass(frozen=True)
class Tree:
    """The packages.

    Attributes:
        lock: What ``uv lock`` wrote when it asked the registry itself.
        files: The wheels for this machine.
    """

    lock: Mapping[str, Any]
    files: tuple[Path, ...]

    @property
    def packages(self) -> list[dict[str, Any]]:
        """Every package in the lock but the project itself."""
        return [each for each in self.lock["package"] if "registry" in each["source"]]


def write_project(directory: Path) -> None:
    """A project that needs the tree."""
    directory.mkdir(parents=True, exist_ok=True)
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    dependencies = json.dumps([f"{each} ; {_ENVIRONMENT}" for each in WANTED])
    text = _PROJECT.format(python=python, dependencies=dependencies, environment=_ENVIRONMENT)
    (directory / "pyproject.toml").write_text(text)


def normalised(lock: Mapping[str, Any]) -> Any:
    """A lock without where it was made: the registry's URL is left out, a file's is its name."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, list):
            return [cleaned(each) for each in value]
        if isinstance(value, dict):
            return {key: cleaned(each) for key, each in value.items() if key != "registry"} | (
                {"url": filename(value["url"])} if "url" in value else {}
            )
        return value

    return cleaned(dict(lock))


def filename(url: str) -> str:
    """The name of the file at a URL."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


@cache
def tree() -> Tree | str:
    """The tree, from the registry if need be; or the reason why there is none.

    It is kept in the user's cache, so that this takes its time only once; there it may be deleted to have newer versions.
    """
    what = hashlib.sha256(repr((WANTED, _PROJECT, _ENVIRONMENT, sys.version)).encode()).hexdigest()[:16]
    place = kept(f"tree-{what}")
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            if reason := _fetch(place):
                return reason
            (place / "complete").touch()
    return Tree(tomllib.loads((place / "uv.lock").read_text()), tuple(sorted((place / "files").iterdir())))


def _fetch(place: Path) -> str | None:
    index = _index_url()
    if index is not None and "@" in index:
        return "the package registry of this machine wants a login, which no test takes from anybody"
    write_project(place)
    environment = {**os.environ, **({} if index is None else {"UV_DEFAULT_INDEX": index})}
    uv = [sys.executable, "-m", "uv"]
    requirements = str(place / "requirements.txt")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    for command in (
        [*uv, "lock", "--python", sys.executable],
        [*uv, "export", "--frozen", "--no-emit-project", "--output-file", requirements],
        [*pip, "--dest", str(place / "files"), "--requirement", requirements],
    ):
        try:
            done = subprocess.run(
                command, capture_output=True, check=False, timeout=_SECONDS, cwd=place, env=environment
            )
        except subprocess.TimeoutExpired:
            return "the package registry of this machine does not answer"
        if done.returncode:
            return "this machine has no package registry from which uv and pip get all of it"
    return None


def _index_url() -> str | None:
    """The index that pip is configured with; None if it is pip's own default, which is uv's too."""
    pip = [sys.executable, "-m", "pip", "config", "get"]
    for name in _INDEX_URLS:
        done = subprocess.run([*pip, name], capture_output=True, text=True, check=False, timeout=_SECONDS)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that ends is no error."""


class Upstream:
    """An index with the tree, on a port of loopback, until it is closed.

    Attributes:
        asked: The path of every request, in its order.
        port: Where it is.
    """

    def __init__(self, packages: Tree) -> None:
        self.asked: list[str] = []
        self._pages: dict[str, bytes] = {}
        self._held = packages.files
        self._files: dict[str, bytes] = {path.name: path.read_bytes() for path in packages.files}
        for package in packages.packages:
            self._pages[f"/simple/{package['name']}/"] = json.dumps(self._page(package)).encode()
        upstream = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                upstream.asked.append(self.path)
                upstream._answer(self)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = _Server(("127.0.0.1", 0), Answering)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no further connections."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _page(self, package: Mapping[str, Any]) -> dict[str, Any]:
        held = next((path for path in self._wheels(package)), None)
        sidecar = None if held is None else metadata_of(held)
        files = []
        for each in [*([package["sdist"]] if "sdist" in package else []), *package.get("wheels", [])]:
            name = filename(each["url"])
            file = {
                "filename": name,
                "url": f"../../files/{name}",
                "hashes": dict([each["hash"].split(":")]),
                "size": each["size"],
                "upload-time": each["upload-time"],
            }
            if held is not None and requires_python_of(held):
                file["requires-python"] = requires_python_of(held)
            if sidecar is not None and name.endswith(".whl"):
                # All wheels of a version have the same.
                self._files[f"{name}.metadata"] = sidecar
                file["core-metadata"] = {"sha256": hashlib.sha256(sidecar).hexdigest()}
            files.append(file)
        return {
            "meta": {"api-version": "1.1"},
            "name": package["name"],
            "versions": [package["version"]],
            "files": files,
        }

    def _wheels(self, package: Mapping[str, Any]) -> list[Path]:
        names = {filename(each["url"]) for each in package.get("wheels", [])}
        return [path for path in self._held if path.name in names]

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = self._pages.get(request.path) or self._files.get(filename(request.path))
        tag = f'"{hashlib.sha256(body or b"").hexdigest()}"'
        status = 404 if body is None else 304 if request.headers["If-None-Match"] == tag else 200
        request.send_response(status)
        request.send_header("ETag", tag)
        if request.path in self._pages:
            request.send_header("Content-Type", JSON)
        sent = body if body is not None and status == 200 else b""
        request.send_header("Content-Length", str(len(sent)))
        request.end_headers()
        request.wfile.write(sent)
