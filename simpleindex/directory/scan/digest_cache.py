"""Digests and metadata of files that were read whole, cached in SQLite across restarts.

The cache may be deleted, corrupt or unwritable at any time: that costs speed, never service or truth. A row is believed
only for the very state (size, mtime, inode, ctime) in which its file was read, and only as it was written.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from simpleindex.archives.archive_info import ArchiveInfo, MemberSpan
from simpleindex.core.files import Sidecar
from simpleindex.core.text import printable
from simpleindex.system.log import logger
from simpleindex.system.ownership import make_directories, make_private
from simpleindex.system.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from twisted.logger import Logger

    from simpleindex.directory.layout.directory_listings import DirectoryEntry

_log = logger(__name__)

_FILENAME: Final = "digests.sqlite3"

FORMAT: Final = 9
"""Raised whenever what is remembered, or the judgement behind it, changes: old rows, and projects of catalogues, are then read again."""

# SQLite's numbers have 63 bits and a sign: less than an inode, and than the nanoseconds until after 2262, which any file
# can be stamped with. A root is bytes and need not be text.
_COLUMNS: Final = """(
    root BLOB NOT NULL, directory TEXT NOT NULL, filename TEXT NOT NULL,
    inode TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns TEXT NOT NULL, ctime_ns TEXT NOT NULL,
    version TEXT NOT NULL, sha256 TEXT NOT NULL, requires_python TEXT,
    sidecar_sha256 TEXT, sidecar_size INTEGER, place_offset INTEGER, place_stored INTEGER, place_method INTEGER,
    checksum BLOB NOT NULL,
    PRIMARY KEY (root, directory, filename)
) WITHOUT ROWID"""

_RECALL: Final = (
    "SELECT filename, inode, size, mtime_ns, ctime_ns, version, sha256, requires_python, sidecar_sha256, sidecar_size,"
    " place_offset, place_stored, place_method, checksum FROM facts WHERE root = ? AND directory = ?"
)

_FEW: Final = 20
"""Files of a directory that are looked for by their names."""

_PAGE: Final = 1_000
"""Rows gone through at once."""


class DigestCache:
    """The memory of facts about the files of one root; usable from any thread.

    Args:
        cache: The cache directory; made when missing.
        root: The served root; several may share one cache.
        log: Where it is logged, once, that nothing can be remembered.

    Attributes:
        has_facts_about_new_files: Whether facts about a file that has just come to a project may be there, as from another node.
    """

    has_facts_about_new_files = False

    def __init__(self, cache: str, root: str, log: Logger = _log) -> None:
        self._path = os.path.join(cache, _FILENAME)
        self._root = os.fsencode(root)
        self._log = log
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        # Of each thread: the rows that it writes together, by statement.
        self._gathered = threading.local()

    def open(self) -> None:
        """Open or make the database; a corrupt one is replaced, and where none can be opened nothing is remembered."""
        try:
            make_directories(os.path.dirname(self._path))
            self._make()
            try:
                self._connection = self._connect()
            except sqlite3.DatabaseError as error:
                if not _is_corrupt(error):
                    raise
                self._remove()
                self._make()
                self._connection = self._connect()
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def _make(self) -> None:
        # By SQLite it would be root's where a command of root's makes it, and the service could not use it.
        if not os.path.lexists(self._path):
            make_private(self._path)

    def close(self) -> None:
        """Write what is left and close."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write what this thread remembers within the block in one transaction, which costs less than one for each project."""
        rows: dict[str, list[object]] = {}
        self._gathered.rows = rows
        try:
            yield
        finally:
            self._gathered.rows = None
            self._write(rows)

    def recall(
        self, directory: str, entries: Iterable[DirectoryEntry]
    ) -> Mapping[str, tuple[Stamp, ArchiveInfo]]:
        """Return the cached facts about the entries of one directory, by path; the caller compares the stamps.

        The link count is not remembered: the stamps that come back carry the entries' own.
        """
        by_name = {entry.filename: entry for entry in entries}
        # Where few files are new, those of a large directory are not all read. Not every name is one that SQLite takes.
        names = [*by_name] if len(by_name) <= _FEW and all(map(str.isascii, by_name)) else []
        named = f" AND filename IN ({', '.join('?' * len(names))})" if names else ""
        rows = self._run(_RECALL + named, (self._root, directory, *names))
        recalled = {}
        for *row, checksum in rows:
            filename, inode, size, mtime_ns, ctime_ns, *facts = row
            entry = by_name.get(filename)
            if entry is None or entry.stamp is None:
                continue
            if checksum != _checksum(self._root, directory, *row):
                continue
            with suppress(ValueError, TypeError, OverflowError):
                stamp = Stamp(int(inode), size, int(mtime_ns), int(ctime_ns), entry.stamp.links)
                recalled[entry.path] = stamp, _facts(facts)
        return recalled

    def remembers_anything(self) -> bool:
        """Whether there ever was a file under this root."""
        return bool(self._run("SELECT 1 FROM facts WHERE root = ? LIMIT 1", (self._root,)))

    def remember(self, found: Iterable[tuple[str, Stamp, ArchiveInfo]]) -> None:
        """Keep facts by path; durable once this returns, or what :meth:`together` gives is left."""
        self._write_rows(
            "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [self._row(path, stamp, facts) for path, stamp, facts in found],
        )

    def forget_others(self, paths: Iterable[str]) -> None:
        """Drop every row of this root whose file is not among these; keeps the database from growing for ever."""
        # Their hashes, and rows by the page, because that is a tenth of the memory; a collision keeps a row too many.
        alive = set()
        for path in paths:
            directory, _, filename = path.rpartition("/")
            alive.add(hash((directory, filename)))
        last = ("", "")
        while rows := self._run(
            "SELECT directory, filename FROM facts WHERE root = ? AND (directory, filename) > (?, ?)"
            " ORDER BY directory, filename LIMIT ?",
            (self._root, *last, _PAGE),
        ):
            last = rows[-1]
            gone = [(self._root, *row) for row in rows if hash(row) not in alive]
            self._write_rows("DELETE FROM facts WHERE root = ? AND directory = ? AND filename = ?", gone)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=5, check_same_thread=False, isolation_level=None)
        try:
            os.chmod(self._path, 0o600)
            # A power cut may cost the last rows, which are then read again; it never leaves a broken database.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            # KiB; every row is read once, and the usual 2,000 would be full of them from then on.
            connection.execute("PRAGMA cache_size = -256")
            if connection.execute("PRAGMA user_version").fetchone() != (FORMAT,):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("DROP TABLE IF EXISTS facts")
                connection.execute("DROP TABLE IF EXISTS resting")  # of earlier formats
                connection.execute(f"CREATE TABLE facts {_COLUMNS}")
                connection.execute(f"PRAGMA user_version = {FORMAT}")
                connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _write_rows(self, statement: str, rows: Sequence[object]) -> None:
        gathered: dict[str, list[object]] | None = getattr(self._gathered, "rows", None)
        if gathered is None:
            self._write({statement: rows})
        else:
            gathered.setdefault(statement, []).extend(rows)

    def _write(self, rows: Mapping[str, Sequence[object]]) -> None:
        def write(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            connection.execute("BEGIN")
            for statement, values in rows.items():
                connection.executemany(statement, values)  # type: ignore[arg-type]
            connection.execute("COMMIT")
            return []

        if any(rows.values()):
            self._with_connection(write)

    def _run(self, statement: str, values: object) -> list[tuple[Any, ...]]:
        return self._with_connection(
            lambda connection: connection.execute(statement, values).fetchall()  # type: ignore[arg-type]
        )

    def _with_connection(
        self, work: Callable[[sqlite3.Connection], list[tuple[Any, ...]]]
    ) -> list[tuple[Any, ...]]:
        with self._lock:
            if self._connection is None:
                return []
            try:
                return work(self._connection)
            except sqlite3.Error as error:
                self._connection.close()
                self._connection = None
                if _is_corrupt(error):
                    # Else the next start would find it again, and so would every one after.
                    with suppress(OSError):
                        self._remove()
                self._give_up(error)
                return []

    def _row(self, path: str, stamp: Stamp, facts: ArchiveInfo) -> tuple[object, ...]:
        directory, filename = os.path.split(path)
        sidecar, place = facts.sidecar, facts.place
        row = (
            *(self._root, directory, filename),
            *(
                str(stamp.inode),
                stamp.size,
                str(stamp.mtime_ns),
                str(stamp.ctime_ns),
                facts.version,
                facts.sha256,
                facts.requires_python,
            ),
            *((sidecar.sha256, sidecar.size) if sidecar else (None, None)),
            *((place.offset, place.stored_size, place.method) if place else (None, None, None)),
        )
        return *row, _checksum(*row)

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(self._path + suffix)

    def _give_up(self, error: Exception) -> None:
        self._log.error(
            "Digests cannot be remembered in {path} ({error}); every file is read again at the next start. Make --cache a directory "
            "that this user can write.",
            path=printable(self._path),
            error=error,
        )


def _is_corrupt(error: sqlite3.Error) -> bool:
    """Return whether the file itself is damaged; one that is locked, full or out of reach may be good.

    That class itself stands for SQLITE_CORRUPT and SQLITE_NOTADB; everything else has one of its subclasses. Only for text
    that is none, Python raises one of those.
    """
    return type(error) is sqlite3.DatabaseError or "Could not decode" in str(error)


def _checksum(*row: object) -> bytes:
    """Return the checksum of a row: SQLite finds a damaged page only where the damage breaks its structure."""
    return blake2b(repr(row).encode(), digest_size=8).digest()


def _facts(row: list[Any]) -> ArchiveInfo:
    version, sha256, requires_python, sidecar_sha256, sidecar_size, offset, stored_size, method = row
    if sidecar_sha256 is None:
        return ArchiveInfo(version, sha256, requires_python, None, None)
    sidecar, place = Sidecar(sidecar_sha256, sidecar_size), MemberSpan(offset, stored_size, method)
    return ArchiveInfo(version, sha256, requires_python, sidecar, place)
