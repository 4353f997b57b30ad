"""The users file: read again when it changes, and never forgotten because it is broken for a moment."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import RefusedStart
from simpleindex.core.users import NO_USERS, Users, parse_users
from simpleindex.store.directory import printable
from simpleindex.store.passwords import require_libraries

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_USERS_FILE: Final = 4 << 20
"""Bytes: some 30,000 users; a file named by mistake is not read whole."""

_LOOK_SECONDS: Final = 1.0
"""Between two looks at the file's state, which every login asks for."""

_TICK_NS: Final = 2_000_000_000
"""A file changed within this time may be changed again without another time stamp (DESIGN section 4)."""


class UsersFile:
    """Users, as the file says them now.

    Args:
        path: An htpasswd file.
        log: Takes a sentence for the operator.
        seconds: A clock that only goes on.
        now_ns: The time as files have it, nanoseconds since 1970.
    """

    def __init__(
        self,
        path: str,
        log: Callable[[str], None],
        seconds: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._path = path
        self._shown = printable(path)
        self._log = log
        self._seconds = seconds
        self._now_ns = now_ns
        self._users = NO_USERS
        self._stamp: tuple[int, ...] | None = None
        self._next_look = 0.0
        self._trouble: str | None = None

    def open(self) -> None:
        """Read the file for the first time.

        Raises:
            RefusedStart: It cannot be read, or passwords cannot be checked here.
        """
        require_libraries()
        try:
            self._read()
        except OSError as error:
            raise RefusedStart(
                f"The users file {self._shown} cannot be used: {error.strerror}. Name an htpasswd file that this user can "
                f"read; simpleindex passwd --users {self._shown} NAME makes one."
            ) from None
        self._next_look = self._seconds() + _LOOK_SECONDS

    def current(self) -> Users:
        """Return the users, after a look at the file at most once a second."""
        now = self._seconds()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            try:
                self._read()
            except OSError as error:
                self._tell(error.strerror or str(error))
            else:
                self._trouble = None
        return self._users

    def _read(self) -> None:
        status = os.stat(self._path)
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if stamp == self._stamp:
            return
        users = parse_users(read_users_file(self._path))
        for sentence in users.refused:
            if sentence not in self._users.refused:
                self._log(f"{self._shown}: {sentence}")
        self._users = users
        is_settled = self._now_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _TICK_NS
        self._stamp = stamp if is_settled else None

    def _tell(self, reason: str) -> None:
        if reason != self._trouble:
            self._trouble = reason
            self._log(
                f"The users file {self._shown} cannot be read again ({reason}): what it said before stays in force."
            )


def read_users_file(path: str) -> bytes:
    """Return the content.

    Raises:
        OSError: It cannot be read, or is no users file at all. An empty one is being rewritten; one without users has a
            comment.
    """
    # Without waiting for whoever writes into a FIFO.
    with open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(0, "it is not a regular file")
        content = stream.read(LARGEST_USERS_FILE + 1)
    if len(content) > LARGEST_USERS_FILE:
        raise OSError(0, f"it is larger than {LARGEST_USERS_FILE} bytes")
    if b"\0" in content:
        raise OSError(0, "it is not a text")
    if not content.strip():
        raise OSError(0, "it is empty; one without users holds a comment")
    return content
