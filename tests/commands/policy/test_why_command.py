"""``simpleindex why``: asks a running index, and finds the one of this machine by its settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.commands.local_index import local_url
from simpleindex.commands.main import main
from simpleindex.commands.remote import TOKEN_VARIABLE
from simpleindex.config.resolution import resolve
from simpleindex.core.errors import RefusedStart
from tests.fixtures.http_answers import AnsweringServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    Captured = pytest.CaptureFixture[str]

SECRET = "sidx-" + "S" * 43


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnsweringServer]:
    """One on loopback that says that all is well."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    made = AnsweringServer()
    made.answer = 200, {}, b'{"answer":"offered"}\n'
    yield from running(made)


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        (("Acme_x",), ["why/acme-x?format=json", "why/acme-x?format=text"]),
        (("acme", "1.0+l/x"), ["why/acme/1.0%2Bl%2Fx?format=json", "why/acme/1.0%2Bl%2Fx?format=text"]),
        (("acme", "--view", "stable", "--json"), ["why/acme?view=stable&format=json"]),
    ],
)
def test_asked(server: AnsweringServer, capsys: Captured, words: tuple[str, ...], paths: list[str]) -> None:
    """What is asked for, without a token where none was given."""
    assert main(["why", *words, "--index-url", f"{server.url}/simple/"]) == 0
    assert [path for path, _, _ in server.seen] == [f"/-/{path}" for path in paths]
    assert all("authorization" not in headers for _, headers, _ in server.seen)
    assert capsys.readouterr() == ('{"answer":"offered"}\n', "")


def test_with_a_token(server: AnsweringServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """For what not everybody may read."""
    monkeypatch.setenv(TOKEN_VARIABLE, SECRET)
    main(["why", "acme", "--index-url", server.url])
    assert server.seen[0][1]["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("answer", "status", "out", "err"),
    [
        ((200, {}, b'{"answer":"withheld"}'), 1, '{"answer":"withheld"}', ""),
        (
            (200, {}, b"<html>"),
            2,
            "",
            "simpleindex: the index sent an explanation that is not valid JSON; is it a simpleindex?\n",
        ),
        (
            (404, {}, b"There is no view here.\n"),
            2,
            "",
            "simpleindex: the index answered 404: There is no view here.\n",
        ),
    ],
)
def test_status(
    server: AnsweringServer, capsys: Captured, answer: Any, status: int, out: str, err: str
) -> None:
    """Scripts learn from the exit status whether all of it is offered."""
    server.answer = answer
    assert main(["why", "acme", "--index-url", server.url]) == status
    said = capsys.readouterr()
    assert (said.out.strip(), said.err) == (out, err)


def test_no_name(capsys: Captured) -> None:
    """A sentence for what is none."""
    assert main(["why", "-x-", "--index-url", "http://localhost"]) == 2
    assert main(["why", "a b", "--index-url", "http://localhost"]) == 2
    assert "simpleindex: 'a b' is not a valid project name.\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "http://localhost:8080/"),
        ({"https": ("443",)}, "https://localhost:443/"),
        ({"https": ("tcp:8443:interface=127.0.0.1",), "http": ("80",)}, "https://localhost:8443/"),
        ({"http": ("unix:/run/x", "tcp6:8081")}, "http://localhost:8081/"),
        ({"https": ("443",), "url": "https://index.example/"}, "https://index.example/"),
    ],
)
def test_the_server_of_this_machine(tmp_path: Path, options: dict[str, object], url: str) -> None:
    """It is found by the settings that it has."""
    assert local_url(resolve(options, {"HOME": str(tmp_path)}, tmp_path)) == url


def test_a_server_that_cannot_be_found(tmp_path: Path) -> None:
    """Where it listens on no port, its URL has to be given."""
    with pytest.raises(RefusedStart, match="name it with --index-url"):
        local_url(resolve({"http": ("unix:/run/x",)}, {"HOME": str(tmp_path)}, tmp_path))


def test_without_a_url(server: AnsweringServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the configuration file."""
    monkeypatch.chdir(tmp_path)
    Path("simpleindex.toml").write_text(f"http = {server.server_port}\n")
    assert main(["why", "acme", "--config", "simpleindex.toml"]) == 0
