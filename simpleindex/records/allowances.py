"""Allowances, which exempt projects from the rules for a time, a table of the records."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simpleindex.core.names import ProjectName
from simpleindex.policy.judgement import Allowance

if TYPE_CHECKING:
    from simpleindex.records.interface import Records, RecordsTransaction


class AllowanceTable:
    """The allowances; usable from any thread."""

    def __init__(self, database: Records) -> None:
        self._database = database

    def add(self, allowance: Allowance) -> None:
        """Add an allowance; it replaces one for the same project and version."""

        def allow(transaction: RecordsTransaction) -> None:
            transaction.execute(
                "INSERT INTO allowances VALUES (?, ?, ?, ?, ?) ON CONFLICT (project, version) "
                "DO UPDATE SET until = excluded.until, who = excluded.who, reason = excluded.reason",
                (
                    allowance.name,
                    allowance.version or "",
                    math.ceil(allowance.until),
                    allowance.by,
                    allowance.reason,
                ),
            )

        self._database.write(allow)

    def remove(self, name: ProjectName, version: str | None) -> bool:
        """Remove an allowance; return whether there was one."""

        def disallow(transaction: RecordsTransaction) -> bool:
            sentence = "DELETE FROM allowances WHERE project = ? AND version = ?"
            return transaction.execute(sentence, (name, version or "")).rowcount > 0

        return self._database.write(disallow)

    def active(self, now: float) -> tuple[Allowance, ...]:
        """Return the allowances that have not ended, the one that ends first at the beginning."""
        rows = self._database.read(
            "SELECT project, version, until, who, reason FROM allowances WHERE until > ? ORDER BY until, project, version",
            (now,),
            table="allowances",
        )
        return tuple(
            Allowance(ProjectName(name), version or None, float(until), by, reason)
            for name, version, until, by, reason in rows
        )
