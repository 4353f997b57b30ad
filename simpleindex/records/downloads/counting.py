"""Questions about the counts of downloads: how many, by version, day, program, user or file. Blocking.

The slow way through all rows of ``daily`` is taken for one project only, whose rows lie together by file. Everything else is
answered from sums: those by file from whole months, and from days for the part of a month at the beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from simpleindex.records.downloads.keys import ORIGIN, PERSON, PROGRAM, first_day_of, month_of

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName
    from simpleindex.records.downloads.database import DownloadsDatabase


class Grouping(StrEnum):
    """What downloads are counted by."""

    PROJECT = "project"
    VERSION = "version"
    FILE = "file"
    DAY = "day"
    CLIENT = "client"
    USER = "user"
    ORIGIN = "origin"


COLUMNS: Final = {
    Grouping.PROJECT: ("project",),
    Grouping.VERSION: ("project", "version"),
    Grouping.FILE: ("project", "version", "file"),
    Grouping.DAY: ("day",),
    Grouping.CLIENT: ("client",),
    Grouping.USER: ("user", "token"),
    Grouping.ORIGIN: ("source", "delivery"),
}
"""The names of what is counted, by grouping."""


@dataclass(frozen=True, slots=True)
class DownloadScope:
    """Which downloads are counted.

    Attributes:
        since: The first day, days since 1970, UTC.
        project: Of this project only; None for all.
        version: Of this version only, as file names have it normalized; None for all.
    """

    since: int
    project: ProjectName | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class DownloadCount:
    """How many downloads there were of something.

    Attributes:
        names: What is counted, as :data:`COLUMNS` names it; a day is the number of days since 1970.
        count: How many.
    """

    names: tuple[Any, ...]
    count: int


def count_downloads(
    database: DownloadsDatabase, scope: DownloadScope, by: Grouping
) -> tuple[DownloadCount, ...]:
    """Return how many downloads there were: days in their order, everything else by number, the largest first.

    Raises:
        sqlite3.Error: The counts cannot be read.
        OSError: The same.
    """
    # The month of the first day that is kept has counts of days that are not kept any more.
    oldest = database.read("SELECT MIN(day) FROM totals WHERE kind = ?", (PROGRAM,))
    if not oldest or oldest[0][0] is None:
        return ()
    statement, values = _statement(replace(scope, since=max(scope.since, oldest[0][0])), by)
    rows = [DownloadCount(tuple(names), count) for *names, count in database.read(statement, values)]
    if by is Grouping.DAY:
        return tuple(sorted(rows, key=lambda row: row.names))
    return tuple(sorted(rows, key=lambda row: (-row.count, row.names)))


def counted_versions(database: DownloadsDatabase, project: ProjectName) -> tuple[str, ...]:
    """Return the versions of a project of which downloads were counted.

    Raises:
        sqlite3.Error: The counts cannot be read.
        OSError: The same.
    """
    statement = "SELECT DISTINCT version FROM files WHERE project = ? AND version <> ''"
    return tuple(version for (version,) in database.read(statement, (project,)))


_FILE_COLUMNS: Final = {
    Grouping.PROJECT: "files.project",
    Grouping.VERSION: "files.project, files.version",
    Grouping.FILE: "files.project, files.version, files.filename",
}

_TOTALS: Final = {
    Grouping.DAY: (PROGRAM, "totals.day", ""),
    Grouping.CLIENT: (PROGRAM, "programs.name", "JOIN programs ON programs.id = totals.key"),
    Grouping.USER: (PERSON, 'people."user", people.token', "JOIN people ON people.id = totals.key"),
    Grouping.ORIGIN: (ORIGIN, "origins.source, origins.delivery", "JOIN origins ON origins.id = totals.key"),
}
"""How the sums of all projects together are found: their kind, their columns, and the table of their names."""

_PARTS: Final = {
    Grouping.CLIENT: ("programs.name", "program", "programs"),
    Grouping.USER: ('people."user", people.token', "person", "people"),
    Grouping.ORIGIN: ("origins.source, origins.delivery", "origin", "origins"),
}
"""How the parts of a project's downloads are found: their columns, the column of ``daily``, and the table of their names."""


def _statement(scope: DownloadScope, by: Grouping) -> tuple[str, tuple[object, ...]]:
    if scope.project is None:
        return _of_everything(scope.since, by)
    where, values = "files.project = ?", (scope.project,)
    if scope.version is not None:
        where, values = f"{where} AND files.version = ?", (*values, scope.version)  # type: ignore[assignment]
    if by in _PARTS:
        columns, column, names = _PARTS[by]
        # The names are joined to the few sums, not to each of the rows.
        return (
            f"""SELECT {columns}, CAST(SUM(sums.count) AS BIGINT) FROM (
            SELECT daily.{column} AS part, CAST(SUM(daily.count) AS BIGINT) AS count
            FROM files CROSS JOIN daily WHERE daily.file = files.id AND daily.day >= ? AND {where} GROUP BY 1) AS sums
            JOIN {names} ON {names}.id = sums.part GROUP BY {columns}""",
            (scope.since, *values),
        )
    columns = _FILE_COLUMNS.get(by, "file_days.day")
    return (
        f"""SELECT {columns}, CAST(SUM(file_days.count) AS BIGINT)
        FROM files CROSS JOIN file_days WHERE file_days.file = files.id AND file_days.day >= ? AND {where} GROUP BY {columns}""",
        (scope.since, *values),
    )


def _of_everything(since: int, by: Grouping) -> tuple[str, tuple[object, ...]]:
    if by in _TOTALS:
        kind, columns, join = _TOTALS[by]
        return (
            f"""SELECT {columns}, CAST(SUM(totals.count) AS BIGINT) FROM totals {join} WHERE totals.kind = ? AND totals.day >= ?
            GROUP BY {columns}""",
            (kind, since),
        )
    columns = _FILE_COLUMNS[by]
    month = month_of(since)
    next_month = first_day_of(month + 1)
    return (
        f"""SELECT {columns}, CAST(SUM(sums.count) AS BIGINT) FROM (
        SELECT file, count FROM file_months WHERE month > ? UNION ALL
        SELECT file_days.file, file_days.count FROM files CROSS JOIN file_days
        WHERE file_days.file = files.id AND file_days.day >= ? AND file_days.day < ?) AS sums
        JOIN files ON files.id = sums.file GROUP BY {columns}""",
        (month, since, next_month),
    )
