"""``simpleindex import`` from the real servers, beside a running server of ours that offers what came at once."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from simpleindex.access.logins.hashes import verify
from tests.benchmarks.uploads import devpi_login
from tests.end_to_end.answering import JSON, answering, public_index
from tests.end_to_end.changing_files import files_below
from tests.end_to_end.clients import Client, found, pip, uv, version_in
from tests.end_to_end.peers import DevpiServer, Pypiserver, program
from tests.end_to_end.publishing import make_dist, start_publishing
from tests.end_to_end.running import PATIENCE, bare_environment, wait_until
from tests.fixtures.distributions import add_sdist, add_wheel, put, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.end_to_end.answering import Page
    from tests.end_to_end.running import Installed, Server

pytestmark = pytest.mark.slow

LONG_AGO = 1_500_000_000
PASSWORD = "of the tests"


def import_command(front: Server, source: object, *words: object) -> list[str]:
    """The command, for the directory of a server."""
    places = {"path": front.root, "state": front.home / "state", "cache": front.cache}
    options = [f"--{name}={place}" for name, place in places.items()]
    return [*map(str, ("-m", "simpleindex", "import", "--from", source, *options, *words))]


def bring(front: Server, source: object, *words: object, status: int = 0) -> str:
    """Run the command; returns what it printed."""
    done = front.installed.run(*import_command(front, source, *words), home=front.home)
    assert (done.returncode, done.stderr) == (status, ""), done.stdout + done.stderr
    return done.stdout


def listed(front: Server, name: str) -> dict[str, dict[str, Any]]:
    """The files of a project, as our server lists them, by name."""
    return {file["filename"]: file for file in front.project(name)["files"]}


def await_files(front: Server, name: str, count: int) -> dict[str, dict[str, Any]]:
    wait_until(
        lambda: front.get(f"/simple/{name}/").status == 200 and len(listed(front, name)) == count,
        f"{name} is here",
    )
    return listed(front, name)


class TwineDevpi(DevpiServer):
    """A devpi server that real twine fills."""

    def fill(self) -> None:
        devpi_login(self.port, self.password)
        environment = bare_environment(self.home, TWINE_NON_INTERACTIVE="1", COLUMNS="400")
        twine = Client((found("twine"), "upload", "--disable-progress-bar"), environment, self.home)
        url = f"http://127.0.0.1:{self.port}/root/bench/"
        twine(
            "--repository-url",
            url,
            "-u",
            "root",
            "-p",
            self.password,
            *[str(path) for _, path in self.files()],
        )


def test_devpi(new_server: Callable[..., Server], installed: Installed, tmp_path: Path) -> None:
    """Over HTTP, and then from its export, which has the users."""
    packages = tmp_path / "packages"
    files = add_wheel(packages, "acme-lib", "1.0"), add_sdist(packages, "acme-lib", "1.0")
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    devpi = TwineDevpi(installed, tmp_path / "devpi", packages)
    program("devpi-export")
    front = new_server().start()
    began = time.time()
    devpi.start()
    try:
        url = f"http://127.0.0.1:{devpi.port}/root/bench/"
        out = bring(front, url)
        assert "root cannot log in yet: it has no hash. Set a password: simpleindex passwd root" in out
        assert f"Imported 2 files of 1 project from {url}" in out
        assert 'upload = ["root"]' in out
        there = await_files(front, "acme-lib", 2)
        assert {name: file["hashes"]["sha256"] for name, file in there.items()} == digests
        for path in (front.root / "acme-lib").glob("acme*"):
            assert began - 2 <= path.stat().st_mtime <= time.time()
            assert path.stat().st_mtime % 1 == 0  # the second that devpi noted
        assert "Imported 0 files of 1 project" in bring(front, url)
    finally:
        devpi.stop()
    # The settings of the clients may stay as they were, but for the host.
    old = f"{front.url}/root/bench/+simple/"
    install = ("install", "--no-compile", "--only-binary", ":all:", "--index-url", old, "acme-lib")
    pip(tmp_path, front.ca)(*install, "--target", tmp_path / "pip")
    assert version_in(tmp_path / "pip", "acme_lib") == "1.0"
    export = tmp_path / "export"
    subprocess.run(
        [program("devpi-export"), "--serverdir", devpi.home / "data", export],
        check=True,
        capture_output=True,
        env=bare_environment(devpi.home),
    )
    out = bring(front, export, "--users", front.home / "users")
    assert "2 already here; 0 refused" in out
    assert f"Added to {front.home / 'users'}: root, with their passwords." in out
    hash_ = (front.home / "users").read_text().strip().partition(":")[2]
    assert verify(hash_, devpi.password.encode())
    assert not verify(hash_, b"wrong")


class PrivatePypiserver(Pypiserver):
    """A pypiserver that asks everybody for a password."""

    def command(self) -> Sequence[str | Path]:
        return [*super().command(), "-a", "list,download,update", "-P", self.home / "htpasswd"]

    def prepare(self) -> None:
        sha = base64.b64encode(hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).digest()).decode()
        strong = bcrypt.hashpw(b"a password", bcrypt.gensalt(10)).decode()
        (self.home / "htpasswd").write_text(f"bob:{{SHA}}{sha}\nalice:{strong}\n")

    def _status(self, path: str) -> int:
        # Its pages are private, so that 401 is all that can be had of them without a login.
        status = super()._status(path)
        return 200 if status == 401 else status


def test_pypiserver(new_server: Callable[..., Server], installed: Installed, tmp_path: Path) -> None:
    """Its directory with its users; and over HTTP with a login, where its pages are HTML without digests of all kinds."""
    packages = tmp_path / "packages"
    for path in (add_wheel(packages, "acme-lib", "1.0"), add_sdist(packages, "acme-lib", "2.0")):
        os.utime(path, (LONG_AGO, LONG_AGO))
    put(
        packages / "deep" / "er" / wheel_name("acme-app"),
        wheel_bytes("acme-app", "1.0", "Requires-Dist: acme-lib"),
    )
    put(packages / "broken-1.0-py3-none-any.whl", b"no archive")
    pypiserver = PrivatePypiserver(installed, tmp_path / "pypiserver", packages)
    front = new_server().start()
    pypiserver.start()
    try:
        htpasswd = pypiserver.home / "htpasswd"
        out = bring(front, packages, "--users-from", htpasswd, "--users", front.home / "users", status=1)
        assert "Not imported: broken/broken-1.0-py3-none-any.whl: it is no valid distribution" in out
        assert f"Added to {front.home / 'users'}: alice, with their passwords." in out
        assert (
            "bob cannot log in yet: its hash is SHA-1, which is too weak. Set a password: simpleindex passwd bob"
            in out
        )
        assert "Imported 3 files of 3 projects" in out
        assert {file["upload-time"] for file in await_files(front, "acme-lib", 2).values()} == {
            "2017-07-14T02:40:00Z"
        }
        url = f"http://127.0.0.1:{pypiserver.port}/"
        refused = front.installed.run(*import_command(front, url), home=front.home)
        assert (refused.returncode, "--login-file" in refused.stderr) == (2, True)
        login = put(tmp_path / "login", f"bob:{PASSWORD}\n".encode())
        second = new_server(name="second")
        out = bring(second, url, "--login-file", login, status=1)
        assert "Imported 3 files of 3 projects" in out
        times = {int(path.stat().st_mtime) for path in (second.root / "acme-lib").glob("acme*")}
        assert times == {LONG_AGO}
        assert "Imported 0 files" in bring(second, url, "--login-file", login, status=1)
    finally:
        pypiserver.stop()
    old = front.get(f"/packages/{wheel_name('acme-lib')}")
    assert (old.status, old.headers["Location"]) == (301, f"../simple/acme-lib/{wheel_name('acme-lib')}")
    install = (
        "install",
        "--index-url",
        front.simple,
        "--only-binary",
        ":all:",
        "--target",
        tmp_path / "t",
        "acme-app",
    )
    uv(tmp_path, front.ca)("pip", *install)
    assert version_in(tmp_path / "t", "acme_lib") == "1.0"


_BANDERSNATCH = """
[mirror]
directory = {directory}
master = {master}
allow-non-https = true
download-mirror = {master}
api-method = simple
json = true
simple-format = ALL
hash-index = false
stop-on-error = true
timeout = 120
global-timeout = 300
workers = 2
verifiers = 1
compare-method = hash
storage-backend = filesystem
"""


def test_bandersnatch(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """What it has mirrored, with the times and yanks of the index behind it."""
    bandersnatch = program("bandersnatch")
    files = {wheel_name("acme-lib", version): wheel_bytes("acme-lib", version) for version in ("1.0", "2.0")}
    files[wheel_name("other")] = wheel_bytes("other")
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with answering(public_index(files, {wheel_name("acme-lib", "2.0"): "it is bad"})) as url:
        # The URLs of its files are those of the public index, of which only the path counts.
        (tmp_path / "bandersnatch.conf").write_text(_BANDERSNATCH.format(directory=mirror, master=url))
        done = subprocess.run(
            [bandersnatch, "-c", tmp_path / "bandersnatch.conf", "mirror"],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=bare_environment(tmp_path),
        )
        assert done.returncode == 0, done.stderr
    front = new_server().start()
    assert "Imported 2 files of 1 project" in bring(front, mirror, "--project", "acme-*")
    there = await_files(front, "acme-lib", 2)
    assert there[wheel_name("acme-lib", "2.0")]["yanked"] == "it is bad"
    assert {file["upload-time"] for file in there.values()} == {"2020-01-02T03:04:05Z"}
    assert "Imported 1 file of 2 projects" in bring(front, mirror)
    (place,) = [path.relative_to(mirror / "web") for path in (mirror / "web" / "packages").rglob("other*")]
    assert front.get(f"/{place}").status == 301


def test_our_own_server_with_a_login(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """In JSON: times to the microsecond, yanks and status; the login is in nothing that is written."""
    publishing = start_publishing(
        new_server, access='private = true\n[[rule]]\nprojects = ["*"]\nread = ["alice"]\n'
    )
    old = publishing.server
    for path in make_dist(tmp_path, "acme-lib"):
        put(old.root / "acme-lib" / path.name, path.read_bytes())
    (old.root / "acme-lib" / "simpleindex.toml").write_text(
        'status = "deprecated"\nreason = "use other"\n[yanked]\n"1.0" = "it is bad"\n'
    )
    login = put(tmp_path / "login", f"alice:{publishing.passwords['alice']}".encode())
    front = new_server(name="front").start()
    refused = front.installed.run(*import_command(front, f"{old.url}/", "--cert", old.ca), home=front.home)
    assert (refused.returncode, "--login-file" in refused.stderr) == (2, True)
    refused = front.installed.run(*import_command(front, f"{old.url}/"), home=front.home)
    assert (refused.returncode, "--cert" in refused.stderr) == (2, True)
    words = "--cert", old.ca, "--login-file", login
    assert "Imported 2 files of 1 project" in bring(front, f"{old.url}/", *words)
    there = await_files(front, "acme-lib", 2)
    assert {file["yanked"] for file in there.values()} == {"it is bad"}
    page = front.project("acme-lib")
    assert page["project-status"] == {"status": "deprecated", "reason": "use other"}
    for name in there:
        before, after = ((server.root / "acme-lib" / name).stat().st_mtime_ns for server in (old, front))
        assert before // 1000 == after // 1000
    secret = publishing.passwords["alice"].encode()
    front.stop()
    assert not any(secret in path.read_bytes() for path in files_below(front.root, front.home))


@dataclass
class SlowIndex:
    """An index with a small file, and a large one that takes minutes.

    Attributes:
        begun: Set when a part of the large file was sent.
        may_hurry: To be set when the rest may come at once.
    """

    begun: Event = field(default_factory=Event)
    may_hurry: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        # So large that it is not written together with the other one.
        further = {"filler.bin": os.urandom(9 << 20)}
        self._files = {
            wheel_name("acme-lib", "1.0"): wheel_bytes("acme-lib", "1.0"),
            wheel_name("acme-lib", "2.0"): wheel_bytes("acme-lib", "2.0", files=further),
        }

    def pages(self, path: str) -> Page | None:
        name = path.rpartition("/")[2]
        if name in self._files:
            return "application/octet-stream", self._files[name]
        meta: dict[str, Any] = {"meta": {"api-version": "1.1"}}
        if path == "/simple/":
            return JSON, json.dumps({**meta, "projects": [{"name": "acme-lib"}]}).encode()
        entries = [
            {
                "filename": name,
                "url": f"/{name}",
                "size": len(data),
                "hashes": {"sha256": hashlib.sha256(data).hexdigest()},
            }
            for name, data in self._files.items()
        ]
        listing = {**meta, "name": "acme-lib", "files": entries}
        return (JSON, json.dumps(listing).encode()) if path == "/simple/acme-lib/" else None

    def wait(self, sent: int) -> None:
        """Wait before each further piece of the large file."""
        if sent > 1 << 19:
            self.begun.set()
            self.may_hurry.wait(1)


def test_stopped_by_the_keyboard(new_server: Callable[..., Server]) -> None:
    """What is left is said, nothing half is left in the directory, and the same command goes on."""
    index, front = SlowIndex(), new_server()
    with answering(index.pages, index.wait) as url:
        # A shell's background job ignores ^C, and so would what these tests start.
        signals = ("env", "--default-signal=INT")
        command = [*signals, str(front.installed.python), *import_command(front, url)]
        environment = bare_environment(front.home)
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
            assert index.begun.wait(PATIENCE)
            audit = front.home / "state" / "audit.jsonl"
            wait_until(lambda: audit.exists() and '"import"' in audit.read_text(), "the small file is noted")
            process.send_signal(signal.SIGINT)
            # It ends with the next piece; all of them would take two minutes, should a busy machine be that late.
            out, err = process.communicate(timeout=PATIENCE)
            index.may_hurry.set()
        assert (process.returncode, err) == (130, "Stopped; 1 of 2 files are left.\n")
        assert "the same command goes on where it was" in out
        assert not [*front.root.rglob("*2.0*")]
        assert not [*(front.root / ".simpleindex-uploads").glob("*")]
        assert "Imported 1 file of 1 project" in bring(front, url)
