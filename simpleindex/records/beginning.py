"""Check at the start that the records are there, or make them. Blocking."""

from __future__ import annotations

import glob
import gzip
import os
from typing import TYPE_CHECKING

from simpleindex.core.errors import RefusedStart
from simpleindex.core.names import printable
from simpleindex.records.audit import Audit
from simpleindex.records.database import RecordsFile
from simpleindex.records.lost_records import BEGUN, AuditEvidence, Beginning, evidence_of, judge_beginning

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

RECORDS: str = "records.sqlite3"
_TIMEOUT = 10.0  # seconds


def beginning_of(state_directory: str) -> Beginning:
    """Return what a state directory is; the audit is read only if there are no records.

    Raises:
        OSError: It cannot be seen.
    """
    return _judged(state_directory)[0]


def begin_records(state_directory: str, *, anew: bool, log: Callable[[str], None]) -> None:
    """Make the records where there are none yet.

    Args:
        state_directory: Where they are.
        anew: Whether it is meant that lost records are not restored. The names in the audit stay used.
        log: Takes a sentence for the operator.

    Raises:
        RefusedStart: They are lost, and it is not said that this is meant.
        OSError: They cannot be made.
        sqlite3.Error: The same.
    """
    beginning, evidence = _judged(state_directory)
    if beginning is Beginning.KNOWN:
        return
    path = printable(os.path.join(state_directory, RECORDS))
    if beginning is Beginning.LOST and not anew:
        raise RefusedStart(
            f"{path} is empty or gone, and the audit beside it tells of tokens, owners and names in it. Restore it from a "
            "backup; or start once with --new-records to begin anew, without those tokens and owners."
        )
    names = sorted(evidence.names)

    def fill(connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT OR IGNORE INTO used_names VALUES (?)", [(name,) for name in names])

    records = RecordsFile(os.path.join(state_directory, RECORDS), _TIMEOUT)
    try:
        records.write(fill)
    finally:
        records.close()
    audit = Audit(state_directory, log)
    audit.record(BEGUN, detail="anew: those before were lost" if beginning is Beginning.LOST else None)
    audit.close()
    if beginning is Beginning.LOST:
        log(
            f"The records {path} begin anew, without the tokens and owners of before. The {len(names)} names of your own "
            "that the audit tells of stay used."
        )


def _judged(state_directory: str) -> tuple[Beginning, AuditEvidence]:
    try:
        size: int | None = os.stat(os.path.join(state_directory, RECORDS)).st_size
    except FileNotFoundError:
        size = None
    evidence = AuditEvidence() if size else evidence_of(_audit_lines(state_directory))
    return judge_beginning(size, evidence), evidence


def _audit_lines(state_directory: str) -> Iterator[bytes]:
    """Every line of the audit, also of what was rotated away from it."""
    for path in sorted(glob.glob(os.path.join(glob.escape(state_directory), "audit.jsonl*"))):
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            yield from file
