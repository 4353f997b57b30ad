"""``simpleindex passwd`` and ``simpleindex token``, in this process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.access.errors import UnusableToken
from simpleindex.access.identity import Action
from simpleindex.access.logins.hashes import verify
from simpleindex.access.logins.htpasswd import parse_users
from simpleindex.access.token_options import TokenOptions, minute, parse_expiry
from simpleindex.commands.accounts import passwd as passwd_module
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.start_check import initialize_records
from simpleindex.records.tokens import MOST_USABLE, TokenTable
from tests.fixtures.commands import audited, run

if TYPE_CHECKING:
    from pathlib import Path

    Captured = pytest.CaptureFixture[str]

HASH = "$2b$12$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"


class Terminal(io.StringIO):
    """A standard input that is one."""

    def isatty(self) -> bool:
        return True


class PeopleFixture:
    """A state directory, a users file, and somebody at the keyboard."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.users = path / "users"
        self.state = path / "state"
        self._monkeypatch = monkeypatch

    def type(self, *answers: str) -> list[str]:
        """Give these answers to what is asked for; returns what was."""
        asked: list[str] = []
        waiting = list(answers)

        def ask(prompt: str) -> str:
            asked.append(prompt)
            return waiting.pop(0)

        self._monkeypatch.setattr(sys, "stdin", Terminal())
        self._monkeypatch.setattr(passwd_module, "getpass", ask)
        return asked

    def pipe(self, text: str) -> None:
        """Send this to the standard input."""
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    def audited(self) -> list[dict[str, Any]]:
        """What is in the audit."""
        return audited(self.state)

    def begin(self) -> None:
        """Let a server have used the state directory."""
        initialize_records(str(self.state), anew=False)

    def records(self) -> RecordsDatabase:
        """The records, as a server opens them."""
        return RecordsDatabase(str(self.state))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PeopleFixture:
    """One that the environment names, in a hurry with hashes."""
    monkeypatch.chdir(tmp_path)
    for name in ("SIMPLEINDEX_CONFIG", "STATE_DIRECTORY", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SIMPLEINDEX_USERS", str(tmp_path / "users"))
    monkeypatch.setenv("SIMPLEINDEX_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(passwd_module, "hash_password", lambda text: f"hash of {text}")
    return PeopleFixture(tmp_path, monkeypatch)


def test_passwd_at_a_terminal(world: PeopleFixture, capsys: Captured) -> None:
    """It is asked for twice, unseen; nothing goes to standard output; the audit knows."""
    asked = world.type("secret", "secret")
    out, err = run(capsys, "passwd", "alice")
    assert asked == ["New password for alice: ", "Once more: "]
    assert out == ""
    assert err.startswith(f"The password of alice is set in {world.users}.\n")
    assert world.users.read_text() == "alice:hash of secret\n"
    (line,) = world.audited()
    assert (line["event"], line["detail"]) == ("password-set", f"alice in {world.users}")
    assert line["who"].startswith("command:")


def test_passwd_that_differs(world: PeopleFixture, capsys: Captured) -> None:
    """Nothing is changed, and no file is made."""
    world.type("secret", "secrte")
    _, err = run(capsys, "passwd", "alice", status=2)
    assert err == "simpleindex: The two passwords differ; nothing is changed.\n"
    assert not world.users.exists()
    assert world.audited() == []


@pytest.mark.parametrize("text", ["secret\n", "secret\r\n", "secret", "secret\nmore\n"])
def test_passwd_from_a_pipe(world: PeopleFixture, capsys: Captured, text: str) -> None:
    """One line is read, and its end is no part of it."""
    world.pipe(text)
    run(capsys, "passwd", "--users", "others", "alice")
    assert (world.path / "others").read_text() == "alice:hash of secret\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\n", "is empty"),
        ("", "is empty"),
        ("a\tb\n", "cannot be typed"),
        ("a\udcffb\n", "cannot be typed"),
        ("x" * 1025, "longer than 1024 bytes"),
        ("sidx-abc\n", "would be taken for one"),
    ],
)
def test_passwords_that_could_not_be_used(
    world: PeopleFixture, capsys: Captured, text: str, reason: str
) -> None:
    """They are refused here, not at the first login; and not repeated."""
    world.pipe(text)
    _, err = run(capsys, "passwd", "alice", status=2)
    assert reason in err
    assert not text.strip() or text.strip() not in err
    assert not world.users.exists()


def test_passwd_changes_one_line(world: PeopleFixture, capsys: Captured) -> None:
    """Comments, order and others stay."""
    world.users.write_text(f"# People\nalice:{HASH}:since 2020\nbob:{HASH}\n")
    world.pipe("new\n")
    _, err = run(capsys, "passwd", "alice")
    assert err.splitlines() == [
        f"The password of alice is set in {world.users}.",
        "It has only 3 characters, which are soon guessed; 12 or more are safer.",
    ]
    assert world.users.read_text() == f"# People\nalice:hash of new:since 2020\nbob:{HASH}\n"


def test_passwd_delete(world: PeopleFixture, capsys: Captured) -> None:
    """Who is not there cannot be deleted."""
    world.users.write_text(f"alice:{HASH}\n")
    _, err = run(capsys, "passwd", "alice", "--delete")
    assert "alice is no longer in" in err
    assert parse_users(world.users.read_bytes()).hashes == {}
    assert world.users.read_bytes()
    _, err = run(capsys, "passwd", "--delete", "alice", status=2)
    assert err == f"simpleindex: There is no user alice in {world.users}.\n"
    assert [line["event"] for line in world.audited()] == ["user-deleted"]


def test_a_new_user_of_an_old_name_has_no_tokens_of_before(world: PeopleFixture, capsys: Captured) -> None:
    world.users.write_text(f"alice:{HASH}\nbob:{HASH}\n")
    records = world.records()
    options = TokenOptions((Action.READ,), ("*",), None, "")
    users = ("alice", "alice", "bob")
    made = [TokenTable(records).create(user, options, number)[0].id for number, user in enumerate(users)]
    TokenTable(records).revoke(made[0], 2)
    records.close()
    _, err = run(capsys, "passwd", "--delete", "alice")
    assert err.splitlines()[1:] == ["1 token of alice revoked."]
    records = world.records()
    assert [token.revoked is None for token in TokenTable(records).all()] == [False, False, True]
    assert [(line["event"], line.get("token")) for line in world.audited()] == [
        ("user-deleted", None),
        ("token-revoked", made[1]),
    ]
    (world.state / "records.sqlite3").write_bytes(b"damaged" * 1000)
    _, err = run(capsys, "passwd", "--delete", "bob", status=1)
    assert "The tokens of bob are not revoked, and would work for a new user of that name" in err
    assert parse_users(world.users.read_bytes()).hashes == {}
    records.close()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "required: USER; see simpleindex passwd --help"),
        (("a:b",), "The user name has a colon"),
        (("__token__",), "stands for a token"),
        (("a", "--del"), "unrecognized arguments: --del"),
        (("a", "--users", "missing/users"), "cannot be changed: No such file or directory."),
        (("a", "--users", "."), "cannot be changed"),
        (("a", "--config", "missing"), "there is no such configuration file"),
    ],
)
def test_passwd_that_is_refused(
    world: PeopleFixture, capsys: Captured, words: tuple[str, ...], reason: str
) -> None:
    """One sentence."""
    world.pipe("secret\n")
    _, err = run(capsys, "passwd", *words, status=2)
    assert reason in err
    assert err.startswith("simpleindex: ")
    assert err.count("\n") == 1


def test_passwd_without_a_users_file(
    world: PeopleFixture, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no default that a server would read; a configuration file may name it."""
    monkeypatch.delenv("SIMPLEINDEX_USERS")
    world.pipe("secret\n")
    _, err = run(capsys, "passwd", "alice", status=2)
    assert "--users FILE" in err
    (world.path / "simpleindex.toml").write_text('users = "people"\nstate = "elsewhere"\n')
    monkeypatch.delenv("SIMPLEINDEX_STATE")
    run(capsys, "passwd", "alice", "--config", "simpleindex.toml")
    assert (world.path / "people").exists()
    assert (world.path / "elsewhere" / "audit.jsonl").exists()


def test_a_real_password(world: PeopleFixture) -> None:
    """By the real command and the real hash."""
    words = [sys.executable, "-m", "simpleindex", "passwd", "alice"]
    result = subprocess.run(
        words, input="pässwörd\n", text=True, encoding="utf-8", capture_output=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    users = parse_users(world.users.read_bytes())
    assert users.refused == ()
    assert verify(users.hashes["alice"], "pässwörd".encode())


def create(capsys: Captured, *words: str) -> tuple[str, str]:
    """Make a token; returns the secret and what was said of it."""
    initialize_records(os.environ["SIMPLEINDEX_STATE"], anew=False)
    out, err = run(capsys, "token", "create", *words)
    assert out.count("\n") == 1
    return out.strip(), err


def test_token_create(world: PeopleFixture, capsys: Captured) -> None:
    """Only the secret goes to standard output, and it works; what it is for is said, kept and audited."""
    world.users.write_text(f"alice:{HASH}\n")
    before = time.time()
    secret, err = create(
        capsys,
        *("--user", "alice", "--can", "upload,read", "--can", "yank", "--projects", "Acme_*,other"),
        *("--project", "third", "--expires", "30d", "--note", "ci"),
    )
    records = world.records()
    token = TokenTable(records).find(secret, time.time())
    records.close()
    assert (token.user, token.note, token.projects) == ("alice", "ci", ("acme-*", "other", "third"))
    assert token.actions == {Action.UPLOAD, Action.READ, Action.YANK}
    assert token.expires is not None
    assert 0 <= token.expires - int(before) - 30 * 86_400 <= 10
    words = f"of alice, can read,upload,yank on acme-*, other, third, until {minute(token.expires)} UTC (ci)"
    assert err.splitlines()[0] == f"Token {token.id} {words}; the records are in {world.state}."
    assert secret not in err
    (line,) = world.audited()
    assert (line["event"], line["token"], line["detail"]) == ("token-created", token.id, words)
    assert secret not in json.dumps(line)


def test_token_defaults(world: PeopleFixture, capsys: Captured) -> None:
    """Every project, a year, nobody's, and it is said what that means."""
    secret, err = create(capsys, "--can", "read")
    records = world.records()
    token = TokenTable(records).find(secret, time.time() + 364 * 86_400)
    assert (token.user, token.projects, token.note) == (None, ("*",), "")
    with pytest.raises(UnusableToken):
        TokenTable(records).find(secret, time.time() + 366 * 86_400)
    records.close()
    assert f"token:{token.id}" in err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("never", None), ("1h", 3600), ("12h", 43_200), ("2w", 1_209_600), ("99999d", 8_639_913_600)],
)
def test_durations(text: str, seconds: int | None) -> None:
    """In hours, days and weeks, or for ever."""
    assert parse_expiry(text, 0.9) == seconds


def test_token_of_an_unknown_user(world: PeopleFixture, capsys: Captured) -> None:
    """A misspelt name would make a token that never works; one that is yet to be made has to be said."""
    world.begin()
    world.users.write_text(f"alice:{HASH}\nbob:weak\n")
    for user in ("bob", "carol"):
        _, err = run(capsys, "token", "create", "--user", user, "--can", "read", status=2)
        assert err.startswith(f"simpleindex: {user} is not in {world.users}, or has no usable password there")
        _, err = create(capsys, "--user", user, "--can", "read", "--future-user")
        assert err.startswith("Token ")
    world.users.unlink()
    _, err = run(capsys, "token", "create", "--user", "alice", "--can", "read", status=2)
    assert err == (
        f"simpleindex: {world.users} cannot be read: No such file or directory; simpleindex passwd alice creates it\n"
    )
    del os.environ["SIMPLEINDEX_USERS"]
    _, err = create(capsys, "--user", "alice", "--can", "read")
    assert err.startswith("simpleindex: There is no users file to look for alice in")
    assert "or create one with simpleindex passwd --users FILE alice." in err.splitlines()[0]


def test_token_for_no_server(world: PeopleFixture, capsys: Captured) -> None:
    """In a directory that no server has used nobody would know it, so none is made there unless that is meant."""
    words = ("token", "create", "--can", "read")
    out, err = run(capsys, *words, status=2)
    assert out == ""
    assert err.startswith(f"simpleindex: No server has used {world.state}, so none would know this token.")
    assert not world.state.exists()
    # An audit alone, as yank and passwd make one, is no sign of a server.
    world.state.mkdir()
    (world.state / "audit.jsonl").write_text('{"event": "password-set"}\n')
    run(capsys, *words, status=2)
    run(capsys, *words, "--new-state")
    run(capsys, *words)
    (world.state / "records.sqlite3").unlink()
    for option in ((), ("--new-state",)):
        _, err = run(capsys, *words, *option, status=2)
        assert "is empty or gone" in err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "required: COMMAND"),
        (("crate",), "invalid choice: 'crate'"),
        (("create",), "required: --can; see simpleindex token create --help"),
        (("create", "--can", "fly"), "--can: 'fly' is none of read, upload, yank, delete, audit, admin"),
        (("create", "--can", ","), "--can: give at least one"),
        (("create", "--can", "read", "--projects", "a/b"), "--projects: 'a/b' is no name"),
        (("create", "--can", "read", "--projects", ""), "--projects: name at least one"),
        (("create", "--can", "read", "--expires", "30"), "--expires: '30' is no time"),
        (("create", "--can", "read", "--expires", "0d"), "--expires: '0d' is no time"),
        (("create", "--can", "read", "--note", "a\nb"), "--note: it must be one line"),
        (("create", "--can", "read", "--user", "a:b"), "The user name has a colon"),
        (("revoke",), "required: ID"),
        (("list", "--jsn"), "unrecognized arguments"),
    ],
)
def test_token_that_is_refused(
    world: PeopleFixture, capsys: Captured, words: tuple[str, ...], reason: str
) -> None:
    """One sentence, and nothing is made."""
    out, err = run(capsys, "token", *words, status=2)
    assert out == ""
    assert reason in err
    assert err.count("\n") == 1
    assert not world.state.exists()


def test_token_past_the_limit(world: PeopleFixture, capsys: Captured) -> None:
    """One user has so many; whoever runs the index may make more."""
    records = world.records()
    options = TokenOptions((Action.READ,), ("*",), None, "")
    made = [TokenTable(records).create("alice", options, number)[0].id for number in range(MOST_USABLE)]
    records.close()
    world.users.write_text(f"alice:{HASH}\n")
    words = ("token", "create", "--can", "read", "--user", "alice", "--users", str(world.users))
    out, err = run(capsys, *words, status=2)
    assert out == ""
    assert (
        f"revoke what is not needed. Unused for the longest time: {made[0]}, {made[1]}, {made[2]}. Or add --past-limit."
        in err
    )
    out, _ = run(capsys, *words, "--past-limit")
    assert out.startswith("sidx-")


def test_token_list(world: PeopleFixture, capsys: Captured) -> None:
    """A table as wide as it must be; the oldest first."""
    records = world.records()
    now = 1_700_000_000
    made = [
        TokenTable(records).create(user, TokenOptions(actions, projects, expires, note), now + number)[0].id
        for number, (user, actions, projects, expires, note) in enumerate(
            (
                ("alice", (Action.UPLOAD, Action.READ), ("acme-*", "other"), now + 10**10, "ci"),
                (None, (Action.READ,), ("*",), None, ""),
                ("bob", (Action.ADMIN,), ("*",), now + 60, "long ago"),
                ("carol", (Action.YANK,), ("x",), None, ""),
            )
        )
    ]
    TokenTable(records).touch(made[1], now + 3600)
    TokenTable(records).revoke(made[3], now)
    records.close()
    out, err = run(capsys, "token", "list")
    assert err == ""
    assert out.splitlines() == [
        "ID        USER   CAN          PROJECTS       CREATED     EXPIRES             LAST USED         NOTE",
        f"{made[0]}  alice  read,upload  acme-*, other  2023-11-14  2340-10-04          never             ci",
        f"{made[1]}  -      read         *              2023-11-14  never               2023-11-14 23:13  -",
        f"{made[2]}  bob    admin        *              2023-11-14  expired 2023-11-14  never             long ago",
        f"{made[3]}  carol  yank         x              2023-11-14  revoked 2023-11-14  never             -",
    ]
    out, _ = run(capsys, "token", "list", "--json")
    listed = json.loads(out)
    assert listed[0] == {
        "id": made[0],
        "user": "alice",
        "can": ["read", "upload"],
        "projects": ["acme-*", "other"],
        "created": "2023-11-14T22:13:20Z",
        "expires": "2340-10-04T16:00:00Z",
        "last_used": None,
        "revoked": None,
        "usable": True,
        "note": "ci",
    }
    assert [one["usable"] for one in listed] == [True, True, False, False]
    assert listed[3]["revoked"] == "2023-11-14T22:13:20Z"


def test_an_end_that_is_near(world: PeopleFixture, capsys: Captured) -> None:
    """It is listed to the minute."""
    secret, _ = create(capsys, "--can", "read", "--expires", "12h")
    records = world.records()
    expires = TokenTable(records).find(secret, time.time()).expires
    records.close()
    assert expires is not None
    assert minute(expires) in run(capsys, "token", "list")[0]


def test_token_list_of_none(world: PeopleFixture, capsys: Captured) -> None:
    """It says where it looked; for programs it is an empty list."""
    initialize_records(str(world.state), anew=False)
    assert run(capsys, "token", "list") == ("", f"There are no tokens in {world.state}.\n")
    assert run(capsys, "token", "list", "--json") == ("[]\n", "")


@pytest.mark.parametrize("words", [("token", "list", "--json"), ("token", "revoke", "ab12cd34")])
def test_tokens_of_no_server(world: PeopleFixture, capsys: Captured, words: tuple[str, ...]) -> None:
    """A mistyped path is not a server without tokens; and nothing is made by looking."""
    out, err = run(capsys, *words, status=2)
    assert (out, err.startswith(f"simpleindex: There is no {world.state}, so no server has used it.")) == (
        "",
        True,
    )
    world.state.mkdir()
    assert run(capsys, *words, status=2)[1].startswith(f"simpleindex: No server has used {world.state}. Name")
    assert not [*world.state.iterdir()]


def test_tokens_that_are_lost(world: PeopleFixture, capsys: Captured) -> None:
    """The audit shows that there were some."""
    create(capsys, "--can", "read")
    for path in world.state.glob("records.sqlite3*"):
        path.unlink()
    assert "is empty or gone" in run(capsys, "token", "list", status=2)[1]


def test_token_list_of_a_directory_that_cannot_be_read(
    world: PeopleFixture, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would look like one without tokens."""

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    _, err = run(capsys, "token", "list", status=2)
    assert "cannot be read: Permission denied" in err


def test_token_revoke(world: PeopleFixture, capsys: Captured) -> None:
    """At once, once; the others that are named too."""
    secret, _ = create(capsys, "--can", "read", "--note", "ci")
    records = world.records()
    id_ = TokenTable(records).find(secret, time.time()).id
    _, err = run(capsys, "token", "revoke", "nothere0", id_, status=2)
    assert err.splitlines()[0] == f"simpleindex: There is no token 'nothere0' in {world.state}."
    assert err.splitlines()[1].startswith(f"Token {id_} is revoked: of no user, can read on *")
    with pytest.raises(UnusableToken, match="revoked"):
        TokenTable(records).find(secret, time.time())
    records.close()
    _, err = run(capsys, "token", "revoke", id_)
    assert "already" in err
    assert [line["event"] for line in world.audited()] == ["token-created", "token-revoked"]


def test_records_that_cannot_be_used(world: PeopleFixture, capsys: Captured) -> None:
    """A sentence with the place, and status 2."""
    world.state.mkdir()
    (world.state / "records.sqlite3").write_bytes(b"no database" * 100)
    for words in (["list"], ["create", "--can", "read"], ["revoke", "ab12cd34"]):
        out, err = run(capsys, "token", *words, status=2)
        assert out == ""
        assert f"{world.state}/records.sqlite3 cannot be used" in err
        assert err.count("\n") == 1


def test_a_database_server_that_is_away(world: PeopleFixture, capsys: Captured) -> None:
    """A sentence of the command's own: what, where, and what to do; the log of a server has another one."""
    pytest.importorskip("psycopg")
    url = "postgresql://127.0.0.1:1/index"
    for words in (
        ("token", "list"),
        ("token", "create", "--can", "read"),
        ("token", "revoke", "ab12cd34"),
        ("allow", "--list"),
        ("disallow", "acme"),
        ("downloads", "acme"),
    ):
        out, err = run(capsys, *words, "--records", url, status=2)
        assert out == ""
        assert err == (
            f"simpleindex: {url} cannot be used (the server cannot be reached): see that the server runs, and lets this machine in.\n"
        )
    assert world.audited() == []


def test_an_audit_that_cannot_be_written(world: PeopleFixture, capsys: Captured) -> None:
    """What was done is done, and it is said that the audit does not know."""
    world.begin()
    (world.state / "audit.jsonl").unlink()
    (world.state / "audit.jsonl").mkdir()
    secret, err = create(capsys, "--can", "read")
    assert secret.startswith("sidx-")
    assert "audit.jsonl cannot be written" in err


@pytest.mark.parametrize(
    "words", [["passwd"], ["token"], ["token", "create"], ["token", "list"], ["token", "revoke"]]
)
def test_help(words: list[str], capsys: Captured) -> None:
    """Each has its own."""
    out, err = run(capsys, *words, "--help")
    assert out.startswith(f"usage: simpleindex {' '.join(words)}")
    assert err == ""


def test_who(monkeypatch: pytest.MonkeyPatch, world: PeopleFixture, capsys: Captured) -> None:
    """Behind sudo, who it is for; a user without a name is a number."""
    monkeypatch.setenv("SUDO_USER", "alice")
    create(capsys, "--can", "read")
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    create(capsys, "--can", "read")
    first, second = (line["who"] for line in world.audited())
    assert first.endswith(" for alice")
    assert second == "command:4000000"


def test_a_reader_that_has_read_enough(world: PeopleFixture) -> None:
    """``token list | head`` ends without a traceback."""
    records = world.records()
    for _ in range(2000):
        TokenTable(records).create(None, TokenOptions((Action.READ,), ("*",), None, "x" * 100), now=0)
    records.close()
    command = f"{sys.executable} -m simpleindex token list | head -1"
    result = subprocess.run(command, shell=True, text=True, capture_output=True, timeout=60, check=False)
    assert result.stdout.startswith("ID ")
    assert result.stderr == ""
