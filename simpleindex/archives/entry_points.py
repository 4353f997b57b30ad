"""The file format of entry_points.txt (PyPUG "entry-points"), read in one pass, and only where all installers read the same.

The specification names :mod:`configparser`; pip reads the file line by line (:mod:`importlib.metadata`), and uv by a parser that
knows no line twice. So neither continued lines, nor comments by semicolon in a group, nor two entries of one name pass here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from simpleindex.archives.errors import BrokenArchive
from simpleindex.core import bounds
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT_GROUPS: Final = ("console_scripts", "gui_scripts")

_DEFAULT: Final = "DEFAULT"
"""A section of :mod:`configparser` whose entries count in every other; some installers know it."""

# What distlib, hence pip, and uv take for a function: no blanks around the colon.
_REFERENCE: Final = re.compile(r"[\w.]++:[\w.]++(?>(?:\s*+\[\s*+[\w-]++(?>(?:,\s*+\w++)*)\s*+\])?)")
_SEPARATOR: Final = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
"""What :meth:`str.splitlines` takes for the end of a line, and nobody else."""
_SCRIPT: Final = re.compile(r"[^\s/\\\[\]]++")
_RESERVED: Final = re.compile(
    r"python(?:w|3(?:\.[0-9]+)?t?)?|pypy(?:3(?:\.[0-9]+)?)?|graalpy", re.IGNORECASE | re.ASCII
)
"""Names of interpreters, which uv lets no package replace."""


def read_entry_points(text: str) -> Mapping[str, Mapping[str, str]]:
    """Read entry points.

    Returns:
        What each name leads to, by group.

    Raises:
        BrokenArchive: It exceeds a bound, or installers would not read the same in it.
    """
    if excess := bounds.ENTRY_POINTS_LINES.excess(text.count("\n") + 1):
        raise BrokenArchive(excess)
    if separator := _SEPARATOR.search(text):
        raise BrokenArchive(
            f"its entry_points.txt has the character {shown(separator[0])}, which ends a line for some readers only"
        )
    reading = _EntryPointsParser()
    for line in text.splitlines():
        if excess := bounds.ENTRY_POINTS_LINE.excess(len(line)):
            raise BrokenArchive(excess)
        reading.take(line)
    return reading.groups


def judge_script_name(name: str) -> None:
    """Judge what a script is called.

    Raises:
        BrokenArchive: It would not lie in the directory for scripts, or would replace an interpreter there.
    """
    if not _SCRIPT.fullmatch(name) or name in {".", ".."}:
        raise BrokenArchive(f"its script {shown(name)} has a blank, a slash or a bracket in its name")
    if _RESERVED.fullmatch(name):
        raise BrokenArchive(f"its script {shown(name)} has the name of an interpreter; uv installs none such")


def judge_reference(name: str, reference: str) -> None:
    """Judge what a script leads to.

    Raises:
        BrokenArchive: It is not ``module:function``, perhaps with extras in brackets.
    """
    module, _, function = reference.partition("[")[0].strip().partition(":")
    parts = (*module.split("."), *function.split("."))
    if not _REFERENCE.fullmatch(reference) or "" in parts:
        raise BrokenArchive(
            f"its entry point {shown(name)} leads to {shown(reference)}, which is not module:function"
        )


class _EntryPointsParser:
    """What has been read so far.

    Attributes:
        groups: What each name leads to, by group.
    """

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, str]] = {}
        self._group: dict[str, str] | None = None
        self._indent: int | None = None

    def take(self, line: str) -> None:
        """Take the next line."""
        content = line.strip()
        if not content or content.startswith("#") or (content.startswith(";") and self._group is None):
            return
        indent = len(line) - len(line.lstrip())
        if self._indent is not None and indent > self._indent:
            raise _unreadable(content, "continues the line before it")
        if content.startswith("[") and content.endswith("]") and "=" not in content:
            self._begin(content[1:-1])
        else:
            self._indent = indent
            self._add_entry(content)

    def _begin(self, group: str) -> None:
        self._indent = None
        if not group.strip() or "[" in group or "]" in group or group == _DEFAULT:
            raise _unreadable(f"[{group}]", "begins no group")
        if group in self.groups:
            raise _unreadable(f"[{group}]", "begins a group for the second time")
        self._group = self.groups[group] = {}

    def _add_entry(self, content: str) -> None:
        if self._group is None:
            raise _unreadable(content, "lies before the first [group]")
        name, equals, value = content.partition("=")
        name = name.rstrip()
        if not equals or not name or name.startswith((";", "[")):
            raise _unreadable(content, "is not of the form name = object")
        if name in self._group:
            raise _unreadable(content, "has a name that its group has already")
        self._group[name] = value.strip()


def _unreadable(line: str, why: str) -> BrokenArchive:
    return BrokenArchive(f"its entry_points.txt cannot be parsed: the line {shown(line)} {why}")
