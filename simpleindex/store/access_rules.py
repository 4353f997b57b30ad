"""The access file: read again when it changes, and never forgotten because it is broken for a moment."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from simpleindex.core.access_file import parse_access
from simpleindex.core.errors import InvalidAccess, RefusedStart
from simpleindex.store.directory import Stamp, is_young
from simpleindex.store.users_file import read_users_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.core.rights import Access

_LOOK_SECONDS: Final = 1.0
"""Between two looks at the file's state, which every request asks for."""


class AccessRules:
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
        self._path = path
        self._log = log
        self._seconds = seconds
        self._now_ns = now_ns
        self._access: Access | None = None
        self._stamp: Stamp | None = None
        self._next_look = 0.0
        self._told: str | None = None

    def open(self) -> None:
        """Read the file for the first time.

        Raises:
            RefusedStart: It cannot be used.
        """
        try:
            self._read()
        except OSError as error:
            raise RefusedStart(
                f"The access file {self._path} cannot be read: {error.strerror}. Name a file that this user can read."
            ) from None
        except InvalidAccess as error:
            raise RefusedStart(f"The access file {self._path} cannot be obeyed: {error}") from None
        self._next_look = self._seconds() + _LOOK_SECONDS

    def current(self) -> Access:
        """Return the rights, after a look at the file at most once a second."""
        now = self._seconds()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._look()
        assert self._access is not None, "open() comes first"
        return self._access

    def _look(self) -> None:
        try:
            if self._read():
                self._log(f"The access file {self._path} was read again.")
            self._told = None
        except (OSError, InvalidAccess) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            if reason != self._told:
                self._told = reason
                self._log(
                    f"The access file {self._path} cannot be obeyed now ({reason}): what it said before stays in force."
                )

    def _read(self) -> bool:
        """Read it if it changed; tell whether it says something else now."""
        stamp = Stamp.of(os.stat(self._path))
        if stamp == self._stamp:
            return False
        access = parse_access(read_users_file(self._path))
        self._stamp = None if is_young(stamp, self._now_ns()) else stamp
        if access == self._access:
            # The same object as long as it says the same, so that what was made by it stays good.
            return False
        self._access, former = access, self._access
        return former is not None
