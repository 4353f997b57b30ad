"""The records: tokens and owners, for several processes at once, and never half known."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

import pytest

from simpleindex.access.errors import UnusableToken
from simpleindex.access.identity import Action
from simpleindex.access.logins.credentials import Token
from simpleindex.access.token_options import TokenOptions
from simpleindex.core.errors import Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.owners import OwnerTable, UndecidedClaim
from simpleindex.records.sqlite_connection import use_wal
from simpleindex.records.tokens import TokenTable
from tests.fixtures.trees import SPECIAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from simpleindex.records.interface import RecordsTransaction
    from tests.fixtures.log import CapturedLog

ACME = ProjectName("acme")
OTHER = ProjectName("other")
UNKNOWN = "sidx-" + "A" * 43


class Records:
    """A database with its tables of tokens and owners."""

    def __init__(self, database: RecordsDatabase) -> None:
        self.database = database
        self.tokens = TokenTable(database)
        self.owners = OwnerTable(database)


class RecordsFixture:
    """A state directory, what was logged, and every database opened on it."""

    def __init__(self, state: Path, log: CapturedLog) -> None:
        self.state = state
        self.path = state / "records.sqlite3"
        self.log = log
        self._open: list[Records] = []

    @property
    def logged(self) -> list[str]:
        """The sentences in the log."""
        return self.log.lines

    def records(self) -> Records:
        """Another, as another process has it."""
        records = Records(RecordsDatabase(str(self.state)))
        self._open.append(records)
        return records

    def close(self) -> None:
        """Close all of them."""
        for records in self._open:
            records.database.close()


@pytest.fixture
def world(tmp_path: Path, log: CapturedLog) -> Iterator[RecordsFixture]:
    """One whose directory must yet be made."""
    world = RecordsFixture(tmp_path / "deep" / "state", log)
    yield world
    world.close()


def create(records: Records, **changes: Any) -> tuple[Token, str]:
    """Make a token."""
    user, now = changes.pop("user", "alice"), changes.pop("now", 1000.9)
    options = TokenOptions((Action.UPLOAD, Action.READ), ("acme-*", "other"), 2000, "ci")
    return records.tokens.create(user, replace(options, **changes), now)


def test_a_token(world: RecordsFixture) -> None:
    """It is found by its secret, in this process and in others; the secret is nowhere in the file."""
    records = world.records()
    token, secret = create(records)
    assert re.fullmatch(r"sidx-[A-Za-z0-9_-]{43}", secret)
    assert re.fullmatch(r"[a-z0-9]{8}", token.id)
    assert token == Token(
        token.id, "alice", frozenset({Action.UPLOAD, Action.READ}), ("acme-*", "other"), 1000, 2000, "ci"
    )
    for other in (records, world.records()):
        assert other.tokens.find(secret, 1999.9) == token
        assert other.tokens.all() == [token]
    records.database.close()
    content = b"".join(path.read_bytes() for path in world.state.iterdir())
    assert secret.encode() not in content
    assert secret.removeprefix("sidx-").encode() not in content
    assert sha256(secret.encode()).digest() in content


def test_tokens_are_as_they_were_made(world: RecordsFixture) -> None:
    """Without a user, without an end, with one action; the oldest first."""
    records = world.records()
    later, _ = create(records, now=2000)
    plain, _ = create(records, user=None, expires=None, actions=(Action.READ,), projects=("*",), note="")
    assert records.tokens.all() == [plain, later]
    assert records.tokens.of_user("alice") == [later]


@pytest.mark.parametrize("secret", [UNKNOWN, "sidx-", "", "\udcff", "pypi-" + "A" * 43, "sidx-" + "é" * 43])
def test_unknown_tokens(world: RecordsFixture, secret: str) -> None:
    """Those are, with and without a database; asking makes none."""
    records = world.records()
    for _ in range(2):
        with pytest.raises(UnusableToken, match=r"^unknown token$"):
            records.tokens.find(secret, 0)
        assert records.tokens.all() == []
    assert not world.state.exists()
    create(records)
    with pytest.raises(UnusableToken, match=r"^unknown token$") as raised:
        records.tokens.find(secret, 0)
    assert raised.value.id is None


def test_expired_tokens(world: RecordsFixture) -> None:
    """From the second that was said."""
    records = world.records()
    token, secret = create(records)
    with pytest.raises(UnusableToken, match=rf"^token {token.id} expired$") as raised:
        records.tokens.find(secret, 2000)
    assert raised.value.id == token.id


def test_revoked_tokens(world: RecordsFixture) -> None:
    """At once in every process, for good, and from the first time on."""
    server, command = world.records(), world.records()
    token, secret = create(command)
    server.tokens.find(secret, 1001)
    assert command.tokens.revoke(token.id, 1100) == token
    with pytest.raises(UnusableToken, match=rf"^token {token.id} revoked$"):
        server.tokens.find(secret, 1101)
    again = command.tokens.revoke(token.id, 1200)
    assert again
    assert again.revoked == 1100
    assert command.tokens.all()[0].revoked == 1100
    assert command.tokens.revoke("nothere0", 1200) is None


def test_last_use(world: RecordsFixture) -> None:
    """To the minute."""
    records = world.records()
    token, secret = create(records)
    for now, noted in ((1010, 1010), (1069, 1010), (1070.5, 1070), (900, 1070)):
        records.tokens.touch(token.id, now)
        assert records.tokens.find(secret, 1500).last_used == noted
    records.tokens.touch("nothere0", 1000)


def test_owners(world: RecordsFixture) -> None:
    """Nobody owns anything before the first claim, which makes the file."""
    records, other = world.records(), world.records()
    assert records.owners.owner(ACME) is None
    assert records.owners.owners() == {}
    assert not world.state.exists()
    assert records.owners.claim(ACME, "alice", 1000) == "alice"
    assert other.owners.owners() == {ACME: "alice"}


def test_the_files_are_private(world: RecordsFixture) -> None:
    """All that SQLite makes beside the database too, whatever the umask is."""
    old = os.umask(0)
    try:
        create(world.records())
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in world.state.iterdir()}
    assert modes == dict.fromkeys(("records.sqlite3", "records.sqlite3-wal", "records.sqlite3-shm"), 0o600)
    assert world.state.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_them_to_the_directorys_owner(world: RecordsFixture) -> None:
    """A token made by root in the service's directory is one that the service can read."""
    world.state.mkdir(parents=True)
    os.chown(world.state, 65534, 65533)
    records = world.records()
    create(records)
    create(records)
    owners = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in world.state.iterdir()}
    assert set(owners.values()) == {(65534, 65533)}
    assert len(owners) == 3


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file(world: RecordsFixture, kind: str) -> None:
    """It is neither waited for nor taken for an empty database."""
    world.state.mkdir(parents=True)
    SPECIAL[kind](world.path)
    records = world.records()
    for use in every_use(records):
        with pytest.raises(Unavailable):
            use()


def test_a_link_is_not_followed(world: RecordsFixture, tmp_path: Path) -> None:
    """Root runs commands in a directory of another user's."""
    world.state.mkdir(parents=True)
    world.path.symlink_to(tmp_path / "target")
    with pytest.raises(Unavailable):
        create(world.records())
    assert not (tmp_path / "target").exists()


def every_use(records: Records) -> list[Callable[[], object]]:
    """Each thing that can be asked of records."""
    return [
        lambda: records.tokens.find(UNKNOWN, 0),
        records.tokens.all,
        lambda: records.owners.owner(ACME),
        records.owners.owners,
        lambda: create(records),
        lambda: records.tokens.revoke("ab12cd34", 0),
        lambda: records.tokens.touch("ab12cd34", 0),
        lambda: records.owners.claim(ACME, "alice", 0),
        lambda: records.owners.settle(ACME, "alice"),
    ]


def test_a_corrupt_database(world: RecordsFixture) -> None:
    """It is "can't tell now" for every question, said once, and over when a backup is put back."""
    records = world.records()
    token, secret = create(records)
    records.database.close()
    backup = world.path.read_bytes()
    world.path.write_bytes(b"no database at all" * 1000)
    for use in every_use(records):
        with pytest.raises(Unavailable, match=r"^The records of tokens and owners cannot be used now"):
            use()
    (sentence,) = world.logged
    assert sentence.startswith(f"The records {world.path} cannot be used (file is not a database)")
    aside = world.path.with_name("backup")
    aside.write_bytes(backup)
    aside.replace(world.path)
    assert records.tokens.find(secret, 1001) == token


def test_damaged_pages(world: RecordsFixture) -> None:
    """A token in a page that is garbage is not allowed."""
    records = world.records()
    _, secret = create(records)
    records.database.close()
    content = world.path.read_bytes()
    world.path.write_bytes(content[:4096] + b"\xaa" * (len(content) - 4096))
    with pytest.raises(Unavailable):
        records.tokens.find(secret, 1001)


@pytest.mark.parametrize(
    ("column", "value"),
    [("actions", "everything"), ("actions", ""), ("actions", 7), ("projects", "["), ("projects", "1")],
)
def test_damaged_rows(world: RecordsFixture, column: str, value: object) -> None:
    """What cannot be read is not guessed."""
    records = world.records()
    _, secret = create(records)
    with sqlite3.connect(world.path) as connection:
        connection.execute(f"UPDATE tokens SET {column} = ?", (value,))
    connection.close()
    with pytest.raises(Unavailable):
        records.tokens.find(secret, 1001)
    assert "a row in it is damaged" in world.logged[0]


def test_a_newer_database(world: RecordsFixture) -> None:
    """What it means is not known here."""
    create(world.records())
    with sqlite3.connect(world.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    records = world.records()
    for use in every_use(records):
        with pytest.raises(Unavailable):
            use()
    assert "another version of simpleindex wrote it" in world.logged[0]


def test_a_database_that_was_there_is_not_taken_for_none(world: RecordsFixture) -> None:
    """Its file or its directory gone, or empty: nobody may then claim what is somebody's."""
    records = world.records()
    records.owners.claim(ACME, "alice", 0)
    assert records.owners.owner(ACME) == "alice"
    aside = world.state.rename(world.state.with_name("aside"))
    for use in every_use(records):
        with pytest.raises(Unavailable):
            use()
    assert "the file is gone" in world.logged[0]
    world.state.mkdir()
    world.path.touch()
    for use in every_use(records):
        with pytest.raises(Unavailable):
            use()
    world.path.unlink()
    world.state.rmdir()
    aside.rename(world.state)
    assert records.owners.owner(ACME) == "alice"
    with pytest.raises(UndecidedClaim):
        records.owners.claim(ACME, "bob", 0)


def test_an_empty_file_is_a_database_that_somebody_makes(world: RecordsFixture) -> None:
    """A process was killed before it had the schema in it."""
    world.state.mkdir(parents=True)
    world.path.touch()
    records = world.records()
    assert records.tokens.all() == []
    create(records)
    assert len(records.tokens.all()) == 1


def test_a_directory_that_cannot_be_made(world: RecordsFixture) -> None:
    """Asking finds nothing there, and a change says what is in the way."""
    world.state.parent.mkdir()
    world.state.touch()
    records = world.records()
    with pytest.raises(Unavailable):
        create(records)
    assert str(world.path) in world.logged[0]


def test_a_change_that_fails_changes_nothing(world: RecordsFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is rolled back, and the next one works."""
    records = world.records()
    _, secret = create(records)

    def fail(connection: RecordsTransaction) -> None:
        connection.execute("DELETE FROM tokens")
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(Unavailable):
        records.database.write(fail)
    assert records.tokens.find(secret, 1001)
    create(records)
    assert len(records.tokens.all()) == 2


def test_questions_do_not_wait_for_changes(world: RecordsFixture) -> None:
    """While another process holds the database, in the midst of a change."""
    records = world.records()
    token, secret = create(records)
    other = sqlite3.connect(world.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM tokens")
    assert records.tokens.find(secret, 1001) == token
    other.execute("ROLLBACK")
    other.close()


def test_threads(world: RecordsFixture) -> None:
    """Any of them may ask and change."""
    records = world.records()
    secrets = [create(records, user=None)[1]]
    errors: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(20):
                secrets.append(create(records, user=None)[1])
                records.tokens.find(secrets[-1], 1001)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len(records.tokens.all()) == 81


_WORKER = """
import sqlite3, sys
from functools import partial
from tests.fixtures.databases import UnsyncedConnection
sqlite3.connect = partial(sqlite3.connect, factory=UnsyncedConnection)
from simpleindex.access.identity import Action
from simpleindex.access.token_options import TokenOptions
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.owners import OwnerTable, UndecidedClaim
from simpleindex.records.tokens import TokenTable
from contextlib import suppress
state, me = sys.argv[1:]
database = RecordsDatabase(state)
tokens, owners = TokenTable(database), OwnerTable(database)
sys.stdin.readline()
won = 0
for number in range(50):
    with suppress(UndecidedClaim):
        won += owners.claim(f"project-{number}", me, number) == me
    tokens.create(me, TokenOptions((Action.READ,), ("*",), None, ""), number)
print(won)
"""


def test_two_processes(world: RecordsFixture) -> None:
    """From an empty directory on: every claim has one winner, and no token is lost."""
    arguments = [sys.executable, "-c", _WORKER, str(world.state)]
    processes = [
        subprocess.Popen([*arguments, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("alice", "bob")
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    won = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    records = world.records()
    owners = list(records.owners.owners().values())
    assert [owners.count("alice"), owners.count("bob")] == won
    assert sum(won) == 50
    assert len(records.tokens.all()) == 100


class BusyConnection:
    """A connection to what another process is making, for so many tries."""

    def __init__(self, tries: int) -> None:
        self.tries = tries

    def execute(self, _: str) -> None:
        self.tries -= 1
        if self.tries >= 0:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error


def test_another_process_is_making_it(world: RecordsFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite does not wait where the journal is chosen, so we do; but not for ever."""
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    use_wal(cast("Any", BusyConnection(3)), 60)
    assert len(naps) == 3
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        use_wal(cast("Any", BusyConnection(3)), -1)
    assert len(naps) == 3
