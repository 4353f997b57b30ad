"""The access file, as it is now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from simpleindex.access.access_file import parse_access
from simpleindex.core.errors import InvalidAccess, RefusedStart
from simpleindex.system.followed_file import FollowedFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.access.rights import Access


class LiveAccessRules:
    """Rights, as the file says them now.

    Args:
        path: The access file.
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
        self._log = log
        self._is_open = False
        self._file = FollowedFile(
            path, "access", parse_access, taken=self._take, log=log, seconds=seconds, now_ns=now_ns
        )

    def open(self) -> None:
        """Read the file for the first time.

        Raises:
            RefusedStart: It cannot be used.
        """
        try:
            self._file.open()
        except OSError as error:
            raise RefusedStart(
                f"{self._file.shown} cannot be read: {error.strerror}. Name a file that this user can read."
            ) from None
        except InvalidAccess as error:
            raise RefusedStart(f"{self._file.shown} cannot be obeyed: {error}") from None
        self._is_open = True

    def current(self) -> Access:
        """Return the rights, after a look at the file at most once a second."""
        return self._file.current()

    def reload(self) -> None:
        """Look at the file because an operator says so; a mistake that is still there is said again."""
        self._file.look_now(repeat=True)

    def _take(self, _: Access) -> None:
        if self._is_open:
            self._log(f"{self._file.shown} was read again.")
