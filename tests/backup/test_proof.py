"""Proofs of backups: each step is a sentence, and each fault is found."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from simpleindex.backup import proof
from simpleindex.backup.destination import read_manifest
from simpleindex.backup.manifest import MANIFEST, PackagesMode
from simpleindex.backup.proof import BackupProof, prove_backup
from simpleindex.backup.trial_server import NoAnswer
from tests.fixtures.backup_world import NO_STEPS, BackupWorld
from tests.fixtures.distributions import put, wheel_name


class PretendedServer:
    """A server that answers from the restored directory.

    Attributes:
        made: The servers that were started.
        whoami: What it says of the token.
        hides: Names of files that it does not list.
        spoils: Whether it sends other bytes.
    """

    made: ClassVar[list[PretendedServer]] = []
    whoami: ClassVar[Any] = {"token": {"id": "a"}}
    hides: ClassVar[frozenset[str]] = frozenset()
    spoils: ClassVar[bool] = False
    is_ready: ClassVar[bool] = True

    def __init__(self, configuration: str, place: str, environment: dict[str, str], *, is_tls: bool) -> None:
        self.options = tomllib.loads(Path(configuration).read_text())
        self.place, self.environment, self.is_tls = place, environment, is_tls
        self.packages = sorted(os.listdir(self.options["path"]))
        self.is_linked = os.path.exists(self._wheel()) and os.stat(self._wheel()).st_nlink > 1
        self.token = ""
        self.made.append(self)

    def _wheel(self) -> str:
        return os.path.join(self.options["path"], "acme", wheel_name())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait_until_ready(self, seconds: float) -> None:
        assert seconds >= 60
        if not self.is_ready:
            raise NoAnswer("The restored server does not start: no.")

    def get_json(self, page: str) -> Any:
        if page == "-/api/whoami":
            return self.whoami if self.token else None
        name = page.split("/")[1]
        files = [
            each for each in os.listdir(os.path.join(self.options["path"], name)) if each not in self.hides
        ]
        return {
            "files": [
                {"filename": "other.whl"},
                *({"filename": each, "url": f"../../files/{name}/{each}"} for each in files),
            ]
        }

    def get(self, page: str) -> bytes:
        assert page.startswith("files/")
        return b"X" if self.spoils else Path(self.options["path"], page.removeprefix("files/")).read_bytes()


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> type[PretendedServer]:
    """Servers of the tests."""

    class Anew(PretendedServer):
        made: ClassVar[list[PretendedServer]] = []

    monkeypatch.setattr(proof, "TrialServer", Anew)
    return Anew


def proved(backup: str) -> BackupProof:
    return prove_backup(backup, read_manifest(backup), NO_STEPS, lambda _: None)


def test_a_good_backup(
    world: BackupWorld, server: type[PretendedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All steps; the server reaches its own directories alone, and nothing is left of it."""
    monkeypatch.setenv("SIMPLEINDEX_PATH", "/srv/real")
    backup = world.back_up().path
    found = proved(backup)
    assert found.faults == []
    assert [fact.split(": ")[0].split(" after")[0] for fact in found.facts] == [
        "14 files with the sizes and digests of the manifest.",
        "The records can be read and written",
        "A server that was started from it was ready",
        "A token that was made in the restored records can log in.",
        "2 files of a sample of 2 came from the server with the digest of the manifest, such as acme/acme-1.0-py3-none-any.whl.",
    ]
    assert "1 token, 0 projects with an owner" in found.facts[1]
    (started,) = server.made
    assert started.is_tls
    assert started.is_linked
    assert set(started.options) == {"path", "state", "certs", "cache", "users", "sources", "watch"}
    assert all(text.startswith(started.place) for name, text in started.options.items() if name != "watch")
    assert "SIMPLEINDEX_PATH" not in started.environment
    assert os.listdir(world.backups) == [os.path.basename(backup)]
    with pytest.raises(AssertionError):
        assert read_manifest(backup).options["path"] == (started.options["path"],)


def test_logins_from_the_environment(world: BackupWorld, server: type[PretendedServer]) -> None:
    """The service has variables that this shell lacks; no upstream is requested with the ones made up for it."""
    path = world.home / "etc" / "sources.toml"
    text = path.read_text()
    put(path, text.replace(f"file:{world.home}/etc/secrets/behind", "env:LOGIN_OF_BEHIND").encode())
    assert proved(world.back_up().path).faults == []
    assert server.made[0].environment["LOGIN_OF_BEHIND"] == "nobody:nothing"


def test_without_logins_sources_and_packages(world: BackupWorld, server: type[PretendedServer]) -> None:
    """A server that only reads has no records; of packages by reference nothing can be fetched."""
    for name in ("records.sqlite3", "records.sqlite3-wal", "records.sqlite3-shm"):
        (world.home / "var" / name).unlink(missing_ok=True)
    put(
        world.home / "etc" / "simpleindex.toml",
        b'path = "../srv"\nstate = "../var"\ncache = "../cache"\nhttp = 8080\n',
    )
    found = proved(world.back_up(PackagesMode.REFERENCE).path)
    assert found.faults == []
    assert found.facts[1] == "There are no records: no token was ever made, and no file uploaded."
    assert found.facts[2].endswith("seconds.")
    assert len(found.facts) == 3
    assert server.made[0].packages == []


def test_a_server_without_logins(world: BackupWorld, server: type[PretendedServer]) -> None:
    """It has records for its upstreams, and nobody logs in; of its directory without packages nothing is fetched."""
    shutil.rmtree(world.home / "srv")
    put(world.home / "srv" / "acme" / "deep" / wheel_name(), b"")
    put(world.home / "srv" / "acme" / "notes.txt", b"")
    path = world.home / "etc" / "simpleindex.toml"
    put(path, path.read_bytes().replace(b'users = "users"', b""))
    found = proved(world.back_up().path)
    assert found.faults == []
    assert len(found.facts) == 3
    assert server.made[0].token == ""


def test_files_that_are_not_offered(world: BackupWorld, server: type[PretendedServer]) -> None:
    """Some may be withheld; if none of the sample comes, it is a fault."""
    backup = world.back_up().path
    server.hides = frozenset({wheel_name()})
    found = proved(backup)
    assert found.faults == []
    assert "acme/acme-1.0-py3-none-any.whl is not offered by the restored server" in found.facts[-1]
    server.hides = frozenset({wheel_name(), wheel_name("tool", "2.0")})
    assert len(proved(backup).faults) == 2


def test_other_bytes(world: BackupWorld, server: type[PretendedServer]) -> None:
    server.spoils = True
    assert "with another digest" in proved(world.back_up().path).faults[0]


def test_a_token_that_cannot_log_in(world: BackupWorld, server: type[PretendedServer]) -> None:
    server.whoami = {"token": None}
    assert "cannot log in" in proved(world.back_up().path).faults[0]


def test_a_server_that_does_not_start(world: BackupWorld, server: type[PretendedServer]) -> None:
    server.is_ready = False
    assert proved(world.back_up().path).faults == ["The restored server does not start: no."]


def test_files_with_other_bytes(world: BackupWorld) -> None:
    """No server is started from them."""
    backup = Path(world.back_up(PackagesMode.COPY).path)
    damaged = [path for path in backup.rglob("*") if path.is_file() and path.name != MANIFEST]
    for path in damaged:
        path.write_bytes(b"X")
    found = proved(str(backup))
    assert len(found.faults) == 11
    assert found.faults[-1] == "So are 4 more files."
    assert found.facts == []


def test_records_that_cannot_be_used(world: BackupWorld) -> None:
    """What is no database has the digest that it had."""
    put(world.home / "var" / "other", b"")
    backup = Path(world.back_up().path)
    path, manifest = backup / "state" / "records.sqlite3", backup / MANIFEST
    path.write_bytes(b"no database at all")
    table = json.loads(manifest.read_text())
    for item in table["items"]:
        if item["path"] == "records.sqlite3":
            item |= {"size": 18, "sha256": hashlib.sha256(b"no database at all").hexdigest()}
    manifest.write_text(json.dumps(table))
    assert "records of tokens and owners cannot be used" in proved(str(backup)).faults[0]
    table["parts"] = [part for part in table["parts"] if part["name"] != "state"]
    table["items"] = [item for item in table["items"] if item["part"] != "state"]
    manifest.write_text(json.dumps(table))
    assert proved(str(backup)).faults == ["The backup has no state."]


def test_a_place_that_cannot_be_written(
    world: BackupWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backups on a medium that is read-only are restored to the system's directory for temporary files."""
    real, tried = tempfile.mkdtemp, []

    def mkdtemp(prefix: str, dir: str | None = None) -> str:  # noqa: A002
        tried.append(dir)
        if dir is not None:
            raise OSError(30, "Read-only file system")
        return real(prefix=prefix, dir=tmp_path)

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    backup = world.back_up().path
    assert proved(backup).faults == []
    assert tried == [str(world.backups), None]

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(proof, "write_options", full)
    assert "No space left on device" in proved(backup).faults[0]
