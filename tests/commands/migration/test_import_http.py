"""Recognizing index servers over HTTP, and whom the credentials are sent to."""

from __future__ import annotations

import argparse
import json
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.interfaces import IReactorCore
from twisted.internet.selectreactor import SelectReactor

from simpleindex.commands.main import main
from simpleindex.commands.migration import import_http
from simpleindex.commands.migration.import_http import HttpConnection, open_http_source, recognized
from simpleindex.commands.reactor_thread import ReactorThread
from simpleindex.core.errors import RefusedStart
from simpleindex.core.names import ProjectName
from simpleindex.migration.errors import InvalidImportSource, NotImported
from simpleindex.migration.http_source import DevpiSource, PatientRunner, SimpleIndexSource
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.upstreams.http.agent import OutgoingAgent, tls_policy
from simpleindex.upstreams.http.logins import FixedLogin
from simpleindex.upstreams.pages.urls import BasicCredentials, HostPolicy
from tests.fixtures.distributions import put
from tests.fixtures.hostile_upstream import CLOSED, HTML, JSON, NAMES, entry, listing
from tests.fixtures.imports import ACME
from tests.fixtures.network import Network, Request, response
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.migration.interface import ImportSource

    Captured = pytest.CaptureFixture[str]

LIST = json.dumps({"meta": {"api-version": "1.0"}, "projects": [{"name": "acme"}]}).encode()
WELCOME = b'<html><body><a href="simple/">simple</a> <a href="packages/">packages</a></body></html>'
PLAIN_JSON = "Content-Type: application/json"


class Web:
    """Servers at up.example and elsewhere, by the paths of their pages."""

    def __init__(self, pages: dict[str, bytes], url: str = "http://up.example/") -> None:
        self.pages = pages
        self.network = Network(self._answer, dict(NAMES), CLOSED)
        self.url = url
        agent = OutgoingAgent(self.network, HostPolicy(url), tls_policy(), {})
        login = FixedLogin(BasicCredentials("alice", "secret"))
        self.connection = HttpConnection(agent, login, (), self.network, InlineThreads())

    def _answer(self, request: Request) -> Iterator[bytes]:
        yield self.pages.get(request.path, response(status="404 Not Found"))

    def run(self, request: Any) -> Any:
        return self.network.run(request(), within=1000)

    def source(self, kind: str | None = None) -> ImportSource:
        return recognized(self.url, kind, self.connection, PatientRunner(self.run, lambda _: None))

    def logins(self) -> dict[str, bool]:
        """By host and path: whether credentials were sent."""
        return {
            f"{request.headers['host']}{request.path}": "authorization" in request.headers
            for request in self.network.requests
        }


def devpi_answer(kind: str, result: Any) -> bytes:
    return response(json.dumps({"type": kind, "result": result}).encode(), PLAIN_JSON)


def test_a_simple_index_below_the_url() -> None:
    web = Web({"/": response(WELCOME, HTML), "/simple/": response(LIST, JSON)})
    source = web.source()
    assert isinstance(source, SimpleIndexSource)
    assert source.label == "http://up.example/simple/"
    assert source.projects() == ("acme",)


def test_a_simple_index_at_the_url() -> None:
    """Also where something below it is no index."""
    web = Web({"/": response(LIST, JSON), "/simple/": response(b"{", JSON)})
    assert web.source().label == "http://up.example/"
    web = Web({"/simple/": response(LIST, JSON)}, "http://up.example/simple/")
    assert web.source("simple").label == "http://up.example/simple/"
    assert [request.path for request in web.network.requests] == []


def test_a_devpi_index() -> None:
    pages = {
        "/alice/dev/?no_projects=": devpi_answer("indexconfig", {"type": "stage"}),
        "/alice/dev/": devpi_answer("indexconfig", {"type": "stage", "projects": ["acme"]}),
    }
    for url in ("http://up.example/alice/dev/", "http://up.example/alice/dev/+simple/"):
        for kind in (None, "devpi"):
            source = Web(pages, url).source(kind)
            assert isinstance(source, DevpiSource)
            assert (source.label, source.projects()) == ("http://up.example/alice/dev/", ("acme",))


def test_a_devpi_server_with_several_indexes() -> None:
    users: dict[str, Any] = {"alice": {"indexes": {"dev": {}}}}
    web = Web({"/?no_projects=": devpi_answer("list:userconfig", users)})
    with pytest.raises(InvalidImportSource, match=r"name one of them: http://up\.example/alice/dev/\."):
        web.source()
    web = Web(
        {"/alice/?no_projects=": devpi_answer("userconfig", users["alice"])}, "http://up.example/alice/"
    )
    with pytest.raises(InvalidImportSource, match=r"name one of them: http://up\.example/alice/dev/\."):
        web.source()
    web = Web({"/?no_projects=": devpi_answer("list:userconfig", {})})
    with pytest.raises(InvalidImportSource, match="name one of them: none"):
        web.source()


def test_a_server_that_wants_a_login() -> None:
    web = Web({"/simple/": response(status="401 Unauthorized")})
    with pytest.raises(InvalidImportSource, match="--login-file"):
        web.source()


def test_a_page_below_without_projects() -> None:
    empty = json.dumps({"meta": {"api-version": "1.0"}, "projects": []}).encode()
    assert Web({"/simple/": response(empty, JSON)}).source().label == "http://up.example/"


def test_what_is_no_index() -> None:
    with pytest.raises(InvalidImportSource, match="has no index"):
        Web({}).source().projects()


def test_credentials_are_for_the_server_alone() -> None:
    """Neither a redirect nor a file elsewhere gets them; and no link leads into a private network."""
    elsewhere = response(b"", "Location: http://other.example/simple/acme/", status="302 Found")
    page = listing(
        entry(url="http://other.example/files/acme-1.0-py3-none-any.whl"),
        entry("acme-2.0-py3-none-any.whl", url="http://10.0.0.1/acme-2.0-py3-none-any.whl"),
        entry("acme-3.0-py3-none-any.whl", url="/moved/acme-3.0-py3-none-any.whl"),
    )
    web = Web(
        {
            "/simple/": response(LIST, JSON),
            "/simple/acme/": response(page, JSON),
            "/simple/other/": elsewhere,
            "/moved/acme-3.0-py3-none-any.whl": response(
                b"", "Location: http://other.example/files/acme-3.0-py3-none-any.whl", status="302 Found"
            ),
            "/files/acme-1.0-py3-none-any.whl": response(b"1"),
            "/files/acme-3.0-py3-none-any.whl": response(b"3"),
        },
        "http://up.example/simple/",
    )
    source = web.source("simple")
    first, private, moved = source.project(ACME).files
    assert source.open(ACME, first).read() == b"1"
    assert source.open(ACME, moved).read() == b"3"
    with pytest.raises(NotImported, match="private address and is not named by --hosts"):
        source.open(ACME, private)
    with pytest.raises(NotImported, match=r"redirects to other\.example, which is not named by --hosts"):
        source.project(ProjectName("other"))
    assert web.logins() == {
        "up.example/simple/acme/": True,
        "other.example/files/acme-1.0-py3-none-any.whl": False,
        "up.example/moved/acme-3.0-py3-none-any.whl": True,
        "other.example/files/acme-3.0-py3-none-any.whl": False,
        "up.example/simple/other/": True,
    }


def given(**options: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"kind": "simple", "login_file": None, "cert": None, "hosts": [], **options})


def test_starting_the_reactor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twisted's own, which TLS connections use."""
    from simpleindex.commands import reactor_thread

    started: list[Any] = []
    monkeypatch.setattr(reactor_thread, "ReactorThread", started.append)
    reactor_thread.start_reactor()
    assert IReactorCore.providedBy(started[0])


def test_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """A reactor is started, which runs what is requested."""
    reactor = SelectReactor()
    monkeypatch.setattr(import_http, "start_reactor", lambda: ReactorThread(reactor))
    login = put(tmp_path / "login", b"alice:secret\n")
    source = open_http_source("http://127.0.0.1:1/simple/", given(login_file=str(login)), Event())
    with pytest.raises(InvalidImportSource, match="cannot be read"):
        source.projects()
    reactor.callFromThread(reactor.stop)
    assert capsys.readouterr().err == ""


def test_options_that_cannot_be_used(tmp_path: Path, capsys: Captured) -> None:
    url = "http://old.example/"
    for content, sentence in ((b"secret", "does not hold user:password"), (None, "cannot be read")):
        path = tmp_path / "login"
        if content is not None:
            path.write_bytes(content)
        else:
            path.unlink()
        with pytest.raises(RefusedStart, match=sentence):
            open_http_source(url, given(login_file=str(path)), Event())
    login = put(tmp_path / "login", b"alice:secret\n")
    with pytest.raises(RefusedStart, match=r"--cert: .* cannot be read"):
        open_http_source(url, given(login_file=str(login), cert="/nothing"), Event())
    assert "travels to old.example over plain HTTP" in capsys.readouterr().err
    with pytest.raises(RefusedStart, match=r"--cert: .* has no certificates"):
        open_http_source(url, given(cert=str(login)), Event())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--from", "http://alice:secret@old.example/"],
            "put user:password into a file, and name it with --login-file",
        ),
        (["--from", "http://"], "is no http or https URL"),
        (["--from", "/tmp", "--kind", "devpi"], "--kind devpi is for a URL"),
        (["--from", "http://old.example", "--kind", "pypiserver"], "is for files on this machine"),
    ],
)
def test_sources_that_cannot_be_opened(
    words: list[str], sentence: str, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["import", *words, "--path", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert "secret" not in err


def test_a_failure_in_the_reactor_arrives() -> None:
    reactor = SelectReactor()
    thread = ReactorThread(reactor)

    async def fail() -> None:
        raise UpstreamFailed("old", "it is gone")

    with pytest.raises(UpstreamFailed):
        thread.run(fail)
    reactor.callFromThread(reactor.stop)
