"""``simpleindex records copy``: between a file and a server, all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.access.identity import Action
from simpleindex.access.token_options import TokenOptions
from simpleindex.commands.main import main
from simpleindex.core.names import ProjectName
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.downloads import database_copy as copying
from simpleindex.records.downloads.opening import open_downloads
from simpleindex.records.opening import open_postgresql
from simpleindex.records.owners import OwnerTable
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
        ("postgresql://127.0.0.1:1/y", "sqlite:x", "cannot be used: the server cannot be reached"),
    ],
)
def test_refusals(source: str, target: str, sentence: str, capsys: Captured) -> None:
    """One sentence, without the password."""
    assert main(["records", "copy", source, target]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert "holds a password" in sentence or "secret" not in error


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
