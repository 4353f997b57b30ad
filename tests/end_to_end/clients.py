"""Real installers, which see our index and nothing else of this machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.running import bare_environment
from tests.fixtures.distributions import put, sdist_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_CLIENT_SECONDS = 600

# Builds with nothing but Python: the installers would fetch any other backend from an index.
_BACKEND = '''\
"""A build backend for one module, of the standard library alone."""
import os, zipfile

def build_wheel(directory, settings=None, metadata=None):
    name = "{escaped}-{version}-py3-none-any.whl"
    info = "{escaped}-{version}.dist-info"
    contents = {{
        "{escaped}.py": open("{escaped}.py").read(),
        info + "/METADATA": open("PKG-INFO").read(),
        info + "/WHEEL": "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    record = "".join(path + ",,\\n" for path in (*contents, info + "/RECORD"))
    with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:
        for path, text in (*contents.items(), (info + "/RECORD", record)):
            archive.writestr(path, text)
    return name
'''


@dataclass(frozen=True)
class Client:
    """One installer in an environment of its own.

    Attributes:
        command: How it is started.
        environment: All the environment it has.
        directory: Where it works.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path

    def try_to(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run it, whatever comes of it."""
        return subprocess.run(
            [*self.command, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_CLIENT_SECONDS,
            cwd=self.directory,
            env=self.environment,
        )

    def __call__(self, *arguments: str | Path) -> str:
        """Run it; it must succeed. Returns what it printed."""
        ended = self.try_to(*arguments)
        assert ended.returncode == 0, f"{arguments}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout


def pip(directory: Path, ca: Path) -> Client:
    """The pip of this environment, trusting one CA."""
    return Client(
        (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--cert", str(ca)),
        bare_environment(directory, PIP_CONFIG_FILE="/dev/null", PIP_NO_COMPILE="1"),
        directory,
    )


def uv(directory: Path, ca: Path | None) -> Client:
    """The uv of this environment, trusting one CA (or none of ours)."""
    trust = {} if ca is None else {"SSL_CERT_FILE": str(ca)}
    return Client(
        (found("uv"),),
        bare_environment(
            directory,
            UV_NO_CONFIG="1",
            UV_CACHE_DIR=str(directory / "uv-cache"),
            UV_PYTHON=sys.executable,
            UV_PYTHON_DOWNLOADS="never",
            **trust,
        ),
        directory,
    )


def poetry(directory: Path) -> Client:
    """The poetry of this environment, which makes its virtual environment beside the project."""
    return Client(
        (found("poetry"), "--no-interaction", "--no-ansi"),
        bare_environment(
            directory,
            POETRY_CACHE_DIR=str(directory / "poetry-cache"),
            POETRY_CONFIG_DIR=str(directory / "poetry-config"),
            POETRY_KEYRING_ENABLED="false",
            POETRY_VIRTUALENVS_IN_PROJECT="true",
            POETRY_VIRTUALENVS_OPTIONS_NO_PIP="true",
        ),
        directory,
    )


def found(name: str) -> str:
    """The path of a program of this environment or machine; the test is skipped where there is none."""
    beside = Path(sys.executable).with_name(name)
    program = str(beside) if beside.exists() else shutil.which(name)
    if program is None:
        pytest.skip(
            f"{name} is not installed: it is in the dependency group 'test', or .ci/run makes an environment for it"
        )
    return program


def version_in(target: Path, module: str) -> str:
    """The version that our tiny module states where it was installed."""
    text = (target / f"{module}.py").read_text()
    return text.partition("'")[2].partition("'")[0]


def sha256(path: Path) -> str:
    """The digest that hash-checking installers want."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def add_self_building_sdist(root: Path, name: str, version: str = "1.0") -> Path:
    """Put an sdist there that carries its own build backend, so that building it fetches nothing."""
    top = f"{name}-{version}"
    contents = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": _BACKEND.format(escaped=name, version=version),
        f"{name}.py": f"version = {version!r}\n",
    }
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, text in contents.items():
            member = tarfile.TarInfo(f"{top}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return put(root / name / sdist_name(name, version), gzip.compress(raw.getvalue(), mtime=0))
