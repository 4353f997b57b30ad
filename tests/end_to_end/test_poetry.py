"""Real poetry against the installed server, over real TLS."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import add_self_building_sdist, poetry, sha256
from tests.fixtures.distributions import add_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow

PROJECT = """\
[project]
name = "customer"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["po-app>=1", "po_source"]

[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "mine"
url = "{url}"
priority = "primary"
"""


def test_locks_and_installs(index: Server, tmp_path: Path) -> None:
    """A lock with our hashes, then an install by it: wheels with a dependency, and an sdist byte for byte."""
    wheel = add_wheel(index.root, "po-app", "1.2", "Requires-Dist: po-lib<2")
    add_wheel(index.root, "po-lib", "1.4")
    add_wheel(index.root, "po-lib", "2.0")
    sdist = add_self_building_sdist(index.root, "po_source")
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(url=index.simple))
    client = poetry(tmp_path)
    client("config", "--local", "certificates.mine.cert", str(index.ca))
    client("lock")
    locked = (tmp_path / "poetry.lock").read_text()
    assert f"sha256:{sha256(wheel)}" in locked
    assert f"sha256:{sha256(sdist)}" in locked
    client("install")
    check = "import po_app, po_lib, po_source; print(po_app.version, po_lib.version, po_source.version)"
    command = [str(tmp_path / ".venv" / "bin" / "python"), "-c", check]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "1.2 1.4 1.0\n"
