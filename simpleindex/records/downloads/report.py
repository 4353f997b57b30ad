"""Questions about downloads as people and programs put them, and the answers as JSON. Blocking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from packaging.version import Version

from simpleindex.core.errors import InvalidQuestion
from simpleindex.core.selection import find_version
from simpleindex.core.text import one_of, parse_duration, shown
from simpleindex.records.downloads.counting import (
    COLUMNS,
    DownloadCount,
    DownloadScope,
    Grouping,
    count_downloads,
    counted_versions,
)
from simpleindex.records.downloads.keys import day_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.records.downloads.database import DownloadsDatabase

DEFAULT_SINCE: Final = "30d"

_FIRST_DAY: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class DownloadQuestion:
    """A question about downloads, as people put it.

    Attributes:
        since: The first day, days since 1970, UTC.
        by: What is counted.
        project: The project; None for all.
        version: A version of it, however it is spelled; None for all.
        limit: How many rows at most; 0 for all.
    """

    since: int
    by: Grouping
    project: ProjectName | None = None
    version: str | None = None
    limit: int = 0


def parse_question(
    project: ProjectName | None, version: str | None, texts: Mapping[str, str], now: float
) -> DownloadQuestion:
    """Return the question that some texts mean.

    Args:
        project: The project; None for all.
        version: A version of it; None for all.
        texts: What else is given of ``since``, ``by`` and ``limit``.
        now: The time, seconds since 1970.

    Raises:
        InvalidQuestion: One of the texts is not valid.
    """
    default = Grouping.PROJECT if project is None else Grouping.VERSION if version is None else Grouping.FILE
    by, limit = texts.get("by", default.value), texts.get("limit", "0")
    if by not in [each.value for each in Grouping]:
        raise InvalidQuestion(
            f"by: {shown(by)} is nothing to count by{one_of(by, [each.value for each in Grouping])}."
        )
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 10):
        raise InvalidQuestion(f"limit: {shown(limit)} is no number of rows.")
    since = parse_since(texts.get("since", DEFAULT_SINCE), now)
    return DownloadQuestion(since, Grouping(by), project, version, int(limit))


def parse_since(text: str, now: float) -> int:
    """Return the first day that a text means, days since 1970, UTC: a time before now (``30d``), or a date.

    Raises:
        InvalidQuestion: It is neither.
    """
    seconds = parse_duration(text, "dw")
    if seconds is not None:
        return max(day_of(now - seconds), 0)
    try:
        return day_of(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise InvalidQuestion(
            f"since: {shown(text)} is neither a time such as 30d or 8w nor a date such as 2026-11-01."
        ) from None


def download_report(database: DownloadsDatabase, question: DownloadQuestion) -> dict[str, Any]:
    """Return the answer to a question, as JSON has it: the question, the total, and the rows in their order.

    Raises:
        sqlite3.Error: The counts cannot be read.
    """
    version = question.version
    if question.project is not None and version is not None:
        counted = sorted(counted_versions(database, question.project), key=Version)
        version = find_version(counted, version) or version
    scope = DownloadScope(question.since, question.project, version)
    rows = count_downloads(database, scope, question.by)
    limit = question.limit or len(rows)
    shown = rows[-limit:] if question.by is Grouping.DAY else rows[:limit]
    return {
        "project": question.project,
        "version": version,
        "since": date_of(question.since),
        "by": question.by.value,
        "total": sum(row.count for row in rows),
        "rows": len(rows),
        "counts": [{**_named(row, question.by), "count": row.count} for row in shown],
    }


def date_of(day: int) -> str:
    """Return a day, given as days since 1970, as a date."""
    return (_FIRST_DAY + timedelta(days=day)).isoformat()


def _named(row: DownloadCount, by: Grouping) -> dict[str, Any]:
    values = (date_of(row.names[0]),) if by is Grouping.DAY else row.names
    # Nobody's name is empty: it stands for no user, or no token.
    return {column: value or None for column, value in zip(COLUMNS[by], values, strict=True)}
