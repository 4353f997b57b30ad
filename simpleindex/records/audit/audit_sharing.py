"""Copy this node's lines of the audit to the audit of all nodes. Blocking.

The file stays the first place, so that no change waits for the database, and no line is lost while it is away.
"""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from simpleindex.core.text import printable
from simpleindex.records.audit.audit import AUDIT_FILENAME
from simpleindex.records.audit.audit_tail import AuditTail
from simpleindex.system.log import logger
from simpleindex.system.ownership import make_directories, make_private

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.records.postgresql.audit import SharedAudit

NODE_FILENAME: Final = "node"
"""The file in the state directory with the name under which the lines of this node are kept."""

_log: Final = logger(__name__)


class AuditSharing:
    """Copies lines as they come, those of rotated files first; one process of a node does so."""

    def __init__(self, state_directory: str, shared: SharedAudit) -> None:
        self.shared = shared
        self._state_directory = state_directory
        self._path = os.path.join(state_directory, AUDIT_FILENAME)
        self._node = ""
        self._tail: AuditTail | None = None
        self._is_failing = False
        self._lock = threading.Lock()

    def share(self) -> None:
        """Copy what is new; what cannot be copied now is copied by a later call."""
        with self._lock:
            try:
                self._share()
            except OSError as error:
                # What was read and not added is read again.
                self.close_file()
                self._complain(error)
            else:
                if self._is_failing:
                    self._is_failing = False
                    _log.info("The audit is copied to {place} again.", place=self.shared.place)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other node record meanwhile what all nodes see; the lines of this node are copied before and after.

        Raises:
            OSError: The server is away, or refuses.
        """
        with self.shared.alone():
            self._copy()
            yield
            self._copy()

    def _copy(self) -> None:
        with self._lock:
            try:
                self._share()
            except OSError:
                self.close_file()
                raise

    def end(self) -> None:
        """Copy what the last moments have brought, and close the file and the connection."""
        if self._node and not self._is_failing:
            self.share()
        with self._lock:
            self.close_file()
        self.shared.close()

    def _share(self) -> None:
        self._node = self._node or self._read_node()
        if self._tail is None:
            self._tail = AuditTail(self._path, self.shared.position(self._node), whole=True)
        while lines := self._tail.read():
            self.shared.add(self._node, lines)

    def close_file(self) -> None:
        """Close the file; the next call goes on where the last one ended."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _read_node(self) -> str:
        path = os.path.join(self._state_directory, NODE_FILENAME)
        with suppress(FileNotFoundError), open(path, encoding="ascii", errors="replace") as file:
            if name := file.read(64).strip():
                return name
        make_directories(self._state_directory)
        make_private(path)
        name = secrets.token_hex(8)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{name}\n")
        return name

    def _complain(self, error: OSError) -> None:
        if not self._is_failing:
            self._is_failing = True
            _log.warn(
                "The audit cannot be copied to {place} now ({cause}): its lines stay in {path}, and are copied later.",
                place=self.shared.place,
                cause=error.strerror or str(error),
                path=printable(self._path),
            )
