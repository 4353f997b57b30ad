"""The audit of all nodes in PostgreSQL, in a schema beside that of the records. Blocking."""

from __future__ import annotations

import errno
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.errors import CannotStore, RefusedStart, Unavailable
from simpleindex.records.audit.audit_questions import read_entry
from simpleindex.records.audit.audit_tail import AuditPosition
from simpleindex.records.postgresql.locks import AdvisoryLocks
from simpleindex.records.postgresql.schema import VersionedSchema
from simpleindex.records.postgresql.server import PostgreSQLServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from simpleindex.records.audit.audit_questions import AuditQuestion
    from simpleindex.records.audit.audit_tail import AuditLine
    from simpleindex.records.interface import RecordsTransaction

AUDIT: Final = VersionedSchema(
    "simpleindex_audit",
    (
        (
            """
            CREATE TABLE entries (
                id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, node TEXT NOT NULL, time TIMESTAMPTZ NOT NULL, project TEXT,
                line TEXT NOT NULL
            )
            """,
            "CREATE INDEX entries_by_time ON entries (time, id)",
            "CREATE INDEX entries_of_projects ON entries (project, time, id) WHERE project IS NOT NULL",
            """
            CREATE TABLE positions (
                node TEXT NOT NULL PRIMARY KEY, inode BIGINT NOT NULL, bytes BIGINT NOT NULL, beginning TEXT NOT NULL
            )
            """,
        ),
        ("CREATE TABLE hook_positions (hook TEXT NOT NULL PRIMARY KEY, entry BIGINT NOT NULL)",),
    ),
    0x51_4D_50_41,
)
"""The lines are those of the files; time and project stand beside them to be found by."""

_LINES_AT_ONCE: Final = 2_000
_PATIENCE: Final = 10.0
_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)


class SharedAudit:
    """The audit of all nodes; usable from any thread.

    Attributes:
        place: The same, for messages; without a password.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._server = PostgreSQLServer(url, AUDIT)
        self.place = self._server.place

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the one node that records what all nodes see.

        Raises:
            OSError: The server is away, or another node holds it for too long.
        """
        with closing(AdvisoryLocks(self._url, AUDIT.name, _PATIENCE)) as locks, ExitStack() as held:
            try:
                held.enter_context(locks.held("seen by all"))
            except (CannotStore, Unavailable):
                raise OSError(errno.EHOSTDOWN, "the server cannot be used now", self.place) from None
            yield

    def position(self, node: str) -> AuditPosition:
        """Return how far the file of a node is here.

        Raises:
            OSError: The server is away, or refuses.
        """
        rows = self._read("SELECT inode, bytes, beginning FROM positions WHERE node = ?", node)
        return AuditPosition(*rows[0]) if rows else AuditPosition()

    def add(self, node: str, lines: Iterable[AuditLine]) -> None:
        """Add lines of a node, at least one, and how far its file is here then, together; what is no entry is passed over.

        Raises:
            OSError: The server is away, or refuses; nothing was added.
        """
        lines = [*lines]
        rows = [
            (node, entry["time"], entry.get("project"), line.text.decode().rstrip("\n"))
            for line in lines
            if (entry := self.entry_of(line.text)) is not None
        ]
        end = lines[-1].end

        def write(transaction: RecordsTransaction) -> None:
            transaction.executemany(
                "INSERT INTO entries (node, time, project, line) VALUES (?, ?, ?, ?)", rows
            )
            transaction.execute(
                "INSERT INTO positions VALUES (?, ?, ?, ?) ON CONFLICT (node) DO UPDATE"
                " SET inode = excluded.inode, bytes = excluded.bytes, beginning = excluded.beginning",
                (node, end.inode, end.offset, end.beginning),
            )

        self._server.require_schema()
        self._server.write(write, patience=_PATIENCE)

    @staticmethod
    def entry_of(line: bytes) -> Mapping[str, Any] | None:
        """Return the entry of a line; None if it is none, and passed over."""
        entry = read_entry(line)
        return entry if entry is not None and _is_time(entry["time"]) else None

    def lines(self, question: AuditQuestion, last: int | None = None) -> Iterator[bytes]:
        """Go through the lines of all nodes that a question may be about, oldest first.

        Args:
            question: Which entries.
            last: The number of the last line that there was; None for all.

        Raises:
            OSError: The server is away, or refuses.
        """
        conditions: list[str] = ["(time, id) > (?, ?)"]
        values: list[object] = []
        for condition, value in (
            ("time >= ?", _moment(question.since)),
            ("time < ?", _moment(question.until)),
            ("project = ?", question.project),
            ("id <= ?", last),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        statement = (
            f"SELECT time, id, line FROM entries WHERE {' AND '.join(conditions)} ORDER BY time, id LIMIT ?"  # noqa: S608
        )
        place: tuple[object, ...] = (_BEGINNING, 0)
        while rows := self._read(statement, *place, *values, _LINES_AT_ONCE):
            yield from (line.encode() for *_, line in rows)
            place = rows[-1][:2]

    def require_empty(self) -> None:
        """Refuse an audit that has lines.

        Raises:
            RefusedStart: It has some.
            OSError: The server is away, or refuses.
        """
        if self.end():
            raise RefusedStart(
                f"{self.place} has an audit already, which would be mixed with another: name an empty database."
            )

    def copy_to(self, target: SharedAudit) -> int:
        """Copy all lines with the nodes that they are of, and how far each file and each hook is; return how many lines there are.

        Raises:
            OSError: A server is away, or refuses.
        """
        last = total = 0
        query = "SELECT id, node, time, project, line FROM entries WHERE id > ? ORDER BY id LIMIT ?"
        while rows := self._read(query, last, _LINES_AT_ONCE):
            target.insert(
                "INSERT INTO entries (node, time, project, line) VALUES (?, ?, ?, ?)",
                [row[1:] for row in rows],
            )
            last, total = rows[-1][0], total + len(rows)
        for hook, number in self.hook_positions().items():
            ((new,),) = self._read("SELECT count(*) FROM entries WHERE id > ?", number)
            target.save_hook_position(hook, target.number_before(new))
        # Last, for a copy that is cut off must not keep the nodes from copying their lines.
        target.insert("INSERT INTO positions VALUES (?, ?, ?, ?)", self._read("SELECT * FROM positions"))
        return total

    def insert(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert rows.

        Raises:
            OSError: The server is away, or refuses.
        """
        self._server.require_schema()
        self._server.write(lambda transaction: transaction.executemany(statement, rows), patience=_PATIENCE)

    def end(self) -> int:
        """Return the number of the last line.

        Raises:
            OSError: The server is away, or refuses.
        """
        ((end,),) = self._read("SELECT coalesce(max(id), 0) FROM entries")
        return int(end)

    def hook_position(self, hook: str) -> int:
        """Return the number of the last line that a hook was notified of; of a new hook that of the last line.

        Raises:
            OSError: The server is away, or refuses.
        """
        query = "SELECT entry FROM hook_positions WHERE hook = ?"
        if not (rows := self._read(query, hook)):
            self.insert(
                "INSERT INTO hook_positions VALUES (?, ?) ON CONFLICT DO NOTHING", [(hook, self.end())]
            )
            rows = self._read(query, hook)
        return int(rows[0][0])

    def hook_positions(self) -> Mapping[str, int]:
        """Return the number of the last line that each hook was notified of.

        Raises:
            OSError: The server is away, or refuses.
        """
        return dict(self._read("SELECT hook, entry FROM hook_positions"))

    def number_before(self, count: int) -> int:
        """Return the number of the line behind which there are so many; 0 if there are no more.

        Raises:
            OSError: The server is away, or refuses.
        """
        rows = self._read("SELECT id FROM entries ORDER BY id DESC LIMIT 1 OFFSET ?", count)
        return int(rows[0][0]) if rows else 0

    def lines_before_new(self, number: int) -> int:
        """Return how many lines come before the first one with a larger number, in the order of :meth:`lines`.

        Raises:
            OSError: The server is away, or refuses.
        """
        ((count,),) = self._read(
            "SELECT count(*) FROM entries LEFT JOIN"
            " (SELECT time, id FROM entries WHERE id > ? ORDER BY time, id LIMIT 1) AS new ON true"
            " WHERE new.id IS NULL OR (entries.time, entries.id) < (new.time, new.id)",
            number,
        )
        return int(count)

    def save_hook_position(self, hook: str, number: int) -> None:
        """Keep the number of the last line that a hook was notified of, unless another node has gone further meanwhile.

        Raises:
            OSError: The server is away, or refuses.
        """
        self.insert(
            "INSERT INTO hook_positions VALUES (?, ?) ON CONFLICT (hook) DO UPDATE"
            " SET entry = greatest(hook_positions.entry, excluded.entry)",
            [(hook, number)],
        )

    def lines_after(self, number: int) -> Sequence[tuple[int, bytes]]:
        """Return lines that came later than one, with their numbers.

        Raises:
            OSError: The server is away, or refuses.
        """
        rows = self._read(
            "SELECT id, line FROM entries WHERE id > ? ORDER BY id LIMIT ?", number, _LINES_AT_ONCE
        )
        return [(each, line.encode()) for each, line in rows]

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        self._server.close()

    def _read(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        self._server.require_schema()
        return self._server.read(statement, values)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
