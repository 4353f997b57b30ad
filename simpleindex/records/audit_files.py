"""The files of the audit: the current one, those that were rotated away, compressed or not, and new lines as they come. Blocking."""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OPENERS: Final[dict[str, Callable[[str], object]]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
"""How files are opened that logrotate has compressed."""


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


@dataclass(frozen=True, slots=True)
class AuditPosition:
    """A place between two lines of the audit.

    Attributes:
        inode: The number of the file, which it keeps when it is renamed; 0 for whichever is the current file.
        offset: Bytes before the place.
    """

    inode: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A new line of the audit.

    Attributes:
        text: The line, with its end.
        end: The place behind it.
    """

    text: bytes
    end: AuditPosition


def end_of_audit(path: str) -> AuditPosition:
    """Return the place behind all that is there."""
    try:
        status = os.stat(path)
    except OSError:
        return AuditPosition()
    return AuditPosition(status.st_ino, status.st_size)


class AuditTail:
    """New lines of the audit, read as they come, also when the file is rotated meanwhile.

    Args:
        path: The current file, which may not be there yet.
        begin: Where to begin. If its file is neither the current one nor an uncompressed one that was rotated away, reading begins
            with the first line of the current one.
    """

    def __init__(self, path: str, begin: AuditPosition = AuditPosition()) -> None:
        self._path = path
        self._begin: AuditPosition | None = begin
        self._file: BinaryIO | None = None

    def read(self, most: int = 1 << 20) -> list[AuditLine]:
        """Return lines that were added since; call again until there are none.

        Args:
            most: Bytes after which it is enough.

        Raises:
            OSError: The file cannot be read.
        """
        if self._file is None:
            self._open()
        if self._file is None:
            return []
        lines = _new_lines(self._file, most)
        if not lines and self._is_another():
            # What was written before the file was rotated is read; go on with its successor.
            self.close()
            self._open()
            return [] if self._file is None else _new_lines(self._file, most)
        return lines

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        begin, self._begin = self._begin, None
        if begin is not None and begin.inode:
            for path in (self._path, *audit_files(self._path)):
                with suppress(FileNotFoundError):
                    if os.stat(path).st_ino == begin.inode:
                        self._file = open(path, "rb")  # noqa: SIM115  (it stays open)
                        self._file.seek(begin.offset)
                        return
        with suppress(FileNotFoundError):
            self._file = open(self._path, "rb")  # noqa: SIM115  (the same)

    def _is_another(self) -> bool:
        assert self._file is not None
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False


def _new_lines(file: BinaryIO, most: int) -> list[AuditLine]:
    end = file.tell()
    status = os.fstat(file.fileno())
    if status.st_size < end:
        end = 0  # It was cut off, as by logrotate's copytruncate.
        file.seek(0)
    lines = []
    for text in file.readlines(most):
        if not text.endswith(b"\n"):
            file.seek(end)  # It is being written just now.
            break
        end += len(text)
        lines.append(AuditLine(text, AuditPosition(status.st_ino, end)))
    return lines
