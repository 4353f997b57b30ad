"""Find who downloaded a release or a file: from single downloads that are kept, else from access logs, else from counts. Blocking."""

from __future__ import annotations

import heapq
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import distribution_suffix, parse_distribution_name
from simpleindex.core.selection import find_version
from simpleindex.core.text import plural, timestamp
from simpleindex.core.user_agents import parse_user_agent
from simpleindex.records.downloads.access_log_reading import access_logs, read_requests
from simpleindex.records.downloads.keys import SECONDS_OF_DAY
from simpleindex.records.downloads.report import date_of
from simpleindex.records.downloads.single_downloads import (
    counted_downloads,
    counted_files,
    daily_downloads,
    kept_downloads,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.records.downloads.access_log_reading import LoggedRequest
    from simpleindex.records.downloads.database import DownloadsDatabase

MOST_ROWS: Final = 20_000
"""Rows of one answer, whatever the limit of the question."""


@dataclass(frozen=True, slots=True)
class WhoQuestion:
    """A question who downloaded something.

    Attributes:
        subject: A version, or the name of a file; None for all of the project.
        since: The first day, days since 1970, UTC.
        limit: How many downloads at most; 0 for as many as there may be.
    """

    project: ProjectName
    subject: str | None
    since: int
    limit: int = 0

    @property
    def most(self) -> int:
        """The number of rows at most."""
        return min(self.limit or MOST_ROWS, MOST_ROWS)

    def is_about(self, filename: str) -> bool:
        """Tell whether it is about a file."""
        if self.subject is None:
            return True
        if distribution_suffix(self.subject) is not None:
            return filename == self.subject
        try:
            version = parse_distribution_name(filename, self.project).version
        except InvalidFilename:
            return False
        return find_version((version,), self.subject) is not None


def downloaders(
    database: DownloadsDatabase, access_log: str | None, question: WhoQuestion, most_bytes: int | None = None
) -> dict[str, Any]:
    """Return who downloaded something, as JSON has it, with where that is known from and what is not kept.

    Args:
        database: The counts.
        access_log: The access log; rotated ones beside it are read too. None without one.
        question: Which downloads to find.
        most_bytes: How much of the logs is read, the newest ones; None for all.

    Raises:
        sqlite3.Error: The counts cannot be read.
        OSError: The access log cannot be read.
    """
    files = [
        number
        for number, _, filename in counted_files(database, question.project)
        if question.is_about(filename)
    ]
    counted = counted_downloads(database, files, question.since)
    found = _from_records(database, files, question, counted)
    if found is None and access_log is not None:
        found = _from_logs(access_log, question, most_bytes)
    return {
        "project": question.project,
        "subject": question.subject,
        "since": date_of(question.since),
        "counted": counted,
        **(found or _from_counts(database, files, question)),
    }


def _from_records(
    database: DownloadsDatabase, files: Sequence[int], question: WhoQuestion, counted: int
) -> dict[str, Any] | None:
    rows = [
        {
            **_row(each.time, each.filename, each.address),
            **_person(each.user, each.token),
            "client": f"{each.program} {each.version}".strip(),
        }
        for each in kept_downloads(database, files, question.since, question.most)
    ]
    if not rows:
        return None
    is_all = len(rows) >= counted or len(rows) == question.most
    note = None if is_all else _partly(len(rows), counted)
    return {"source": "downloads", "note": note, "downloads": rows}


def _from_logs(access_log: str, question: WhoQuestion, most_bytes: int | None) -> dict[str, Any] | None:
    logs = access_logs(access_log)
    read = _newest(logs, most_bytes)
    rows = [_logged_row(each) for each in _logged(read, question)]
    note = None
    if len(read) < len(logs):
        note = f"Only the newest {len(read)} of the {len(logs)} files of the access log were read."
    return {"source": "access log", "note": note, "downloads": rows} if rows else None


def _from_counts(database: DownloadsDatabase, files: Sequence[int], question: WhoQuestion) -> dict[str, Any]:
    rows = [
        {
            "day": date_of(each.day),
            "file": each.filename,
            **_person(each.user, each.token),
            "client": each.program,
            "count": each.count,
        }
        for each in daily_downloads(database, files, question.since, question.most)
    ]
    return {"source": "counts", "note": _NOT_KEPT if rows else None, "downloads": rows}


_NOT_KEPT: Final = "Times and addresses are not known: no single downloads are kept (--keep-addresses), and no access log has them (--access-log)."


def _partly(kept: int, counted: int) -> str:
    return (
        f"Only {plural(kept, 'download')} of {counted:,} are kept with time and address; the others were before --keep-addresses, "
        "or are in the access log."
    )


def _row(time: int, filename: str, address: str) -> dict[str, Any]:
    return {"time": timestamp(time), "file": filename, "address": address or None}


def _person(user: str, token: str) -> dict[str, Any]:
    return {"user": user or None, "token": token or None}


def _logged(paths: Sequence[str], question: WhoQuestion) -> list[LoggedRequest]:
    """Return the newest requests in the logs, the newest first."""
    first = question.since * SECONDS_OF_DAY
    found = read_requests(paths, question.project, question.is_about)
    return heapq.nlargest(
        question.most, (each for each in found if each.time >= first), key=lambda each: each.time
    )


def _logged_row(request: LoggedRequest) -> dict[str, Any]:
    program = parse_user_agent(request.agent)
    user, _, token = request.user.partition("token:")
    return {
        **_row(request.time, request.filename, request.address),
        **_person(user, token),
        "client": f"{program.name} {program.version}".strip(),
        "bytes": request.size,
        "part": request.status == 206,
    }


def _newest(paths: Sequence[str], most_bytes: int | None) -> list[str]:
    """Return as many of the newest files, which are the last ones, as have no more bytes together."""
    if most_bytes is None:
        return [*paths]
    chosen: list[str] = []
    for path in reversed(paths):
        with suppress(OSError):
            most_bytes -= os.stat(path).st_size
        if most_bytes < 0 and chosen:
            break
        chosen.insert(0, path)
    return chosen
