"""One class for each server: how it is started over a repository, and where its pages and files are."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote

from tests.benchmarks.processes import SERVER_PROCESSOR, Running, wait_until
from tests.benchmarks.setup import find
from tests.fixtures.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.benchmarks.repository import Repository
    from tests.benchmarks.setup import Workplace

START_SECONDS: Final = 300.0

_MOST_WITH_METADATA: Final = 1_000
"""Projects beyond which nginx gets pages only; rendering all else takes long, and nobody asks for it there."""

_TWISTD: Final = find("twistd") or "twistd"

_IN_FRONT: Final = ("-n", "--pidfile=")
"""Options of twistd: stay in the foreground, and write no file."""


class Server(ABC):
    """A server over one repository.

    Attributes:
        name: As in the tables.
        has_tls: Whether it serves HTTPS too.
        processor: Where it runs; None for all processors.
        most_files: Beyond which it is left out, because filling it takes too long; None if it serves the directory itself.
        port: Of HTTP.
        tls_port: Of HTTPS.
    """

    name: ClassVar[str]
    has_tls: ClassVar[bool] = False
    processor: ClassVar[int | None] = SERVER_PROCESSOR
    most_files: ClassVar[int | None] = None
    prefix: ClassVar[str] = ""

    def __init__(self, workplace: Workplace, repository: Repository) -> None:
        self.workplace = workplace
        self.repository = repository
        self.port = free_port()
        self.tls_port = free_port()
        self.place = workplace.directory("servers", self.name.replace(" ", "-"), repository.path.name)
        self._running: Running | None = None

    @classmethod
    @abstractmethod
    def missing(cls, workplace: Workplace) -> str | None:
        """Why it cannot be measured here, or None."""

    @classmethod
    @abstractmethod
    def version(cls, workplace: Workplace) -> str:
        """Of the server."""

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    def prepare(self) -> None:  # noqa: B027 (most have nothing to do)
        """What is done once before it can start."""

    def environment(self) -> dict[str, str]:
        """What it finds in its environment beside ours."""
        return {}

    def page(self, name: str) -> str:
        """The path of a project's page."""
        return f"{self.prefix}/{name}/"

    def root(self) -> str:
        """The path of the list of projects."""
        return f"{self.prefix}/"

    def file(self, name: str, filename: str) -> str:
        """The path of a file."""
        return f"{self.prefix}/{name}/{quote(filename)}"

    @property
    def running(self) -> Running:
        """Its processes."""
        assert self._running is not None, "not started"
        return self._running

    def url(self, *, tls: bool = False) -> str:
        """Where it is, without a slash at the end."""
        return f"https://localhost:{self.tls_port}" if tls else f"http://127.0.0.1:{self.port}"

    def launch(self) -> None:
        """Start it, and do not wait."""
        self._running = Running(
            self.command(), self.place / "log", self.environment(), processor=self.processor
        )

    def start(self) -> None:
        """Start it, and wait until everything is served."""
        self.prepare()
        self.launch()
        wait_until(self.is_complete, START_SECONDS, f"the start of {self.name}", every=0.05)

    def stop(self) -> None:
        """End it."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def answers(self, path: str) -> bool:
        """Whether it answers a path with 200 now."""
        assert self.running.alive, f"{self.name} ended; see {self.running.log}"
        return self.get(path)[0] == 200

    def is_complete(self) -> bool:
        """Whether all projects are served."""
        return self.answers(self.root())

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        """Ask once, on a connection of its own; the status is 0 while nobody listens."""
        return self._request("GET", path, None, headers or {})

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        """Send a body on a connection of its own; returns the status."""
        return self._request("POST", path, body, headers)[0]

    def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return (
                response.status,
                {key.lower(): value for key, value in response.getheaders()},
                response.read(),
            )
        except (OSError, http.client.HTTPException):
            return 0, {}, b""
        finally:
            connection.close()


class Simpleindex(Server):
    """What is in the running environment.

    Attributes:
        program: The ``twistd`` that starts it.
        family: The variants that share a cache.
        more: Further options.
    """

    name = "simpleindex"
    program: ClassVar[str] = _TWISTD
    family: ClassVar[str] = "simpleindex"
    has_tls = True
    prefix = "/simple"
    more: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def missing(cls, workplace: Workplace) -> str | None:
        return None

    @classmethod
    def version(cls, workplace: Workplace) -> str:
        import simpleindex
        import twisted

        return f"{simpleindex.__version__} (Twisted {twisted.__version__}, {ssl.OPENSSL_VERSION})"

    @property
    def cache(self) -> Path:
        """Its digests; shared by its variants, as nothing in it depends on them."""
        return self.workplace.path / "servers" / self.family / self.repository.path.name / "cache"

    def command(self) -> list[str]:
        listen = [f"tcp:{port}:interface=127.0.0.1" for port in (self.port, self.tls_port)]
        return [
            *(self.program, *_IN_FRONT, "simpleindex"),
            *("--path", str(self.repository.path), "--http", listen[0], "--https", listen[1], "--serve-http"),
            *("--certs", str(self.workplace.certs), "--state", str(self.place / "state")),
            *("--cache", str(self.cache), "--max-connections-per-address", "0", *self.more),
        ]

    def is_complete(self) -> bool:
        return self.answers("/-/ready")


class EveryCoreSimpleindex(Simpleindex):
    """On all processors, for what more than one helps."""

    name = "simpleindex, every core"
    processor = None


class LoggingSimpleindex(Simpleindex):
    """With an access log."""

    name = "simpleindex --access-log"

    def command(self) -> list[str]:
        return [*super().command(), "--access-log", str(self.place / "access.log")]


class UncountedSimpleindex(Simpleindex):
    """Without counts of downloads."""

    name = "simpleindex --downloads off"
    more = ("--downloads", "off")


class ImmutableSimpleindex(Simpleindex):
    """With files that are never replaced."""

    name = "simpleindex --immutable-files"
    more = ("--immutable-files",)


class TwistdWeb(Server):
    """What packaging guides recommend; it has to log."""

    name = "twistd web"
    has_tls = True

    @classmethod
    def missing(cls, workplace: Workplace) -> str | None:
        return None

    @classmethod
    def version(cls, workplace: Workplace) -> str:
        import twisted

        return str(twisted.__version__)

    def command(self) -> list[str]:
        certs = self.workplace.certs
        tls = f"ssl:{self.tls_port}:privateKey={certs / 'privkey.pem'}:certKey={certs / 'fullchain.pem'}"
        return [
            *(_TWISTD, *_IN_FRONT),
            *("web", "--path", str(self.repository.path)),
            *("--listen", f"tcp:{self.port}:interface=127.0.0.1", "--listen", f"{tls}:interface=127.0.0.1"),
        ]


class NginxAutoindex(Server):
    """nginx over the directory, as it is."""

    name = "nginx autoindex"
    has_tls = True

    @classmethod
    def missing(cls, workplace: Workplace) -> str | None:
        return None if find("nginx") else "nginx is not installed"

    @classmethod
    def version(cls, workplace: Workplace) -> str:
        return _said(find("nginx") or "nginx", "-v").rpartition("/")[2]

    def command(self) -> list[str]:
        configuration = self.place / "nginx.conf"
        configuration.write_text(self._configuration())
        return [find("nginx") or "nginx", "-p", str(self.place), "-e", "stderr", "-c", str(configuration)]

    def locations(self) -> str:
        """What is served."""
        return f'root "{self.repository.path}"; autoindex on;'

    def _configuration(self) -> str:
        certs = self.workplace.certs
        # As root it would become somebody who may not read the work directory.
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = " ".join(
            f"{kind}_temp_path {kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi", "client_body")
        )
        return f"""
            daemon off; {user} worker_processes 1; pid nginx.pid; events {{ worker_connections 2048; }}
            http {{
                access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; {temporary}
                default_type application/octet-stream; types {{ text/html html; }}
                ssl_certificate "{certs / "fullchain.pem"}"; ssl_certificate_key "{certs / "privkey.pem"}";
                ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:10m;
                server {{
                    listen 127.0.0.1:{self.port} backlog=1024; listen 127.0.0.1:{self.tls_port} ssl backlog=1024;
                    {self.locations()}
                }}
            }}
            """


class NginxStatic(NginxAutoindex):
    """nginx over pages and metadata that simpleindex rendered, with gzip beside them, and the same files."""

    name = "nginx static"

    @property
    def pages(self) -> Path:
        """What was rendered."""
        return self.place / "pages"

    def locations(self) -> str:
        return f"""
            gzip_static on; index index.html; root "{self.pages}";
            location ~ \\.(whl|gz|zip)$ {{ root "{self.repository.path}"; }}
            """

    def prepare(self) -> None:
        if (self.place / "done").exists():
            return
        origin = Simpleindex(self.workplace, self.repository)
        origin.start()
        connection = http.client.HTTPConnection("127.0.0.1", origin.port, timeout=60)

        def get(path: str, **headers: str) -> bytes:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", path, headers=named)
            response = connection.getresponse()
            assert response.status == 200, (path, response.status)
            return response.read()

        try:
            self._write_page(get, origin.root(), self.pages)
            for name in sorted(os.listdir(self.repository.path)):
                self._write_page(get, origin.page(name), self.pages / name)
                if self.repository.projects <= _MOST_WITH_METADATA:
                    listed = json.loads(get(origin.page(name), Accept="application/vnd.pypi.simple.v1+json"))
                    for file in listed["files"]:
                        if file.get("core-metadata"):
                            sidecar = f"{file['filename']}.metadata"
                            (self.pages / name / sidecar).write_bytes(get(origin.file(name, sidecar)))
        finally:
            connection.close()
            origin.stop()
        (self.place / "done").touch()

    def _write_page(self, get: Callable[..., bytes], path: str, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for suffix, encoding in (("", "identity"), (".gz", "gzip")):
            page = get(path, Accept="text/html", Accept_Encoding=encoding)
            (directory / f"index.html{suffix}").write_bytes(page)


class Pypiserver(Server):
    """pypiserver, with its cache of the directory."""

    name = "pypiserver"
    prefix = "/simple"

    @classmethod
    def missing(cls, workplace: Workplace) -> str | None:
        return None if workplace.program("pypiserver", "pypi-server") else "not set up"

    @classmethod
    def version(cls, workplace: Workplace) -> str:
        return installed(workplace, "pypiserver")

    def command(self) -> list[str]:
        program = self.workplace.program("pypiserver", "pypi-server") or ""
        where = ["-i", "127.0.0.1", "-p", str(self.port)]
        return [
            program,
            "run",
            *where,
            "--disable-fallback",
            "--log-stream",
            "none",
            str(self.repository.path),
        ]

    def file(self, name: str, filename: str) -> str:
        return f"/packages/{name}/{quote(filename)}"


class SimpleRepositoryServer(Server):
    """simple-repository-server over the directory; it has to log."""

    name = "simple-repository-server"
    prefix = "/simple"

    @classmethod
    def missing(cls, workplace: Workplace) -> str | None:
        return None if workplace.program(cls.name, cls.name) else "not set up"

    @classmethod
    def version(cls, workplace: Workplace) -> str:
        return installed(workplace, cls.name)

    def command(self) -> list[str]:
        program = self.workplace.program(self.name, self.name) or ""
        return [program, "--host", "127.0.0.1", "--port", str(self.port), str(self.repository.path)]

    def file(self, name: str, filename: str) -> str:
        return f"/resources/{name}/{quote(filename)}"


class Uploaded(Server):
    """A server with a store of its own, which takes uploads."""

    def prepare(self) -> None:
        if (self.place / "done").exists():
            return
        shutil.rmtree(self.place)
        self.place.mkdir(parents=True)
        self.initialise()
        self.launch()
        try:
            wait_until(self.is_listening, START_SECONDS, f"the start of {self.name}")
            self.fill()
        finally:
            self.stop()
        (self.place / "done").touch()

    def initialise(self) -> None:
        """Make the empty store."""

    def is_listening(self) -> bool:
        """Whether it takes uploads."""
        return self.get("/")[0] > 0

    @abstractmethod
    def fill(self) -> None:
        """Upload everything."""

    def upload(self, path: str, headers: dict[str, str]) -> None:
        """Send every file as twine does."""
        from tests.benchmarks.uploads import form

        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        for name in self.repository.names():
            for release in range(self.repository.files_each):
                filename = self.repository.filename(name, release)
                kind, body = form(self.repository.path / name / filename, name, f"1.{release}.0")
                connection.request("POST", path, body, {**headers, "Content-Type": kind})
                response = connection.getresponse()
                said = response.read()
                assert response.status == 200, (self.name, filename, response.status, said[:300])
        connection.close()


class Pypiron(Uploaded):
    """pypiron, with its store on the disk, filled by uploads; without its feed of advisories, which it would fetch."""

    name = "pypiron"
    prefix = "/simple"
    most_files = 10_000

    @classmethod
    def missing(cls, workplace: Workplace) -> str | None:
        return None if workplace.program("pypiron", "pypiron") else "not set up"

    @classmethod
    def version(cls, workplace: Workplace) -> str:
        return installed(workplace, "pypiron")

    def command(self) -> list[str]:
        program = self.workplace.program("pypiron", "pypiron") or ""
        return [
            program,
            "serve",
            "--data-dir",
            str(self.place / "data"),
            "--bind-addr",
            f"127.0.0.1:{self.port}",
        ]

    def environment(self) -> dict[str, str]:
        return {
            "PYPIRON_ADMIN_USER": "admin",
            "PYPIRON_ADMIN_PASS": "benchmark",
            "PYPIRON_ADVISORY_FEED": "",
            "PYPIRON_MALWARE_BLOCK": "false",
        }

    def file(self, name: str, filename: str) -> str:
        return f"/files/{name}/{quote(filename)}"

    def is_complete(self) -> bool:
        last = list(self.repository.names())[-1]
        wanted = self.repository.filename(last, self.repository.files_each - 1)
        return wanted.encode() in self.get(self.page(last))[2]

    def fill(self) -> None:
        from tests.benchmarks.uploads import basic

        self.upload("/legacy/", {"Authorization": basic("admin", "benchmark")})
        wait_until(self.is_complete, START_SECONDS, "pypiron's pages")


class DevpiServer(Uploaded):
    """devpi-server, with one index without bases, filled by uploads."""

    name = "devpi-server"
    prefix = "/root/bench/+simple"
    most_files = 600

    @classmethod
    def missing(cls, workplace: Workplace) -> str | None:
        return None if workplace.program(cls.name, cls.name) else "not set up"

    @classmethod
    def version(cls, workplace: Workplace) -> str:
        return installed(workplace, cls.name)

    def command(self) -> list[str]:
        program = self.workplace.program(self.name, self.name) or ""
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--serverdir", str(self.place / "data")]
        return [program, *where, "--offline-mode"]

    def file(self, name: str, filename: str) -> str:
        # Its paths hold digests, so the page has to be asked.
        page = self.get(self.page(name))[2].decode()
        before = page.partition(filename)[0].rpartition('href="')[2]
        return f"/root/bench/{before.lstrip('./')}{quote(filename)}"

    def initialise(self) -> None:
        program = self.workplace.program(self.name, "devpi-init") or ""
        options = ["--serverdir", str(self.place / "data"), "--no-root-pypi", "--root-passwd", "benchmark"]
        subprocess.run([program, *options], check=True, capture_output=True, timeout=120)

    def is_listening(self) -> bool:
        return self.get("/+api")[0] == 200

    def fill(self) -> None:
        from tests.benchmarks.uploads import devpi_login

        headers = devpi_login(self.port)
        self.upload("/root/bench/", headers)


PEERS: tuple[type[Server], ...] = (
    Simpleindex,
    TwistdWeb,
    NginxAutoindex,
    NginxStatic,
    Pypiserver,
    SimpleRepositoryServer,
    DevpiServer,
    Pypiron,
)
NEED_NO_SETUP: tuple[type[Server], ...] = (Simpleindex, NginxStatic)


def installed(workplace: Workplace, name: str) -> str:
    """The version of a peer in its environment."""
    pip = workplace.program(name, "pip") or ""
    shown = _said(pip, "--disable-pip-version-check", "show", name)
    return next((line.split(": ")[1] for line in shown.splitlines() if line.startswith("Version: ")), "?")


def _said(*command: str) -> str:
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return (result.stdout + result.stderr).strip()
