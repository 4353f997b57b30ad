"""Find distributions that are not served: too deep, of other formats, or half copied. Blocking."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from simpleindex.core.names import OWN_PREFIX, distribution_suffix
from simpleindex.core.text import printable
from simpleindex.directory.layout.distribution_like import is_misspelt, is_other_format, is_trace
from simpleindex.directory.layout.unserved import Unserved, UnservedCause, sum_up
from simpleindex.system.errors import raise_if_short

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_ENTRIES: Final = 2_000
"""Entries looked at below one project's directory; a checkout with all of its dependencies has many more."""

_MOST_DIRECTORIES: Final = 100
"""Directories looked into there."""

_DEEPEST: Final = 4
"""Levels below the project's directory."""


class PassedOver:
    """Collects what is not served.

    Attributes:
        has_traces: Whether anything like a distribution was found, whole or not.
        looked_into: Directories that were listed, relative to the root.
    """

    def __init__(self) -> None:
        self.has_traces = False
        self.looked_into: list[str] = []
        self._items: list[Unserved] = []

    def items(self) -> tuple[Unserved, ...]:
        """Return one item for each cause."""
        return sum_up(self._items) if self._items else ()

    def add(self, cause: UnservedCause, path: str) -> None:
        """Add one thing that is not served."""
        self._items.append(Unserved(cause, 1, path))

    def judge(self, path: str, filename: str) -> bool:
        """Judge a name that is neither a distribution's nor that of a side file; return whether it is like one.

        Args:
            path: Relative to the root, fit for a log.
            filename: The bare name.
        """
        if filename.startswith(OWN_PREFIX) or not is_trace(filename):
            return False
        self.has_traces = True
        if filename.startswith("."):
            return True
        if is_misspelt(filename):
            self.add(UnservedCause.CAPITALS, path)
        elif is_other_format(filename):
            self.add(UnservedCause.FORMAT, path)
        return True

    def look_into(self, root: str, directories: Iterable[str], cause: UnservedCause) -> None:
        """Look for distributions in directories and below them, within bounds.

        Args:
            root: The root of the index.
            directories: Relative to it.
            cause: Why what lies there is not served.
        """
        waiting = [(directory, 1) for directory in directories]
        entries_left, directories_left = _MOST_ENTRIES, _MOST_DIRECTORIES
        while waiting and entries_left > 0 and directories_left > 0:
            directory, depth = waiting.pop(0)
            directories_left -= 1
            try:
                with os.scandir(os.path.join(root, directory)) as entries:
                    for entry in entries:
                        entries_left -= 1
                        if entries_left < 0:
                            # Nobody can tell what else lies there.
                            self.has_traces = True
                            break
                        if self._leads_on(entry, directory, cause) and depth < _DEEPEST:
                            waiting.append((f"{directory}/{entry.name}", depth + 1))
            except OSError as error:
                raise_if_short(error)
                continue
            self.looked_into.append(directory)
        self.has_traces = self.has_traces or bool(waiting)

    def _leads_on(self, entry: os.DirEntry[str], directory: str, cause: UnservedCause) -> bool:
        """Judge an entry; return whether it is a directory to be looked into."""
        is_hidden = os.path.basename(directory).startswith(".")
        if distribution_suffix(entry.name):
            self.has_traces = True
            if not is_hidden and not entry.name.startswith("."):
                self.add(cause, printable(f"{directory}/{entry.name}"))
            return False
        if is_trace(entry.name):
            self.has_traces = True
            return False
        return not is_hidden and _is_real_directory(entry)


def _is_real_directory(entry: os.DirEntry[str]) -> bool:
    """Whether it is a directory and no link to one, which could lead round in a circle."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
