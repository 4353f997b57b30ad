"""Servers in front of another index, which keep what they have had from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from tests.benchmarks.processes import LOAD_PROCESSOR, wait_until
from tests.benchmarks.servers import (
    START_SECONDS,
    ImmutableSimpleindex,
    Server,
    Simpleindex,
    installed,
)
from tests.benchmarks.uploads import devpi_index

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.setup import Workplace

_JSON = "application/vnd.pypi.simple.v1+json"


_FRESH = """
from twisted.scripts.twistd import run
from simpleindex.web import listings
listings._REVALIDATE = "Cache-Control", "max-age=600, public"
run()
"""


class Upstream(ImmutableSimpleindex):
    """What all of them ask: on the processor of the load, so that it takes nothing from who is measured.

    Its pages are fresh for ten minutes, as PyPI's are. Not all of the servers obey that, and else only some would ask again.
    """

    name = "upstream"
    processor = LOAD_PROCESSOR

    def command(self) -> list[str]:
        _, *options = super().command()
        return [sys.executable, "-c", _FRESH, *options]

    def nearest(self) -> str:
        """The URL of its index, without the relay of a distance."""
        return self.index(self.port)

    def index(self, port: int) -> str:
        """The URL of its index on another port."""
        return f"http://127.0.0.1:{port}{self.prefix}/"


class Direct(Upstream):
    """The same, asked by the client itself."""

    name = "direct"


class Caching(Server):
    """A server in front of an index.

    Attributes:
        behind: The URL of that index; set before the start.
    """

    behind = ""

    @property
    def data(self) -> Path:
        """All that it keeps."""
        return self.place / "data"

    def forget(self) -> None:
        """Have nothing of the index any more; while it does not run."""
        shutil.rmtree(self.data, ignore_errors=True)

    def start_cold(self) -> None:
        """Start it, again if need be, with nothing of the index."""
        self.stop()
        self.forget()
        self.start()

    def file(self, name: str, filename: str) -> str:
        # Where it is, only the page says.
        status, headers, body = self.get(self.page(name), {"Accept": f"{_JSON}, text/html;q=0.1"})
        assert status == 200, (self.name, name, status)
        if "json" in headers["content-type"]:
            link = next(
                str(each["url"]) for each in json.loads(body)["files"] if each["filename"] == filename
            )
        else:
            link = body.decode().partition(f">{filename}")[0].rpartition('href="')[2].partition('"')[0]
        return urljoin(self.page(name), link).partition("#")[0]


class CachingSimpleindex(Caching, Simpleindex):
    """Ours, with nothing of its own."""

    name = "simpleindex --sources"

    @property
    def cache(self) -> Path:
        return self.data

    def command(self) -> list[str]:
        own, sources = self.place / "own", self.place / "sources.toml"
        own.mkdir(exist_ok=True)
        sources.write_text(f'[[upstream]]\nname = "up"\nurl = "{self.behind}"\nttl = "1h"\n')
        command = super().command()
        command[command.index("--path") + 1] = str(own)
        return [*command, "--sources", str(sources)]

    def file(self, name: str, filename: str) -> str:
        return f"{self.page(name)}{quote(filename)}"


class Proxpi(Caching):
    """proxpi, with the server that its image has.

    It would send a client to the index for a file that takes it longer than 0.9 s; here it has to pass on what it fetches.
    """

    name = "proxpi"
    prefix = "/index"

    @classmethod
    def missing(cls, workplace: Workplace) -> str | None:
        return None if workplace.program("proxpi", "gunicorn") else "not set up"

    @classmethod
    def version(cls, workplace: Workplace) -> str:
        return installed(workplace, "proxpi")

    def command(self) -> list[str]:
        program = self.workplace.program("proxpi", "gunicorn") or ""
        how = ["--worker-class", "gthread", "--threads", "8", "--timeout", "600", "--log-level", "warning"]
        return [program, *how, "--bind", f"127.0.0.1:{self.port}", "proxpi.server:app"]

    def environment(self) -> dict[str, str]:
        self.data.mkdir(exist_ok=True)
        return {
            "PROXPI_INDEX_URL": self.behind,
            "PROXPI_CACHE_DIR": str(self.data),
            "PROXPI_INDEX_TTL": "3600",
            "PROXPI_DOWNLOAD_TIMEOUT": "600",
            "PROXPI_LOGGING_LEVEL": "WARNING",
        }

    def is_complete(self) -> bool:
        return self.get("/health")[0] > 0


class DevpiMirror(Caching):
    """devpi-server, with one index that mirrors another."""

    name = "devpi-server mirror"
    prefix = "/root/mirror/+simple"

    @classmethod
    def missing(cls, workplace: Workplace) -> str | None:
        return None if workplace.program("devpi-server", "devpi-server") else "not set up"

    @classmethod
    def version(cls, workplace: Workplace) -> str:
        return installed(workplace, "devpi-server")

    def command(self) -> list[str]:
        program = self.workplace.program("devpi-server", "devpi-server") or ""
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--serverdir", str(self.data)]
        return [program, *where, "--mirror-cache-expiry", "3600"]

    def start(self) -> None:
        is_new = not self.data.exists()
        if is_new:
            program = self.workplace.program("devpi-server", "devpi-init") or ""
            options = ["--serverdir", str(self.data), "--no-root-pypi", "--root-passwd", "benchmark"]
            subprocess.run([program, *options], check=True, capture_output=True, timeout=120)
        self.launch()
        wait_until(self.is_complete, START_SECONDS, f"the start of {self.name}", every=0.05)
        if is_new:
            mirror = {"type": "mirror", "mirror_url": self.behind, "volatile": True}
            devpi_index(self.port, "mirror", mirror)

    def is_complete(self) -> bool:
        return self.get("/+api")[0] == 200


CACHES: tuple[type[Caching], ...] = (CachingSimpleindex, Proxpi, DevpiMirror)
