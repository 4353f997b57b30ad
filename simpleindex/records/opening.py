"""Open the records where the settings say they are: a SQLite file in the state directory, or a PostgreSQL server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import RefusedStart
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.downloads.database import DownloadsDatabase
from simpleindex.records.downloads.sqlite import DownloadsFile
from simpleindex.system.extras import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.records.interface import Records
    from simpleindex.records.postgresql.audit import SharedAudit
    from simpleindex.records.postgresql.records import PostgreSQLRecords

TOKEN_MEMORY: Final = 60.0
"""Seconds for which tokens count without the server; one that is revoked meanwhile must not live for ever."""


def open_records(
    state_directory: str,
    url: str | None,
    *,
    initialized: bool = False,
    token_memory: float = TOKEN_MEMORY,
    is_logged: bool = True,
) -> Records:
    """Return the records; nothing is opened yet.

    Args:
        state_directory: The directory of the file.
        url: The PostgreSQL server and database, or None for the file.
        initialized: Whether a file that is missing is lost, not new.
        token_memory: Seconds for which tokens count while the server is away.
        is_logged: Whether the reason is logged where the records cannot be used, and kept from clients; a command prints it.

    Raises:
        RefusedStart: The extra ``postgresql`` is not installed.
    """
    if url is None:
        return RecordsDatabase(state_directory, initialized=initialized, is_logged=is_logged)
    return open_postgresql(url, token_memory, is_logged=is_logged)


def open_shared_audit(url: str) -> SharedAudit:
    """Return the audit of all nodes in a PostgreSQL server; no connection is made yet.

    Raises:
        RefusedStart: The extra ``postgresql`` is not installed.
    """
    with _extra():
        from simpleindex.records.postgresql.audit import SharedAudit  # noqa: PLC0415  (only with --records)
    return SharedAudit(url)


def open_postgresql(
    url: str, token_memory: float = TOKEN_MEMORY, *, is_logged: bool = True
) -> PostgreSQLRecords:
    """Return the records of a PostgreSQL server; no connection is made yet. Arguments as for :func:`open_records`.

    Raises:
        RefusedStart: The extra ``postgresql`` is not installed.
    """
    with _extra():
        from simpleindex.records.postgresql.records import PostgreSQLRecords  # noqa: PLC0415  (only with --records)
    return PostgreSQLRecords(url, token_memory, is_logged=is_logged)


def open_downloads(state_directory: str, url: str | None = None) -> DownloadsDatabase:
    """Return the counts; nothing is opened yet.

    Args:
        state_directory: The directory of the file.
        url: The PostgreSQL server and database, or None for the file.

    Raises:
        RefusedStart: The extra ``postgresql`` is not installed.
    """
    if url is None:
        return DownloadsDatabase(DownloadsFile(state_directory))
    with _extra():
        from simpleindex.records.postgresql.downloads import DownloadsServer  # noqa: PLC0415  (only with --records)
    return DownloadsDatabase(DownloadsServer(url))


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise RefusedStart(f"--records: {missing(error.name, 'postgresql')}") from None
