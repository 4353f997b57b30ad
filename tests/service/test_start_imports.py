"""What a plain server imports: a part that is not in use costs no time at the start and no memory."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# The tests have these extras installed.
_WITHOUT_EXTRAS: Final = """
from simpleindex.system import extras
extras.has_pages = extras.has_metrics = lambda: False
"""

_START: Final = """
import json, os, sys
from simpleindex.tap import Options, makeService
options = Options()
options.parseOptions(sys.argv[1:])
service = makeService(options)
service.privilegedStartService()
service.startService()
own = [(name, vars(module)) for name, module in list(sys.modules.items()) if name.startswith("simpleindex.")]
dataclasses = [
    each for name, values in own for each in values.values()
    if isinstance(each, type) and each.__module__ == name and "__dataclass_fields__" in vars(each)
]
sys.__stdout__.write(json.dumps([list(sys.modules), len(dataclasses)]))
sys.__stdout__.flush()
os._exit(0)
"""

MOST_OWN_MODULES: Final = 226
"""They were 219 when this was set, with the packages; a module is about 0.5 ms of every start."""

MOST_WITH_EXTRAS: Final = 254
"""The same with the extras ``pages`` and ``metrics``; they were 247."""

MOST_DATACLASSES: Final = 153
"""They were 148 when this was set, with these extras; one is 0.4 ms of every start, and a ``NamedTuple`` 0.1 ms."""


class Started(NamedTuple):
    """What a start imported."""

    modules: frozenset[str]
    dataclasses: int

    @property
    def own(self) -> list[str]:
        return sorted(name for name in self.modules if name.startswith("simpleindex."))


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """Return the names of all modules of a server that was started with no more than a directory and a port."""
    return _started(_WITHOUT_EXTRAS + _START, tmp_path_factory.mktemp("start")).modules


@pytest.fixture(scope="module")
def with_extras(tmp_path_factory: pytest.TempPathFactory) -> Started:
    """Return what such a server imported that has the extras ``pages`` and ``metrics``."""
    return _started(_START, tmp_path_factory.mktemp("extras"))


def _started(program: str, base: Path) -> Started:
    (base / "packages").mkdir()
    places = [word for name in ("state", "cache", "certs") for word in (f"--{name}", str(base / name))]
    words = ["--path", str(base / "packages"), "--http", "tcp:0:interface=127.0.0.1", *places]
    start = subprocess.run(
        [sys.executable, "-c", program, *words], check=True, capture_output=True, text=True, timeout=60
    )
    modules, dataclasses = json.loads(start.stdout)
    return Started(frozenset(modules), dataclasses)


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


def test_pages_for_people_are_paid_for_by_the_first_reader(with_extras: Started) -> None:
    """With the extra a start makes ready for them, and leaves the large libraries to the first page that needs them."""
    imported = with_extras.modules
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
    own = Started(imported, 0).own
    assert "simpleindex.service.service" in own
    assert len(own) <= MOST_OWN_MODULES, "import what is not always needed where it is used"


def test_the_server_is_small_with_extras(with_extras: Started) -> None:
    assert "simpleindex.service.composition.metrics" in with_extras.modules
    assert len(with_extras.own) <= MOST_WITH_EXTRAS, "import what is not always needed where it is used"


def test_a_start_makes_few_dataclasses(with_extras: Started) -> None:
    assert with_extras.dataclasses <= MOST_DATACLASSES, (
        "a plain small value is a NamedTuple, or is imported where it is used"
    )


@pytest.mark.parametrize(
    "module",
    [
        "simpleindex.archives.inspect",
        "simpleindex.archives.zip",
        "simpleindex.access.logins",
        "simpleindex.policy.judgement",
        "simpleindex.records.audit.audit_questions",
        "simpleindex.search.document",
        "simpleindex.tls",
        "simpleindex.upstreams.cache",
        "simpleindex.upstreams.settings",
        "simpleindex.views",
        "packaging.requirements",
        "tomllib",
    ],
)
def test_what_is_off_is_not_imported_with_extras_either(with_extras: Started, module: str) -> None:
    assert module not in with_extras.modules
