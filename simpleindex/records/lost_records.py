"""Decide whether a state directory without records is new or has lost them, so that no deleted name is given to upstreams."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.names import ProjectName, parse_project_name

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGUN: Final = "records-begun"
"""The event of the audit that says that records were made."""

_WRITTEN: Final = frozenset(
    {BEGUN, "token-created", "token-revoked", "upload", "upload-again", "allowance-given", "allowance-ended"}
)
"""Events after which there are records: of a token, an owner or an allowance."""

_OWN: Final = frozenset(
    {"upload", "upload-again", "yank", "unyank", "delete", "undelete", "restore", "free", "status", "copy"}
)
"""Events of projects that lie, or lay, in a local directory."""


class RecordsCondition(Enum):
    """What a state directory is."""

    NEW = "new"
    """No server has used it."""
    PRESENT = "present"
    """It has records."""
    LOST = "lost"
    """It had records, and they are gone."""


@dataclass(frozen=True, slots=True)
class AuditEvidence:
    """The traces of records in an audit that belongs to them.

    Attributes:
        is_there: Whether there is a line at all.
        had_records: Whether something was done that is kept in records.
        names: Projects that are, or were, in local directories.
    """

    is_there: bool = False
    had_records: bool = False
    names: frozenset[ProjectName] = frozenset()


def evidence_of(lines: Iterable[bytes]) -> AuditEvidence:
    """Return the traces of records in an audit; lines that are cut off or not written by this program are skipped."""
    is_there = had_records = False
    names = set()
    for line in lines:
        is_there = True
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        event = str(found.get("event")) if isinstance(found, dict) else None
        had_records = had_records or event in _WRITTEN
        if event in _OWN and isinstance(found.get("project"), str):
            try:
                names.add(parse_project_name(found["project"]))
            except InvalidProjectName:
                continue
    return AuditEvidence(is_there, had_records, frozenset(names))


def judge_condition(records_size: int | None, evidence: AuditEvidence) -> RecordsCondition:
    """Return what a state directory is.

    Args:
        records_size: Bytes of the records; None if there are none.
        evidence: What the audit beside them tells.
    """
    if records_size:
        return RecordsCondition.PRESENT
    # An empty file is made only for the records, by the process that then fills it.
    is_lost = evidence.had_records or (records_size == 0 and evidence.is_there)
    return RecordsCondition.LOST if is_lost else RecordsCondition.NEW
