"""Which files of upstreams nodes have pinned; a table of records in PostgreSQL. Blocking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.core.names import ProjectName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simpleindex.records.interface import Records


@dataclass(frozen=True, slots=True)
class NotedPin:
    """A file that a node has pinned, or unpinned since.

    Attributes:
        sha256: Its digest.
        is_pinned: Whether it is pinned; a row stays when it is not any more, so that every node unpins it.
    """

    project: ProjectName
    filename: str
    sha256: str
    is_pinned: bool


class PinTable:
    """The table; usable from any thread."""

    def __init__(self, records: Records) -> None:
        self._records = records

    @property
    def changes(self) -> int:
        """Rises with every change that became known here."""
        return self._records.changes

    def of(self, index: str) -> tuple[NotedPin, ...]:
        """Return the files of an index.

        Raises:
            Unavailable: The records cannot be read.
        """
        rows = self._records.read(
            "SELECT project, filename, sha256, pinned FROM pins WHERE upstream = ?", (index,)
        )
        return tuple(
            NotedPin(ProjectName(name), filename, sha256, bool(pinned))
            for name, filename, sha256, pinned in rows
        )

    def pin(self, index: str, name: ProjectName, digests: Mapping[str, str]) -> None:
        """Note that files of a project are pinned, with their digests.

        Raises:
            Unavailable: The change cannot be made.
        """
        rows = [(index, name, filename, sha256) for filename, sha256 in digests.items()]
        self._records.write(
            lambda transaction: transaction.executemany(
                "INSERT INTO pins (upstream, project, filename, sha256, pinned) VALUES (?, ?, ?, ?, 1)"
                " ON CONFLICT (upstream, project, filename) DO UPDATE SET sha256 = excluded.sha256, pinned = 1",
                rows,
            )
        )

    def unpin(self, index: str, name: ProjectName, filenames: Iterable[str]) -> None:
        """Note that files of a project are pinned no longer.

        Raises:
            Unavailable: The change cannot be made.
        """
        rows = [(index, name, filename) for filename in filenames]
        self._records.write(
            lambda transaction: transaction.executemany(
                "UPDATE pins SET pinned = 0 WHERE upstream = ? AND project = ? AND filename = ?", rows
            )
        )
