"""The search index in SQLite: documents of projects, found by trigrams (FTS5); blocking.

It lies in the cache directory. It may be deleted, corrupt or unwritable at any time: that costs search, nothing else.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeVar

from simpleindex.core.text import printable
from simpleindex.search.document_rows import IndexedFile, write_changes
from simpleindex.system.log import logger
from simpleindex.system.ownership import make_directories, make_private

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.search.document_rows import DocumentChanges

_log: Final = logger(__name__)


# Raised with every change of the tables or of what is written into them: older ones are then made again.
_FORMAT: Final = 5

# The texts are kept without positions, which would double the size: 100,000 projects with 3 KiB each take 550 MB, and a
# literal is looked for in the few documents that have all of its trigrams. What excerpts are cut from is a table of its own, so that
# a search that goes through all documents reads no more than it needs.
_TABLES: Final = (
    """CREATE TABLE documents (
    id INTEGER PRIMARY KEY, origin TEXT NOT NULL, project TEXT NOT NULL, filename TEXT NOT NULL, digest TEXT NOT NULL,
    uploaded_ns INTEGER NOT NULL, title TEXT NOT NULL, summary TEXT NOT NULL, keywords TEXT NOT NULL, authors TEXT NOT NULL,
    requires_python TEXT, yanked TEXT NOT NULL, listing INTEGER, UNIQUE (project, origin))""",
    "CREATE INDEX documents_by_time ON documents (origin, uploaded_ns)",
    "CREATE INDEX documents_by_python ON documents (requires_python)",
    """CREATE TABLE dependencies (
    name TEXT NOT NULL, document INTEGER NOT NULL, requirement TEXT NOT NULL, PRIMARY KEY (name, document)) WITHOUT ROWID""",
    "CREATE INDEX dependencies_by_document ON dependencies (document)",
    """CREATE TABLE yanks (
    origin TEXT NOT NULL, project TEXT NOT NULL, version TEXT NOT NULL, seen_ns INTEGER NOT NULL,
    PRIMARY KEY (origin, project, version)) WITHOUT ROWID""",
    "CREATE INDEX yanks_by_time ON yanks (seen_ns)",
    "CREATE TABLE originals (id INTEGER PRIMARY KEY, written BLOB NOT NULL)",
    "CREATE VIRTUAL TABLE facts USING fts5(name, summary, keywords, author, tokenize = 'trigram')",
    "CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'trigram', detail = none)",
)

_PATIENCE: Final = 5.0
"""Seconds that a process waits for another one that writes."""

Value = TypeVar("Value")


class _Removed(sqlite3.OperationalError):
    """The file at the path is not the one that is open, or there is none."""


class SearchDatabase:
    """The search index; usable from any thread.

    Args:
        cache: The cache directory; it is made if it is missing.
        roots: The directories whose projects are indexed. Servers of others have indexes of their own in the same cache: each
            would remove what the others have.

    Attributes:
        lost: Called, in any thread, when the index cannot be used any more; it may be opened again.
    """

    def __init__(self, cache: str, roots: Sequence[str] = ()) -> None:
        key = blake2b(b"\0".join(map(os.fsencode, roots)), digest_size=8).hexdigest()
        self._path = os.path.join(cache, f"search-{key}.sqlite3")
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._trouble = ""
        self.lost: Callable[[], object] = lambda: None

    @property
    def is_open(self) -> bool:
        """Whether there is an index to be searched."""
        return self._reader is not None

    def open(self) -> bool:
        """Open or make the index; a corrupt one is replaced. Return whether that was possible; if not, the log says why."""
        with self._writing, self._reading:
            try:
                make_directories(os.path.dirname(self._path))
                try:
                    self._connect()
                except sqlite3.DatabaseError as error:
                    if not _is_corrupt(error):
                        raise
                    self._remove()
                    self._connect()
            except (OSError, sqlite3.Error) as error:
                self._give_up(error)
            return self.is_open

    def close(self) -> None:
        """Close it."""
        with self._writing, self._reading:
            self._close()

    # -- writing ------------------------------------------------------------------------------------------------------

    def indexed_files(self, origin: str, names: Sequence[ProjectName]) -> dict[str, IndexedFile]:
        """Return which file is indexed for each of some projects of an origin."""
        marks = ",".join("?" * len(names))
        rows = self.read(
            f"SELECT project, filename, digest, uploaded_ns, yanked, listing FROM documents WHERE origin = ? AND project IN ({marks})",
            (origin, *names),
        )
        return {project: IndexedFile(*row) for project, *row in rows}

    def listing_digests(self, origin: str, names: Sequence[ProjectName]) -> dict[str, int | None]:
        """Return the numbers of what was listed of some projects of an origin when they were indexed."""
        marks = ",".join("?" * len(names))
        return dict(
            self.read(
                f"SELECT project, listing FROM documents WHERE origin = ? AND project IN ({marks})",
                (origin, *names),
            )
        )

    def origins(self) -> set[str]:
        """Return the origins of the indexed projects."""
        return {origin for (origin,) in self.read("SELECT DISTINCT origin FROM documents")}

    def indexed_names(self, origin: str) -> set[str]:
        """Return the indexed projects of an origin."""
        return {name for (name,) in self.read("SELECT project FROM documents WHERE origin = ?", (origin,))}

    def write(self, origin: str, changes: DocumentChanges) -> bool:
        """Write what changed of an origin, all of it or nothing.

        Args:
            origin: The directory or upstream.
            changes: Of its projects.

        Returns:
            Whether it is written; if not, it may be tried again.
        """

        def write(connection: sqlite3.Connection) -> bool:
            connection.execute("BEGIN IMMEDIATE")
            write_changes(connection, origin, changes)
            connection.execute("COMMIT")
            return True

        return self._with(self._writing, lambda: self._writer, write, False)

    # -- reading ------------------------------------------------------------------------------------------------------

    def read(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query; none if there is no index."""
        return self.read_with(lambda connection: connection.execute(statement, values).fetchall(), [])

    def read_with(self, function: Callable[[sqlite3.Connection], Value], default: Value) -> Value:
        """Call a function with a connection that only reads; return the default if there is no index."""
        return self._with(self._reading, lambda: self._reader, function, default)

    # -- the file -----------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        # By SQLite it would be root's where a command of root's makes it, and the service could not use it.
        if not os.path.lexists(self._path):
            make_private(self._path)
        self._file = self._present_file()
        self._writer = self._new_connection()
        self._writer.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last rows, which are then indexed again.
        self._writer.execute("PRAGMA synchronous = NORMAL")
        if self._writer.execute("PRAGMA user_version").fetchone() != (_FORMAT,):
            self._make_tables(self._writer)
        self._reader = self._new_connection()
        self._reader.execute("PRAGMA query_only = ON")
        self._reader.execute("SELECT count(*) FROM documents").fetchone()
        self._trouble = ""

    def _present_file(self) -> tuple[int, int] | None:
        """Return what tells the file at the path from every other; None if there is none."""
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _new_connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_PATIENCE, check_same_thread=False, isolation_level=None)

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have made them meanwhile.
        if connection.execute("PRAGMA user_version").fetchone() != (_FORMAT,):
            for table in ("documents", "dependencies", "yanks", "originals", "facts", "texts"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
        connection.execute("COMMIT")

    def _with(
        self,
        lock: threading.Lock,
        connection: Callable[[], sqlite3.Connection | None],
        function: Callable[[sqlite3.Connection], Value],
        default: Value,
    ) -> Value:
        with lock:
            if (current := connection()) is None:
                return default
            try:
                if self._present_file() != self._file:
                    # What is written into a file without a name is lost, and another process does not see it.
                    raise _Removed
                return function(current)
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):
                    current.execute("ROLLBACK")
                trouble = error
        if _is_passing(trouble):
            self._tell(
                "The search index is not kept up to date now: {path} cannot be written ({error}).", trouble
            )
            return default
        with self._writing, self._reading:
            if connection() is current:
                if _is_corrupt(trouble):
                    # Else the next attempt would find it again, and so would every one after.
                    with suppress(OSError):
                        self._remove()
                if isinstance(trouble, _Removed):
                    _log.info(
                        "The search index was removed, and is made again: {path}.", path=printable(self._path)
                    )
                    self._close()
                else:
                    self._give_up(trouble)
        self.lost()
        return default

    def _close(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    def _remove(self) -> None:
        # What another process has made in its place since is not what is corrupt.
        is_same = self._present_file() == self._file
        self._close()
        for suffix in ("", "-wal", "-shm") if is_same else ():
            with suppress(FileNotFoundError):
                os.unlink(self._path + suffix)

    def _give_up(self, error: Exception) -> None:
        self._close()
        self._tell(
            "There is no search for now: {path} cannot be used ({error}). "
            "Make --cache a directory that this user can write; it is tried again every half minute.",
            error,
        )

    def _tell(self, sentence: str, error: Exception) -> None:
        """Log a trouble, once as long as it is the same."""
        if self._trouble != (now := f"{sentence} {error}"):
            self._trouble = now
            _log.error(sentence, path=printable(self._path), error=error)


def _is_corrupt(error: sqlite3.Error) -> bool:
    """Return whether the file itself is bad; one that is locked or full may be another process's good one."""
    return type(error) is sqlite3.DatabaseError or "vtable constructor failed" in str(error)


def _is_passing(error: sqlite3.Error) -> bool:
    """Return whether the file is good and what it has can be read: another process holds it for long, or the disk is full."""
    # The low byte is the kind of error.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL}
