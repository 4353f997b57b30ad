"""The downloads of a project day by day, for its page, as far as the reader may see them."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from simpleindex.core.caches import TimedCache
from simpleindex.core.text import printable
from simpleindex.records.downloads.counting import DownloadScope, Grouping, count_downloads
from simpleindex.records.downloads.keys import day_of
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import logger
from simpleindex.web.people.project.download_plot import PLOTTED_DAYS, DailyCounts

if TYPE_CHECKING:
    from simpleindex.access.identity import Identity
    from simpleindex.core.names import ProjectName
    from simpleindex.web.downloads.rights import ReadableDownloads

_log: Final = logger(__name__)

FRESH_SECONDS: Final = 10.0
"""How long counts are shown before they are read again."""

_MOST: Final = 1_000
"""Projects whose counts are kept; those of one are some 10 KiB at most."""

FAILURE_SECONDS: Final = 60.0
"""How long no counts are read after that has failed, so that pages do not wait for records that are away."""


class DownloadHistory:
    """Reads the counts."""

    def __init__(self, downloads: ReadableDownloads) -> None:
        self._rights, self._database = downloads.rights, downloads.database
        self._threads, self._current, self._now = downloads.threads, downloads.current, downloads.now
        self._kept: TimedCache[ProjectName, DailyCounts] = TimedCache(_MOST, FRESH_SECONDS, self._now)
        self._next_try = 0.0

    async def of(self, reader: Identity, name: ProjectName) -> DailyCounts | None:
        """Return the latest counts; None if downloads are not counted, cannot be read, or are not for this reader."""
        if not self._current().downloads or not self._rights.may_see_counts(reader, name):
            return None
        if (kept := self._kept.get(name)) is not None:
            return kept
        now = self._now()
        if now < self._next_try:
            return None
        try:
            counts = await self._threads.run(self._read, name, day_of(now))
        except (sqlite3.Error, OSError) as error:
            self._next_try = now + FAILURE_SECONDS
            trouble = trouble_of(error, self._database.path)
            _log.error(
                "Pages show no downloads for {seconds} s, because {path} cannot be read ({cause}): {remedy}",
                seconds=round(FAILURE_SECONDS),
                path=printable(self._database.path),
                cause=trouble.cause,
                remedy=trouble.remedy,
            )
            return None
        self._kept.put(name, counts)
        return counts

    def _read(self, name: ProjectName, today: int) -> DailyCounts:
        scope = DownloadScope(today - PLOTTED_DAYS + 1, name)
        rows = count_downloads(self._database, scope, Grouping.DAY)
        return DailyCounts(today, tuple((row.names[0], row.count) for row in rows))
