"""Questions about the audit: which entries are of a project, a user, an event, a time. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from packaging.version import InvalidVersion

from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.names import parse_distribution_name
from simpleindex.core.parsing.version_texts import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simpleindex.core.names import ProjectName

_BEFORE_TIME: Final = len('{"time": "')
_TIME_LENGTH: Final = len("2026-11-28T00:00:00.000")


@dataclass(frozen=True, slots=True)
class AuditQuestion:
    """Which entries of the audit are looked for; all conditions must hold, and one that is None holds always.

    Attributes:
        since: Entries from this time on, seconds since 1970.
        until: Entries before this time.
        project: The project that they are about.
        user: The user, ``token:ID``, or the user of a command.
    """

    since: float | None = None
    until: float | None = None
    project: ProjectName | None = None
    version: str | None = None
    user: str | None = None
    events: frozenset[str] | None = None


def matching_entries(lines: Iterable[bytes], question: AuditQuestion) -> Iterator[dict[str, Any]]:
    """Go through the entries that are looked for.

    Args:
        lines: Lines of the audit; one that is cut off, or is none of ours, is passed over.
        question: Which entries.
    """
    since, until = _time_text(question.since), _time_text(question.until)
    marks = _marks(question)
    for line in lines:
        time = line[_BEFORE_TIME : _BEFORE_TIME + _TIME_LENGTH]
        if (since and time < since) or (until and time >= until):
            continue
        # As the audit writes it: most lines need not be parsed.
        if all(any(each in line for each in alternatives) for alternatives in marks):
            entry = read_entry(line)
            if entry is not None and _matches(entry, question):
                yield entry


def read_entry(line: bytes) -> dict[str, Any] | None:
    """Return the entry in a line of the audit, or None if the line is cut off or is none of ours."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        return None
    return entry if {"time", "event"} <= entry.keys() else None


def is_older(line: bytes, seconds: float) -> bool:
    """Tell whether a line of the audit is an entry from before a time, seconds since 1970."""
    entry = read_entry(line)
    return entry is not None and entry["time"].encode() < _time_text(seconds)


def users_of(entry: dict[str, Any]) -> set[str]:
    """Return the names by which the user of an entry may be looked for: also those of a command's user, and of a token."""
    who = entry.get("who", "")
    users = {who, *who.removeprefix("command:").split(" for ")}
    if "token" in entry:
        users.add(f"token:{entry['token']}")
    return users - {""}


def _time_text(seconds: float | None) -> bytes:
    if seconds is None:
        return b""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:_TIME_LENGTH].encode()


def _marks(question: AuditQuestion) -> list[list[bytes]]:
    """Return groups of texts: a line that is looked for has at least one of each group."""
    marks = []
    if question.project is not None:
        marks.append([f'"project": "{question.project}"'.encode()])
    if question.events is not None:
        marks.append([f'"event": {json.dumps(each)}'.encode() for each in sorted(question.events)])
    if question.user is not None:
        marks.append([json.dumps(question.user.removeprefix("token:"))[1:-1].encode()])
    return marks


def _matches(entry: dict[str, Any], question: AuditQuestion) -> bool:
    return (
        (question.project is None or entry.get("project") == question.project)
        and (question.events is None or entry["event"] in question.events)
        and (question.user is None or question.user in users_of(entry))
        and (question.version is None or _is_of_version(entry, question.version))
    )


def _is_of_version(entry: dict[str, Any], version: str) -> bool:
    try:
        stated = entry.get("version") or parse_distribution_name(entry.get("filename", "")).version
        return parse_version(stated) == parse_version(version)
    except (InvalidVersion, SimpleIndexError):
        return False
