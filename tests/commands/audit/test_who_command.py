"""``simpleindex who``: what it prints of each source, here and from a running index."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.commands.main import main
from simpleindex.commands.remote import TOKEN_VARIABLE
from simpleindex.web.http.access_log import LogEntry, combined
from tests.fixtures.counted_downloads import NOW, WHEEL, downloads_of_two_projects
from tests.fixtures.http_answers import AnsweringServer, answering_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Captured = pytest.CaptureFixture[str]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory that the environment names."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SIMPLEINDEX_STATE", str(tmp_path / "state"))
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    return tmp_path / "state"


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    """An index on loopback."""
    yield from answering_server()


def run(capsys: Captured, *words: str) -> list[str]:
    assert main(["who", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_single_downloads(state: Path, capsys: Captured) -> None:
    """Time, user, address and client of each."""
    downloads_of_two_projects(state, with_addresses=True)
    assert run(capsys, "Tool", WHEEL) == [
        f"2 downloads of tool {WHEEL}, as kept by --keep-addresses, the newest first:",
        "",
        "TIME                  USER   TOKEN  ADDRESS    CLIENT    FILE",
        f"2026-11-29T01:00:00Z  alice  -      192.0.2.7  pip 26.3  {WHEEL}",
        f"2026-11-29T00:59:51Z  alice  -      -          pip 26.3  {WHEEL}",
        "",
        "Only 2 downloads of 5 are kept with time and address; the others were before --keep-addresses, or are in the access log.",
    ]


def test_daily_counts(state: Path, capsys: Captured) -> None:
    """What is left without addresses and access log."""
    downloads_of_two_projects(state)
    lines = run(capsys, "tool", "2.0", "--since", "2026-11-01")
    assert lines[0] == "5 downloads of tool 2.0 since 2026-11-01, from the daily counts, the newest first:"
    assert lines[2:5] == [
        "DAY         USER   TOKEN  DOWNLOADS  CLIENT  FILE",
        f"2026-11-29  alice  -      2          pip     {WHEEL}",
        f"2026-11-28  bob    t1     3          uv      {WHEEL}",
    ]
    assert lines[-1].startswith("Times and addresses are not known")


def test_a_whole_project(state: Path, capsys: Captured) -> None:
    """Without a version or a file; a limit is stated."""
    downloads_of_two_projects(state)
    lines = run(capsys, "tool", "--limit", "2")
    assert lines[0] == "5 downloads of tool, from the daily counts, the newest first:"
    assert lines[-1] == "9 downloads were counted; --limit 0 shows all that is known of them."


def test_the_access_log(state: Path, tmp_path: Path, capsys: Captured) -> None:
    """That of the option, or of the server's configuration; parts of files are named as such."""
    log = tmp_path / "access.log"
    request = f"GET /tool/{WHEEL} HTTP/1.1".encode()
    log.write_text(combined(LogEntry("192.0.2.9", "", NOW, request, 206, 10, b"", b"uv/1")))
    (tmp_path / "simpleindex.toml").write_text(f'access-log = "{log}"\n')
    for words in (("--access-log", str(log)), ("--config", str(tmp_path / "simpleindex.toml"))):
        lines = run(capsys, "tool", "2.0", *words)
        assert lines[0] == "1 request for tool 2.0, from the access log, the newest first:"
        assert lines[3] == f"2026-11-29T01:00:00Z  -     -      192.0.2.9  uv 1    {WHEEL} (a part)"
    assert not state.exists()


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("command", ["who", "downloads"])
def test_a_state_directory_that_cannot_be_read(
    command: str, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """It would look like one in which nothing was counted."""
    words = [command, "tool"] if command == "downloads" else [command, "tool", "2.0"]
    assert main(words) == 2
    assert f"There is no {state}, so no server has used it." in capsys.readouterr().err

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    assert main(words) == 2
    assert (
        f"{state} cannot be read: Permission denied; run the command as its owner" in capsys.readouterr().err
    )


def test_nobody(state: Path, capsys: Captured) -> None:
    """It says so."""
    state.mkdir()
    assert run(capsys, "tool", "9.0") == [
        "No download of tool 9.0 is known: neither counts nor the access log have one. The last five seconds may be missing."
    ]


def test_as_json(state: Path, capsys: Captured) -> None:
    """The whole answer."""
    downloads_of_two_projects(state, with_addresses=True)
    answer = json.loads("\n".join(run(capsys, "tool", "2.0", "--json")))
    assert answer["source"] == "downloads"
    assert len(answer["downloads"]) == 2


@pytest.mark.usefixtures("state")
def test_a_running_index(server: AnsweringServer, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked with the token, and its answer printed as if it were read here."""
    answer = {
        "project": "tool",
        "subject": "2",
        "since": "2026-11-01",
        "counted": 1,
        "source": "counts",
        "note": None,
    }
    row = {"day": "2026-11-29", "user": None, "token": None, "client": "uv\x1b", "file": WHEEL, "count": 1}
    server.answer = 200, {}, json.dumps({**answer, "downloads": [row]}).encode()
    monkeypatch.setenv(TOKEN_VARIABLE, "sidx-" + "S" * 43)
    lines = run(capsys, "Tool", "1.0+l/x", "--since", "3w", "--index-url", f"{server.url}/simple/")
    assert lines[3] == f"2026-11-29  -     -      1          uv?     {WHEEL}"
    ((path, headers, _),) = server.seen
    assert path == "/-/who/tool/1.0%2Bl%2Fx?since=3w&limit=50"
    assert headers["authorization"].startswith("Bearer ")


@pytest.mark.usefixtures("state")
def test_a_login_is_needed(
    server: AnsweringServer, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token the sentence says how to name one."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    server.answer = 401, {"Content-Type": "text/plain"}, b"A login is needed."
    assert main(["who", "tool", "--index-url", server.url]) == 2
    expected = "401: A login is needed. Name a token with --token-file FILE, or set SIMPLEINDEX_TOKEN.\n"
    assert capsys.readouterr().err.endswith(expected)


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("content", [b"<html>", b"[]"])
def test_something_else_answers(server: AnsweringServer, capsys: Captured, content: bytes) -> None:
    """One sentence."""
    server.answer = 200, {}, content
    assert main(["who", "tool", "1", "--index-url", server.url]) == 2
    assert "is it a simpleindex?" in capsys.readouterr().err
