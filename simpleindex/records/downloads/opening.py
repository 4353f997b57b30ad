"""Open the counts of downloads where the settings keep the records: a SQLite file, or a PostgreSQL server."""

from __future__ import annotations

from simpleindex.core.errors import RefusedStart
from simpleindex.records.downloads.database import DownloadsDatabase
from simpleindex.records.downloads.sqlite import DownloadsFile
from simpleindex.system.extras import missing


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
    try:
        from simpleindex.records.postgresql.downloads import DownloadsServer  # noqa: PLC0415  (only with --records)
    except ModuleNotFoundError as error:
        raise RefusedStart(f"--records: {missing(error.name, 'postgresql')}") from None
    return DownloadsDatabase(DownloadsServer(url))
