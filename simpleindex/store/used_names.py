"""Every name that one's own directories ever had: what was private once is asked of no stranger when it is gone."""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

from simpleindex.core import severity
from simpleindex.core.errors import Unavailable
from simpleindex.store.directory import printable
from simpleindex.store.records_file import RecordsFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from simpleindex.core.names import ProjectName

_TIMEOUT: Final = 5.0


class UsedNames:
    """Remembers names in the records; usable from any thread.

    Args:
        state_directory: Where the records are.
        log: Told in a sentence, once until it is over, that nothing can be remembered.
    """

    def __init__(self, state_directory: str, log: Callable[[str], None]) -> None:
        self._path = os.path.join(state_directory, "records.sqlite3")
        self._file = RecordsFile(self._path, _TIMEOUT)
        self._log = log
        self._lock = threading.Lock()
        self._names: frozenset[str] | None = None
        self._said: str | None = None

    def has(self, name: ProjectName) -> bool:
        """Whether a name was ever used.

        Raises:
            Unavailable: It cannot be told.
        """
        names = self._names
        if names is None:
            try:
                names = self._names = self._read()
            except (sqlite3.Error, OSError) as error:
                raise Unavailable(
                    "Which names were ever used here cannot be told now; the server's log says why."
                ) from error
        return name in names

    def add(self, names: Iterable[ProjectName]) -> None:
        """Remember names; blocking where there are new ones."""
        with self._lock:
            try:
                known = self._read() if self._names is None else self._names
                new = frozenset(names) - known
                if new:
                    rows = [(name,) for name in sorted(new)]
                    self._file.write(
                        lambda connection: connection.executemany(
                            "INSERT OR IGNORE INTO used_names VALUES (?)", rows
                        )
                    )
                    # Others write too.
                    known = self._read()
                self._names = known
                self._said = None
            except (sqlite3.Error, OSError) as error:
                self._complain((isinstance(error, OSError) and error.strerror) or str(error))

    def close(self) -> None:
        """Close the database."""
        self._file.close()

    def _read(self) -> frozenset[str]:
        return frozenset(
            name for (name,) in self._file.read("SELECT project FROM used_names", (), table="used_names")
        )

    def _complain(self, reason: str) -> None:
        if reason != self._said:
            self._said = reason
            self._log(
                severity.error(
                    f"Which names are one's own cannot be remembered in {printable(self._path)} ({reason}): a project that is taken away is "
                    "asked of upstreams then, unless `own` names it."
                )
            )
