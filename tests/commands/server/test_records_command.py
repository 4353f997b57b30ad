"""``simpleindex records copy``: between a file and a server, all or nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

from simpleindex.access.identity import Action
from simpleindex.access.token_options import TokenOptions
from simpleindex.commands.main import main
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.names import ProjectName
from simpleindex.hooks.positions import HookPositions
from simpleindex.records.audit.audit import Audit
from simpleindex.records.audit.audit_tail import AuditTail
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.downloads import database_copy as copying
from simpleindex.records.opening import open_downloads, open_postgresql
from simpleindex.records.owners import OwnerTable
from simpleindex.records.pins import PinTable
from simpleindex.records.postgresql.acme import SharedAcmeStore
from simpleindex.records.tokens import TokenTable
from simpleindex.records.used_names import UsedNames
from tests.fixtures.counted_downloads import downloads_of_two_projects

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.records.downloads.database import DownloadsDatabase
    from tests.fixtures.postgresql import PostgreSQL

    Captured = pytest.CaptureFixture[str]

ACME = ProjectName("acme")


@pytest.fixture
def state(tmp_path: Path) -> tuple[Path, str]:
    """A state directory with records, and the secret of a token in them."""
    database = RecordsDatabase(str(tmp_path))
    _, secret = TokenTable(database).create("alice", TokenOptions((Action.READ,), ("*",), None, ""), 1)
    OwnerTable(database).claim(ACME, "alice", 1)
    UsedNames(database).add([ACME])
    database.close()
    downloads_of_two_projects(tmp_path, with_addresses=True)
    return tmp_path, secret


def test_there_and_back(
    postgresql: PostgreSQL,
    state: tuple[Path, str],
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tokens work on the other side; the commands work on it too. Counts of downloads are read in several parts."""
    monkeypatch.setattr(copying, "_ROWS_AT_ONCE", 2)
    directory, secret = state
    url = postgresql.create_database()
    assert main(["records", "copy", f"sqlite:{directory}", url]) == 0
    assert capsys.readouterr().out == (
        "Copied 1 token, 1 owner, 0 allowances, 0 first-seen times, 1 used name, 10 downloads.\n"
    )
    records = open_postgresql(url)
    assert TokenTable(records).find(secret, 2).user == "alice"
    assert OwnerTable(records).owner(ACME) == "alice"
    records.close()
    config = tmp_path / "simpleindex.toml"
    config.write_text(f'path = "{tmp_path}"\nrecords = "{url}"\nstate = "{tmp_path / "other"}"\n')
    assert main(["token", "list", "--config", str(config)]) == 0
    assert "alice" in capsys.readouterr().out
    assert main(["token", "create", "--config", str(config), "--user", "bob", "--can", "read"]) == 0
    back = tmp_path / "back"
    assert main(["records", "copy", url, f"sqlite:{back}"]) == 0
    assert "2 tokens" in capsys.readouterr().out
    database = RecordsDatabase(str(back))
    assert TokenTable(database).find(secret, 2).user == "alice"
    database.close()
    before, after = open_downloads(str(directory)), open_downloads(str(back))
    for table in ("daily", "file_days", "file_months", "totals", "events"):
        assert sorted(named_rows(after, table)) == sorted(named_rows(before, table)), table


def named_rows(downloads: DownloadsDatabase, table: str) -> list[tuple[object, ...]]:
    """The rows of a table of counts with names in place of numbers."""
    names = {
        each: {number: rest for number, *rest in downloads.read(f"SELECT * FROM {each}", ())}
        for each in ("files", "programs", "people", "origins")
    }
    columns = [row[1] for row in downloads.read(f"PRAGMA table_info({table})", ())]
    rows: list[tuple[object, ...]] = []
    for row in downloads.read(f"SELECT * FROM {table}", ()):
        values = dict(zip(columns, row, strict=True))
        for column, kept in (
            ("file", "files"),
            ("program", "programs"),
            ("person", "people"),
            ("origin", "origins"),
        ):
            if column in values:
                values[column] = names[kept][values[column]]
        if "kind" in values:
            values["key"] = names[("programs", "people", "origins")[values["kind"] - 1]][values["key"]]
        rows.append((*map(str, values.values()),))
    return rows


def test_records_are_not_mixed(postgresql: PostgreSQL, state: tuple[Path, str], capsys: Captured) -> None:
    """The second copy is refused, and nothing of it stays."""
    directory, _ = state
    url = postgresql.create_database()
    assert main(["records", "copy", f"sqlite:{directory}", url]) == 0
    assert main(["records", "copy", f"sqlite:{directory}", url]) == 2
    assert "has counts of downloads already" in capsys.readouterr().err
    other = postgresql.create_database()
    records = open_postgresql(other)
    records.prepare()
    OwnerTable(records).claim(ACME, "bob", 1)
    records.close()
    assert main(["records", "copy", f"sqlite:{directory}", other]) == 2
    assert "has records already (owners)" in capsys.readouterr().err
    counts = open_downloads("", other)
    assert counts.read("SELECT 1 FROM files", ()) == []
    counts.close()


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ("sqlite:/nowhere", "postgresql://x", "has no records: name the directory of --state"),
        ("mysql://x", "postgresql://x", "sqlite:STATE-DIRECTORY"),
        ("postgresql://me:secret@x/y", "sqlite:x", "holds a password"),
        (
            "postgresql://127.0.0.1:1/y",
            "sqlite:x",
            "(the server cannot be reached): see that the server runs, and lets this machine in.",
        ),
    ],
)
def test_refusals(source: str, target: str, sentence: str, capsys: Captured) -> None:
    """One sentence, without the password."""
    assert main(["records", "copy", source, target]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert "secret" not in error


def test_a_source_that_is_damaged(state: tuple[Path, str], tmp_path: Path, capsys: Captured) -> None:
    directory, _ = state
    (directory / "records.sqlite3").write_bytes(b"no database, and long enough to be looked at" * 30)
    assert main(["records", "copy", f"sqlite:{directory}", f"sqlite:{tmp_path / 'new'}"]) == 2
    assert "records.sqlite3" in capsys.readouterr().err


def test_counts_that_are_damaged_or_missing(
    state: tuple[Path, str], tmp_path: Path, capsys: Captured
) -> None:
    """Damaged ones end the copy before anything is there; without any no file of counts is made."""
    directory, _ = state
    (directory / "downloads.sqlite3").write_bytes(b"no database, and long enough to be looked at" * 30)
    new = tmp_path / "new"
    assert main(["records", "copy", f"sqlite:{directory}", f"sqlite:{new}"]) == 2
    assert "downloads.sqlite3" in capsys.readouterr().err
    assert not new.exists()
    (directory / "downloads.sqlite3").unlink()
    assert main(["records", "copy", f"sqlite:{directory}", f"sqlite:{new}"]) == 0
    assert "0 downloads" in capsys.readouterr().out
    assert not (new / "downloads.sqlite3").exists()


def test_a_target_that_cannot_be_written(state: tuple[Path, str], tmp_path: Path, capsys: Captured) -> None:
    directory, _ = state
    (tmp_path / "file").touch()
    assert main(["records", "copy", f"sqlite:{directory}", f"sqlite:{tmp_path / 'file'}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_all_that_postgresql_holds(
    postgresql: PostgreSQL, state: tuple[Path, str], tmp_path: Path, capsys: Captured
) -> None:
    """From a state directory to a server, to another server, and back to a directory: accounts of ACME and the audit, too."""
    directory, _ = state
    account = directory / "acme" / "accounts" / "ca.example-directory"
    account.mkdir(parents=True)
    (account / "key.pem").write_bytes(b"a private key")
    audit = Audit(str(directory))
    audit.record(AuditEntry("upload", "alice", project="acme"))
    audit.record(AuditEntry("yank", "alice", project="acme"))
    audit.close()
    lines = (directory / "audit.jsonl").read_bytes()
    tail = AuditTail(audit.path, whole=True)
    HookPositions(str(directory)).save("chat", tail.read(1)[0].end)
    tail.close()
    one, two = postgresql.create_database(), postgresql.create_database()
    assert main(["records", "copy", f"sqlite:{directory}", one]) == 0
    assert (
        "1 used name, 1 ACME file, 10 downloads, 2 audit entries, 1 hook position." in capsys.readouterr().out
    )
    records = open_postgresql(one)
    store = SharedAcmeStore(records, one, "https://ca.example/directory/", ["index.example"])
    assert store.read_account("key.pem") == b"a private key"
    store.write_certificate(b"a certificate")
    PinTable(records).pin("behind", ACME, {"acme-1.0.tar.gz": "0" * 64})
    records.close()
    assert main(["records", "copy", one, two]) == 0
    assert "2 ACME files, 1 pin, 10 downloads, 2 audit entries, 1 hook position." in capsys.readouterr().out
    # The audit alone is a reason, too.
    with psycopg.connect(two, autocommit=True) as connection:
        for table in ("tokens", "owners", "used_names", "acme_files", "pins"):
            connection.execute(f"DELETE FROM simpleindex.{table}".encode())
        connection.execute("DROP SCHEMA simpleindex_downloads CASCADE")
    assert main(["records", "copy", one, two]) == 2
    assert "has an audit already" in capsys.readouterr().err
    back = tmp_path / "back"
    assert main(["records", "copy", one, f"sqlite:{back}"]) == 0
    output = capsys.readouterr().out
    assert "2 audit entries, 1 hook position." in output
    assert output.endswith(
        f"Copy by hand: the files of 1 pin, in the directory pinned/ below --state of a node, to {back}/pinned/.\n"
    )
    assert (back / "acme" / "accounts" / account.name / "key.pem").read_bytes() == b"a private key"
    assert not list(back.rglob("certificates"))
    assert (back / "audit.jsonl").read_bytes() == lines
    tail = HookPositions(str(back)).tail("chat")
    assert [json.loads(line.text)["event"] for line in tail.read()] == ["yank"]
    tail.close()
    for name, sentence in (
        ("records.sqlite3", "has an audit already"),
        ("audit.jsonl", "key.pem cannot be used (File exists): move away what lies there."),
    ):
        for path in (back / name, back / "downloads.sqlite3"):
            path.unlink(missing_ok=True)
        assert main(["records", "copy", one, f"sqlite:{back}"]) == 2
        assert sentence in capsys.readouterr().err
