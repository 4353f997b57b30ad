"""Find who uploaded the files of a project: the audit is read once for all projects, and later only what was added. Blocking."""

from __future__ import annotations

import os
import re
import threading
from array import array
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from zlib import crc32

from cachetools import LRUCache

from simpleindex.records.audit.audit_questions import AuditQuestion, matching_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from simpleindex.core.names import ProjectName

    SharedLines = Callable[[AuditQuestion], Iterable[bytes]]

_MOST: Final = 64 * 1024 * 1024
"""Bytes that are read from the end of the audit: some 300,000 lines, in a quarter of a second. Of those the places of uploads are kept,
with 12 bytes each: 4 MB at most."""

_MOST_NOTES: Final = 20_000
"""Notes of the projects that were requested last, which are kept too: some 5 MB."""

_BEGINNING: Final = 40
"""Bytes by which a file is recognized beside its number, which another one may get: the time of its first line."""

_UPLOADS: Final = frozenset({"upload", "copy"})

_UPLOAD: Final = re.compile(rb'"event": "(?:upload|copy)"')
_PROJECT: Final = re.compile(rb'"project": "([^"]+)"')


@dataclass(frozen=True, slots=True)
class UploadNote:
    """Who uploaded a file.

    Attributes:
        who: The user, or ``token:ID`` for a token without one.
        time: As the audit has it, RFC 3339 in UTC.
    """

    who: str
    time: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """Notes of a project, good as long as it has so many lines."""

    places: int
    notes: Mapping[str, UploadNote]


class AuditedUploads:
    """The uploads in the audit; usable from any thread.

    Args:
        path: The audit; one that is missing or cannot be read has nothing.
        shared: Returns lines of all nodes; used in place of the file where they are available.
    """

    def __init__(self, path: str, shared: SharedLines | None = None) -> None:
        self._path = path
        self._shared = shared
        self._lock = threading.Lock()
        self._lines: _UploadLines | None = None
        self._kept: LRUCache[ProjectName, _Kept] = LRUCache(_MOST_NOTES, lambda kept: 1 + len(kept.notes))

    def of(self, name: ProjectName) -> Mapping[str, UploadNote]:
        """Return who uploaded the files of a project, by file name."""
        question = AuditQuestion(project=name, events=_UPLOADS)
        if self._shared is not None:
            with suppress(OSError):
                return _upload_notes(matching_entries(self._shared(question), question))
        try:
            with open(self._path, "rb") as file, self._lock:
                return self._notes(file, question, name)
        except OSError:
            return {}

    def _notes(self, file: BinaryIO, question: AuditQuestion, name: ProjectName) -> Mapping[str, UploadNote]:
        if self._lines is None or not self._lines.are_of(file):
            self._lines = _UploadLines(file)
            self._kept.clear()
        self._lines.catch_up(file)
        places = self._lines.places_of(name)
        kept = self._kept.get(name)
        if kept is not None and kept.places == len(places):
            return kept.notes
        notes = _upload_notes(matching_entries(_lines_at(file, places), question))
        if len(notes) < _MOST_NOTES:
            self._kept[name] = _Kept(len(places), notes)
        return notes


class _UploadLines:
    """The places of the lines of uploads in a file, as far as these are in the last :data:`_MOST` bytes of it."""

    def __init__(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        self._inode, self._beginning = status.st_ino, _beginning(file)
        self._begin = self._end = max(0, status.st_size - _MOST)
        self._places = array("Q")
        self._marks = bytearray()
        """Of each line a checksum of its project, 4 bytes."""
        if self._begin:
            file.seek(self._begin)
            self._end += len(file.readline())

    def are_of(self, file: BinaryIO) -> bool:
        """Return whether these are the places of a file, and begin not much before the bytes that count."""
        status = os.fstat(file.fileno())
        return (
            status.st_ino == self._inode
            and self._end <= status.st_size <= self._begin + _MOST + _MOST // 4
            and (not self._beginning or _beginning(file) == self._beginning)
        )

    def catch_up(self, file: BinaryIO) -> None:
        """Look at what was added to the file."""
        file.seek(self._end)
        for line in file:
            if not line.endswith(b"\n"):
                break  # It is being written just now.
            if _UPLOAD.search(line) and (project := _PROJECT.search(line)):
                self._places.append(self._end)
                self._marks += _mark(project[1])
            self._end += len(line)

    def places_of(self, name: ProjectName) -> list[int]:
        """Return where lines of a project begin, and few of others."""
        mark, places = _mark(name.encode()), []
        at = self._marks.find(mark)
        while at >= 0:
            # Between two checksums there is another one.
            if not at % len(mark):
                places.append(self._places[at // len(mark)])
            at = self._marks.find(mark, at + 1)
        return places


def _mark(project: bytes) -> bytes:
    return crc32(project).to_bytes(4)


def _beginning(file: BinaryIO) -> bytes:
    return os.pread(file.fileno(), _BEGINNING, 0)


def _lines_at(file: BinaryIO, places: Iterable[int]) -> Iterator[bytes]:
    for place in places:
        file.seek(place)
        yield file.readline()


def _upload_notes(entries: Iterable[dict[str, Any]]) -> dict[str, UploadNote]:
    notes: dict[str, UploadNote] = {}
    for entry in entries:
        filename, who = entry.get("filename"), entry.get("who") or f"token:{entry.get('token')}"
        if filename is not None:
            notes[filename] = UploadNote(str(who), str(entry.get("time", "")))
    return notes
