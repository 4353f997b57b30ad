"""Owners of files that commands make: run by root, a command gives them to the service's user."""

from __future__ import annotations

import os


def give_to_owner_of(directory: str, descriptor: int) -> None:
    """Give an open file or directory to the owner and group of the directory around it, where we may: as root."""
    if os.geteuid() == 0:
        status, own = os.stat(directory), os.fstat(descriptor)
        if (status.st_uid, status.st_gid) != (own.st_uid, own.st_gid):
            os.fchown(descriptor, status.st_uid, status.st_gid)


def make_directories(path: str, mode: int) -> None:
    """Make a directory and those above it that are missing; what root makes belongs to the owner of what was there.

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
            os.mkdir(made, mode)
        except FileExistsError:
            if not os.path.isdir(made):
                raise
            continue
        descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            give_to_owner_of(os.path.dirname(made) or ".", descriptor)
        finally:
            os.close(descriptor)
