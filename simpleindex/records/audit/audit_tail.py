"""New lines of the audit as they come, through rotations, and from where another reader has ended. Blocking."""

from __future__ import annotations

import lzma
import os
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedReader
from typing import TYPE_CHECKING, BinaryIO, Final

from simpleindex.records.audit.audit_files import audit_files, open_audit_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_LINE: Final = 64 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class AuditPosition:
    """A place between two lines of the audit.

    Attributes:
        inode: The number of the file, which it keeps when it is renamed; 0 for whichever is the current file.
        offset: Bytes before the place, not compressed.
        beginning: A digest of the file's first line, by which it is recognized when it was compressed or copied; empty while it has none.
    """

    inode: int = 0
    offset: int = 0
    beginning: str = ""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A new line of the audit."""

    text: bytes
    end: AuditPosition


def end_of_audit(path: str) -> AuditPosition:
    """Return the place behind all that is there."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            return AuditPosition(status.st_ino, status.st_size, _beginning(file))
    except OSError:
        return AuditPosition()


class AuditTail:
    """New lines of the audit, read as they come, also when the file is rotated and compressed meanwhile.

    Args:
        path: The current file, which may not be there yet.
        begin: Where to begin. If its file is gone, reading begins with the first line of the current one.
        whole: Whether it begins with the first line of the oldest one instead.
    """

    def __init__(self, path: str, begin: AuditPosition = AuditPosition(), *, whole: bool = False) -> None:
        self._path = path
        self._whole = whole
        self._begin: AuditPosition | None = begin
        self._file: BinaryIO | None = None
        self._beginning = ""
        self._is_compressed = False

    def read(self, most: int = 1 << 20) -> list[AuditLine]:
        """Return lines that were added since; call again until there are none.

        Args:
            most: Bytes after which it is enough.

        Raises:
            OSError: The file cannot be read, or is damaged.
        """
        if self._file is None:
            self._open_first()
        while self._file is not None:
            lines = self._new_lines(self._file, most)
            if lines or (successor := self._successor(self._file)) is None:
                return lines
            # What was written before the file was rotated is read; go on with its successor.
            with suppress(FileNotFoundError):  # It was rotated once more meanwhile.
                self._open(successor)
        return []

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open_first(self) -> None:
        begin, self._begin = self._begin, None
        path = None if begin is None else self._path_of(begin)
        with suppress(FileNotFoundError):
            self._open(self._first_path() if path is None else path)
            if path is not None and begin is not None and self._file is not None:
                # An older copy of the file is shorter, and all of it was read.
                end = begin.offset if self._is_compressed else os.fstat(self._file.fileno()).st_size
                self._file.seek(min(begin.offset, end))

    def _first_path(self) -> str:
        return next(iter(audit_files(self._path)), self._path) if self._whole else self._path

    def _path_of(self, position: AuditPosition) -> str | None:
        """Return where the file of a position is now; None if it is gone."""
        if not position.inode:
            return None
        files = [*dict.fromkeys((self._path, *reversed(audit_files(self._path))))]
        for path in files:
            with suppress(FileNotFoundError):
                # The file system may have given the number of a removed file to another one.
                if os.stat(path).st_ino == position.inode and (
                    not position.beginning or _beginning_of(path) == position.beginning
                ):
                    return path
        return next(self._paths_beginning(position.beginning, files), None)

    @staticmethod
    def _paths_beginning(beginning: str, files: list[str]) -> Iterator[str]:
        return (path for path in files if beginning and _beginning_of(path) == beginning)

    def _open(self, path: str) -> None:
        self.close()
        self._file = open_audit_file(path)
        self._is_compressed = not isinstance(self._file, BufferedReader)
        self._beginning = ""

    def _successor(self, file: BinaryIO) -> str | None:
        """Return the file that was begun after an open one; None if that is the newest."""
        here = os.fstat(file.fileno())
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self._path), here):
                return None
        files = audit_files(self._path)
        at = next((number for number, path in enumerate(files) if _is_file(path, here)), None)
        if at is None:
            # It was compressed or removed while it was open.
            same = next(self._paths_beginning(self._beginning, files), None)
            if same is None:
                return self._path if self._path in files else None
            at = files.index(same)
        return files[at + 1] if at + 1 < len(files) else None

    def _new_lines(self, file: BinaryIO, most: int) -> list[AuditLine]:
        end, status = file.tell(), os.fstat(file.fileno())
        if not self._is_compressed and status.st_size < end:
            end = 0  # It was cut off, as by logrotate's copytruncate.
            file.seek(0)
            self._beginning = ""
        lines = []
        try:
            self._beginning = self._beginning or _beginning(file)
            for text in file.readlines(most):
                if not text.endswith(b"\n"):
                    file.seek(end)  # It is being written just now.
                    break
                end += len(text)
                lines.append(AuditLine(text, AuditPosition(status.st_ino, end, self._beginning)))
        except (EOFError, lzma.LZMAError) as error:
            raise OSError(0, f"a rotated file beside {self._path} is damaged ({error})") from None
        return lines


def _is_file(path: str, status: os.stat_result) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), status)
    return False


def _beginning_of(path: str) -> str:
    try:
        with open_audit_file(path) as file:
            return _beginning(file)
    except (OSError, EOFError, lzma.LZMAError):
        return ""


def _beginning(file: BinaryIO) -> str:
    """Return a digest of the first line, empty if there is none yet; the place in the file stays."""
    place = file.tell()
    file.seek(0)
    line = file.readline(_LONGEST_LINE)
    file.seek(place)
    return sha256(line).hexdigest()[:16] if line.endswith(b"\n") else ""
