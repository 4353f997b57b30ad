"""The file format of entry_points.txt (PyPUG "entry-points"), read in one pass.

It is the INI dialect of :mod:`configparser` with case-sensitive keys and ``=`` as the only delimiter. Not that module:
its pattern for a key tries every blank of a line as the end of the key, which is quadratic in a line that strangers write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.core import bounds
from simpleindex.core.errors import BrokenArchive

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMENTS = ("#", ";")


def read_entry_points(text: str) -> Mapping[str, Mapping[str, str]]:
    """Read entry points.

    Args:
        text: Of the file.

    Returns:
        What each name leads to, by group; lines that continue a value are joined with line feeds. Of two with one name
        in one group the last counts, as in :mod:`configparser`.

    Raises:
        BrokenArchive: It exceeds a bound, or has a line that is neither a group's header, nor an entry, nor a comment.
    """
    if excess := bounds.ENTRY_POINTS_LINES.excess(text.count("\n") + 1):
        raise BrokenArchive(excess)
    reading = _Reading()
    for line in text.split("\n"):
        if excess := bounds.ENTRY_POINTS_LINE.excess(len(line)):
            raise BrokenArchive(excess)
        reading.take(line)
    return {
        group: {name: "\n".join(lines).rstrip() for name, lines in entries.items()}
        for group, entries in reading.groups.items()
    }


class _Reading:
    """What has been read so far.

    Attributes:
        groups: The lines of each value, by group and name.
    """

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, list[str]]] = {}
        self._group: dict[str, list[str]] | None = None
        self._value: list[str] | None = None
        self._indent = 0

    def take(self, line: str) -> None:
        """Take the next line."""
        content = line.strip()
        if not content:
            if self._value is not None:
                self._value.append("")
            return
        if content.startswith(_COMMENTS):
            return
        indent = len(line) - len(line.lstrip())
        if self._value is not None and indent > self._indent:
            self._value.append(content)
            return
        self._indent = indent
        if content.startswith("[") and content.rfind("]") > 1:
            self._group = self.groups.setdefault(content[1 : content.rindex("]")], {})
            self._value = None
        else:
            self._add_entry(content)

    def _add_entry(self, content: str) -> None:
        if self._group is None:
            raise BrokenArchive("its entry_points.txt cannot be parsed: a line lies before the first [group]")
        name, equals, value = content.partition("=")
        name = name.rstrip()
        if not equals or not name:
            raise BrokenArchive(
                "its entry_points.txt cannot be parsed: a line is not of the form name = object"
            )
        self._value = self._group[name] = [value.strip()]
