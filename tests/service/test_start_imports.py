"""What a plain server imports: a part that is not in use costs no time at the start and no memory."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# The tests have these extras installed.
_WITHOUT_EXTRAS: Final = """
from simpleindex.system import extras
extras.has_pages = extras.has_metrics = lambda: False
"""

_START: Final = """
import os, sys
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
    return _imported(_WITHOUT_EXTRAS + _START, tmp_path_factory.mktemp("start"))


def _imported(program: str, base: Path) -> frozenset[str]:
    (base / "packages").mkdir()
    places = [word for name in ("state", "cache", "certs") for word in (f"--{name}", str(base / name))]
    words = ["--path", str(base / "packages"), "--http", "tcp:0:interface=127.0.0.1", *places]
    start = subprocess.run(
        [sys.executable, "-c", program, *words], check=True, capture_output=True, text=True, timeout=60
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
        "simpleindex.archives.verification.verify",
        "simpleindex.backup",
        "simpleindex.commands",
        "simpleindex.metrics",
        "simpleindex.hooks",
        "simpleindex.migration",
        "simpleindex.search",
        "simpleindex.tls.acme",
        "simpleindex.web.fast.tls",
        "simpleindex.web.people.pages",
        "simpleindex.views.explain",
        "simpleindex.web.publish",
        "simpleindex.web.why",
    ],
)
def test_what_is_off_is_not_imported(imported: frozenset[str], module: str) -> None:
    assert module not in imported


def test_pages_for_people_are_paid_for_by_the_first_reader(tmp_path: Path) -> None:
    """With the extra a start makes ready for them, and leaves the large libraries to the first page that needs them."""
    imported = _imported(_START, tmp_path)
    assert "simpleindex.web.people.pages" in imported
    assert not imported & {"jinja2", "docutils", "pygments", "readme_renderer", "prometheus_client"}
    assert not imported & {
        "simpleindex.web.people.project",
        "simpleindex.web.people.renderer",
        "simpleindex.web.people.static_files",
        "simpleindex.search.query",
        "simpleindex.search.search",
    }


def test_the_server_is_small(imported: frozenset[str]) -> None:
    own = sorted(name for name in imported if name.startswith("simpleindex."))
    assert "simpleindex.service.service" in own
    assert len(own) <= MOST_OWN_MODULES, "import what is not always needed where it is used"
