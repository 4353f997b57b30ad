"""Every name that the index's directories ever had, so that a private name is requested from no upstream after its deletion."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from simpleindex.core.errors import Unavailable
from simpleindex.core.text import printable
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.core.faults import Trouble
    from simpleindex.core.names import ProjectName
    from simpleindex.records.interface import Records, RecordsAccess, RecordsTransaction

_log = logger(__name__)


class UsedNames:
    """The names, a table of the records; usable from any thread."""

    def __init__(self, database: Records) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._names: frozenset[str] | None = None
        self._changes = database.changes
        # Names that could not be written yet; this process counts them as used all the same.
        self._unwritten: frozenset[str] = frozenset()
        self._logged_cause: str | None = None

    def has(self, name: ProjectName) -> bool:
        """Return whether a name was ever used.

        Raises:
            Unavailable: The records cannot be read.
        """
        if name in self._unwritten:
            return True
        if self._changes != self._database.changes:
            # Another node has written; what is in memory may lack its names.
            self._changes, self._names = self._database.changes, None
        names = self._names
        if names is None:
            try:
                names = self._names = self._read(self._database.reader)
            except (sqlite3.Error, OSError) as error:
                trouble = trouble_of(error, self._database.path)
                self._complain(trouble)
                raise Unavailable(
                    f"The names that were ever used here cannot be read now: {trouble.for_client()}"
                ) from error
        return name in names

    def is_stored(self, name: ProjectName) -> bool:
        """Return whether a name is stored, as far as memory shows."""
        return self._names is not None and name in self._names

    def add(self, names: Iterable[ProjectName]) -> None:
        """Store names, also those that could not be written before; blocking if there are any."""
        with self._lock:
            # Used from now on, whether or not they can be written yet.
            self._unwritten |= frozenset(names) - (self._names or frozenset())
            try:
                names_before = self._read(self._database.writer) if self._names is None else self._names
                self._names = names_before | self._unwritten
                # Others write too.
                if self._unwritten and self._write(self._unwritten) != len(self._names):
                    self._names = self._read(self._database.writer)
                self._unwritten = frozenset()
                self._logged_cause = None
            except (sqlite3.Error, OSError) as error:
                self._complain(trouble_of(error, self._database.path))

    def _read(self, connection: RecordsAccess) -> frozenset[str]:
        rows = connection.read("SELECT project FROM used_names", (), table="used_names")
        return frozenset(name for (name,) in rows)

    def _write(self, names: Iterable[str]) -> int:
        """Write names; return how many there are then."""
        rows = [(name,) for name in sorted(names)]

        def write(transaction: RecordsTransaction) -> int:
            transaction.executemany("INSERT INTO used_names VALUES (?) ON CONFLICT DO NOTHING", rows)
            (count,) = transaction.execute("SELECT count(*) FROM used_names").fetchone()
            return int(count)

        return self._database.writer.write(write)

    def _complain(self, trouble: Trouble) -> None:
        if trouble.cause == self._logged_cause:
            return
        self._logged_cause = trouble.cause
        consequence = (
            "projects that are not here are answered with 503"
            if self._names is None
            else "new names are remembered until the service ends, and no longer"
        )
        _log.error(
            "The names of your own projects cannot be stored in {path} ({cause}), so {consequence}: {remedy}",
            path=printable(self._database.path),
            cause=trouble.cause,
            consequence=consequence,
            remedy=trouble.remedy,
        )
