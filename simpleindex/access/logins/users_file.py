"""Change the users file atomically, under a lock; its owner and mode are kept."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from simpleindex.system.atomic import locked_directory
from simpleindex.system.followed_file import MAXIMUM_SIZE
from simpleindex.system.ownership import give_to_owner_of

if TYPE_CHECKING:
    from collections.abc import Callable


def change_users_file(path: str, change: Callable[[bytes], bytes | None]) -> bool:
    """Replace the file by a changed one; a link to it still leads to it.

    Args:
        path: The file; it need not exist.
        change: Takes the content, empty without a file, and returns the new one, or None to leave it unchanged.

    Returns:
        Whether the file was made.

    Raises:
        OSError: It cannot be read or written; it is unchanged.
    """
    path = os.path.realpath(path)
    # The directory, for the file itself is another one afterwards.
    with locked_directory(os.path.dirname(path)):
        status, content = _read(path)
        changed = change(content)
        if changed is not None:
            _replace(path, changed, status)
    return status is None and changed is not None


def _read(path: str) -> tuple[os.stat_result | None, bytes]:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None, b""
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "it is not a regular file")
    if status.st_size > MAXIMUM_SIZE:
        raise OSError(0, f"it is larger than {MAXIMUM_SIZE} bytes")
    with open(path, "rb") as stream:
        return status, stream.read()


def _replace(path: str, content: bytes, status: os.stat_result | None) -> None:
    directory, name = os.path.split(path)
    aside = os.path.join(directory, f".simpleindex-{name}")
    with suppress(FileNotFoundError):
        os.unlink(aside)  # left by a crash; under the lock no process writes it
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            _keep_owner_and_mode(descriptor, directory, status)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        os.rename(aside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        raise
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep_owner_and_mode(descriptor: int, directory: str, status: os.stat_result | None) -> None:
    if status is None:
        os.fchmod(descriptor, 0o600)
        give_to_owner_of(directory, descriptor)
        return
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (status.st_uid, status.st_gid):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
