"""``simpleindex records copy``: between a file and a server, all or nothing."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simpleindex.access.identity import Action
from simpleindex.access.token_options import TokenOptions
from simpleindex.commands.main import main
from simpleindex.core.names import ProjectName
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.opening import open_postgresql
from simpleindex.records.owners import OwnerTable
from simpleindex.records.tokens import TokenTable
from simpleindex.records.used_names import UsedNames
from tests.fixtures.postgresql import PostgreSQL, running_postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator

    Captured = pytest.CaptureFixture[str]

ACME = ProjectName("acme")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server for this file."""
    directory = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        with running_postgresql(directory) as made:
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def state(tmp_path: Path) -> tuple[Path, str]:
    """A state directory with records, and the secret of a token in them."""
    database = RecordsDatabase(str(tmp_path))
    _, secret = TokenTable(database).create("alice", TokenOptions((Action.READ,), ("*",), None, ""), 1)
    OwnerTable(database).claim(ACME, "alice", 1)
    UsedNames(database).add([ACME])
    database.close()
    return tmp_path, secret


def test_there_and_back(
    server: PostgreSQL, state: tuple[Path, str], tmp_path: Path, capsys: Captured
) -> None:
    """Tokens work on the other side; the commands work on it too."""
    directory, secret = state
    url = server.create_database()
    assert main(["records", "copy", f"sqlite:{directory}", url]) == 0
    assert capsys.readouterr().out == (
        "Copied 1 token, 1 owner, 0 allowances, 0 first-seen times, 1 used name.\n"
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


def test_records_are_not_mixed(server: PostgreSQL, state: tuple[Path, str], capsys: Captured) -> None:
    """The second copy is refused, and nothing of it stays."""
    directory, _ = state
    url = server.create_database()
    assert main(["records", "copy", f"sqlite:{directory}", url]) == 0
    assert main(["records", "copy", f"sqlite:{directory}", url]) == 2
    assert "has records already (tokens)" in capsys.readouterr().err


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


def test_a_target_that_cannot_be_written(state: tuple[Path, str], tmp_path: Path, capsys: Captured) -> None:
    directory, _ = state
    (tmp_path / "file").touch()
    assert main(["records", "copy", f"sqlite:{directory}", f"sqlite:{tmp_path / 'file'}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
