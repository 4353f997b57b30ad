"""Files of another server on this machine: below one directory, out of which no path leads. Blocking."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from simpleindex.core import bounds
from simpleindex.core.names import SIDE_FILE_SUFFIXES
from simpleindex.core.parsing.json_text import load_json
from simpleindex.core.text import printable
from simpleindex.migration.errors import InvalidImportSource, NotImported
from simpleindex.migration.interface import FileContent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import FileIO

_CHUNK: Final = 1 << 20

_NOTE_SUFFIX: Final = ".meta"
"""Of the file beside each distribution in which pypicloud notes what it knows, on a disk."""

_LARGEST_NOTE: Final = 64 * 1024
"""Bytes."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")

# A FIFO must not block the open.
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class LocalContent(FileContent):
    """The content of a file on this machine.

    Args:
        file: The file, opened.
        modified_ns: When it was modified, nanoseconds since 1970; None if that means nothing.
    """

    def __init__(self, file: FileIO, modified_ns: int | None) -> None:
        self._file = file
        self.modified_ns = modified_ns
        self.descriptor = file.fileno()

    def read(self) -> bytes:
        """Return the next bytes."""
        try:
            return self._file.read(_CHUNK) or b""
        except OSError as error:
            raise NotImported(f"it cannot be read: {error.strerror}") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TreeFile(NamedTuple):
    """A file of another server.

    Attributes:
        path: Relative to the root, with slashes.
        size: Bytes.
        modified_ns: When it was modified, nanoseconds since 1970.
    """

    path: str
    size: int
    modified_ns: int


class SourceDirectory:
    """A directory with the files of another server.

    Raises:
        InvalidImportSource: It is no directory, or cannot be read.
    """

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        try:
            os.scandir(self.root).close()
        except OSError as error:
            raise InvalidImportSource(f"{printable(root)} cannot be read: {error.strerror}.") from None

    def open(self, path: str) -> LocalContent:
        """Open a file.

        Args:
            path: Relative to the root.

        Raises:
            NotImported: It lies elsewhere, is no regular file, or cannot be read.
        """
        file = self._file(path)
        return LocalContent(file, os.fstat(file.fileno()).st_mtime_ns)

    def size(self, path: str) -> int:
        """Return the bytes of a file; errors as for :meth:`open`."""
        with self._file(path) as file:
            return os.fstat(file.fileno()).st_size

    def sha256(self, path: str) -> str:
        """Return the digest of a file, in lower-case hex; errors as for :meth:`open`."""
        with self._file(path) as file:
            try:
                return hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise NotImported(f"it cannot be read: {error.strerror}") from None

    def text(self, path: str, most: int) -> bytes:
        """Return the content of a small file; errors as for :meth:`open`.

        Args:
            path: Relative to the root.
            most: Bytes that it may have.

        Raises:
            NotImported: It is larger, too.
        """
        with self._file(path) as file:
            data = file.read(most + 1) or b""
        if len(data) > most:
            raise NotImported(f"{printable(path)} is larger than {most:,} bytes")
        return data

    def stated_sha256(self, path: str) -> str | None:
        """Return the digest that pypicloud has noted of a file; None if there is none."""
        try:
            note = load_json(self.text(path + _NOTE_SUFFIX, _LARGEST_NOTE).decode(), bounds.PAGE_VALUES)
        except (NotImported, ValueError):
            return None
        stated = note.get("hash_sha256") if isinstance(note, dict) else None
        return stated if isinstance(stated, str) and _SHA256.fullmatch(stated) else None

    def beside(self, path: str) -> Mapping[str, bytes]:
        """Return signatures and provenance beside a file, by suffix; what cannot be read is left out."""
        found = {}
        for suffix in SIDE_FILE_SUFFIXES:
            try:
                found[suffix] = self.text(path + suffix, bounds.PROVENANCE.most)
            except NotImported:
                continue
        return found

    def walk(self) -> Iterator[TreeFile]:
        """Yield every regular file below the root; links to directories are not followed.

        Raises:
            InvalidImportSource: A directory cannot be read.
        """

        def failed(error: OSError) -> None:
            where = printable(str(error.filename))
            raise InvalidImportSource(f"{where} cannot be read: {error.strerror}.")

        for directory, directories, names in os.walk(self.root, onerror=failed):
            directories.sort()
            # Directories with a dot are those of tools: .git, .cache, our own.
            directories[:] = [name for name in directories if not name.startswith(".")]
            for name in sorted(names):
                path = os.path.join(directory, name)
                try:
                    status = os.stat(path)
                except OSError:
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield TreeFile(os.path.relpath(path, self.root), status.st_size, status.st_mtime_ns)

    def _file(self, path: str) -> FileIO:
        if "\0" in path:
            raise NotImported("its path is not valid")
        whole = os.path.realpath(os.path.join(self.root, path))
        if os.path.commonpath([whole, self.root]) != self.root:
            raise NotImported("its path leads out of the directory that is imported")
        try:
            descriptor = os.open(whole, _FLAGS)
        except OSError as error:
            raise NotImported(f"it cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotImported("it is no regular file")
        return open(descriptor, "rb", buffering=0)
