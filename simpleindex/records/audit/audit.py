"""The audit: who changed what and who failed to log in, one JSON object a line, in ``audit.jsonl`` in the state directory.

Lines are only appended, each in one write, so several processes share the file. To rotate it, rename it; the next line goes
to a new file.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from simpleindex.core.text import printable
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import logger
from simpleindex.system.ownership import make_directories, make_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.core.audit_entry import AuditEntry

_log = logger(__name__)

AUDIT_FILENAME: Final = "audit.jsonl"
"""Its name in the state directory."""

_LONGEST_TEXT: Final = 1000
"""Characters of one value; clients choose some of them."""


class Audit:
    """The file; usable from any thread. A failure to write is logged once until a line can be written again.

    Args:
        state_directory: Its directory; made if it is missing.
        now: The time, seconds since 1970.
    """

    def __init__(self, state_directory: str, now: Callable[[], float] = time.time) -> None:
        self.path = os.path.join(state_directory, AUDIT_FILENAME)
        self._now = now
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._failing = False

    def record(self, entry: AuditEntry) -> bool:
        """Append one line, with the time; return whether it was written."""
        fields = {
            "time": datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds"),
            **asdict(entry),
        }
        # ASCII only: a reader that ends lines at U+2028, or a terminal, is not led astray either.
        line = json.dumps({key: _bounded(value) for key, value in fields.items() if value is not None})
        with self._lock:
            try:
                self._append(f"{line}\n".encode())
            except OSError as error:
                self._close()
                self._complain(error)
                return False
            self._failing = False
            return True

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        with self._lock:
            self._close()

    def _append(self, data: bytes) -> None:
        descriptor = self._opened()
        # A line that another process is writing just now would look cut off.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                # A full disk, here or in another process, has cut the last line off.
                data = b"\n" + data
            written = os.write(descriptor, data)
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        if written < len(data):
            raise OSError(0, "only part of the line was written")

    def _opened(self) -> int:
        if self._descriptor is not None:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.lstat(self.path), os.fstat(self._descriptor)):
                    return self._descriptor
            self._close()
        make_directories(os.path.dirname(self.path))
        make_private(self.path)
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(self.path, flags)
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _complain(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            _log.error(
                "The audit {path} cannot be written ({cause}), so nothing is recorded there: {remedy}",
                path=printable(self.path),
                cause=error.strerror,
                remedy=trouble_of(error, self.path).remedy,
            )


def _bounded(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
