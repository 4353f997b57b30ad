"""The root of the served directory: what lies inside it, the service's own paths in it, and opening a file of it.

Everything here blocks and runs in threads, except :meth:`ServedRoot.open_file`, which is quick on a local file system.
"""

from __future__ import annotations

import os
import stat
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import Changed
from simpleindex.system.errors import raise_if_short
from simpleindex.system.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A FIFO must not block the open, and a descriptor must not leak into a child.
OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""For reading any file below the root."""

_VALUES: Final = attrgetter("st_ino", "st_size", "st_mtime_ns", "st_ctime_ns", "st_nlink")
_INODE: Final = itemgetter(0)


class ServedRoot:
    """A directory out of which no link leads.

    Args:
        root: Absolute path; if it is a link, it is followed again at each survey.
        excluded: Paths that are never projects wherever they lie: certificates, state, cache, configuration.

    Attributes:
        root: The path with all links resolved, as of the last survey.
        excluded_paths: Those paths.
        excluded: Their devices and inodes, as of the last survey.
    """

    def __init__(self, root: str, excluded: Iterable[str] = ()) -> None:
        self._path = root
        self.root = os.path.realpath(root)
        self.excluded_paths = tuple(excluded)
        self.excluded: frozenset[tuple[int, int]] = frozenset()
        self._excluded_inodes: set[int] = set()

    def identity(self) -> tuple[int, int]:
        """Return device and inode of the root now.

        Raises:
            OSError: It is not there.
        """
        status = os.stat(self._path)
        return status.st_dev, status.st_ino

    def follow(self) -> set[int]:
        """Resolve the paths again; return the inodes of what is excluded."""
        self.root = os.path.realpath(self._path)
        self.excluded = frozenset(filter(None, map(_identity_of, self.excluded_paths)))
        self._excluded_inodes = {inode for _, inode in self.excluded}
        return self._excluded_inodes

    def stamp(self, path: str) -> Stamp | None:
        """Return the state of a path below the root now, links followed; None if it is missing or cannot be read."""
        try:
            return Stamp.of(os.stat(os.path.join(self.root, path)))
        except OSError:
            return None

    def states(self, paths: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the states now of paths below the root, as plain values of a :class:`Stamp`.

        A link is not followed, so that it has another state than the file that it leads to. What the service uses itself has none.

        Raises:
            OSError: One of them is missing, or cannot be looked at.
        """
        root = f"{self.root}/"
        # Hundreds of thousands at a start: without any code of Python's for each.
        states: list[tuple[int, ...]] = [*map(_VALUES, map(os.lstat, [root + path for path in paths]))]
        if self._excluded_inodes.isdisjoint(map(_INODE, states)):
            return states
        return [() if state[0] in self._excluded_inodes else state for state in states]

    def has(self, path: str) -> bool:
        """Return whether there is something at a path below the root, links followed: at half the cost of :meth:`stamp` where there is nothing."""
        return os.access(f"{self.root}/{path}", os.F_OK)

    def state_of(self, descriptor: int, path: str) -> Stamp | None:  # noqa: ARG002  (where files are not of this machine)
        """Return the state now of a file that was opened by :meth:`open_file`.

        Raises:
            OSError: It cannot be opened.
        """
        return Stamp.of(os.fstat(descriptor))

    def open_file(self, path: str, stamp: Stamp) -> int:
        """Open a file whose state is known, for reading.

        Returns:
            Its descriptor, which the caller closes.

        Raises:
            Changed: Its bytes are no longer those that were looked at, or it is gone, or it now leads elsewhere.
            OSError: It cannot be opened.
        """
        full = os.path.join(self.root, path)
        try:
            descriptor = os.open(full, OPEN_FLAGS)
        except FileNotFoundError:
            raise Changed(os.path.basename(path)) from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or not Stamp.of(status).may_be(stamp):
                raise Changed(os.path.basename(path))
            if not self._leads_inside(descriptor, full):
                raise Changed(os.path.basename(path))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _leads_inside(self, descriptor: int, full: str) -> bool:
        # The open descriptor is checked, not the path again: a link could have been turned in between.
        try:
            real = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            real = os.path.realpath(full)
        return real == full or self.is_inside(real)

    def is_excluded(self, real: str) -> bool:
        """Whether a resolved path is one of the service's own, or lies in one, wherever that is."""
        while self.excluded and len(real) > 1:
            if _identity_of(real) in self.excluded:
                return True
            real = os.path.dirname(real)
        return False

    def is_inside(self, real: str) -> bool:
        """Whether a resolved path lies below the root and in nothing that is excluded."""
        if not real.startswith(self.root.rstrip("/") + "/"):
            return False
        while len(real) > len(self.root):
            if self.excluded and _identity_of(real) in self.excluded:
                return False
            real = os.path.dirname(real)
        return True


def _identity_of(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError as error:
        raise_if_short(error)
        return None
    return status.st_dev, status.st_ino
