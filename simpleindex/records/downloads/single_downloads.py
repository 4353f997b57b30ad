"""Single downloads of a release or a file, as they are kept with addresses, and the daily counts of the same. Blocking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.records.downloads.keys import SECONDS_OF_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.records.downloads.database import DownloadsDatabase

_DETAILS: Final = """JOIN programs ON programs.id = rows.program JOIN people ON people.id = rows.person
    JOIN origins ON origins.id = rows.origin"""


@dataclass(frozen=True, slots=True)
class KeptDownload:
    """A download that is kept by itself.

    Attributes:
        time: When it ended, seconds since 1970.
        address: The client's; empty for a Unix socket.
        user: The user; empty without one.
        token: The public id of the token; empty without one.
        version: Of the program, as it states it.
    """

    time: int
    filename: str
    address: str
    user: str
    token: str
    program: str
    version: str


@dataclass(frozen=True, slots=True)
class DailyDownloads:
    """The downloads of a file on one day by one program for one user.

    Attributes:
        day: Days since 1970, UTC.
        user: The user; empty without one.
        token: The public id of the token; empty without one.
        count: How many.
    """

    day: int
    filename: str
    user: str
    token: str
    program: str
    count: int


def counted_files(database: DownloadsDatabase, project: ProjectName) -> tuple[tuple[int, str, str], ...]:
    """Return the files of a project of which downloads were counted: number, version and file name.

    Raises:
        sqlite3.Error: The counts cannot be read.
        OSError: The same.
    """
    return tuple(
        (number, version, filename)
        for number, version, filename in database.read(
            "SELECT id, version, filename FROM files WHERE project = ?", (project,)
        )
    )


def kept_downloads(
    database: DownloadsDatabase, files: Sequence[int], since: int, limit: int
) -> tuple[KeptDownload, ...]:
    """Return single downloads of some files, the newest first.

    Args:
        database: The counts.
        files: The numbers of the files.
        since: The first day, days since 1970.
        limit: How many at most.

    Raises:
        sqlite3.Error: They cannot be read.
        OSError: The same.
    """
    if not files:
        return ()
    marks = ", ".join("?" * len(files))
    statement = f"""SELECT rows.time, files.filename, rows.address, people."user", people.token, programs.name, rows.version
    FROM events AS rows JOIN files ON files.id = rows.file {_DETAILS}
    WHERE rows.file IN ({marks}) AND rows.time >= ? ORDER BY rows.time DESC LIMIT ?"""
    rows = database.read(statement, (*files, since * SECONDS_OF_DAY, limit))
    return tuple(KeptDownload(*row) for row in rows)


def daily_downloads(
    database: DownloadsDatabase, files: Sequence[int], since: int, limit: int
) -> tuple[DailyDownloads, ...]:
    """Return the daily counts of some files, the newest first; arguments and errors are those of :func:`kept_downloads`."""
    if not files:
        return ()
    marks = ", ".join("?" * len(files))
    statement = f"""SELECT rows.day, files.filename, people."user", people.token, programs.name, CAST(SUM(rows.count) AS BIGINT)
    FROM daily AS rows JOIN files ON files.id = rows.file {_DETAILS}
    WHERE rows.file IN ({marks}) AND rows.day >= ? GROUP BY 1, 2, 3, 4, 5 ORDER BY 1 DESC, 6 DESC LIMIT ?"""
    return tuple(DailyDownloads(*row) for row in database.read(statement, (*files, since, limit)))


def counted_downloads(database: DownloadsDatabase, files: Sequence[int], since: int) -> int:
    """Return how many downloads of some files were counted; arguments and errors are those of :func:`kept_downloads`."""
    if not files:
        return 0
    marks = ", ".join("?" * len(files))
    statement = f"SELECT CAST(SUM(count) AS BIGINT) FROM file_days WHERE file IN ({marks}) AND day >= ?"
    rows = database.read(statement, (*files, since))
    return int(rows[0][0] or 0) if rows else 0
