"""Every name that one's own directories ever had: what was private once is asked of no stranger when it is gone."""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

from simpleindex.core import severity
from simpleindex.core.errors import Unavailable
from simpleindex.core.names import printable
from simpleindex.records.database import RecordsFile
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from simpleindex.core.faults import Trouble
    from simpleindex.core.names import ProjectName

_TIMEOUT: Final = 5.0


class UsedNames:
    """Remembers names in the records; usable from any thread.

    Args:
        state_directory: Where the records are.
        log: Told in a sentence, once until it is over, that nothing can be remembered.
        begun: Whether the records were made before, so that missing ones are lost, not new.
    """

    def __init__(self, state_directory: str, log: Callable[[str], None], *, begun: bool = False) -> None:
        self._path = os.path.join(state_directory, "records.sqlite3")
        self._file = RecordsFile(self._path, _TIMEOUT, begun=begun)
        self._log = log
        self._lock = threading.Lock()
        self._names: frozenset[str] | None = None
        # What could not be written yet: to this process it is used all the same.
        self._unwritten: frozenset[str] = frozenset()
        self._said: str | None = None

    def has(self, name: ProjectName) -> bool:
        """Whether a name was ever used.

        Raises:
            Unavailable: It cannot be told.
        """
        if name in self._unwritten:
            return True
        names = self._names
        if names is None:
            try:
                names = self._names = self._read()
            except (sqlite3.Error, OSError) as error:
                trouble = trouble_of(error, self._path)
                self._complain(trouble)
                raise Unavailable(
                    f"Which names were ever used here cannot be told now: {trouble.for_client()}"
                ) from error
        return name in names

    def is_known(self, name: ProjectName) -> bool:
        """Return whether a name is remembered, as far as can be told without reading."""
        return self._names is not None and name in self._names

    def add(self, names: Iterable[ProjectName]) -> None:
        """Remember names; blocking where there are new ones, also those that could not be written before."""
        with self._lock:
            # Used from now on, whether or not they can be written yet.
            self._unwritten |= frozenset(names) - (self._names or frozenset())
            try:
                known = self._read() if self._names is None else self._names
                self._names = known | self._unwritten
                # Others write too.
                if self._unwritten and self._write(self._unwritten) != len(self._names):
                    self._names = self._read()
                self._unwritten = frozenset()
                self._said = None
            except (sqlite3.Error, OSError) as error:
                self._complain(trouble_of(error, self._path))

    def close(self) -> None:
        """Close the database."""
        self._file.close()

    def _read(self) -> frozenset[str]:
        return frozenset(
            name for (name,) in self._file.read("SELECT project FROM used_names", (), table="used_names")
        )

    def _write(self, names: Iterable[str]) -> int:
        """Write names; return how many there are then."""
        rows = [(name,) for name in sorted(names)]

        def write(connection: sqlite3.Connection) -> int:
            connection.executemany("INSERT OR IGNORE INTO used_names VALUES (?)", rows)
            (count,) = connection.execute("SELECT count(*) FROM used_names").fetchone()
            return int(count)

        return self._file.write(write)

    def _complain(self, trouble: Trouble) -> None:
        if trouble.cause == self._said:
            return
        self._said = trouble.cause
        what = (
            "projects that are not here are answered with 503"
            if self._names is None
            else "new names are remembered until the service ends, and no longer"
        )
        self._log(
            severity.error(
                f"The names of your own projects cannot be kept in {printable(self._path)} ({trouble.cause}), so that {what}: "
                f"{trouble.remedy}"
            )
        )
