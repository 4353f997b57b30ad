"""What a plain server imports: a part that is not in use costs no time at the start and no memory."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# Without the extras "pages" and "metrics", which the tests have installed.
_START: Final = """
import os, sys
from simpleindex.system import extras
extras.has_pages = extras.has_metrics = lambda: False
from simpleindex.tap import Options, makeService
options = Options()
options.parseOptions(sys.argv[1:])
service = makeService(options)
service.privilegedStartService()
service.startService()
sys.__stdout__.write("\\n".join(sys.modules))
sys.__stdout__.flush()
os._exit(0)
"""

MOST_OWN_MODULES: Final = 262
"""They were 257 when this was set, with the packages; a module is about 0.5 ms of every start."""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """Return the names of all modules of a server that was started with no more than a directory and a port."""
    base: Path = tmp_path_factory.mktemp("start")
    (base / "packages").mkdir()
    places = [word for name in ("state", "cache", "certs") for word in (f"--{name}", str(base / name))]
    words = ["--path", str(base / "packages"), "--http", "tcp:0:interface=127.0.0.1", *places]
    start = subprocess.run(
        [sys.executable, "-c", _START, *words], check=True, capture_output=True, text=True, timeout=60
    )
    return frozenset(start.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        *("acme", "josepy", "requests"),
        *("argon2", "multipart", "tomlkit"),
        *("jinja2", "nh3", "readme_renderer"),
        *("psycopg", "boto3", "botocore", "prometheus_client"),
        *("pypi_attestations", "sigstore"),
        "brotli",
        *("argparse", "tqdm"),
        "simpleindex.backup",
        "simpleindex.commands",
        "simpleindex.metrics",
        "simpleindex.hooks",
        "simpleindex.migration",
        "simpleindex.search",
        "simpleindex.tls.acme",
        "simpleindex.web.fast.tls",
        "simpleindex.web.people.pages",
        "simpleindex.web.publish",
    ],
)
def test_what_is_off_is_not_imported(imported: frozenset[str], module: str) -> None:
    assert module not in imported


def test_the_server_is_small(imported: frozenset[str]) -> None:
    own = sorted(name for name in imported if name.startswith("simpleindex."))
    assert "simpleindex.service.service" in own
    assert len(own) <= MOST_OWN_MODULES, "import what is not always needed where it is used"
