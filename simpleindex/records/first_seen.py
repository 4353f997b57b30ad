"""When a file of an upstream was seen here first, for upstreams that do not state upload times; a table of the records.

It is a record because it cannot be rebuilt: a file must not be new again because a cache was deleted. A file that is replaced
by other bytes is another file.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from simpleindex.core.text import printable
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.faults import Trouble
    from simpleindex.core.names import ProjectName
    from simpleindex.records.interface import Records

_log = logger(__name__)

_MOST: Final = 50_000
"""Files of one project that are remembered; an index that names new ones each time must not fill the disk."""


class FirstSeen:
    """The times; usable from any thread but the reactor's, because queries may wait for changes."""

    def __init__(self, database: Records) -> None:
        self._database = database
        self._logged_cause: str | None = None

    def times(
        self, index: str, name: ProjectName, marks: Mapping[str, str], now_ns: int
    ) -> Mapping[str, int]:
        """Return when files were seen first, and store it for those that are new.

        Args:
            index: The URL of the upstream.
            name: The project.
            marks: By file name, what tells its bytes from others.
            now_ns: The time of files that were never seen before, nanoseconds since 1970.

        Returns:
            Nanoseconds since 1970 by file name, without files whose time cannot be stored.
        """
        if not marks:
            return {}
        try:
            stored = self._stored(index, name)
            new = [(filename, mark) for filename, mark in marks.items() if (filename, mark) not in stored]
            new = new[: max(0, _MOST - len(stored))]
            if new:
                rows = [(index, name, filename, mark, now_ns) for filename, mark in new]
                # What another process saw first counts.
                self._database.writer.write(
                    lambda transaction: transaction.executemany(
                        "INSERT INTO first_seen VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", rows
                    )
                )
                stored = self._stored(index, name)
        except (sqlite3.Error, OSError) as error:
            self._complain(trouble_of(error, self._database.path))
            return {}
        self._logged_cause = None
        return {
            filename: stored[filename, mark] for filename, mark in marks.items() if (filename, mark) in stored
        }

    def _stored(self, index: str, name: ProjectName) -> dict[tuple[str, str], int]:
        rows = self._database.writer.read(
            "SELECT filename, mark, seen FROM first_seen WHERE source = ? AND project = ?",
            (index, name),
            table="first_seen",
        )
        return {(filename, mark): seen for filename, mark, seen in rows}

    def _complain(self, trouble: Trouble) -> None:
        if trouble.cause != self._logged_cause:
            self._logged_cause = trouble.cause
            _log.error(
                "The times at which files were first seen cannot be stored in {path} ({cause}). Files without an upload time "
                "of their upstream have none now, and no rule about their age lets them pass: {remedy}",
                path=printable(self._database.path),
                cause=trouble.cause,
                remedy=trouble.remedy,
            )
