"""Owners of files that commands make: run by root, a command gives them to the service's user."""

from __future__ import annotations

import os
import stat


def give_to_owner_of(directory: str, descriptor: int) -> None:
    """Give an open file or directory to the owner and group of the directory around it, where we may: as root."""
    if os.geteuid() == 0:
        status, own = os.stat(directory), os.fstat(descriptor)
        if (status.st_uid, status.st_gid) != (own.st_uid, own.st_gid):
            os.fchown(descriptor, status.st_uid, status.st_gid)


def make_directories(path: str) -> None:
    """Make a directory and those above it that are missing, for their owner alone.

    Where root makes them, they belong to the owner of the directory that was there.

    Raises:
        OSError: It cannot be made.
    """
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path, _, name = path.rstrip("/").rpartition("/")
        if not name:
            break
        path = path or "/"
    for made in reversed(missing):
        try:
            os.mkdir(made, 0o700)
        except FileExistsError:
            if not os.path.isdir(made):
                raise
            continue
        descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            give_to_owner_of(os.path.dirname(made) or ".", descriptor)
        finally:
            os.close(descriptor)


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
