"""Whether the databases of the server are whole: records, counts, caches. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from posixpath import basename
from typing import TYPE_CHECKING, Final

from simpleindex.core.text import printable
from simpleindex.diagnosis.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RECORDS: Final = "records.sqlite3"


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """A database file.

    Attributes:
        is_cache: Whether it can be rebuilt.
        damage: What SQLite says of it; None if it is whole.
    """

    path: str
    is_cache: bool
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class RecordsFacts:
    """The records, wherever they are.

    Attributes:
        is_lost: Whether the file is gone, although the audit shows that there was something in it.
        refusal: Why a PostgreSQL server cannot be used, as a sentence; None if it can, or there is none.
    """

    is_lost: bool
    state: str
    refusal: str | None = None


def judge_databases(databases: Sequence[DatabaseFacts]) -> Iterator[Finding]:
    """Yield the databases that are damaged."""
    for each in databases:
        if each.damage is None:
            continue
        path = shlex.quote(each.path)
        sentence = f"{printable(each.path)} is damaged ({each.damage})"
        if each.is_cache:
            yield Finding(
                Severity.WARNING,
                f"{sentence}; what is in it is made anew without it.",
                f"rm -f {path} {path}-wal {path}-shm",
            )
        elif basename(each.path) == RECORDS:
            yield Finding(
                Severity.ERROR,
                f"{sentence}; tokens, owners and names are in it.",
                "simpleindex restore --force BACKUP",
            )
        else:
            yield Finding(
                Severity.ERROR, f"{sentence}; without it the counts begin anew.", f"mv {path} {path}.damaged"
            )


def judge_records(records: RecordsFacts) -> Iterator[Finding]:
    """Yield a finding if the records are lost or out of reach."""
    if records.is_lost:
        sentence = (
            f"{printable(f'{records.state}/{RECORDS}')} is empty or gone, and the audit beside it shows that it had something in it: the "
            "server does not start."
        )
        yield Finding(Severity.ERROR, sentence, "simpleindex restore --force BACKUP")
    if records.refusal is not None:
        yield Finding(Severity.ERROR, f"The database of --records cannot be used: {records.refusal}")
