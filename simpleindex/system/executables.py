"""Find out from the file system whether this process's user can run a program, without running it."""

from __future__ import annotations

import errno
import os
import pwd
from typing import Final

from simpleindex.core.faults import Trouble, fault_of

_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})


def cannot_run(executable: str) -> Trouble | None:
    """Return why this user cannot run a program; None if nothing forbids it.

    Args:
        executable: Its absolute path; links are followed.
    """
    if os.access(executable, os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return None
    number = errno.EACCES
    try:
        # Not os.path.exists: that is false as well where a directory above may not be entered.
        os.stat(executable)
    except OSError as error:
        number = error.errno or number
    return not_run(executable, OSError(number, os.strerror(number)))


def not_run(executable: str, error: OSError) -> Trouble:
    """Return the trouble of a program that could not be run."""
    # A virtual environment's Python is a link; what lies at its end has the owner, or a directory above it.
    place = os.path.realpath(executable)
    cause = error.strerror or str(error)
    trouble = Trouble(fault_of(error.errno), cause, place)
    if trouble.is_passing:
        return trouble
    remedy = (
        "Restart the server with the Python that is installed now."
        if error.errno in _GONE
        else "Install Python and the virtual environment where the service's user may run them."
    )
    sentence = (
        f"{place} cannot be run by {_user()} ({cause}): no file is examined, and no upload taken. {remedy}"
    )
    return Trouble(trouble.fault, cause, place, sentence)


def _user() -> str:
    number = os.geteuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
