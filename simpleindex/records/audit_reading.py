"""Read what the audit has of a project: who uploaded its files. Blocking."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.core.names import ProjectName

_MOST: Final = 64 * 1024 * 1024
"""Bytes that are read from the end of the audit: some 200,000 lines, in a tenth of a second."""

_UPLOADS: Final = frozenset({"upload", "copy"})


@dataclass(frozen=True, slots=True)
class UploadNote:
    """Who uploaded a file.

    Attributes:
        who: The user, or ``token:ID`` for a token without one.
        time: As the audit has it, RFC 3339 in UTC.
    """

    who: str
    time: str


def uploads_of(path: str, name: ProjectName) -> dict[str, UploadNote]:
    """Return who uploaded the files of a project, by file name.

    Args:
        path: The audit; one that is missing or cannot be read has nothing.
        name: The project.
    """
    notes: dict[str, UploadNote] = {}
    for entry in _entries(path, name):
        filename, who = entry.get("filename"), entry.get("who") or f"token:{entry.get('token')}"
        if entry.get("event") in _UPLOADS and isinstance(filename, str):
            notes[filename] = UploadNote(str(who), str(entry.get("time", "")))
    return notes


def _entries(path: str, name: ProjectName) -> Iterator[dict[str, object]]:
    """Go through the entries about a project; a line that is cut off, or is none of ours, is passed over."""
    # As the audit writes it; other lines need not be parsed.
    mark = f'"project": {json.dumps(name)}'.encode()
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _MOST))
            for line in file:
                if mark in line:
                    try:
                        entry = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(entry, dict) and entry.get("project") == name:
                        yield entry
    except OSError:
        return
