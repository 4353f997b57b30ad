"""A server that takes uploads is backed up, lost and restored: by the commands, twistd and pip."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import threading
from base64 import b64encode
from typing import TYPE_CHECKING, Self

import pytest

from tests.end_to_end.clients import pip, sha256, version_in
from tests.end_to_end.publishing import ACCESS, start_publishing
from tests.end_to_end.running import PATIENCE, bare_environment
from tests.end_to_end.uploading import upload
from tests.fixtures.distributions import wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.publishing import Publishing
    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow


def command(server: Server, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``simpleindex`` with the configuration of the server, as far as there is one."""
    configuration = server.home / "simpleindex.toml"
    named = {"SIMPLEINDEX_CONFIG": str(configuration)} if configuration.exists() else {}
    return subprocess.run(
        [server.installed.python, "-m", "simpleindex", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        cwd=server.home,
        env=bare_environment(server.home, **named),
    )


def start(new_server: Callable[..., Server]) -> Publishing:
    """Start a server with people, and write the configuration file that the commands read."""
    publishing = start_publishing(
        new_server, access=f"private = true\n{ACCESS}".replace("anyone", "authenticated")
    )
    home, root = publishing.server.home, publishing.server.root
    (home / "simpleindex.toml").write_text(
        f'path = "{root}"\nhttps = {publishing.server.port}\nstate = "state"\ncache = "cache"\ncerts = "certs"\n'
        'users = "users"\naccess = "access.toml"\n'
    )
    return publishing


class Uploads:
    """Uploads one after the other, until the end of the block.

    Attributes:
        done: The files that were taken.
    """

    def __init__(self, publishing: Publishing, token: str) -> None:
        self.done: list[str] = []
        self._publishing, self._token = publishing, token
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for number in itertools.count():
            if self._over.is_set():
                return
            name, version = f"p{number % 7}", f"1.{number}"
            answer = upload(self._publishing.server, self._token, name, version, wheel_bytes(name, version))
            assert answer.status == 200, answer
            self.done.append(wheel_name(name, version))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)


def test_lost_and_restored(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Backups while uploads arrive, then everything is lost; after the restore pip installs, a token works, the audit is there."""
    publishing = start(new_server)
    server, backups = publishing.server, tmp_path / "backups"
    token = publishing.token(can="upload,read")
    assert upload(server, token, "steady", "1.0", wheel_bytes("steady")).status == 200
    with Uploads(publishing, token) as uploads:
        for _ in range(2):
            before = len(uploads.done)
            made = command(server, "backup", backups, "--keep", "2")
            assert (made.returncode, made.stderr) == (0, "")
            assert made.stdout.strip().endswith("Verified.")
    proof = command(server, "restore", "--verify", backups)
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert "A token that was made in the restored records can log in." in proof.stdout
    assert "came from the server with the digest of the manifest" in proof.stdout
    refused = command(server, "restore", backups, "--force")
    assert "A server is running" in refused.stderr
    kept = sha256(server.root / "steady" / wheel_name("steady"))
    server.kill()
    lost = [
        server.root,
        *(server.home / name for name in ("state", "cache", "certs", "users", "access.toml")),
    ]
    for path in (*lost, server.home / "simpleindex.toml"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    restored = command(server, "restore", backups)
    assert restored.returncode == 0, restored.stderr
    server.listen = ("--https", str(server.port))
    server.start()
    (page,) = (each for each in server_page(server, token, "steady")["files"])
    assert page["hashes"]["sha256"] == kept
    listed = {path.name for path in server.root.rglob("*.whl")}
    assert set(uploads.done[:before]) <= listed <= {*uploads.done, wheel_name("steady")}
    client = pip(tmp_path, server.ca)
    url = server.simple.replace("https://", f"https://__token__:{token}@")
    client("install", "--index-url", url, "--target", str(tmp_path / "target"), "steady")
    assert version_in(tmp_path / "target", "steady") == "1.0"
    assert upload(server, token, "steady", "2.0", wheel_bytes("steady", "2.0")).status == 200
    entries = [json.loads(line) for line in (server.home / "state" / "audit.jsonl").read_text().splitlines()]
    assert {"token-created", "upload"} <= {entry["event"] for entry in entries}
    assert {entry["filename"] for entry in entries if entry["event"] == "upload"} >= {*uploads.done[:before]}
    publishing.assert_no_secret_was_told()


def server_page(server: Server, token: str, name: str) -> dict[str, list[dict[str, dict[str, str]]]]:
    """Return a project's page for the token."""
    login = b64encode(f"__token__:{token}".encode()).decode()
    answer = server.get(
        f"/simple/{name}/", accept="application/vnd.pypi.simple.v1+json", authorization=f"Basic {login}"
    )
    assert answer.status == 200, answer
    found: dict[str, list[dict[str, dict[str, str]]]] = json.loads(answer.body)
    return found
