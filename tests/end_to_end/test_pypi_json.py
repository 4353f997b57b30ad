"""A real bandersnatch mirrors the index whole by its list of projects and PyPI's JSON API, and then what has changed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.peers import program
from tests.end_to_end.running import PATIENCE, bare_environment, wait_until
from tests.end_to_end.storages import ON_BOTH_STORAGES
from tests.fixtures.distributions import add_sdist, add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server
    from tests.end_to_end.storages import Storage

pytestmark = pytest.mark.slow

CONFIGURATION = """\
[mirror]
directory = {directory}
master = {url}
api-method = simple
json = true
timeout = 120
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
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@ON_BOTH_STORAGES
def test_bandersnatch(new_server: Callable[..., Server], storage: Storage, tmp_path: Path) -> None:
    """Of several nodes another one each time, of several workers any, for all of them give a change the same serial."""
    made = tmp_path / "made"
    files = {
        "acme-app/": add_wheel(made, "Acme.App", "1.0", "Requires-Dist: acme-lib"),
        "acme-lib/": add_wheel(made, "acme-lib", "1.0"),
        "acme-lib": add_sdist(made, "acme-lib", "1.1+local.1"),
        "packages": add_sdist(made, "packages", "1.0"),
    }
    servers = [new_server(name=name) for name in ("one", "two")[: 1 if storage.records is None else 2]]
    for server in servers:
        storage.attach(server)
        server.options = (*storage.options, "--workers=2") if storage.records is None else storage.options
    for project, path in files.items():
        storage.put(f"{project.rstrip('/')}/{path.name}", path.read_bytes())
    for server in servers:
        server.start()
    home = tmp_path / "mirror"

    def mirrored() -> dict[str, bytes]:
        paths = (home / "mirror" / "web" / "packages").rglob("*.*")
        return {path.name: path.read_bytes() for path in paths if not path.name.endswith(".metadata")}

    def there() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in files.values()}

    mirror(servers[0], home)
    assert mirrored() == there()
    page = (home / "mirror" / "web" / "simple" / "acme-lib" / "index.html").read_text()
    assert "acme_lib-1.0-py3-none-any.whl#sha256=" in page
    assert "0 packages to sync" in mirror(servers[-1], home)
    files["new"] = new = add_wheel(made, "acme-lib", "2.0")
    storage.put(f"acme-lib/{new.name}", new.read_bytes())
    for server in servers:
        wait_until(lambda server=server: len(server.project("acme-lib")["files"]) == 3, "it is listed")  # type: ignore[misc]
    assert "1 packages to sync" in mirror(servers[-1], home)
    assert mirrored() == there()
