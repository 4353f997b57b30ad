"""Check at the start that the records are there, or make them. Blocking."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import RefusedStart
from simpleindex.core.text import printable
from simpleindex.records.audit.audit import AUDIT_FILENAME, Audit
from simpleindex.records.audit.audit_files import audit_lines
from simpleindex.records.database import RECORDS_FILENAME, RecordsDatabase
from simpleindex.records.lost_records import (
    BEGUN,
    AuditEvidence,
    RecordsCondition,
    evidence_of,
    judge_condition,
)
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from simpleindex.records.interface import Records, RecordsTransaction

_log = logger(__name__)


def condition_of(state_directory: str) -> RecordsCondition:
    """Return what a state directory is; the audit is read only if there are no records.

    Raises:
        OSError: It cannot be seen.
    """
    return _judged(state_directory)[0]


def begin_shared_records(records: Records) -> None:
    """Bring a database server's records up to this release, and follow its changes; one that is away is followed once it is back.

    Raises:
        RefusedStart: A newer release has changed them.
    """
    try:
        records.prepare()
    except OSError as error:
        # Requests that need them are answered with 503 until they can be opened.
        records.unavailable(error)
    records.follow()


def initialize_records(state_directory: str, *, anew: bool) -> None:
    """Make the records where there are none yet.

    Args:
        state_directory: Where they are.
        anew: Whether it is meant that lost records are not restored. The names in the audit stay used.

    Raises:
        RefusedStart: They are lost, and no option confirms that this is intended.
        OSError: They cannot be made.
        sqlite3.Error: The same.
    """
    beginning, evidence = _judged(state_directory)
    if beginning is RecordsCondition.PRESENT:
        return
    path = printable(os.path.join(state_directory, RECORDS_FILENAME))
    if beginning is RecordsCondition.LOST and not anew:
        raise RefusedStart(
            f"{path} is empty or gone, and the audit beside it shows that it had tokens, owners or names. Restore it from a "
            "backup, or start once with --new-records to begin anew without those tokens and owners."
        )
    names = sorted(evidence.names)

    def fill(transaction: RecordsTransaction) -> None:
        transaction.executemany(
            "INSERT INTO used_names VALUES (?) ON CONFLICT DO NOTHING", [(name,) for name in names]
        )

    database = RecordsDatabase(state_directory)
    try:
        database.writer.write(fill)
    finally:
        database.close()
    audit = Audit(state_directory)
    audit.record(
        AuditEntry(
            BEGUN, detail="anew: those before were lost" if beginning is RecordsCondition.LOST else None
        )
    )
    audit.close()
    if beginning is RecordsCondition.LOST:
        _log.info(
            "The records {path} begin anew, without the tokens and owners of before. The {count} names of your own projects "
            "that the audit has stay used.",
            path=path,
            count=len(names),
        )


def _judged(state_directory: str) -> tuple[RecordsCondition, AuditEvidence]:
    try:
        size: int | None = os.stat(os.path.join(state_directory, RECORDS_FILENAME)).st_size
    except FileNotFoundError:
        size = None
    evidence = (
        AuditEvidence() if size else evidence_of(audit_lines(os.path.join(state_directory, AUDIT_FILENAME)))
    )
    return judge_condition(size, evidence), evidence
