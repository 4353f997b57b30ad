"""One line for each thing that is withheld: once, and not while it may only be half-written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.core.model import Withheld

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.logger import Logger

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.scan.snapshot import ProjectSnapshot


class WithheldLog:
    """Remembers what was logged of each project."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._logged: dict[ProjectName, frozenset[str]] = {}

    def forget(self, names: Iterable[ProjectName]) -> None:
        """Forget what was logged of projects of which everything is offered."""
        if self._logged:
            for name in names:
                self._logged.pop(name, None)

    def tell(self, name: ProjectName, snapshot: ProjectSnapshot) -> None:
        """Log what a project withholds, as far as it is new."""
        reasons = {item.reason for item in snapshot.project.withheld} if snapshot.project else set()
        unfinished = {
            known.outcome.reason
            for known in map(snapshot.known.__getitem__, snapshot.known.withheld)
            if isinstance(known.outcome, Withheld) and known.unfinished and known.young
        }
        if snapshot.trouble:
            reason = f"{name} cannot be answered for: {snapshot.trouble}"
            reasons.add(reason)
            if snapshot.young and snapshot.is_file_broken:
                # An editor makes it before it writes it; if it stays so the next look says it.
                unfinished.add(reason)
        before = self._logged.pop(name, frozenset())
        for reason in sorted(reasons - before - unfinished):
            self._log.warn("{reason}", reason=reason)
        if logged := frozenset(reasons - unfinished):
            self._logged[name] = logged
