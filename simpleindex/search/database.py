"""The search index in SQLite: documents of projects, found by trigrams (FTS5); blocking.

It lies in the cache directory. It may be deleted, corrupt or unwritable at any time: that costs search, nothing else.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from simpleindex.core.text import printable
from simpleindex.search.document_rows import IndexedFile, delete_document, write_document
from simpleindex.system.log import logger
from simpleindex.system.ownership import make_directories, make_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.search.document_rows import Entry
    from simpleindex.search.release_events import Yank

_log: Final = logger(__name__)

_FILENAME: Final = "search.sqlite3"

# Raised with every change of the tables or of what is written into them: older ones are then made again.
_FORMAT: Final = 3

# The texts are kept without positions, which would double the size: 100,000 projects with 3 KiB each take 550 MB, and a
# literal is looked for in the few documents that have all of its trigrams.
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
    "CREATE VIRTUAL TABLE facts USING fts5(name, summary, keywords, author, tokenize = 'trigram')",
    "CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'trigram', detail = none)",
)

Value = TypeVar("Value")


class SearchDatabase:
    """The search index; usable from any thread.

    Args:
        cache: The cache directory; it is made if it is missing.
    """

    def __init__(self, cache: str) -> None:
        self._path = os.path.join(cache, _FILENAME)
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is an index to be searched."""
        return self._reader is not None

    def open(self) -> None:
        """Open or make the index; a corrupt one is replaced. Where that fails there is no search, and the log says why."""
        try:
            make_directories(os.path.dirname(self._path), 0o700)
            try:
                self._connect()
            except sqlite3.DatabaseError as error:
                if not _is_corrupt(error):
                    raise
                self._remove()
                self._connect()
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

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

    def indexed_names(self, origin: str) -> set[str]:
        """Return the indexed projects of an origin."""
        return {name for (name,) in self.read("SELECT project FROM documents WHERE origin = ?", (origin,))}

    def write(self, origin: str, entries: Iterable[Entry], removed: Iterable[str] = ()) -> None:
        """Write documents in the place of those of the same projects.

        Args:
            origin: The directory or upstream that the projects are of.
            entries: The new documents.
            removed: Names of projects that are gone.
        """

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            for name in removed:
                delete_document(connection, origin, name)
            for entry in entries:
                write_document(connection, origin, entry)
            connection.execute("COMMIT")

        self._with(self._writing, lambda: self._writer, write, None)

    def update(self, origin: str, files: Iterable[tuple[str, IndexedFile]]) -> None:
        """Change the times, the yanked releases and the listings of projects, and nothing else of them."""
        rows = [(*file[2:], project, origin) for project, file in files]

        def write(connection: sqlite3.Connection) -> None:
            statement = "UPDATE documents SET uploaded_ns = ?, yanked = ?, listing = ? WHERE project = ? AND origin = ?"
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, rows)
            connection.execute("COMMIT")

        if rows:
            self._with(self._writing, lambda: self._writer, write, None)

    def write_yanks(self, origin: str, yanks: Iterable[Yank], undone: Iterable[tuple[str, str]]) -> None:
        """Store when releases were yanked; a yank that is stored keeps its time.

        Args:
            origin: The directory of the projects.
            yanks: The yanked releases.
            undone: Projects and versions that are not yanked any more.
        """
        rows = [(origin, *yank) for yank in yanks]
        gone = [(origin, *release) for release in undone]

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM yanks WHERE origin = ? AND project = ? AND version = ?", gone)
            connection.executemany("INSERT OR IGNORE INTO yanks VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")

        if rows or gone:
            self._with(self._writing, lambda: self._writer, write, None)

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
        self._writer = self._new_connection()
        self._writer.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last rows, which are then indexed again.
        self._writer.execute("PRAGMA synchronous = NORMAL")
        if self._writer.execute("PRAGMA user_version").fetchone() != (_FORMAT,):
            self._make_tables(self._writer)
        self._reader = self._new_connection()
        self._reader.execute("PRAGMA query_only = ON")
        self._reader.execute("SELECT count(*) FROM documents").fetchone()

    def _new_connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=5, check_same_thread=False, isolation_level=None)

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have made them meanwhile.
        if connection.execute("PRAGMA user_version").fetchone() != (_FORMAT,):
            for table in ("documents", "dependencies", "yanks", "facts", "texts"):
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
                return function(current)
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):
                    current.execute("ROLLBACK")
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                    # Another process writes the same.
                    return default
                trouble = error
        with self._writing, self._reading:
            if connection() is current:
                self._close()
                if _is_corrupt(trouble):
                    # Else the next start would find it again, and so would every one after.
                    with suppress(OSError):
                        self._remove()
                self._give_up(trouble)
        return default

    def _close(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    def _remove(self) -> None:
        self._close()
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(self._path + suffix)

    def _give_up(self, error: Exception) -> None:
        self._close()
        _log.error(
            "There is no search until the next start: {path} cannot be used ({error}). "
            "Make --cache a directory that this user can write.",
            path=printable(self._path),
            error=error,
        )


def _is_corrupt(error: sqlite3.Error) -> bool:
    """Return whether the file itself is bad; one that is locked or full may be another process's good one."""
    return type(error) is sqlite3.DatabaseError or "vtable constructor failed" in str(error)
