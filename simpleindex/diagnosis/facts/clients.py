"""Install a release from the running server with the pip and the uv of this machine. Blocking."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from simpleindex.core.names import Kind
from simpleindex.core.text import replace_unprintable
from simpleindex.diagnosis.server import ClientTrial

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.core.model import Project

_SECONDS: Final = 60.0
_MOST_CANDIDATES: Final = 20
_EVERYWHERE: Final = "-none-any.whl"


@dataclass(frozen=True, slots=True)
class TriedIndex:
    """The index that clients install from.

    Attributes:
        url: Its URL, with a slash at the end.
        ca: The file of the CA that its certificate comes from; None for the system's.
        token: A token to log in with; None without one.
    """

    url: str
    ca: str | None = None
    token: str | None = None

    @property
    def simple(self) -> str:
        """The URL for installers, without a login."""
        return f"{self.url}simple/"

    @property
    def with_login(self) -> str:
        """The URL for installers, with the login; never shown."""
        if self.token is None:
            return self.simple
        scheme, host, path, *_ = urlsplit(self.simple)
        return urlunsplit((scheme, f"__token__:{self.token}@{host}", path, "", ""))


@dataclass(frozen=True, slots=True)
class InstallableRelease:
    """A release that any Python can install.

    Attributes:
        requirement: ``NAME==VERSION``.
        path: Its wheel, below the index's URL.
    """

    requirement: str
    path: str


def installable(projects: Iterable[Project]) -> dict[str, InstallableRelease]:
    """Return a release of each project that any Python can install, the smallest first, to be quick."""
    wheels = sorted(
        (file.size or 0, project.name, file.version, file.filename)
        for project in projects
        for file in project.files
        if file.kind is Kind.WHEEL and file.filename.endswith(_EVERYWHERE) and file.yanked is None
        if file.requires_python is None
    )
    found: dict[str, InstallableRelease] = {}
    for _, name, version, filename in wheels:
        if len(found) < _MOST_CANDIDATES:
            found.setdefault(name, InstallableRelease(f"{name}=={version}", f"{name}/{filename}"))
    return found


def try_clients(index: TriedIndex, requirement: str) -> list[ClientTrial]:
    """Have each client that is installed install a release, into a directory that is removed."""
    return [trial for client in (_pip, _uv) if (trial := client(index, requirement)) is not None]


def _pip(index: TriedIndex, requirement: str) -> ClientTrial | None:
    if importlib.util.find_spec("pip") is not None:
        program = [sys.executable, "-m", "pip"]
    elif (found := shutil.which("pip") or shutil.which("pip3")) is not None:
        program = [found]
    else:
        return None
    trust = ["--cert", index.ca] if index.ca else []
    words = ["install", "--no-deps", "--no-compile", *trust, requirement]
    environment = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_INDEX_URL": index.with_login,
    }
    shown = ["pip", *words[:1], "--target", "/tmp/trial", "--index-url", index.simple, *words[1:]]  # noqa: S108  (an example)
    return _try("pip", program, words, environment, shown)


def _uv(index: TriedIndex, requirement: str) -> ClientTrial | None:
    beside = Path(sys.executable).with_name("uv")
    program = str(beside) if beside.exists() else shutil.which("uv")
    if program is None:
        return None
    words = ["pip", "install", "--no-deps", "--no-cache", requirement]
    environment = {
        "UV_NO_CONFIG": "1",
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_DEFAULT_INDEX": index.with_login,
        **({"SSL_CERT_FILE": index.ca} if index.ca else {}),
    }
    trust = [f"SSL_CERT_FILE={index.ca}"] if index.ca else []
    shown = [*trust, "uv", *words[:2], "--target", "/tmp/trial", "--default-index", index.simple, *words[2:]]  # noqa: S108
    return _try("uv", [program], words, environment, shown)


def _try(
    name: str, program: list[str], words: list[str], environment: dict[str, str], shown: list[str]
) -> ClientTrial:
    command = shlex.join(shown)
    with tempfile.TemporaryDirectory(prefix="simpleindex-doctor-") as place:
        target = os.path.join(place, "installed")
        try:
            ended = subprocess.run(  # noqa: S603  (the machine's own)
                [*program, *words, "--target", target],
                env={
                    "PATH": os.environ.get("PATH", os.defpath),
                    "HOME": place,
                    "LANG": "C.UTF-8",
                    **environment,
                },
                cwd=place,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return ClientTrial(name, command, f"it did not end within {_SECONDS:.0f} seconds.")
        except OSError as error:
            return ClientTrial(name, command, f"it cannot be run ({error.strerror}).")
        if ended.returncode == 0:
            return ClientTrial(name, command)
        return ClientTrial(name, command, _last_line(ended.stderr or ended.stdout, environment))


def _last_line(text: str, environment: dict[str, str]) -> str:
    """Return the last line that a client wrote, without the login that it may repeat."""
    for url in (environment.get("PIP_INDEX_URL"), environment.get("UV_DEFAULT_INDEX")):
        password = urlsplit(url or "").password
        if password:
            text = text.replace(password, "****")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return replace_unprintable(lines[-1])[:500] if lines else "it says nothing."
