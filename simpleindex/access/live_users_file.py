"""The users file, as it is now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from simpleindex.access.hashes import require_libraries
from simpleindex.access.htpasswd import NO_USERS, Users, parse_users
from simpleindex.core import severity
from simpleindex.core.errors import RefusedStart
from simpleindex.core.names import printable
from simpleindex.system.followed_file import FollowedFile

if TYPE_CHECKING:
    from collections.abc import Callable


class LiveUsersFile:
    """Users, as the file says them now; those that are refused are named once.

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
        self._shown = printable(path)
        self._log = log
        self._users = NO_USERS
        self._file = FollowedFile(
            path, "users", parse_users, taken=self._take, log=log, seconds=seconds, now_ns=now_ns
        )

    def open(self) -> None:
        """Read the file for the first time.

        Raises:
            RefusedStart: It cannot be read, or passwords cannot be checked here.
        """
        require_libraries()
        try:
            self._file.open()
        except OSError as error:
            raise RefusedStart(
                f"{self._file.shown} cannot be used: {error.strerror}. Name an htpasswd file that this user can "
                f"read; simpleindex passwd --users {self._shown} NAME makes one."
            ) from None

    def current(self) -> Users:
        """Return the users, after a look at the file at most once a second."""
        return self._file.current()

    def reload(self) -> None:
        """Look at the file because an operator says so; lines that are still refused are said again."""
        before = self._users
        if self._file.look_now(repeat=True) is before:
            for sentence in before.refused:
                self._log(severity.warning(f"{self._shown}: {sentence}"))

    def _take(self, users: Users) -> None:
        for sentence in users.refused:
            if sentence not in self._users.refused:
                self._log(severity.warning(f"{self._shown}: {sentence}"))
        self._users = users
