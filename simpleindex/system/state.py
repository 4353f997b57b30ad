"""Files in the state directory: private, and the service's, whoever makes them."""

from __future__ import annotations

import os
import stat

from simpleindex.system.ownership import give_to_owner_of, make_directories


def make_state_directory(path: str) -> None:
    """Make the directory if it is missing, for its owner alone.

    Raises:
        OSError: It cannot be made.
    """
    make_directories(path, 0o700)


def make_private(path: str) -> None:
    """Make an empty file in the state directory for the service alone; nothing happens if there is one.

    What root makes is given to the directory's owner: a command run by root must not leave behind what the service
    cannot read.

    Raises:
        OSError: It cannot be made, or is there and no regular file. By a link, root could be led to any file.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise OSError(0, "it is not a regular file", path) from None
        return
    try:
        os.fchmod(descriptor, 0o600)
        give_to_owner_of(os.path.dirname(path), descriptor)
    finally:
        os.close(descriptor)
