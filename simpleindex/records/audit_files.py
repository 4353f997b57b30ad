"""The files of the audit: the current one, those that were rotated away, compressed or not, and new lines as they come. Blocking."""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
import os
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OPENERS: Final[dict[str, Callable[[str], object]]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
"""How files are opened that logrotate has compressed."""

_PIECE: Final = 1 << 20
"""Bytes that are read at once of what is new."""


def audit_files(path: str) -> list[str]:
    """Return the current file and all that were rotated away from it (``audit.jsonl.1``, ``audit.jsonl-20261101.gz``), oldest first.

    Args:
        path: The current file; left out if it is not there.
    """
    dated = []
    for each in glob.glob(f"{glob.escape(path)}*"):
        with suppress(FileNotFoundError):
            dated.append((each == path, os.stat(each).st_mtime_ns, each))
    return [each for *_, each in sorted(dated)]


def open_audit_file(path: str) -> BinaryIO:
    """Open one of the files, and decompress it as its name says.

    Raises:
        OSError: It cannot be read.
    """
    opener = _OPENERS.get(os.path.splitext(path)[1], lambda each: open(each, "rb"))  # noqa: SIM115
    return cast("BinaryIO", opener(path))


def audit_lines(path: str, since: float = 0.0, *, current: bool = True) -> Iterator[bytes]:
    """Go through all lines, oldest first.

    Args:
        path: The current file.
        since: Files that were last written before this time, seconds since 1970, are passed over.
        current: Whether to read the current file too.

    Raises:
        OSError: A file cannot be read, or is damaged.
    """
    for each in audit_files(path):
        if each == path and not current:
            continue
        with suppress(FileNotFoundError):  # It was rotated away meanwhile.
            if os.stat(each).st_mtime < since:
                continue
            try:
                with open_audit_file(each) as file:
                    yield from file
            except (EOFError, lzma.LZMAError) as error:
                raise OSError(0, f"{each} is damaged ({error})") from None


class AuditTail:
    """New lines of the audit, read as they come, also when the file is rotated meanwhile.

    Args:
        path: The current file, which may not be there yet.
        whole: Whether to begin at its first line; otherwise behind its last one.
    """

    def __init__(self, path: str, *, whole: bool = False) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._open()
        if self._file is not None and not whole:
            self._file.seek(0, os.SEEK_END)

    def read(self) -> list[bytes]:
        """Return the lines that were added since, a MiB at most; call again until there are none.

        Raises:
            OSError: The file cannot be read.
        """
        if self._file is None:
            self._open()
        if self._file is None:
            return []
        lines = self._new_lines(self._file)
        if not lines and self._is_another():
            # What was written before the file was rotated is read; go on with its successor.
            self.close()
            self._open()
            return [] if self._file is None else self._new_lines(self._file)
        return lines

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        with suppress(FileNotFoundError):
            self._file = open(self._path, "rb")  # noqa: SIM115  (it stays open)

    def _new_lines(self, file: BinaryIO) -> list[bytes]:
        begin = file.tell()
        if os.fstat(file.fileno()).st_size < begin:
            begin = 0  # It was cut off, as by logrotate's copytruncate.
            file.seek(0)
        lines = file.readlines(_PIECE)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
            file.seek(begin + sum(map(len, lines)))
        return lines

    def _is_another(self) -> bool:
        assert self._file is not None
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False
