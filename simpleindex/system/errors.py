"""Classify exceptions of the operating system, and of SQLite, as troubles (:mod:`simpleindex.core.faults`)."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import Final

from simpleindex.core.errors import CannotStore
from simpleindex.core.faults import SHORTAGE, Fault, Trouble, fault_of

_SQLITE: Final = {
    sqlite3.SQLITE_FULL: Fault.FULL,
    sqlite3.SQLITE_NOMEM: Fault.MEMORY,
    sqlite3.SQLITE_BUSY: Fault.BUSY,
    sqlite3.SQLITE_LOCKED: Fault.BUSY,
    sqlite3.SQLITE_PERM: Fault.FORBIDDEN,
    sqlite3.SQLITE_AUTH: Fault.FORBIDDEN,
    sqlite3.SQLITE_READONLY: Fault.FORBIDDEN,
    sqlite3.SQLITE_CORRUPT: Fault.BROKEN,
    sqlite3.SQLITE_NOTADB: Fault.BROKEN,
}
"""By primary result code (https://www.sqlite.org/rescode.html)."""

_ASK_THE_SYSTEM: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR})
"""Codes with which SQLite keeps the system's own error number to itself."""

_NO_ROOM: Final = 64 * 1024
"""Bytes: with less SQLite cannot make the files that lie beside a database while it is open."""


def trouble_of(error: OSError | MemoryError | sqlite3.Error, place: str | None) -> Trouble:
    """Return what an error means.

    Args:
        error: What was raised.
        place: The path that it is about, for where the error itself names none.
    """
    if isinstance(error, MemoryError):
        return Trouble(Fault.MEMORY, os.strerror(errno.ENOMEM), place)
    if isinstance(error, OSError):
        fault, cause, place = fault_of(error.errno), error.strerror or str(error), _place_of(error) or place
        # What a store refuses has no mode that could be changed.
        is_remote = fault is Fault.FORBIDDEN and place is not None and "://" in place
        refusal = f"{place} cannot be used ({cause}): let the credentials of this server do it, and set its clock right."
        return Trouble(fault, cause, place, refusal if is_remote else "")
    return _trouble_of_database(error, place)


def raise_if_short(error: OSError) -> None:
    """Raise an error again that is about this process alone: nothing may be concluded from it about a file."""
    if fault_of(error.errno) in SHORTAGE:
        raise error


def own_trouble(error: BaseException | None) -> Trouble | None:
    """Return the trouble of the server itself that an exception reports; None for all other exceptions."""
    if isinstance(error, CannotStore):
        return error.trouble or (Trouble(error.fault, error.reason.rstrip(".")) if error.fault else None)
    if isinstance(error, OSError | MemoryError):
        trouble = trouble_of(error, None)
        # A file that is gone, or a connection, is what the code around it should have expected.
        return None if trouble.fault in {Fault.UNKNOWN, Fault.ABSENT, Fault.MISPLACED} else trouble
    return None


def _place_of(error: OSError) -> str | None:
    """Return the path that an error is about: what exists of it, because that is what has an owner and a mode."""
    # link() and rename() name the source first, and fail for the sake of the target.
    for name in (error.filename2, error.filename):
        if isinstance(name, str | bytes):
            path = os.fsdecode(name)
            return path if "://" in path or os.path.lexists(path) else os.path.dirname(path) or None
    return None


def _trouble_of_database(error: sqlite3.Error, place: str | None) -> Trouble:
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary in _ASK_THE_SYSTEM and place is not None and (found := _seen_there(place)) is not None:
        return found
    if primary in _ASK_THE_SYSTEM:
        fault = Fault.BROKEN if primary == sqlite3.SQLITE_IOERR else Fault.UNKNOWN
    elif primary is None:
        # Raised by ourselves, about what the database says.
        fault = Fault.BROKEN
    else:
        fault = _SQLITE.get(primary, Fault.UNKNOWN)
    return Trouble(fault, str(error), place)


def _seen_there(path: str) -> Trouble | None:
    """Find out from the system why a database cannot be opened or written; None if it does not show."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        # Not the database itself: to close that would drop the locks that SQLite holds in this process (fcntl(2)).
        status = os.statvfs(os.path.dirname(path))
    except OSError as error:
        return Trouble(fault_of(error.errno), error.strerror or str(error), path)
    number = None
    if status.f_flag & os.ST_RDONLY:
        number = errno.EROFS
    elif status.f_bavail * status.f_frsize < _NO_ROOM:
        number = errno.ENOSPC
    elif not os.path.lexists(path):
        number = errno.ENOENT
    elif not (_may(path, os.R_OK | os.W_OK) and _may(os.path.dirname(path), os.W_OK | os.X_OK)):
        number = errno.EACCES
    return None if number is None else Trouble(fault_of(number), os.strerror(number), path)


def _may(path: str, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
