"""The two places of the counts of downloads: what each of them does when it is old, new, busy, or away."""

from __future__ import annotations

import sqlite3
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import RefusedStart
from simpleindex.records.downloads import sqlite as file_module
from simpleindex.records.downloads.counting import DownloadScope, Grouping, count_downloads
from simpleindex.records.opening import open_downloads
from tests.fixtures.counted_downloads import downloads_of_two_projects, key

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.records.downloads.database import DownloadsDatabase
    from tests.fixtures.postgresql import PostgreSQL

KEY = key("tool", "tool-2.0-py3-none-any.whl")


def total(database: DownloadsDatabase) -> int:
    """Return how many downloads were counted."""
    return sum(row.count for row in count_downloads(database, DownloadScope(0), Grouping.PROJECT))


def test_another_version_of_the_program_wrote_it(tmp_path: Path) -> None:
    """It is neither read nor written."""
    database = downloads_of_two_projects(tmp_path)
    with closing(sqlite3.connect(database.path)) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(sqlite3.DatabaseError, match="another version"):
        total(database)
    with pytest.raises(sqlite3.DatabaseError, match="another version"):
        database.add({KEY: 1}, (), patience=1)


def test_another_process_makes_it_just_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables are made once."""
    one, other = open_downloads(str(tmp_path)), open_downloads(str(tmp_path))

    def meanwhile(connection: sqlite3.Connection, patience: float) -> None:
        monkeypatch.undo()
        assert total(other) == 0
        other.add({KEY: 1}, (), patience=patience)

    monkeypatch.setattr(file_module, "use_wal", meanwhile)
    one.add({KEY: 1}, (), patience=1)
    assert total(one) == 2


def test_a_file_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next batch tries again."""

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("locked")

    database = open_downloads(str(tmp_path))
    with monkeypatch.context() as broken:
        broken.setattr(file_module, "use_wal", fail)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            database.add({KEY: 1}, (), patience=1)
    database.add({KEY: 1}, (), patience=1)
    assert total(database) == 1
    database.close()


def test_a_writer_that_waits_too_long(tmp_path: Path) -> None:
    """It gives up after its patience, and nothing of its batch is counted."""
    database = downloads_of_two_projects(tmp_path)
    with closing(sqlite3.connect(database.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            database.add({KEY: 1}, (), patience=0)
        connection.execute("ROLLBACK")
    assert total(database) == 10


def test_a_server_is_made_with_the_first_use(postgresql: PostgreSQL) -> None:
    """By several processes at once, in a schema beside that of the records."""
    url = postgresql.create_database()
    nodes = [open_downloads("/nowhere", url) for _ in range(4)]
    threads = [
        threading.Thread(target=node.add, args=({KEY: 2}, ()), kwargs={"patience": 60}) for node in nodes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total(nodes[0]) == 8
    for node in nodes:
        node.close()


def test_a_server_that_is_busy(postgresql: PostgreSQL) -> None:
    """A batch gives up after its patience, and the next one is counted."""
    url = postgresql.create_database()
    one, other = open_downloads("/nowhere", url), open_downloads("/nowhere", url)
    one.add({KEY: 1}, (), patience=1)
    assert total(other) == 1

    def meanwhile(_: object) -> None:
        with pytest.raises(OSError, match="55P03"):
            other.add({KEY: 1}, (), patience=0.05)

    one.write(meanwhile, patience=1)
    other.add({KEY: 1}, (), patience=1)
    assert total(one) == 2
    one.close()
    other.close()


def test_a_server_that_a_newer_release_has_changed(postgresql: PostgreSQL) -> None:
    """Counts are neither read nor written, and the sentence says what to do."""
    url = postgresql.create_database()
    one = open_downloads("/nowhere", url)
    one.add({KEY: 1}, (), patience=1)
    one.write(lambda each: each.execute("INSERT INTO schema_version VALUES (99)"), patience=1)
    other = open_downloads("/nowhere", url)
    with pytest.raises(OSError, match=r"have schema 99, of a newer release.*upgrade this node"):
        total(other)
    one.close()
    other.close()


def test_a_server_that_is_away() -> None:
    """Its password is not shown."""
    database = open_downloads("/nowhere", "postgresql://me:secret@127.0.0.1:1/x")
    assert database.path == "postgresql://127.0.0.1:1/x"
    with pytest.raises(OSError, match="cannot be reached"):
        database.add({KEY: 1}, (), patience=1)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in ("downloads", "server"):
        monkeypatch.delitem(sys.modules, f"simpleindex.records.postgresql.{name}", raising=False)
    with pytest.raises(RefusedStart, match=r"--records.*psycopg.*postgresql"):
        open_downloads("/nowhere", "postgresql://x")
