"""The server as users run it: ``twistd`` from an installed wheel, in a process of its own, on a real port."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

PATIENCE = 180.0
"""Seconds after which a wait is a failure; far beyond what anything takes on a busy machine."""

JSON = "application/vnd.pypi.simple.v1+json"

_BETWEEN_LOOKS = 0.02
_WITH_LIMITS = """
import importlib, json, runpy, sys
for name, seconds in json.loads(sys.argv[1]).items():
    module, _, constant = name.rpartition(".")
    imported = importlib.import_module(f"simpleindex.{module}")
    assert hasattr(imported, constant), name
    setattr(imported, constant, seconds)
del sys.argv[:2]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
_SIGNS_OF_FAILURE = ("Traceback", "should never happen", "Unhandled")


def wait_until(what: Callable[[], object], meaning: str) -> None:
    """Look again and again, but not for ever."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s in vain: {meaning}"
        time.sleep(_BETWEEN_LOOKS)


def bare_environment(home: Path, **further: str) -> dict[str, str]:
    """An environment without the settings of the machine: no certificates, indexes or caches but those given."""
    return {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TMPDIR": str(home), **further}


STAGING_AND_UPSTREAM = """\
[[directory]]
name = "staging"
path = "{staging}"

[[upstream]]
name = "behind"
url = "{url}"
ca-file = "{ca}"
ttl = "1s"

[[view]]
name = "stable"
sources = ["local", "behind"]
"""
"""Sources of a server with a second directory, an upstream, and a view without the directory."""


@dataclass(frozen=True)
class Installed:
    """The wheel in an environment of its own.

    Attributes:
        python: Its interpreter.
        twistd: The script of that name, which lies where Twisted is installed.
        limits: Seconds that the server has for something, because a busy machine takes longer; by its constants' names.
    """

    python: Path
    twistd: Path
    limits: Mapping[str, float] = field(default_factory=dict)

    def command(self, *arguments: str | Path) -> list[str]:
        """How to run ``twistd``."""
        changed = ["-c", _WITH_LIMITS, json.dumps(self.limits)] if self.limits else []
        return [str(self.python), *changed, str(self.twistd), *map(str, arguments)]

    def run(self, *arguments: str | Path, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python to its end."""
        return subprocess.run(
            [self.python, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            cwd=home,
            env=bare_environment(home, **environment),
        )


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Seen(NamedTuple):
    """A request in the access log."""

    method: str
    path: str
    status: int


@dataclass
class Server:
    """One running server.

    Attributes:
        installed: What runs.
        home: Its files: certificates, state, cache, logs.
        root: What it serves.
        options: Further options of ours.
        twistd_options: Further options of twistd's; ``--nodaemon`` unless others are given.
        listen: Where it listens.
        port: Where it listens with TLS, once it is started.
        certs_inside: Whether the certificates lie in the served directory.
        location: The bucket that it serves in place of its root.
        environment: Further variables.
        log_from: Where the log of the last start begins.
        process: It, once it is started.
        is_over: Whether its end has been seen, and was as it should be.
    """

    installed: Installed
    home: Path
    root: Path
    options: Sequence[str] = ()
    twistd_options: Sequence[str] = ("--nodaemon", "--pidfile=")
    listen: Sequence[str] = ("--https", "0")
    port: int = 0
    certs_inside: bool = False
    location: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    log_from: int = 0
    process: subprocess.Popen[bytes] = field(init=False)
    is_over: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self.home.mkdir(exist_ok=True)
        self.root.mkdir(exist_ok=True)

    # -- its life ---------------------------------------------------------------------------------------------------

    @property
    def arguments(self) -> list[str]:
        """What follows the word ``twistd``."""
        own = {
            "path": self.location or self.root,
            "certs": self.certs,
            "state": self.home / "state",
            "cache": self.cache,
        }
        own["access-log"] = self.home / "access.log"
        places = [f"--{option}={path}" for option, path in own.items()]
        return [*self.twistd_options, "simpleindex", *places, *self.listen, *self.options]

    def launch(self) -> Self:
        """Start the process and wait for nothing."""
        self.log_from, self.is_over = len(self.log), False
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.installed.command(*self.arguments),
                stdout=log,
                stderr=log,
                cwd=self.home,
                env=bare_environment(self.home, **self.environment),
            )
        return self

    def start(self) -> Self:
        """Start it and wait until it has read the directory."""
        self.launch()
        self.await_listening()
        self.await_ready()
        return self

    def await_listening(self) -> None:
        """Wait for its port."""
        self.await_line(r"Serving .* for ")
        found = re.search(r"Serving .*port[= ](\d+).* for https\.", self.log_since_start)
        self.port = int(found[1]) if found else 0

    def await_ready(self) -> None:
        """Wait for the first catalogue."""
        wait_until(lambda: self.get("/-/ready").status == 200, "ready")

    def await_line(self, pattern: str, *, times: int = 1) -> None:
        """Wait for a line in the log of this start."""

        def is_there() -> bool:
            ended = self.process.poll()
            assert ended in (None, 0), f"it ended with {ended}:\n{self.log}"
            return len(re.findall(pattern, self.log_since_start)) >= times

        wait_until(is_there, pattern)

    def stop(self) -> None:
        """End it as systemd does, and see that nothing went wrong in its life."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        # twistd ends by the signal that it was sent.
        assert self.process.wait(PATIENCE) in (0, -signal.SIGTERM), self.log
        self.is_over = True
        self.assert_clean()

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self.is_over = True

    def refused(self) -> str:
        """Start it in vain; returns all that it said."""
        self.launch()
        assert self.process.wait(PATIENCE) == 1
        self.is_over = True
        self.assert_clean()
        return self.log_since_start

    def reload(self) -> None:
        """Send SIGHUP and wait until it has been obeyed."""
        before = len(re.findall("Configuration read again", self.log_since_start))
        self.process.send_signal(signal.SIGHUP)
        self.await_line("Configuration read again", times=before + 1)

    def assert_clean(self) -> None:
        """See that the log tells of no surprise."""
        assert not any(sign in self.log for sign in _SIGNS_OF_FAILURE), self.log

    # -- what it left on disk ---------------------------------------------------------------------------------------

    @property
    def certs(self) -> Path:
        """Its certificates."""
        return (self.root if self.certs_inside else self.home) / "certs"

    @property
    def cache(self) -> Path:
        """What it may lose."""
        return self.home / "cache"

    @property
    def ca(self) -> Path:
        """The private CA's certificate."""
        return self.home / "state" / "ca" / "cert.pem"

    @property
    def log(self) -> str:
        """All that it has said, over all its starts."""
        path = self.home / "log"
        # It may be read in the middle of a character.
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def log_since_start(self) -> str:
        """All that it has said since it was started last."""
        return self.log[self.log_from :]

    def requests(self) -> list[Seen]:
        """Every request so far; asks for something itself to know that the log is written."""
        mark = f"/-/mark-{time.monotonic_ns()}"
        self.get(mark)
        path = self.home / "access.log"
        wait_until(lambda: mark in path.read_text(), "the access log is written")
        lines = re.findall(r'"(\w+) (\S+) HTTP/[12].[01]" (\d+) ', path.read_text())
        return [Seen(method, path, int(status)) for method, path, status in lines if "/-/" not in path]

    # -- what it answers --------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://localhost:{self.port}"

    @property
    def simple(self) -> str:
        """The index."""
        return f"{self.url}/simple/"

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """A client that trusts its private CA and nobody else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        return context

    def connect(self) -> http.client.HTTPSConnection:
        """A connection that stays open."""
        return http.client.HTTPSConnection("localhost", self.port, context=self.trust, timeout=PATIENCE)

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a path."""
        with closing(self.connect()) as connection:
            return ask(connection, path, **headers)

    def project(self, name: str) -> dict[str, Any]:
        """A project's page."""
        with closing(self.connect()) as connection:
            return page(connection, f"/simple/{name}/")

    def catalogue(self) -> dict[str, Any]:
        """Every page there is, by project."""
        with closing(self.connect()) as connection:
            listed = [each["name"] for each in page(connection, "/simple/")["projects"]]
            return {name: page(connection, f"/simple/{name}/") for name in listed}

    def digests(self) -> dict[str, str]:
        """Every file with its digest."""
        return {
            each["filename"]: each["hashes"]["sha256"]
            for page in self.catalogue().values()
            for each in page["files"]
        }


def ask(connection: http.client.HTTPConnection, path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask on a connection."""
    connection.request(method, path, headers=headers)
    with connection.getresponse() as response:
        return Answer(response.status, dict(response.getheaders()), response.read())


def page(connection: http.client.HTTPConnection, path: str) -> dict[str, Any]:
    """Ask for a page that must be there."""
    answer = ask(connection, path, accept=JSON)
    assert answer.status == 200, answer
    content: dict[str, Any] = json.loads(answer.body)
    return content
