"""The rows of a document in the tables of the search index: written, renewed and deleted; blocking."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from simpleindex.search.folding import fold

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from simpleindex.search.document import Document
    from simpleindex.search.release_events import Yank


class IndexedFile(NamedTuple):
    """The distribution whose metadata are indexed for a project.

    Attributes:
        filename: Its name; empty if only the project's name is indexed.
        digest: The SHA-256 of its metadata, or of itself if it has none beside it; empty likewise.
        uploaded_ns: When the newest file of the project was uploaded; 0 if that is not known.
        yanked: The yanked releases of the project, separated by spaces.
        listing: A number for what is listed of the project; None where only reading it tells whether that is another.
    """

    filename: str
    digest: str
    uploaded_ns: int
    yanked: str = ""
    listing: int | None = None


class Entry(NamedTuple):
    """A document to be written."""

    file: IndexedFile
    document: Document


class DocumentChanges(NamedTuple):
    """What is to be written for one origin.

    Attributes:
        entries: Documents, in the place of those of the same projects.
        removed: Projects that are gone.
        updates: Projects of which only the time of the newest file, the yanked releases or the listing changed.
        yanks: Releases that are yanked now; a yank that is stored keeps its time.
        undone: Projects and versions that are not yanked any more.
    """

    entries: Sequence[Entry] = ()
    removed: Sequence[str] = ()
    updates: Sequence[tuple[str, IndexedFile]] = ()
    yanks: Sequence[Yank] = ()
    undone: Sequence[tuple[str, str]] = ()


def write_changes(connection: sqlite3.Connection, origin: str, changes: DocumentChanges) -> None:
    """Write what changed of an origin, in the connection's transaction."""
    for name in changes.removed:
        delete_document(connection, origin, name)
    for entry in changes.entries:
        write_document(connection, origin, entry)
    connection.executemany(
        "UPDATE documents SET uploaded_ns = ?, yanked = ?, listing = ? WHERE project = ? AND origin = ?",
        [(*file[2:], project, origin) for project, file in changes.updates],
    )
    connection.executemany(
        "DELETE FROM yanks WHERE origin = ? AND project = ? AND version = ?",
        [(origin, *release) for release in changes.undone],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO yanks VALUES (?, ?, ?, ?)", [(origin, *yank) for yank in changes.yanks]
    )


def write_document(connection: sqlite3.Connection, origin: str, entry: Entry) -> None:
    """Write a document in the place of that of the same project."""
    if not _renew(connection, origin, entry):
        delete_document(connection, origin, entry.document.project)
        _insert(connection, origin, entry)


def _insert(connection: sqlite3.Connection, origin: str, entry: Entry) -> None:
    file, document = entry
    row = (origin, document.project, *file, document.title, document.summary, document.keywords)
    identifier = connection.execute(
        "INSERT INTO documents (origin, project, filename, digest, uploaded_ns, yanked, listing, title, summary, keywords,"
        " authors, requires_python) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, document.authors, document.requires_python),
    ).lastrowid
    connection.execute(
        "INSERT INTO facts (rowid, name, summary, keywords, author) VALUES (?, ?, ?, ?, ?)",
        (identifier, document.project, *map(fold, (document.summary, document.keywords, document.authors))),
    )
    text = _text_of(document)
    connection.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (identifier, text))
    connection.execute(
        "INSERT INTO originals (id, written) VALUES (?, ?)", (identifier, pack_text(document.written, text))
    )
    _insert_dependencies(connection, identifier, document)


def _renew(connection: sqlite3.Connection, origin: str, entry: Entry) -> bool:
    """Write only what no text is found by, where the texts are those of before, as in most releases; return whether they are.

    To tokenize the texts of before and the new ones is most of the work.
    """
    file, document = entry
    row = connection.execute(
        "SELECT id, text, written, title, summary, keywords, authors FROM documents JOIN originals USING (id)"
        " JOIN texts ON texts.rowid = id WHERE project = ? AND origin = ?",
        (document.project, origin),
    ).fetchone()
    text = _text_of(document)
    facts = document.title, document.summary, document.keywords, document.authors
    texts = text, pack_text(document.written, text), *facts
    if row is None or row[1:] != texts:
        return False
    connection.execute(
        "UPDATE documents SET filename = ?, digest = ?, uploaded_ns = ?, yanked = ?, listing = ?, requires_python = ? WHERE id = ?",
        (*file, document.requires_python, row[0]),
    )
    connection.execute("DELETE FROM dependencies WHERE document = ?", row[:1])
    _insert_dependencies(connection, row[0], document)
    return True


def pack_text(written: str, text: str) -> bytes:
    """Return a text as its author wrote it as the index stores it: only how it differs from the folded one.

    That is a dictionary for the compression: of the descriptions of 287 real packages 8 % are left, and without it 36 %.
    """
    compressor = zlib.compressobj(zdict=text.encode())
    return compressor.compress(written.encode("utf-8", "replace")) + compressor.flush()


def unpack_text(packed: bytes, text: str) -> str:
    """Return what was packed beside a folded text; an empty text if either is damaged."""
    try:
        return zlib.decompressobj(zdict=text.encode()).decompress(packed).decode()
    except (zlib.error, UnicodeDecodeError):
        return ""


def _text_of(document: Document) -> str:
    facts = (document.title, document.summary, document.keywords)
    return "\n".join((document.project, *map(fold, facts), document.text))


def _insert_dependencies(connection: sqlite3.Connection, identifier: int | None, document: Document) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO dependencies (name, document, requirement) VALUES (?, ?, ?)",
        [(each.project, identifier, each.requirement) for each in document.dependencies],
    )


def delete_document(connection: sqlite3.Connection, origin: str, name: str) -> None:
    """Delete the document of a project, if there is one."""
    row = connection.execute(
        "SELECT id FROM documents WHERE project = ? AND origin = ?", (name, origin)
    ).fetchone()
    if row is not None:
        for table, column in (
            ("documents", "id"),
            ("originals", "id"),
            ("facts", "rowid"),
            ("texts", "rowid"),
            ("dependencies", "document"),
        ):
            connection.execute(f"DELETE FROM {table} WHERE {column} = ?", row)
