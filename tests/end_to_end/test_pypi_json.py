"""A real bandersnatch mirrors the index whole by its list of projects and PyPI's JSON API, and then what has changed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.peers import program
from tests.end_to_end.running import bare_environment, wait_until
from tests.fixtures.distributions import add_sdist, add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow

CONFIGURATION = """\
[mirror]
directory = {directory}
master = {url}
api-method = simple
json = true
timeout = 10
workers = 2
stop-on-error = true
hash-index = false
storage-backend = filesystem
verifiers = 1
compare-method = hash
"""


def mirror(server: Server, home: Path) -> str:
    """Mirror the server; returns what bandersnatch logs."""
    home.mkdir(exist_ok=True)
    configuration = home / "bandersnatch.conf"
    configuration.write_text(CONFIGURATION.format(directory=home / "mirror", url=server.url))
    done = subprocess.run(
        [program("bandersnatch"), "-c", configuration, "mirror"],
        env=bare_environment(home, SSL_CERT_FILE=str(server.ca)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_bandersnatch(new_server: Callable[..., Server], tmp_path: Path) -> None:
    server = new_server()
    files = [
        add_wheel(server.root, "Acme.App", "1.0", "Requires-Dist: acme-lib"),
        add_wheel(server.root, "acme-lib", "1.0"),
        add_sdist(server.root, "acme-lib", "1.1+local.1"),
        add_sdist(server.root, "packages", "1.0"),
    ]
    server.start()
    home = tmp_path / "mirror"

    def mirrored() -> dict[str, bytes]:
        paths = (home / "mirror" / "web" / "packages").rglob("*.*")
        return {path.name: path.read_bytes() for path in paths if not path.name.endswith(".metadata")}

    mirror(server, home)
    assert mirrored() == {path.name: path.read_bytes() for path in files}
    page = (home / "mirror" / "web" / "simple" / "acme-lib" / "index.html").read_text()
    assert "acme_lib-1.0-py3-none-any.whl#sha256=" in page
    files.append(add_wheel(server.root, "acme-lib", "2.0"))
    wait_until(lambda: len(server.project("acme-lib")["files"]) == 3, "the new wheel is listed")
    log = mirror(server, home)
    assert "1 packages to sync" in log
    assert mirrored() == {path.name: path.read_bytes() for path in files}
