"""``simpleindex yank`` and its like, and ``simpleindex access``: on a directory, and over HTTP."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.commands.main import main
from simpleindex.commands.remote import TOKEN_VARIABLE
from simpleindex.core.names import ProjectName
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.owners import OwnerTable
from tests.fixtures.distributions import add_sdist, add_wheel, put, sdist_name, wheel_name
from tests.fixtures.http_answers import AnsweringServer, answering_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Captured = pytest.CaptureFixture[str]

SECRET = "sidx-" + "S" * 43


class Place:
    """A root with two versions of a project, and a state directory."""

    def __init__(self, path: Path, capsys: Captured) -> None:
        self.path = path
        self.root = path / "root"
        self.state = path / "state"
        self._capsys = capsys
        for version in ("1.0", "2.0"):
            add_wheel(self.root, "acme", version)
            add_sdist(self.root, "acme", version)

    def run(self, *words: str, status: int = 0) -> tuple[str, str]:
        """Run a command; returns what it printed."""
        self._capsys.readouterr()
        assert main(words) == status
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err
        assert SECRET not in out + err
        return out, err

    def project_file(self) -> str:
        path = self.root / "acme" / "simpleindex.toml"
        return path.read_text() if path.exists() else ""

    def audited(self) -> list[dict[str, Any]]:
        path = self.state / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Place:
    """One that the environment names."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SIMPLEINDEX_")]:
        monkeypatch.delenv(name)
    for name in ("STATE_DIRECTORY", "SUDO_USER", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SIMPLEINDEX_PATH", str(tmp_path / "root"))
    monkeypatch.setenv("SIMPLEINDEX_STATE", str(tmp_path / "state"))
    return Place(tmp_path, capsys)


# On the served directory


def test_yank_and_unyank(place: Place) -> None:
    """A version, a file, with a reason and without; done twice it says so; the audit knows who did it."""
    out, err = place.run("yank", "Acme", "1.0", "--reason", "broken")
    assert (out, err) == ("acme 1.0 is yanked.\n", "")
    assert '"1.0" = "broken"' in place.project_file()
    out, _ = place.run("yank", "acme", "1.0", "--reason", "broken")
    assert out == "Nothing to change: acme 1.0 is yanked.\n"
    place.run("yank", "acme", wheel_name("acme", "2.0"))
    out, _ = place.run("unyank", "acme", "1.0.0")
    assert out == "acme 1.0.0 is not yanked.\n"
    assert "broken" not in place.project_file()
    out, _ = place.run("unyank", "acme", "1.0")
    assert out.startswith("Nothing to change")
    _, err = place.run("unyank", "acme", "9.9", status=2)
    assert "There is no version '9.9'" in err
    first = place.audited()[0]
    assert (first["event"], first["project"], first["version"]) == ("yank", "acme", "1.0")
    assert first["detail"] == "broken"
    assert first["who"].startswith("command:")


def test_status(place: Place) -> None:
    """With a reason, and back."""
    out, _ = place.run("status", "acme", "archived", "--reason", "done")
    assert out == "acme is archived.\n"
    assert 'status = "archived"' in place.project_file()
    assert place.audited()[0]["detail"] == "archived; done"
    place.run("status", "acme", "active")
    assert place.project_file() == ""
    out, _ = place.run("status", "acme", "active")
    assert out.startswith("Nothing to change")


def test_delete_undelete_free_purge(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of a deleted file: into the trash, back, its name, and its end."""
    out, _ = place.run("delete", "acme", "1.0")
    assert [line.split(";")[0] for line in out.splitlines()] == [
        f"Deleted acme/{wheel_name('acme', '1.0')}",
        f"Deleted acme/{sdist_name('acme', '1.0')}",
    ]
    assert not (place.root / "acme" / wheel_name("acme", "1.0")).exists()
    out, _ = place.run("undelete", "acme", wheel_name("acme", "1.0"))
    assert out == f"Undeleted acme/{wheel_name('acme', '1.0')}.\n"
    assert (place.root / "acme" / wheel_name("acme", "1.0")).exists()
    _, err = place.run("undelete", "acme", wheel_name("acme", "1.0"), status=2)
    assert "There is no deleted file" in err
    out, _ = place.run("free", "acme", sdist_name("acme", "1.0"))
    assert out == f"The name {sdist_name('acme', '1.0')} may be used again.\n"
    out, _ = place.run("free", "acme", sdist_name("acme", "1.0"))
    assert out.endswith("may be used: no deleted file had it.\n")
    assert place.run("purge")[0] == "Nothing is that old.\n"
    (dated,) = (place.root / ".simpleindex-trash").iterdir()
    dated.rename(dated.with_name("2020-01-01"))
    out, _ = place.run("purge", "--older-than", "7d")
    assert sdist_name("acme", "1.0") in out
    assert place.run("purge", "--older-than", "0")[0] == "Nothing is that old.\n"
    assert [line["event"] for line in place.audited()] == ["delete", "delete", "undelete", "free", "free"]


def test_what_the_machine_refuses(place: Place) -> None:
    """Who runs the command is the operator: the place and the remedy are named, and no log of a server."""
    trash = put(place.root / ".simpleindex-trash", b"")
    _, err = place.run("delete", "acme", "1.0", status=2)
    assert err == f"simpleindex: {trash} cannot be used (Not a directory): move away what lies there.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("yank", "acme", "9.9"), "There is no version '9.9' of the project acme in /"),
        (("yank", "acme", "x-1.0.tar.gz"), "There is no file"),
        (("yank", "nothing", "1.0"), "There is no project nothing in /"),
        (("yank", "!", "1.0"), "is not a valid project name"),
        (("delete", "acme", "?"), "There is no version or file"),
        (("status", "nothing", "archived"), "There is no project nothing"),
        (("status", "acme", "closed"), "see simpleindex status --help"),
        (("undelete", "acme", "note.txt"), "note.txt"),
        (("undelete", "acme", "1.0"), "undelete takes the name of a file"),
        (("purge", "--index-url", "https://h/"), "see simpleindex purge --help"),
        (
            ("purge", "--older-than", "-1"),
            "'-1' is not a whole number from 0 to 999999999, such as 30d; see simpleindex purge --help",
        ),
        (
            ("purge", "--older-than", "soon"),
            "'soon' is not a whole number from 0 to 999999999, such as 30d; see simpleindex purge --help",
        ),
        (("yank", "acme"), "see simpleindex yank --help"),
        (("yank", "acme", "1.0", "--path", "nowhere"), "nowhere"),
        (("free", "acme", "1.0", "--rea", "x"), "see simpleindex free --help"),
    ],
)
def test_what_cannot_be_done(place: Place, words: tuple[str, ...], sentence: str) -> None:
    """One sentence, status 2, and nothing is changed or audited."""
    out, err = place.run(*words, status=2)
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert place.audited() == []


def test_a_broken_project_file(place: Place) -> None:
    """It is left alone."""
    put(place.root / "acme" / "simpleindex.toml", b"status = ")
    _, err = place.run("status", "acme", "archived", status=2)
    assert "simpleindex.toml" in err
    assert place.project_file() == "status = "


def test_a_directory_that_cannot_be_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names it."""

    def survey(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(PackageDirectory, "survey", survey)
    _, err = place.run("purge", status=2)
    assert err == f"simpleindex: {place.root} cannot be read: Permission denied\n"


def test_without_the_extra(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said instead of where it was missed."""

    def miss(*_: object) -> bool:
        raise ModuleNotFoundError("No module named 'tomlkit'", name="tomlkit")

    monkeypatch.setattr(ProjectFileWriter, "yank", miss)
    _, err = place.run("yank", "acme", "1.0", status=2)
    assert "tomlkit" in err
    assert "the extra 'publish' of simpleindex brings" in err
    assert "twisted-simpleindex[" not in err


@pytest.mark.parametrize(
    "command", ["yank", "unyank", "delete", "undelete", "free", "status", "purge", "access"]
)
def test_help(place: Place, command: str) -> None:
    """Each says what it does and takes."""
    out, _ = place.run(command, "--help")
    assert f"simpleindex {command}" in out
    assert ("--index-url" in out) == (command not in ("purge", "access"))


# Over HTTP


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnsweringServer]:
    """One on loopback, to which the token of the environment goes."""
    monkeypatch.setenv(TOKEN_VARIABLE, f" {SECRET}\n")
    yield from answering_server()


@pytest.mark.parametrize(
    ("words", "page", "content", "changed", "out"),
    [
        (("yank", "Acme", "1.0", "--reason", "bad"), "acme/yank", {"version": "1.0", "reason": "bad"}, ["1.0"], "yank: acme 1.0\n"),
        (("yank", "acme", "acme-1.0.tar.gz"), "acme/yank", {"file": "acme-1.0.tar.gz"}, ["x"], "yank: acme x\n"),
        (("unyank", "acme", "1.0"), "acme/unyank", {"version": "1.0"}, [], "unyank: acme\n"),
        (("delete", "acme", "1.0"), "acme/delete", {"version": "1.0"}, ["a", "b"], "delete: acme a\ndelete: acme b\n"),
        (("free", "acme", "1.0"), "acme/free", {"file": "1.0"}, ["1.0"], "free: acme 1.0\n"),
        (("status", "acme", "archived"), "acme/status", {"status": "archived"}, [], "status: acme archived\n"),
    ],
)  # fmt: skip
def test_over_http(  # noqa: PLR0917
    place: Place,
    server: AnsweringServer,
    words: tuple[str, ...],
    page: str,
    content: dict[str, str],
    changed: list[str],
    out: str,
) -> None:
    """What is sent, with the token in its header; nothing is touched here."""
    server.answer = 200, {"Content-Type": "application/json"}, json.dumps({"changed": changed}).encode()
    assert place.run(*words, "--index-url", f"{server.url}/simple/") == (out, "")
    ((path, headers, body),) = server.seen
    assert path == f"/-/api/projects/{page}"
    assert json.loads(body) == content
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert headers["content-type"] == "application/json"
    assert not place.state.exists()


@pytest.mark.parametrize(
    ("suffix", "path"),
    [
        ("", "/-/api/"),
        ("/", "/-/api/"),
        ("/simple", "/-/api/"),
        ("/a/b/simple/", "/a/b/-/api/"),
        ("/a/b", "/a/b/-/api/"),
    ],
)
def test_urls(place: Place, server: AnsweringServer, suffix: str, path: str) -> None:
    """With and without what installers call it."""
    place.run("yank", "acme", "1.0", "--index-url", server.url + suffix)
    assert server.seen[0][0].startswith(path)


def test_a_token_file(place: Place, server: AnsweringServer) -> None:
    """It goes before the variable, and its newline is no part of it."""
    (place.path / "token").write_text(f"{SECRET}file\n")
    place.run("yank", "acme", "1.0", "--index-url", server.url, "--token-file", "token")
    assert server.seen[0][1]["authorization"] == f"Bearer {SECRET}file"


PROBLEM = {"Content-Type": "application/problem+json"}


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((403, {}, b"You may not.\n"), "the index answered 403: You may not."),
        ((404, {}, b""), "the index answered 404: Not Found"),
        ((409, PROBLEM, b'{"detail": "It is there."}'), "the index answered 409: It is there."),
        ((409, PROBLEM, b'{"detail": 1}'), 'the index answered 409: {"detail": 1}'),
        ((409, PROBLEM, b"[" * 100_000), "the index answered 409: [[["),
        ((500, {}, b"\x1b[1mbad\xff"), "the index answered 500: ?[1mbad"),
        ((401, {"Content-Length": "50"}, b"short"), "the index answered 401: "),
        ((301, {"Location": "http://192.0.2.1/"}, b"It is there."), "the index answered 301: It is there."),
        ((307, {"Location": "/elsewhere"}, b""), "the index answered 307"),
        ((200, {}, b"<html>"), "sent no valid answer"),
        (b"no HTTP\r\n\r\n", "sent no valid answer"),
        (b"", "sent no valid answer"),
    ],
)
def test_refusals(place: Place, server: AnsweringServer, answer: Any, sentence: str) -> None:
    """The index's own sentence, or why there is none; a redirect is not followed with a token."""
    server.answer = answer
    out, err = place.run("yank", "acme", "1.0", "--index-url", server.url, status=2)
    assert out == ""
    assert sentence in err
    assert "\x1b" not in err
    assert len(server.seen) == 1


def test_an_answer_that_is_no_object(place: Place, server: AnsweringServer) -> None:
    """It was done, as the status says."""
    server.answer = 200, {}, b"[]"
    assert place.run("status", "acme", "active", "--index-url", server.url)[0] == "status: acme active\n"


def test_nobody_there(place: Place, server: AnsweringServer) -> None:
    """The sentence names the URL."""
    _, err = place.run("yank", "acme", "1.0", "--index-url", "http://127.0.0.1:1/", status=2)
    assert "the index at http://127.0.0.1:1/ cannot be reached" in err


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://host/", "is no URL of an index"),
        ("host", "is no URL of an index"),
        ("https:///simple/", "is no URL of an index"),
        ("http://127.0.0.1:port/", "is no URL of an index"),
        ("http://127.0.0.1:99999/", "is no URL of an index"),
        ("http://[::1/", "is no URL of an index"),
        ("https://h\u00f6st/", "is no URL of an index"),
        ("https://host/a b/", "is no URL of an index"),
        (f"https://alice:{SECRET}@host/", "not in the URL"),
        (f"https://{SECRET}@host:port/", "not in the URL"),
        ("http://host/simple/", "use https"),
        ("http://127.0.0.1.host/", "use https"),
    ],
)
def test_urls_that_cannot_be_used(place: Place, server: AnsweringServer, url: str, sentence: str) -> None:
    """Nothing is sent, and no secret is repeated."""
    _, err = place.run("yank", "acme", "1.0", "--index-url", url, status=2)
    assert sentence in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read"),
        (b"", "is no token"),
        (f"{SECRET}\n{SECRET}\n".encode(), "is no token"),
        (f"{SECRET}\u20ac".encode(), "is no token"),
        (b"\xff", "cannot be read"),
    ],
)
def test_tokens_that_cannot_be_used(
    place: Place, server: AnsweringServer, content: bytes | None, sentence: str
) -> None:
    """They are refused here, and not repeated."""
    if content is not None:
        (place.path / "token").write_bytes(content)
    words = ("yank", "acme", "1.0", "--index-url", server.url, "--token-file", "token")
    assert sentence in place.run(*words, status=2)[1]
    assert server.seen == []


def test_a_variable_that_cannot_be_used(
    place: Place, server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same; and none at all."""
    monkeypatch.setenv(TOKEN_VARIABLE, f"{SECRET} {SECRET}")
    words = ("yank", "acme", "1.0", "--index-url", server.url)
    assert f"{TOKEN_VARIABLE} is no token" in place.run(*words, status=2)[1]
    monkeypatch.delenv(TOKEN_VARIABLE)
    assert "no token was given" in place.run(*words, status=2)[1]
    assert server.seen == []


def test_a_ca(place: Place, server: AnsweringServer) -> None:
    """One that cannot be read, and one that is none."""
    (place.path / "ca.pem").write_text("no certificate")
    for name in ("nowhere.pem", "ca.pem"):
        words = ("yank", "acme", "1.0", "--index-url", "https://127.0.0.1:1/", "--cert", name)
        assert f"--cert: {name} cannot be used" in place.run(*words, status=2)[1]


# Who may do what


RULES = """\
[[rule]]
projects = ["acme-*"]
read = ["alice"]
upload = ["owner"]
"""


def test_access(place: Place) -> None:
    """Each action with who may do it and by which rule, whether or not there is such a project."""
    (place.path / "access.toml").write_text(RULES)
    out, err = place.run("access", "Acme_App", "--access", "access.toml")
    assert err == ""
    assert "read: alice (rule 1, acme-*)" in out
    assert "upload: owner (nobody yet: of a new name, the first who uploads) (rule 1, acme-*)" in out
    assert "yank: nobody" in out
    assert "Nobody can log in" not in out
    database = RecordsDatabase(str(place.state))
    owners = OwnerTable(database)
    owners.claim(ProjectName("acme-app"), "carol", 0)
    out, _ = place.run("access", "acme-app", "--access", "access.toml")
    assert "upload: owner (carol)" in out
    assert "An upload by which carol claimed the name did not end" in out
    owners.settle(ProjectName("acme-app"), "carol")
    database.close()
    out, _ = place.run("access", "acme-app", "--access", "access.toml")
    assert "upload: owner (carol)" in out
    assert "claimed" not in out


def test_access_without_a_file(place: Place) -> None:
    """What holds by default; and that nobody can log in where nobody can."""
    out, _ = place.run("access", "acme")
    assert "read: anyone (there is no access file)" in out
    assert "Nobody can log in" in out
    (place.path / "users").write_text("# nobody\n")
    out, _ = place.run("access", "acme", "--users", "users")
    assert "upload: authenticated (there is no access file)" in out
    assert "Nobody can log in" not in out


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (None, "acme", "cannot be read: No such file"),
        ("rul = 1\n", "acme", "unknown key"),
        ("", "acme", "empty"),
        (RULES, "!", "is not a valid project name"),
    ],
)
def test_access_that_cannot_be_told(place: Place, content: str | None, name: str, sentence: str) -> None:
    """One sentence."""
    if content is not None:
        (place.path / "access.toml").write_text(content)
    out, err = place.run("access", name, "--access", "access.toml", status=2)
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_access_with_damaged_records(place: Place) -> None:
    """The rules are told all the same, and the damage beside them; no name is said to be free."""
    (place.path / "access.toml").write_text(RULES)
    place.state.mkdir()
    (place.state / "records.sqlite3").write_bytes(b"no database" * 100)
    out, err = place.run("access", "acme-app", "--access", "access.toml", status=2)
    assert "upload: owner (not known)" in out
    assert "records.sqlite3 cannot be used" in err
    assert len(err.splitlines()) == 1
