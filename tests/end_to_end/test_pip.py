"""Real pip against the installed server, over real TLS."""

from __future__ import annotations

import os
import random
import re
import socket
import threading
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from tests.end_to_end.clients import Client, add_self_building_sdist, pip, sha256, version_in
from tests.end_to_end.running import wait_until
from tests.fixtures.distributions import add_sdist, add_wheel, put, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow

PIP = Version(version("pip")).release


@pytest.fixture
def client(index: Server, tmp_path: Path) -> Client:
    """A pip that trusts the index."""
    return pip(tmp_path, index.ca)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where things are installed."""
    return tmp_path / "target"


def test_installs_by_name_with_dependencies(client: Client, index: Server, target: Path) -> None:
    """A name is enough; what it requires comes along, however the requirement is spelt."""
    add_wheel(index.root, "pip-lib", "1.4")
    add_wheel(index.root, "pip-lib", "2.0")
    add_wheel(index.root, "pip-app", "1.0", "Requires-Dist: Pip_Lib<2")
    # A version for a Python of the far future is passed over.
    add_wheel(index.root, "pip-modern", "1.0", "Requires-Python: >=3.8")
    add_wheel(index.root, "pip-modern", "2.0", "Requires-Python: >=99")
    # A plus in a file name survives the way through URLs.
    add_wheel(index.root, "pip-local", "1.0")
    add_wheel(index.root, "pip-local", "1.0+abc.1")
    wanted = ("Pip.App", "pip-modern", "pip-local==1.0+abc.1")
    client("install", "--index-url", index.simple, "--target", target, *wanted)
    installed = {name: version_in(target, name) for name in ("pip_app", "pip_lib", "pip_modern", "pip_local")}
    assert installed == {"pip_app": "1.0", "pip_lib": "1.4", "pip_modern": "1.0", "pip_local": "1.0+abc.1"}


def test_installs_from_the_root_too(client: Client, index: Server, target: Path) -> None:
    """The index is at / as well, as twistd users expect of a served directory."""
    add_wheel(index.root, "pip-plain")
    client("install", "--index-url", f"{index.url}/", "--target", target, "pip-plain")
    assert version_in(target, "pip_plain") == "1.0"


def test_requires_hashes(client: Client, index: Server, target: Path, tmp_path: Path) -> None:
    """The right hash installs; a wrong one does not."""
    wheel = add_wheel(index.root, "pip-hashed")
    requirements = tmp_path / "requirements.txt"
    install = (
        "install",
        "--index-url",
        index.simple,
        "--target",
        target,
        "--require-hashes",
        "-r",
        requirements,
    )
    requirements.write_text(f"pip-hashed==1.0 --hash=sha256:{'0' * 64}\n")
    assert "DO NOT MATCH" in client.try_to(*install).stderr
    requirements.write_text(f"pip-hashed==1.0 --hash=sha256:{sha256(wheel)}\n")
    client(*install)
    assert version_in(target, "pip_hashed") == "1.0"


def test_extra_index_url(
    index: Server, new_server: Callable[..., Server], target: Path, tmp_path: Path
) -> None:
    """An index that has not got the name says so plainly, and the other one is used."""
    empty = new_server(name="empty").start()
    add_wheel(index.root, "pip-extra")
    both = tmp_path / "both.pem"
    both.write_bytes(index.ca.read_bytes() + empty.ca.read_bytes())
    for first, second in ((empty, index), (index, empty)):
        urls = ("--index-url", first.simple, "--extra-index-url", f"{second.url}/")
        pip(tmp_path, both)("install", *urls, "--upgrade", "--target", target, "pip-extra")
        assert version_in(target, "pip_extra") == "1.0"
    assert empty.get("/simple/pip-extra/").status == 404


def test_yanked_is_skipped_unless_pinned(client: Client, index: Server, target: Path) -> None:
    """PEP 592: a yanked version is taken by == only, and its reason is told."""
    add_wheel(index.root, "pip-yanked", "1.0")
    project = add_wheel(index.root, "pip-yanked", "2.0").parent
    put(project / "simpleindex.toml", b'[yanked]\n"2.0" = "eats <data>"\n')
    install = ("install", "--index-url", index.simple, "--upgrade", "--target", target)
    client(*install, "pip-yanked")
    assert version_in(target, "pip_yanked") == "1.0"
    pinned = client.try_to(*install, "pip-yanked==2.0")
    assert version_in(target, "pip_yanked") == "2.0"
    assert "eats <data>" in pinned.stderr


def test_uploaded_prior_to(client: Client, index: Server, target: Path) -> None:
    """The modification time is the upload time that pip compares with (PEP 700)."""
    if PIP < (26,):
        pytest.skip("this pip has no --uploaded-prior-to (26.0 has)")
    for number, when in (("1.0", 1_700_000_000), ("2.0", 1_750_000_000)):
        os.utime(add_wheel(index.root, "pip-dated", number), (when, when))
    install = ("install", "--index-url", index.simple, "--target", target)
    client(*install, "--uploaded-prior-to", "2024-06-01", "pip-dated")
    assert version_in(target, "pip_dated") == "1.0"
    assert client.try_to(*install, "--uploaded-prior-to", "2020-01-01", "pip-dated").returncode != 0


def test_downloads_an_sdist_byte_for_byte(client: Client, index: Server, tmp_path: Path) -> None:
    """No Content-Encoding turns a .tar.gz into a .tar on its way."""
    sdist = add_self_building_sdist(index.root, "pip_source")
    client("download", "--index-url", index.simple, "--no-deps", "--dest", tmp_path / "got", "pip_source")
    assert (tmp_path / "got" / sdist.name).read_bytes() == sdist.read_bytes()


def test_index_versions(client: Client, index: Server) -> None:
    """Every version, from wheels and sdists, newest first."""
    for number in ("1.0", "1.10", "1.9"):
        add_wheel(index.root, "pip-many", number)
    add_sdist(index.root, "pip-many", "2.0rc1")
    said = client("index", "versions", "--pre", "--index-url", index.simple, "pip-many")
    assert "Available versions: 2.0rc1, 1.10, 1.9, 1.0" in said


@pytest.mark.parametrize("overwrite", [False, True], ids=["renamed over", "overwritten"])
def test_a_replaced_file_installs_for_a_pip_that_cached_the_old_one(
    client: Client, index: Server, target: Path, overwrite: bool
) -> None:
    """The new hash is on the page and the old file is not taken from pip's cache."""
    name = f"pip-replaced-{overwrite}".lower()
    path = add_wheel(index.root, name, "1.0")
    install = ("install", "--index-url", index.simple, "--upgrade", "--target", target, name)
    client(*install)
    new = wheel_bytes(name, "1.0", files={"marker.txt": b"new"})
    if overwrite:
        path.write_bytes(new)
    else:
        put(path, new)
    client(*install)
    assert (target / "marker.txt").read_text() == "new"


class Relay:
    """Passes connections on to a port, and breaks the first one that has carried ``most`` bytes back.

    Attributes:
        port: Where to connect.
        broken: How many connections it broke.
    """

    def __init__(self, to_port: int, most: int) -> None:
        self._to_port = to_port
        self._most = most
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        self.broken = 0
        self._start(self._accept)

    def close(self) -> None:
        """Break everything."""
        # shutdown() wakes a thread that waits in accept() or recv(); close() alone does not.
        for each in (self._listening, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listening.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._to_port))
                self._open += [client, server]
                self._start(self._pass_on, client, server, False)
                self._start(self._pass_on, server, client, True)

    def _pass_on(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        carried = 0
        with suppress(OSError):
            while data := source.recv(65536):
                carried += len(data)
                if counted and not self.broken and carried > self._most:
                    self.broken += 1
                    break
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(index: Server) -> Iterator[Relay]:
    """A way to the index that breaks after 1 MiB."""
    made = Relay(index.port, 1 << 20)
    yield made
    made.close()


def test_resumes_a_broken_download(client: Client, index: Server, target: Path, relay: Relay) -> None:
    """Pip asks for the rest with Range and If-Range and gets it as 206; what is installed is whole."""
    if PIP < (25, 1):
        pytest.skip("this pip does not resume (25.1 does)")
    blob = random.Random(2).randbytes(6 << 20)
    wheel = put(
        index.root / "pip-large" / wheel_name("pip-large"),
        wheel_bytes("pip-large", files={"pip_large.bin": blob}),
    )
    url = f"https://localhost:{relay.port}/simple/"
    client("install", "--index-url", url, "--resume-retries", "3", "--target", target, "pip-large")
    assert (target / "pip_large.bin").read_bytes() == blob

    def statuses() -> list[int]:
        # A request is logged when it ends: the broken one, of which the server learns last, perhaps after the other.
        return sorted(seen.status for seen in index.requests() if re.search(rf"/{wheel.name}$", seen.path))

    wait_until(lambda: len(statuses()) > 1, "both requests are logged")
    assert (relay.broken, statuses()) == (1, [200, 206])
