"""People, tokens and publishers for the end-to-end tests."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING
from unittest.mock import patch

from argon2 import PasswordHasher

from simpleindex.commands.main import main
from tests.end_to_end.changing_files import files_below
from tests.end_to_end.clients import Client, found
from tests.end_to_end.running import Server, bare_environment
from tests.end_to_end.storages import DirectoryStorage
from tests.fixtures.distributions import sdist_bytes, sdist_name, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.storages import Storage

ACCESS = """\
[[rule]]
projects = ["secret-*"]
read = ["alice"]
upload = ["alice"]
yank = ["alice"]

[[rule]]
projects = ["*"]
read = ["anyone"]
upload = ["alice", "bob"]
yank = ["alice"]
delete = ["alice"]
admin = ["alice"]
"""


@dataclass
class Publishing:
    """A server that takes uploads from alice and bob, and shows alice's secrets to alice only.

    Attributes:
        server: It.
        users: The users file.
        access: The access file.
        passwords: Of everybody; no log may hold one.
        tokens: All that were made; no log may hold one.
        storage: Where its packages and records are.
    """

    server: Server
    users: Path
    access: Path
    passwords: dict[str, str]
    tokens: list[str] = field(default_factory=list)
    storage: Storage = field(default_factory=DirectoryStorage)

    @property
    def legacy(self) -> str:
        """Where uploads go."""
        return f"{self.server.url}/legacy/"

    def token(self, *options: str, user: str = "alice", can: str = "upload") -> str:
        """Make a token by the command, while the server runs."""
        secret = self.run("token", "create", "--user", user, "--can", can, *options).strip()
        assert secret.startswith("sidx-"), secret
        self.tokens.append(secret)
        return secret

    def run(self, *arguments: str) -> str:
        """Run the ``simpleindex`` command with this server's state and records; return what it prints."""
        server = self.server
        state = server.home / "state"
        done = command(server.home, *arguments, state=state, records=self.storage.records)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def assert_no_secret_was_told(self) -> None:
        """See that no log, no page on disk and no audit line holds a password or a token."""
        told = self.server.log + (self.server.home / "access.log").read_text() + self.storage.records_text()
        for path in files_below(self.server.home / "state"):
            with suppress(FileNotFoundError):
                told += path.read_bytes().decode("latin-1")
        for secret in (*self.passwords.values(), *self.tokens):
            assert secret not in told


def command(
    home: Path, *arguments: str, state: Path, records: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the ``simpleindex`` command to its end, in this process, which takes a tenth of the time."""
    database = {} if records is None else {"SIMPLEINDEX_RECORDS": records}
    environment = bare_environment(home, SIMPLEINDEX_STATE=str(state), **database)
    with (
        patch.dict(os.environ, environment, clear=True),
        redirect_stdout(StringIO()) as output,
        redirect_stderr(StringIO()) as complaint,
    ):
        status = main(arguments)
    return subprocess.CompletedProcess(arguments, status, output.getvalue(), complaint.getvalue())


def start_publishing(
    new_server: Callable[..., Server],
    *options: str,
    access: str = ACCESS,
    name: str = "publishing",
    storage: Storage | None = None,
) -> Publishing:
    """Make users, and start a server with them and an access file."""
    server = new_server(name=name)
    storage = storage or DirectoryStorage()
    storage.attach(server)
    users, rules = server.home / "users", server.home / "access.toml"
    rules.write_text(access)
    passwords = {user: f"{user} {secrets.token_urlsafe(9)}" for user in ("alice", "bob")}
    # As the command "passwd" writes it, with the cheapest parameters that are accepted.
    cheap = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
    lines = [f"{user}:{cheap.hash(password)}\n" for user, password in passwords.items()]
    users.write_text("".join(lines))
    server.options = ("--users", str(users), "--access", str(rules), *storage.options, *options)
    return Publishing(server.start(), users, rules, passwords, storage=storage)


def make_dist(directory: Path, name: str, version: str = "1.0") -> list[Path]:
    """A wheel and an sdist of a project, as a build leaves them."""
    dist = directory / "dist"
    dist.mkdir(parents=True, exist_ok=True)
    made = [dist / wheel_name(name, version), dist / sdist_name(name, version)]
    made[0].write_bytes(wheel_bytes(name, version))
    made[1].write_bytes(sdist_bytes(name, version))
    return made


def twine(directory: Path, ca: Path) -> Client:
    """The twine of this environment."""
    environment = bare_environment(directory, TWINE_NON_INTERACTIVE="1", TWINE_CERT=str(ca), COLUMNS="400")
    return Client((found("twine"), "upload", "--disable-progress-bar"), environment, directory)


def hatch(directory: Path, ca: Path) -> Client:
    """The hatch of this environment."""
    (directory / "hatch.toml").write_text("")
    environment = bare_environment(
        directory,
        HATCH_CONFIG=str(directory / "hatch.toml"),
        HATCH_DATA_DIR=str(directory / "hatch-data"),
        HATCH_CACHE_DIR=str(directory / "hatch-cache"),
        HATCH_INDEX_CA_CERT=str(ca),
        COLUMNS="400",
    )
    return Client((found("hatch"), "--no-interactive", "--no-color", "publish"), environment, directory)


def flit(directory: Path, ca: Path, url: str, user: str, password: str) -> Client:
    """The flit of this environment, which builds what it publishes."""
    environment = bare_environment(
        directory,
        REQUESTS_CA_BUNDLE=str(ca),
        FLIT_INDEX_URL=url,
        FLIT_USERNAME=user,
        FLIT_PASSWORD=password,
        FLIT_ROOT_INSTALL="1",
    )
    return Client((sys.executable, "-m", "flit"), environment, directory)


def curl(directory: Path, ca: Path) -> Client:
    """Debian's curl."""
    options = ("--silent", "--show-error", "--cacert", str(ca), "--write-out", "%{http_code}")
    return Client((found("curl"), *options), bare_environment(directory), directory)
