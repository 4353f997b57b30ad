"""Read what the audit has of a project: who uploaded its files, and what happened lately. Blocking."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from simpleindex.records.audit.audit_questions import AuditQuestion, matching_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from simpleindex.core.names import ProjectName

    SharedLines = Callable[[AuditQuestion], Iterable[bytes]]

_MOST: Final = 64 * 1024 * 1024
"""Bytes that are read from the end of the audit: some 200,000 lines, in a tenth of a second."""

_RECENT: Final = 1024 * 1024

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


def uploads_of(path: str, name: ProjectName, shared: SharedLines | None = None) -> dict[str, UploadNote]:
    """Return who uploaded the files of a project, by file name.

    Args:
        path: The audit; one that is missing or cannot be read has nothing.
        name: The project.
        shared: Returns lines of all nodes; used in place of the file where they are available.
    """
    question = AuditQuestion(project=name, events=_UPLOADS)
    if shared is not None:
        with suppress(OSError):
            return _upload_notes(matching_entries(shared(question), question))
    return _upload_notes(_entries(path, question, _MOST))


def _upload_notes(entries: Iterable[dict[str, Any]]) -> dict[str, UploadNote]:
    notes: dict[str, UploadNote] = {}
    for entry in entries:
        filename, who = entry.get("filename"), entry.get("who") or f"token:{entry.get('token')}"
        if filename is not None:
            notes[filename] = UploadNote(str(who), str(entry.get("time", "")))
    return notes


def recent_entries(
    path: str, name: ProjectName, since: float, shared: SharedLines | None = None
) -> Iterator[dict[str, Any]]:
    """Go through the latest entries about a project: those of all nodes, and those in the last MiB of the current file.

    Args:
        path: The audit; one that is missing or cannot be read has nothing.
        name: The project.
        since: The time, seconds since 1970.
        shared: Returns lines of all nodes, as far as they are available.
    """
    question = AuditQuestion(since=since, project=name)
    if shared is not None:
        with suppress(OSError):
            yield from matching_entries(shared(question), question)
    yield from _entries(path, question, _RECENT)


def latest_entries(path: str, since: float, events: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Go through the latest entries about some kinds of events, as far as they are in the last 16 MiB of the current file.

    Args:
        path: The audit; one that is missing or cannot be read has nothing.
        since: The time, seconds since 1970.
        events: The kinds of events.
    """
    return _entries(path, AuditQuestion(since=since, events=events), 16 * _RECENT)


def _entries(path: str, question: AuditQuestion, most: int) -> Iterator[dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - most))
            yield from matching_entries(file, question)
    except OSError:
        return
