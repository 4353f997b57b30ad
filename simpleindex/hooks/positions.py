"""How far each hook has read the audit, in ``hooks.json`` in the state directory. Blocking."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from simpleindex.records.audit.audit import AUDIT_FILENAME
from simpleindex.records.audit.audit_tail import AuditPosition, AuditTail, end_of_audit
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POSITIONS_FILENAME: Final = "hooks.json"

_log: Final = logger(__name__)


class NewLine(Protocol):
    """A new line of an audit."""

    @property
    def text(self) -> bytes:
        """The line."""
        ...

    @property
    def end(self) -> Any:
        """The place behind it."""
        ...


class NewLines(Protocol):
    """New lines of an audit as one hook reads them."""

    def read(self, most: int) -> Sequence[NewLine]:
        """Return lines that were added since, up to some bytes.

        Raises:
            OSError: The audit cannot be read.
        """
        ...

    def close(self) -> None:
        """Read no more."""
        ...


class Positions(Protocol):
    """How far each hook has read an audit: that of this server, or that of all nodes."""

    def tail(self, name: str) -> NewLines:
        """Return what a hook reads: from where it ended; a new hook reads what is new."""
        ...

    def save(self, name: str, position: Any) -> None:
        """Note how far a hook has read."""
        ...

    def keep_only(self, names: frozenset[str]) -> None:
        """Forget hooks that are not in the file any more."""
        ...


class HookPositions:
    """The positions of all hooks; usable from any thread. One that cannot be written costs that events are sent twice."""

    def __init__(self, state_directory: str) -> None:
        self._audit = os.path.join(state_directory, AUDIT_FILENAME)
        self._path = os.path.join(state_directory, POSITIONS_FILENAME)
        self._directory = state_directory
        self._lock = threading.Lock()
        self._positions = dict(read_positions(state_directory))
        self._is_failing = False

    def tail(self, name: str) -> AuditTail:
        """Return what a hook reads of the audit: from where it ended; a new hook reads what is new."""
        if name not in self._positions:
            self.save(name, end_of_audit(self._audit))
        return AuditTail(self._audit, self._positions[name])

    def save(self, name: str, position: AuditPosition) -> None:
        """Note how far a hook has read."""
        with self._lock:
            self._positions[name] = position
            try:
                write_positions(self._directory, self._positions)
                self._is_failing = False
            except OSError as error:
                if not self._is_failing:
                    self._is_failing = True
                    _log.error(
                        "{path} cannot be written ({cause}): after a restart hooks are notified again of what they have.",
                        path=self._path,
                        cause=error.strerror,
                    )

    def keep_only(self, names: frozenset[str]) -> None:
        """Forget hooks that are not in the file any more."""
        with self._lock:
            self._positions = {name: each for name, each in self._positions.items() if name in names}


def read_positions(state_directory: str) -> Mapping[str, AuditPosition]:
    """Return the positions of all hooks that are saved; a file that is damaged has none."""
    try:
        with open(os.path.join(state_directory, POSITIONS_FILENAME), "rb") as file:
            return {
                name: AuditPosition(int(inode), int(offset), str(beginning))
                for name, (inode, offset, beginning) in json.load(file).items()
            }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_positions(state_directory: str, positions: Mapping[str, AuditPosition]) -> None:
    """Save positions of hooks in place of those that are saved.

    Raises:
        OSError: They cannot be written.
    """
    path = os.path.join(state_directory, POSITIONS_FILENAME)
    places = {name: [each.inode, each.offset, each.beginning] for name, each in positions.items()}
    aside = f"{path}.new"
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        json.dump(places, file)
    os.replace(aside, path)
