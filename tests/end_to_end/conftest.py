"""The wheel, built and installed once; servers that run from it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conftest import SHARED_DIRECTORY
from tests.end_to_end.acme_servers import Pebble
from tests.end_to_end.object_stores import MISSING_SEAWEEDFS, SeaweedFS
from tests.end_to_end.running import Installed, Server
from tests.end_to_end.storages import make_storage
from tests.fixtures.postgresql import running_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.end_to_end.storages import Storage
    from tests.fixtures.postgresql import PostgreSQL

PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def open_directory() -> Iterator[Path]:
    """A directory that other users can enter, as pytest's own cannot: twistd can become another user."""
    path = Path(tempfile.mkdtemp(prefix="simpleindex-tests-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def installed() -> Installed:
    """The wheel in a virtual environment that has everything else from this one, but not the checkout; one for all processes."""
    shared = Path(os.environ[SHARED_DIRECTORY])
    home, done = shared / "venv", shared / "installed"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _install(shared / "dist", home)
            done.touch()
    return Installed(home / "bin" / "python", Path(sysconfig.get_path("scripts")) / "twistd")


def _install(dist: Path, home: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), str(PROJECT)]
    subprocess.run(build, check=True, capture_output=True)
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    (wheel,) = dist.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--isolated", "--python", str(python), "install", "--no-index"]
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, capture_output=True)
    # As a line of text it lends its packages, while its own .pth files, which lead to the checkout, are not read.
    (packages,) = (home / "lib").glob("*/site-packages")
    lent = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (packages / "lent.pth").write_text("\n".join(lent))
    where = [str(python), "-c", "import simpleindex; print(simpleindex.__file__)"]
    used = subprocess.run(where, check=True, capture_output=True, text=True, cwd=home).stdout
    assert used.startswith(str(packages)), used


@pytest.fixture
def new_server(installed: Installed, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Make servers, each with a root of its own unless told otherwise; they must end well."""
    made: list[Server] = []

    def make(*options: str, name: str = "server", root: Path | None = None) -> Server:
        server = Server(installed, tmp_path / name, root or tmp_path / f"{name}-packages", options)
        made.append(server)
        return server

    yield make
    for server in made:
        if not server.is_over:
            server.stop()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A store with a bucket, for all tests that keep to prefixes of their own."""
    if MISSING_SEAWEEDFS:
        pytest.skip(MISSING_SEAWEEDFS)
    store = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"))
    try:
        yield store.start()
    finally:
        store.stop()


@pytest.fixture(scope="session")
def postgresql(open_directory: Path) -> Iterator[PostgreSQL]:
    """A database server, for all tests that make databases of their own."""
    place = open_directory / "postgresql"
    place.mkdir()
    with running_postgresql(place) as server:
        yield server


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> Storage:
    """Where packages and records are: an empty directory, or with :data:`ON_BOTH_STORAGES` a prefix and a database too."""
    return make_storage(request)


@pytest.fixture(scope="session")
def shared_server(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests that only put projects of their own there."""
    home = tmp_path_factory.mktemp("shared")
    server = Server(installed, home / "server", home / "packages").start()
    yield server
    server.stop()


@pytest.fixture
def index(shared_server: Server) -> Iterator[Server]:
    """The shared server, which must have nothing to complain of after each test."""
    yield shared_server
    shared_server.assert_clean()


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make requests to an ACME authority quick.

    The library waits a second between two looks at an order, and an RSA key takes half a second to make.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    monkeypatch.setattr("acme.client.time", SimpleNamespace(sleep=lambda _: time.sleep(0.02)))
    monkeypatch.setattr(rsa, "generate_private_key", lambda **_: key)


@pytest.fixture(scope="session")
def trusting_pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    """An ACME authority that believes every challenge, and refuses no nonce, so that many requests take little time.

    It wants every order to be validated anew: by default half of them are as good as validated.
    """
    pebble = Pebble(
        tmp_path_factory.mktemp("pebble"),
        1,
        PEBBLE_VA_ALWAYS_VALID="1",
        PEBBLE_WFE_NONCEREJECT="0",
        PEBBLE_AUTHZREUSE="0",
    ).start()
    yield pebble
    pebble.stop()
