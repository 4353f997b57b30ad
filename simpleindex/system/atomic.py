"""Files and directories written so that a crash leaves the old state or the new one."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import CannotStore
from simpleindex.system.errors import trouble_of
from simpleindex.system.ownership import give_to_owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_MODE: Final = 0o644


DIRECTORY_MODE: Final = 0o755


STAYS: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY, errno.ENOTDIR})
"""What rmdir says of a directory that is not empty, is gone already, or is on another disk: a mount, or a link."""


def write_all(descriptor: int, data: bytes, offset: int = 0) -> None:
    """Write at an offset, however many calls that takes."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written


@contextmanager
def locked_directory(directory: str | Path) -> Iterator[None]:
    """Wait until no other process has a directory locked, and keep it locked until the end of the block."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_directory(path: str) -> None:
    """Make a directory that others can read whatever the umask; one that is there already is left as it is."""
    try:
        os.mkdir(path, DIRECTORY_MODE)
    except FileExistsError:
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, DIRECTORY_MODE)
        give_to_owner_of(os.path.dirname(path), descriptor)
    finally:
        os.close(descriptor)
    sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """Return once the names in a directory are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path: str) -> None:
    """Return once all that was written to the file system of a directory is on the disk: one call for thousands of files.

    Raises:
        OSError: The disk reports an error.
    """
    import ctypes  # noqa: PLC0415  (Python has no function for it; not for servers, whose start it would delay)

    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is None:
            os.sync()
        elif syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(descriptor)


@contextmanager
def storing(place: str) -> Iterator[None]:
    """Turn an error of the operating system into one with a sentence for the client and one for the operator.

    Args:
        place: The path that is being changed, for where the error itself names none.

    Raises:
        CannotStore: An OSError or a MemoryError was raised.
    """
    try:
        yield
    except (OSError, MemoryError) as error:
        trouble = trouble_of(error, place)
        raise CannotStore(trouble.for_client(), trouble=trouble) from error
