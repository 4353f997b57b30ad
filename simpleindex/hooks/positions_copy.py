"""Copy how far each hook has read the audit, between a state directory and PostgreSQL, once the audit is copied. Blocking."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from simpleindex.hooks.positions import read_positions, write_positions
from simpleindex.records.audit.audit import AUDIT_FILENAME
from simpleindex.records.audit.audit_tail import AuditPosition, AuditTail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.records.audit.audit_tail import AuditLine
    from simpleindex.records.postgresql.audit import SharedAudit


def copy_positions_from_file(directory: str, target: SharedAudit) -> int:
    """Copy the positions of the hooks of a state directory, whose lines are the last ones there; return their number.

    Raises:
        OSError: The server is away, or a file cannot be read.
    """
    positions = read_positions(directory)
    for hook, position in positions.items():
        new = sum(target.entry_of(line.text) is not None for line in _lines(directory, position))
        target.save_hook_position(hook, target.number_before(new))
    return len(positions)


def copy_positions_to_file(source: SharedAudit, directory: str) -> int:
    """Write positions of hooks into a state directory, which has the lines of all nodes in the order of time; return their number.

    Of lines that came late from their node some may be delivered twice; none is passed over.

    Raises:
        OSError: The server is away, or a file cannot be read or written.
    """
    before = {hook: source.lines_before_new(number) for hook, number in source.hook_positions().items()}
    if before:
        ends = dict(enumerate((line.end for line in _lines(directory)), 1))
        # A position without a file is that before the first line of the current one.
        write_positions(directory, {hook: ends.get(each, AuditPosition()) for hook, each in before.items()})
    return len(before)


def _lines(directory: str, begin: AuditPosition | None = None) -> Iterator[AuditLine]:
    """Yield the lines of an audit behind a place; without one all."""
    tail = AuditTail(os.path.join(directory, AUDIT_FILENAME), begin or AuditPosition(), whole=begin is None)
    try:
        while lines := tail.read():
            yield from lines
    finally:
        tail.close()
