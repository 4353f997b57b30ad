"""Other people's index servers, each over the same few packages, as their users run them."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from abc import ABC, abstractmethod
from contextlib import closing
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import pytest

from tests.benchmarks.uploads import basic, devpi_login, form
from tests.end_to_end.running import PATIENCE, bare_environment, wait_until
from tests.fixtures.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.end_to_end.running import Installed

REQUIREMENTS: Final = (
    "pypiserver[passlib]>=2.4,<3",
    "devpi-server>=6.20,<7",
    "simple-repository-server>=0.10,<1",
    "pypiron>=0.0.29",
    # A mirror, not a server: tests/end_to_end/test_import.py takes over what it has mirrored.
    "bandersnatch>=6.8,<7",
)
"""Installed beside each other into an environment of their own, since their requirements are none of the project's business."""

_INSTALL_SECONDS: Final = 300
_PASSWORD: Final = "of the tests"


@cache
def programs() -> Path | str:
    """The directory of the peers' programs, installed if need be; or the reason why there is none.

    It is kept in the user's cache, so that this takes its time only once.
    """
    what = hashlib.sha256(repr((REQUIREMENTS, sys.version, sys.base_prefix)).encode()).hexdigest()[:16]
    place = kept(f"peers-{what}")
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            venv.create(place, symlinks=True)
            python = place / "bin" / "python"
            # All at once, for that is quicker; each by itself only where one of them cannot be had.
            if not _install(python, *REQUIREMENTS):
                each = [_install(python, one) for one in REQUIREMENTS]
                if not any(each):
                    return "no package registry has it"
            (place / "complete").touch()
    return place / "bin"


def kept(name: str) -> Path:
    """Where something is kept from one run of the tests to the next (XDG Base Directory Specification 0.8)."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    place = cache_home / "simpleindex-tests" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _install(python: Path, *requirements: str) -> bool:
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", *requirements]
    try:
        done = subprocess.run(pip, capture_output=True, check=False, timeout=_INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


class Peer(ABC):
    """One server, over ``packages``: a directory for each project.

    Attributes:
        name: What it is called in reports.
        states_hashes: Whether its pages have the files' digests.
        states_python: Whether they have ``Requires-Python``.
        can_yank: Whether it knows yanked files.
        has_sidecars: Whether it offers metadata with their digest.
        answers_304: Whether it answers conditional requests for pages so.
        port: Where it listens.
    """

    name: ClassVar[str]
    prefix: ClassVar[str] = "/simple/"
    states_hashes: ClassVar[bool] = True
    states_python: ClassVar[bool] = False
    can_yank: ClassVar[bool] = False
    has_sidecars: ClassVar[bool] = False
    answers_304: ClassVar[bool] = False

    def __init__(
        self, installed: Installed, home: Path, packages: Path, yanked: Mapping[str, str] | None = None
    ) -> None:
        """Prepare it.

        Args:
            installed: Our own wheel.
            home: Where it may keep what it needs.
            packages: What it serves.
            yanked: Files and why, for those that can.
        """
        self.installed = installed
        self.home = home
        self.packages = packages
        self.yanked = yanked or {}
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        home.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """What starts it; skips the test where it cannot be had."""

    def prepare(self) -> None:  # noqa: B027 (most have nothing to do)
        """What is done before it starts."""

    def fill(self) -> None:  # noqa: B027 (most serve the directory)
        """What is done once it listens."""

    def environment(self) -> dict[str, str]:
        """What it finds in its environment."""
        return {}

    def start(self) -> None:
        """Start it, and wait until it has everything."""
        command = [str(part) for part in self.command()]
        self.prepare()
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                env=bare_environment(self.home, **self.environment()),
            )
        wait_until(lambda: self._status("/") > 0, f"{self.name} listens; see {self.home / 'log'}")
        self.fill()
        for project in sorted({project for project, _ in self.files()}):
            path = f"{self.prefix}{project}/"
            wait_until(lambda path=path: self._status(path) == 200, f"{self.name} has {project}")  # type: ignore[misc]

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def files(self) -> list[tuple[str, Path]]:
        """Every file with its project."""
        return [(path.parent.name, path) for path in sorted(self.packages.glob("*/*.*"))]

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        """A request that must succeed."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            said = response.read()
            assert response.status in range(200, 300), (self.name, path, response.status, said[:300])

    def upload(self, path: str, headers: Mapping[str, str]) -> None:
        """Send every file as twine does."""
        for project, file in self.files():
            version = file.name.removesuffix(".tar.gz").split("-")[1]
            kind, body = form(file, project, version, requires_python=requires_python_of(file))
            self.send("POST", path, body, {**headers, "Content-Type": kind})

    def _status(self, path: str) -> int:
        assert self._process is None or self._process.poll() is None, (self.home / "log").read_text()
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
                connection.request("GET", path)
                return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


def program(name: str) -> Path:
    """A peer's program; the test is skipped where it cannot be had."""
    place = programs()
    if isinstance(place, str) or not (place / name).exists():
        pytest.skip(
            f"{name} cannot be had: {place if isinstance(place, str) else 'pip could not install it'}"
        )
    return place / name


class Pypiserver(Peer):
    """pypiserver over the directory."""

    name = "pypiserver"

    def command(self) -> Sequence[str | Path]:
        where = ("-i", "127.0.0.1", "-p", str(self.port))
        return [program("pypi-server"), "run", *where, "--disable-fallback", self.packages]


class SimpleRepositoryServer(Peer):
    """simple-repository-server over the directory; it says that there are sidecars, but of no digest."""

    name = "simple-repository-server"
    states_hashes = False

    def command(self) -> Sequence[str | Path]:
        return [program(self.name), "--host", "127.0.0.1", "--port", str(self.port), self.packages]


class DevpiServer(Peer):
    """devpi-server with one index, filled by uploads."""

    name = "devpi-server"
    password: ClassVar[str] = _PASSWORD
    prefix = "/root/bench/+simple/"
    states_python = True

    def command(self) -> Sequence[str | Path]:
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--serverdir", self.home / "data")
        return [program(self.name), *where, "--offline-mode"]

    def prepare(self) -> None:
        options = ("--serverdir", self.home / "data", "--no-root-pypi", "--root-passwd", _PASSWORD)
        subprocess.run(
            [program("devpi-init"), *options],
            check=True,
            capture_output=True,
            env=bare_environment(self.home),
        )

    def fill(self) -> None:
        self.upload("/root/bench/", devpi_login(self.port, _PASSWORD))


class Pypiron(Peer):
    """pypiron with its store on the disk, filled by uploads; without its feed of advisories, which it would fetch."""

    name = "pypiron"
    states_python = can_yank = has_sidecars = answers_304 = True

    def command(self) -> Sequence[str | Path]:
        where = ("--bind-addr", f"127.0.0.1:{self.port}", "--data-dir", self.home / "data")
        return [program(self.name), "serve", *where]

    def environment(self) -> dict[str, str]:
        return {
            "PYPIRON_ADMIN_USER": "admin",
            "PYPIRON_ADMIN_PASS": _PASSWORD,
            "PYPIRON_ADVISORY_FEED": "",
            "PYPIRON_MALWARE_BLOCK": "false",
        }

    def fill(self) -> None:
        login = {"Authorization": basic("admin", _PASSWORD)}
        self.upload("/legacy/", login)
        for name, reason in self.yanked.items():
            project = next(project for project, file in self.files() if file.name == name)
            self.send("POST", f"/files/{project}/{name}/yank", reason.encode(), login)


class Nginx(Peer):
    """nginx over the directory as it is: a page is what ``autoindex`` makes of it."""

    name = "nginx autoindex"
    prefix = "/"
    states_hashes = False
    options: ClassVar[str] = "autoindex on;"

    def command(self) -> Sequence[str | Path]:
        found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if found is None:
            pytest.skip("nginx is not installed (Debian: nginx-light)")
        return [found, "-p", self.home, "-e", "stderr", "-c", self.home / "nginx.conf"]

    def prepare(self) -> None:
        # As root it would become somebody who may not enter the tests' directory.
        user = "user root;" if os.geteuid() == 0 else ""
        places = " ".join(
            f"{kind}_temp_path {kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi", "client_body")
        )
        (self.home / "nginx.conf").write_text(f"""
            daemon off; {user} worker_processes 1; pid nginx.pid; events {{ worker_connections 512; }}
            http {{
                access_log off; {places} default_type application/octet-stream; types {{ text/html html; }}
                server {{ listen 127.0.0.1:{self.port}; root "{self.packages}"; {self.options} }}
            }}
            """)


class TwistdWeb(Peer):
    """``twistd web`` over the directory as it is: it says of each ``.tar.gz`` that it is encoded with gzip."""

    name = "twistd web"
    prefix = "/"
    states_hashes = False

    def command(self) -> Sequence[str | Path]:
        where = ("--path", self.packages, "--listen", f"tcp:{self.port}:interface=127.0.0.1")
        return self.installed.command("-n", "--pidfile=", "web", *where)


class NginxPages(Nginx):
    """nginx over pages made by hand as PEP 503 and its successors say; one wheel has a sidecar, the others have none."""

    name = "nginx pages"
    states_hashes = states_python = can_yank = has_sidecars = answers_304 = True
    options = "index index.html;"

    def prepare(self) -> None:
        super().prepare()
        for project in os.listdir(self.packages):
            lines = [self._line(file) for owner, file in self.files() if owner == project]
            text = "<!DOCTYPE html>\n<html><body>\n" + "\n".join(lines) + "\n</body></html>\n"
            (self.packages / project / "index.html").write_text(text)
        projects = "".join(f'<a href="{name}/">{name}</a>\n' for name in sorted(os.listdir(self.packages)))
        (self.packages / "index.html").write_text(f"<!DOCTYPE html>\n<html><body>{projects}</body></html>\n")

    def _line(self, file: Path) -> str:
        attributes = ""
        if python := requires_python_of(file):
            attributes += f' data-requires-python="{escape(python)}"'
        if file.name in self.yanked:
            attributes += f' data-yanked="{escape(self.yanked[file.name])}"'
        if file.name.endswith(".whl") and "-1.0-" in file.name:
            metadata = metadata_of(file)
            file.with_name(f"{file.name}.metadata").write_bytes(metadata)
            attributes += f' data-core-metadata="sha256={hashlib.sha256(metadata).hexdigest()}"'
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return f'<a href="{file.name}#sha256={digest}"{attributes}>{file.name}</a><br>'

    def files(self) -> list[tuple[str, Path]]:
        made = ("index.html", ".metadata")
        return [each for each in super().files() if not each[1].name.endswith(made)]


class Simpleindex(Peer):
    """Our own server, from its wheel."""

    name = "simpleindex"
    states_python = can_yank = has_sidecars = answers_304 = True

    def command(self) -> Sequence[str | Path]:
        places = {kind: self.home / kind for kind in ("certs", "state", "cache")}
        return self.installed.command(
            "-n",
            "--pidfile=",
            "simpleindex",
            *("--path", self.packages, "--http", f"tcp:{self.port}:interface=127.0.0.1", "--serve-http"),
            *(f"--{kind}={place}" for kind, place in places.items()),
        )

    def prepare(self) -> None:
        for project in os.listdir(self.packages):
            yanked = {name for owner, file in self.files() if owner == project for name in [file.name]}
            lines = [f'"{name}" = "{self.yanked[name]}"' for name in sorted(yanked & self.yanked.keys())]
            if lines:
                (self.packages / project / "simpleindex.toml").write_text("[yanked]\n" + "\n".join(lines))

    def files(self) -> list[tuple[str, Path]]:
        return [each for each in super().files() if each[1].suffix != ".toml"]


PEERS: Final[tuple[type[Peer], ...]] = (
    Pypiserver,
    SimpleRepositoryServer,
    DevpiServer,
    Pypiron,
    Nginx,
    TwistdWeb,
    NginxPages,
    Simpleindex,
)


def metadata_of(wheel: Path) -> bytes:
    """The METADATA in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        return archive.read(name)


def requires_python_of(file: Path) -> str:
    """What a wheel requires of Python; empty if it says nothing, or is none."""
    found = (
        re.search(rb"^Requires-Python: (.*)$", metadata_of(file), re.MULTILINE)
        if file.suffix == ".whl"
        else None
    )
    return found[1].decode() if found else ""
