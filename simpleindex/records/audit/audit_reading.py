"""Read the latest entries of the audit: those about a project, and those about some kinds of events. Blocking."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from simpleindex.records.audit.audit_questions import AuditQuestion, is_older, matching_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.core.names import ProjectName
    from simpleindex.records.audit.audited_uploads import SharedLines

_RECENT: Final = 1024 * 1024
_LATEST: Final = 16 * _RECENT

_FIRST_LOOK: Final = 16 * 1024
"""Bytes before the end of the audit in which most lines of the last minutes are."""

_DISORDER_SECONDS: Final = 60.0
"""By which a line may be older than one before it: processes write when they come to it, with the time of before."""


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
    yield from _entries(path, question, since, _RECENT)


def latest_entries(path: str, since: float, events: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Go through the latest entries about some kinds of events, as far as they are in the last 16 MiB of the current file.

    Args:
        path: The audit; one that is missing or cannot be read has nothing.
        since: The time, seconds since 1970.
        events: The kinds of events.
    """
    return _entries(path, AuditQuestion(since=since, events=events), since, _LATEST)


def _entries(path: str, question: AuditQuestion, since: float, most: int) -> Iterator[dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            file.seek(_place_before(file, since - _DISORDER_SECONDS, most))
            yield from matching_entries(file, question)
    except OSError:
        return


def _place_before(file: BinaryIO, since: float, most: int) -> int:
    """Return a place before all lines of a time, or so many bytes before the end; an audit is long, and what is looked for at its end."""
    size = os.fstat(file.fileno()).st_size
    reach = _FIRST_LOOK
    while reach < min(size, most):
        file.seek(size - reach)
        file.readline()
        if is_older(file.readline(), since):
            return size - reach
        reach *= 4
    return max(0, size - most)
