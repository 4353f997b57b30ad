"""What is found out by requests: of upstreams, of the running server, and by real clients' commands."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex import __version__
from simpleindex.core.files import File
from simpleindex.core.model import Project
from simpleindex.core.names import Kind, parse_project_name
from simpleindex.diagnosis.facts.clients import TriedIndex, installable, try_clients
from simpleindex.diagnosis.facts.server import readable, request_status, trial_url
from simpleindex.diagnosis.facts.upstreams import probe_upstreams
from simpleindex.diagnosis.server import ServerFacts
from simpleindex.upstreams.settings import UpstreamSettings
from tests.fixtures.hostile_upstream import CLOSED, NAMES
from tests.fixtures.http_answers import AnsweringServer, answering_server
from tests.fixtures.network import Network, response
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.diagnosis.upstreams import UpstreamProbe

PAGE = b"<!DOCTYPE html><html></html>"


def probe(
    answer: bytes, environment: dict[str, str] | None = None, **settings: Any
) -> tuple[UpstreamProbe, Network]:
    network = Network(lambda _: iter((answer,)), dict(NAMES), CLOSED)
    upstream = UpstreamSettings("up", **{"url": "http://up.example/simple/", **settings})
    probing = probe_upstreams([upstream], "/etc/index", environment or {}, network, InlineThreads())
    (found,) = network.run(probing)
    return found, network


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
def test_an_upstream_that_answers(status: str) -> None:
    """It need not have the project."""
    found, network = probe(
        response(PAGE, "Content-Type: text/html", "Date: Thu, 01 Jan 1970 01:00:00 GMT", status=status)
    )
    assert (found.failure, found.proxy) == (None, None)
    assert found.clock_offset == 3_600.0
    assert network.requests[0].path == "/simple/pip/"


def test_a_flat_page_is_requested_itself() -> None:
    found, network = probe(response(PAGE, "Content-Type: text/html", "Age: 9", "Date: x"), flat=True)
    assert (found.failure, found.clock_offset) == (None, None)
    assert network.requests[0].path == "/simple/"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "http://refusing.example/simple/"}, "cannot be connected to"),
        ({"url": "http://nowhere.example/simple/"}, "its name cannot be resolved"),
        ({"ca_file": "gone.pem"}, "its ca-file /etc/index/gone.pem cannot be read: No such file"),
        ({"credentials": ("env", "NO_SUCH_VARIABLE")}, "NO_SUCH_VARIABLE"),
    ],
)
def test_upstreams_that_cannot_be_used(settings: dict[str, Any], words: str) -> None:
    found, _ = probe(response(PAGE), **settings)
    assert words in (found.failure or ""), found


def test_an_upstream_that_fails() -> None:
    found, _ = probe(response(b"no", "Content-Type: text/plain", status="500 Internal Server Error"))
    assert "500" in (found.failure or "")


def test_through_a_proxy() -> None:
    found, network = probe(
        response(PAGE, "Content-Type: text/html"), {"http_proxy": "http://listed.example:3128"}
    )
    assert (found.proxy, found.failure) == ("listed.example:3128", None)
    assert network.requests[0].port == 3128
    found, _ = probe(response(PAGE), {"http_proxy": "socks5://listed.example:1"})
    assert found.failure


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    yield from answering_server()


def test_a_server_that_is_well(server: AnsweringServer) -> None:
    status = {"version": __version__, "own-troubles": [{"sentence": "The disk is full."}, "odd"]}
    server.answer = 200, {}, json.dumps(status).encode()
    found = request_status(f"{server.url}/", None, "sidx-secret")
    assert (found.version, found.troubles, found.suspended) == (__version__, ("The disk is full.",), None)
    assert [(path, headers.get("authorization")) for path, headers, _ in server.seen] == [
        ("/-/ready", None),
        ("/-/status", "Bearer sidx-secret"),
    ]


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff"])
def test_a_server_that_tells_nothing(server: AnsweringServer, body: bytes) -> None:
    server.answer = 200, {}, body
    assert request_status(f"{server.url}/", None, None) == ServerFacts(
        f"{server.url}/", installed=__version__
    )


def test_a_server_that_is_suspended(server: AnsweringServer) -> None:
    server.answer = 503, {"Content-Type": "application/problem+json"}, b'{"detail": "The root is gone."}'
    assert request_status(f"{server.url}/", None, None).suspended == "The root is gone."


def test_no_server(server: AnsweringServer, tmp_path: Path) -> None:
    assert not request_status("http://127.0.0.1:1/", None, None).is_running
    server.answer = b"no HTTP at all\r\n\r\n"
    assert request_status(f"{server.url}/", None, None).refusal
    server.answer = 200, {}, b"{}"
    of_tls = request_status(f"{server.url.replace('http:', 'https:')}/", str(tmp_path / "gone.pem"), None)
    assert "TLS fails" in (of_tls.refusal or "")


def file(filename: str, size: int, **facts: Any) -> File:
    return File(filename, filename.split("-")[1], Kind.WHEEL, size, "0" * 64, 1, **facts)


def test_what_is_installed_for_a_trial() -> None:
    name = parse_project_name("acme")
    files = (
        file("acme-1.0-py3-none-any.whl", 9),
        file("acme-2.0-py3-none-any.whl", 5),
        file("acme-3.0-py3-none-any.whl", 1, yanked=""),
        file("acme-4.0-cp311-cp311-win32.whl", 1),
        file("acme-5.0-py3-none-any.whl", 1, requires_python=">=3.99"),
    )
    other = Project(parse_project_name("b"), (file("b-1.0-py3-none-any.whl", 1),))
    found = installable([Project(name, files), other])
    assert [(each, release.requirement, release.path) for each, release in found.items()] == [
        ("b", "b==1.0", "b/b-1.0-py3-none-any.whl"),
        ("acme", "acme==2.0", "acme/acme-2.0-py3-none-any.whl"),
    ]
    assert installable([Project(name, files[2:])]) == {}
    many = [Project(parse_project_name(f"p{n}"), (file(f"p{n}-1.0-py3-none-any.whl", n),)) for n in range(30)]
    assert len(installable(many)) == 20


def test_which_project_can_be_read(server: AnsweringServer) -> None:
    assert readable(f"{server.url}/", None, "sidx-secret", ["acme", "b"]) == "acme"
    assert server.seen[0][0] == "/simple/acme/"
    assert server.seen[0][1]["authorization"] == "Bearer sidx-secret"
    server.answer = 401, {}, b"Log in."
    assert readable(f"{server.url}/", None, None, ["acme", "b"]) is None
    assert readable("http://127.0.0.1:1/", None, None, ["acme"]) is None


def test_where_installations_are_not_counted(server: AnsweringServer) -> None:
    """At its ordinary URL, where it does not see that its client is on the same machine."""
    url, wheel = f"{server.url}/", "acme/acme-1.0-py3-none-any.whl"
    assert trial_url(url, None, "sidx-secret", wheel) == f"{url}-/trial/"
    assert server.seen[0][0] == f"/-/trial/simple/{wheel}"
    server.answer = 404, {}, b"There is no page here."
    assert trial_url(url, None, None, wheel) == url
    assert trial_url("http://127.0.0.1:1/", None, None, wheel) == "http://127.0.0.1:1/"


INDEX = TriedIndex("https://localhost:8443/", "/ca.pem", "sidx-secret")


class Programs:
    """Programs that are not run.

    Attributes:
        ran: The words and the environment of each.
    """

    def __init__(self) -> None:
        self.ran: list[tuple[list[str], dict[str, str]]] = []
        self.outcome: Any = SimpleNamespace(returncode=1, stdout="", stderr="")

    def run(self, words: list[str], *, env: dict[str, str], **_: Any) -> Any:
        self.ran.append((words, env))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    made = Programs()
    monkeypatch.setattr(subprocess, "run", made.run)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return made


def test_clients_get_the_login_in_no_list_of_processes(programs: Programs) -> None:
    programs.outcome.stderr = "x\n  error: https://__token__:sidx-secret@localhost says no\n\n"
    pip, uv = try_clients(INDEX, "acme==1.0")
    assert (pip.client, uv.client) == ("pip", "uv")
    assert pip.failure == "error: https://__token__:****@localhost says no"
    for words, environment in programs.ran:
        assert not any("secret" in word for word in words)
        assert "sidx-secret@localhost:8443/simple/" in "".join(environment.values())
    for trial in (pip, uv):
        assert "secret" not in trial.command
        assert "https://localhost:8443/simple/" in trial.command
        assert "/ca.pem" in trial.command


def test_clients_that_do_not_run(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    index = TriedIndex("http://localhost:8080/")

    def failures() -> list[str | None]:
        return [trial.failure for trial in try_clients(index, "acme==1.0")]

    programs.outcome = subprocess.TimeoutExpired("pip", 60)
    assert failures() == ["it did not end within 60 seconds."] * 2
    programs.outcome = PermissionError(13, "Permission denied")
    assert failures() == ["it cannot be run (Permission denied)."] * 2
    programs.outcome = SimpleNamespace(returncode=1, stdout="", stderr="")
    assert failures() == ["it says nothing."] * 2
    programs.outcome = SimpleNamespace(returncode=0, stdout="", stderr="")
    assert failures() == [None, None]
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert failures() == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert failures() == [None]
    assert programs.ran[-1][0][:3] == ["/nowhere/python", "-m", "pip"]
