"""Serials of projects, by which a mirror finds out what has changed since it looked last.

PyPI numbers every change; bandersnatch keeps the largest number and later takes the projects that have a larger one. Here a
serial is a time, so that nothing has to be kept: the microsecond at which a change of what is listed was noticed or, for what
has not changed since, at which the server started. After a restart a mirror so looks at every project once more, and misses
none, as long as the machine's clock was not set back meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from simpleindex.core.names import ProjectName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ListedSerials(dict[ProjectName, int]):
    """The serials of a list of projects: those that changed, and of every other one the first."""

    def __init__(self, changed: Mapping[ProjectName, int], first: int) -> None:
        super().__init__(changed)
        self._first = first

    def __missing__(self, name: ProjectName) -> int:
        return self._first


class ProjectSerials(Protocol):
    """The serial of each project of a directory or a bucket.

    Attributes:
        are_shared: Whether all processes that serve it show the same.
    """

    are_shared: bool

    def note(self, name: ProjectName) -> None:
        """Give a project a larger serial, because what is listed of it has changed."""
        ...

    def now(self) -> Mapping[ProjectName, int] | None:
        """Return the serial of every project as it is now, by its name; None if they are not known."""
        ...

    def of(self, name: ProjectName) -> int | None:
        """Return the serial of a project; None if it is not known."""
        ...


class Serials(ProjectSerials):
    """The serial of each project of a directory.

    Args:
        now_ns: The time, nanoseconds since 1970.
    """

    are_shared = False

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._first = self._last = now_ns() // 1000
        self._changed: dict[ProjectName, int] = {}

    def note(self, name: ProjectName) -> None:
        """Give a project a serial larger than any before, because what is listed of it has changed."""
        # A clock that is set back must not make a change look older than what a mirror has seen.
        self._last = max(self._now_ns() // 1000, self._last + 1)
        self._changed[name] = self._last

    def now(self) -> Mapping[ProjectName, int]:
        """Return the serial of every project as it is now, by its name."""
        return ListedSerials(self._changed, self._first)

    def of(self, name: ProjectName) -> int:
        """Return the serial of a project."""
        return self._changed.get(name, self._first)
