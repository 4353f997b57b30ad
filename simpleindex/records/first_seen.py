"""When a file of another index was seen here first, for those indexes that do not say when it was uploaded.

That cannot be rebuilt, so it is a record: a file that was new once must not be new again because a cache was deleted, and one
that is replaced by other bytes is another file.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Final

from simpleindex.core import severity
from simpleindex.core.names import printable
from simpleindex.records.database import RecordsFile
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.core.faults import Trouble
    from simpleindex.core.names import ProjectName

_MOST: Final = 50_000
"""Files of one project that are remembered; an index that names new ones each time must not fill the disk."""

_TIMEOUT: Final = 5.0


class FirstSeen:
    """Remembers; usable from any thread, blocking.

    Args:
        state_directory: Where the records are.
        log: Told in a sentence, once until it is over, that nothing can be remembered.
        begun: Whether the records were made before, so that missing ones are lost, not new.
    """

    def __init__(self, state_directory: str, log: Callable[[str], None], *, begun: bool = False) -> None:
        self._path = os.path.join(state_directory, "records.sqlite3")
        self._file = RecordsFile(self._path, _TIMEOUT, begun=begun)
        self._log = log
        self._said: str | None = None

    def times(
        self, index: str, name: ProjectName, marks: Mapping[str, str], now_ns: int
    ) -> Mapping[str, int]:
        """When files were seen first.

        Args:
            index: Whose they are: its URL.
            name: The project.
            marks: By file name, what tells its bytes from others.
            now_ns: When those that were never seen are seen, nanoseconds since 1970.

        Returns:
            Nanoseconds since 1970 by file name; nothing of a file of which that cannot be remembered.
        """
        if not marks:
            return {}
        try:
            known = self._known(index, name)
            new = [(filename, mark) for filename, mark in marks.items() if (filename, mark) not in known]
            new = new[: max(0, _MOST - len(known))]
            if new:
                rows = [(index, name, filename, mark, now_ns) for filename, mark in new]
                # What another process saw first counts.
                self._file.write(
                    lambda connection: connection.executemany(
                        "INSERT OR IGNORE INTO first_seen VALUES (?, ?, ?, ?, ?)", rows
                    )
                )
                known = self._known(index, name)
        except (sqlite3.Error, OSError) as error:
            self._complain(trouble_of(error, self._path))
            return {}
        self._said = None
        return {
            filename: known[filename, mark] for filename, mark in marks.items() if (filename, mark) in known
        }

    def close(self) -> None:
        """Close the database."""
        self._file.close()

    def _known(self, index: str, name: ProjectName) -> dict[tuple[str, str], int]:
        rows = self._file.read(
            "SELECT filename, mark, seen FROM first_seen WHERE source = ? AND project = ?",
            (index, name),
            table="first_seen",
        )
        return {(filename, mark): seen for filename, mark, seen in rows}

    def _complain(self, trouble: Trouble) -> None:
        if trouble.cause != self._said:
            self._said = trouble.cause
            self._log(
                severity.error(
                    f"When files were first seen cannot be kept in {printable(self._path)} ({trouble.cause}), so that those whose index "
                    "does not say when they were uploaded have no upload time, and no rule about their age lets them pass: "
                    f"{trouble.remedy}"
                )
            )
