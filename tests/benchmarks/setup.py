"""Where the benchmark keeps its things, and how the peers get there."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

PEERS: Final = {
    "pypiserver": ("pypiserver[cache]",),
    "simple-repository-server": ("simple-repository-server",),
    "devpi-server": ("devpi-server",),
    "pypiron": ("pypiron",),
    "proxpi": ("proxpi", "gunicorn"),
    # Not a peer: what draws the plots.
    "matplotlib": ("matplotlib",),
}
"""The environments that are made, and what is installed into each."""

_APT: Final = {"nginx": "nginx-light", "wrk": "wrk"}

_REAL: Final = """
    alembic attrs babel beautifulsoup4 black boto3 cachetools celery click
    coverage django docutils fastapi filelock flask gunicorn httpx hypothesis
    jinja2 jsonschema markdown mypy networkx paramiko pendulum pillow pre-commit
    psutil pydantic pygments pytest python-dateutil pyyaml redis requests rich
    sphinx sqlalchemy tox typer uvicorn werkzeug
"""
REAL_PROJECTS: Final = tuple(_REAL.split())
"""What ``uv`` installs: forty-odd projects that people use, with all they need."""


@dataclass(frozen=True)
class Workplace:
    """The work directory.

    Attributes:
        path: Where everything lies.
    """

    path: Path

    @property
    def repositories(self) -> Path:
        """Generated repositories."""
        return self.path / "repositories"

    @property
    def real(self) -> Path:
        """Real packages, a directory for each project."""
        return self.path / "real"

    @property
    def certs(self) -> Path:
        """``fullchain.pem`` and ``privkey.pem`` for localhost."""
        return self.path / "certs"

    def directory(self, *parts: str) -> Path:
        """A directory below it, made if need be."""
        path = self.path.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def program(self, environment: str, name: str) -> str | None:
        """A program of a peer's environment, if it is installed."""
        path = self.path / "environments" / environment / "bin" / name
        return str(path) if path.exists() else None

    def set_up(self) -> None:
        """Install every peer, and fetch the real packages."""
        for name, packages in PEERS.items():
            self._install(name, packages)
        missing = [package for program, package in _APT.items() if find(program) is None]
        if missing and os.geteuid() == 0 and shutil.which("apt-get"):
            _run("apt-get", "update", "-qq")
            _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)
        self._fetch_real()

    def certify(self) -> None:
        """Make the certificate that all servers share: ECDSA P-256, for localhost."""
        if (self.certs / "privkey.pem").exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=365))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.certs.mkdir(parents=True, exist_ok=True)
        (self.certs / "fullchain.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.certs / "privkey.pem").write_bytes(private)
        (self.certs / "privkey.pem").chmod(0o600)

    def _install(self, name: str, packages: tuple[str, ...]) -> None:
        place = self.path / "environments" / name
        if not (place / "bin" / "pip").exists():
            venv.create(place, with_pip=True)
        if not _run(
            str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *packages
        ):
            print(f"{name} cannot be installed here; it is left out.")

    def _fetch_real(self) -> None:
        done = self.path / "real.done"
        if done.exists():
            return
        flat = self.directory("downloads")
        pip = (
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--only-binary",
            ":all:",
            "--dest",
            str(flat),
        )
        if _run(*pip, *REAL_PROJECTS):
            for file in flat.iterdir():
                project = file.name.split("-")[0].replace("_", "-").replace(".", "-").lower()
                target = self.directory("real", project)
                shutil.move(file, target / file.name)
            done.touch()


def default_work() -> Path:
    """A directory of the user's cache (XDG Base Directory Specification 0.8)."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "simpleindex-benchmarks"


def find(program: str) -> str | None:
    """A program of the system or of the running environment; servers often lie where only root looks."""
    beside = Path(sys.executable).with_name(program)
    return (
        str(beside)
        if beside.exists()
        else shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    )


def _run(*command: str) -> bool:
    return subprocess.run(command, check=False).returncode == 0
