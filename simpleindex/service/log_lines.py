"""Write log events as lines for people, and for the journal where systemd reads them.

Used in the foreground only. A daemon's log file, ``--syslog`` and ``--logger`` are twistd's own affair.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

from twisted.application.service import Service
from twisted.logger import FileLogObserver, ILogObserver, LogLevel, eventAsText, formatTime
from twisted.python.components import Componentized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.logger import LogEvent

# sd-daemon(3): a line's first three characters, from syslog's numbers.
_PRIORITIES: Final = {
    LogLevel.debug: "<7>",
    LogLevel.info: "<6>",
    LogLevel.warn: "<4>",
    LogLevel.error: "<3>",
    LogLevel.critical: "<2>",
}

_SPOKEN_BY_TWISTED: Final = ("twistd ", "Received SIG", "Server Shut Down")
"""Beginnings of Twisted's own information that an operator wants; the rest names objects and classes."""


class LoggedService(Service):
    """A service that brings the observer of its log.

    Attributes:
        observer: Writes the log; None where twistd's log is used.
    """

    observer: FileLogObserver | None = None

    def setServiceParent(self, parent: Any) -> None:
        """Join the application, and write the log in lines for people where twistd would log to the standard output."""
        super().setServiceParent(parent)
        if self.observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.observer)


def is_journal(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Tell whether systemd's journal reads a stream (``JOURNAL_STREAM``, systemd.exec(5))."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def line_of(event: LogEvent, *, journal: bool = False) -> str | None:
    """Return the text of an event with its line end; None for an event that is not logged.

    Args:
        event: What Twisted's logger passes to observers.
        journal: Whether the journal reads it, which has the time itself and takes the severity from the line's beginning.
    """
    if is_noise(event):
        return None
    text = eventAsText(event, includeTimestamp=False, includeSystem=False).rstrip()
    if not text:
        return None
    level = event.get("log_level") or LogLevel.info
    if event.get("isError") and level is LogLevel.info:
        level = LogLevel.critical
    if journal:
        # Each line of a traceback is an entry of its own there.
        return "".join(f"{_PRIORITIES[level]}{line}\n" for line in text.splitlines())
    time = formatTime(event.get("log_time"), timeFormat="%Y-%m-%dT%H:%M:%S%z")
    return f"{time} {level.name}: " + text.replace("\n", "\n\t") + "\n"


def foreground_observer(environ: Mapping[str, str], stream: TextIO | None = None) -> FileLogObserver:
    """Make the observer for a server in the foreground.

    Args:
        environ: The process's environment.
        stream: Where lines go; None for the standard output.
    """
    stream = stream or sys.stdout
    journal = is_journal(environ, stream)
    return FileLogObserver(stream, lambda event: line_of(event, journal=journal))


def is_of_twisted(event: LogEvent) -> bool:
    """Tell whether an event is an information of Twisted's, not of this project."""
    namespace: str = event.get("log_namespace", "")
    if event.get("log_level") is not LogLevel.info or event.get("isError"):
        return False
    return namespace == "log_legacy" or namespace.startswith("twisted.")


def is_noise(event: LogEvent) -> bool:
    """Tell whether an event is Twisted's own account of factories, ports and its main loop."""
    if not is_of_twisted(event):
        return False
    return not eventAsText(event, includeTimestamp=False, includeSystem=False).startswith(_SPOKEN_BY_TWISTED)
