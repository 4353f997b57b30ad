"""Check the server's databases: SQLite's own check of each file, and whether the records can be used. Blocking."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from simpleindex.core.errors import RefusedStart, SimpleIndexError
from simpleindex.diagnosis.databases import DatabaseFacts, RecordsFacts
from simpleindex.records.lost_records import RecordsCondition
from simpleindex.records.opening import open_records
from simpleindex.records.start_check import condition_of
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.config.settings import Settings

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR})
"""Codes of SQLite that are about the file; others are about who opens it, and when."""


def check_databases(settings: Settings) -> list[DatabaseFacts]:
    """Return each database in the state and the cache directory, with what is wrong with it."""
    found = []
    for directory, is_cache in ((settings.state, False), (settings.cache, True)):
        with suppress(OSError):
            found += [
                DatabaseFacts(str(path), is_cache, damage_of(path))
                for path in sorted(directory.glob("*.sqlite3"))
            ]
    return found


def damage_of(path: Path) -> str | None:
    """Return what SQLite reports about a database that is damaged; None if it is whole, or cannot be opened now."""
    try:
        with _unchanged(path) as url, closing(sqlite3.connect(url, uri=True, timeout=5)) as connection:
            rows = connection.execute("PRAGMA integrity_check(1)").fetchall()
    except (sqlite3.Error, OSError) as error:
        return None if getattr(error, "sqlite_errorcode", None) not in _DAMAGED else str(error)
    text = rows[0][0] if rows else "ok"
    return None if text == "ok" else str(text).replace("\n", " ")


@contextmanager
def _unchanged(path: Path) -> Iterator[str]:
    """Name a database to SQLite so that opening it makes no files, which would be root's where root runs the command."""
    log, index = Path(f"{path}-wal"), Path(f"{path}-shm")
    if not log.exists():
        yield f"file:{quote(str(path))}?mode=ro&immutable=1"
    elif index.exists():
        yield f"file:{quote(str(path))}?mode=ro"
    else:
        with tempfile.TemporaryDirectory() as directory:
            copy = Path(directory) / path.name
            shutil.copyfile(path, copy)
            shutil.copyfile(log, f"{copy}-wal")
            yield f"file:{quote(str(copy))}"


def records_facts(settings: Settings) -> RecordsFacts:
    """Return whether the records are there, in a file or on a PostgreSQL server."""
    state = str(settings.state)
    if settings.records is None:
        is_lost = False
        with suppress(OSError):
            is_lost = os.path.isdir(state) and condition_of(state) is RecordsCondition.LOST
        return RecordsFacts(is_lost, state)
    try:
        records = open_records(state, settings.records)
        try:
            records.writer.read("SELECT 1", ())
        finally:
            records.close()
    except OSError as error:
        trouble = trouble_of(error, settings.records)
        return RecordsFacts(is_lost=False, state=state, refusal=f"{trouble.cause}; {trouble.remedy}")
    except (RefusedStart, SimpleIndexError) as error:
        return RecordsFacts(is_lost=False, state=state, refusal=str(error))
    return RecordsFacts(is_lost=False, state=state)
