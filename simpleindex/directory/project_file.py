"""``<project>/simpleindex.toml``: yanks and the status of a project (docs/directory.md, "Yanks and status").

::

    status = "deprecated"            # active, archived, deprecated or quarantined (PEP 792)
    reason = "use acme-core"

    [yanked]                         # a version or one file, each with its reason, or true for none (PEP 592)
    "1.0" = "broken on Python 3.13"
    "acme-1.1-py3-none-any.whl" = true

Everything unknown is refused rather than passed over: a misspelt yank or quarantine must not vanish by accident.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from packaging.utils import canonicalize_version

from simpleindex.core.errors import InvalidFilename, SimpleIndexError
from simpleindex.core.model import Status
from simpleindex.core.names import PROJECT_FILE, distribution_suffix, parse_distribution_name
from simpleindex.core.parsing.toml import read_toml
from simpleindex.core.parsing.version_texts import parse_version
from simpleindex.core.text import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName

MAXIMUM_SIZE: Final = 64 * 1024
"""Bytes; beyond it the file is not read."""

_MOST_MISTAKES: Final = 5
"""That one sentence names."""

_KEYS: Final = ("status", "reason", "yanked")


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """The content of a project's ``simpleindex.toml``.

    Attributes:
        reason: Why it has that status, or None.
        yanked: Reason (perhaps empty) by file name, or by version without trailing zeros: 1.0 and 1.0.0 are one release
            (PEP 440).
    """

    status: Status = Status.ACTIVE
    reason: str | None = None
    yanked: Mapping[str, str] = field(default_factory=dict)

    def yank_of(self, file: File) -> str | None:
        """Return why this file is yanked (perhaps an empty reason), or None if it is not."""
        return self.yanked.get(file.filename, self.yanked.get(canonicalize_version(file.version)))


NO_PROJECT_FILE: Final = ProjectFile()


def parse_project_file(data: bytes) -> ProjectFile:
    """Read a ``simpleindex.toml``.

    Raises:
        InvalidProjectFile: It is not wholly understood; nothing of it may be used then. It names every mistake.
    """
    if not data.strip():
        # An editor that truncates before it writes would otherwise lift every yank for a moment.
        raise InvalidProjectFile("is empty; delete it if the project has no yanks and no status")
    content = read_toml(data, InvalidProjectFile)
    mistakes = [
        f"has the unknown key {shown(key)}{_nearest(key, _KEYS)}" for key in content if key not in _KEYS
    ]
    reason = content.get("reason")
    if reason is not None and not isinstance(reason, str):
        mistakes.append("has a reason that is not a string")
    status = Status.ACTIVE
    try:
        status = _status(content.get("status", "active"))
    except InvalidProjectFile as error:
        mistakes.append(error.reason)
    yanked = _yanked(content.get("yanked", {}), mistakes)
    if mistakes:
        raise InvalidProjectFile(_joined(mistakes))
    return ProjectFile(status, reason if isinstance(reason, str) and reason else None, yanked)


def _joined(mistakes: list[str]) -> str:
    """Return all mistakes as the end of one sentence; of many only their number is given."""
    named = mistakes[:_MOST_MISTAKES]
    if left := len(mistakes) - len(named):
        named.append(f"has {left:,} more mistakes" if left > 1 else "has 1 more mistake")
    return ", and ".join(named)


def _status(value: object) -> Status:
    known = [status.value for status in Status]
    # Only strings are shown: a number can be too long, and a table too deep, for Python to write it.
    if not isinstance(value, str):
        raise InvalidProjectFile("has a status that is not a string")
    if value not in known:
        raise InvalidProjectFile(f"has the status {shown(value)}{_nearest(value, known)}")
    return Status(value)


def _yanked(value: object, mistakes: list[str]) -> Mapping[str, str]:
    """Read the yanks, and add what is wrong with them to the mistakes."""
    found: dict[str, str] = {}
    if not isinstance(value, dict):
        mistakes.append("has a 'yanked' that is not a table")
        return found
    for key, reason in value.items():
        try:
            found[yank_key(key)] = _yank_reason(key, reason)
        except InvalidProjectFile as error:
            mistakes.append(error.reason)
    return found


def yank_key(key: str) -> str:
    """Return the key by which a yank is found: a file name as it is, a version without trailing zeros.

    Raises:
        InvalidProjectFile: It is neither.
    """
    if distribution_suffix(key):
        return key
    try:
        return canonicalize_version(parse_version(key))
    except ValueError:
        raise InvalidProjectFile(
            f"yanks {shown(key)}, which is neither a version nor a distribution's file name"
        ) from None


def idle_yanks(yanked: Mapping[str, str], filenames: Iterable[str], project: ProjectName) -> tuple[str, ...]:
    """Return the yanks that match none of a project's files, sorted.

    Args:
        yanked: As :class:`ProjectFile` has them.
        filenames: Of distributions, also of those that are withheld.
        project: Whose.
    """
    there = {*filenames}
    versions = set()
    for filename in there:
        try:
            versions.add(canonicalize_version(parse_distribution_name(filename, project).version))
        except InvalidFilename:
            continue
    return tuple(sorted(key for key in yanked if key not in there and key not in versions))


def _yank_reason(key: str, reason: object) -> str:
    if reason is True:
        return ""
    if isinstance(reason, dict):
        # TOML reads the bare key 1.0 as a table 1 with a key 0.
        raise InvalidProjectFile(f"yanks {shown(key)} with a table; put the version in quotes")
    if not isinstance(reason, str):
        raise InvalidProjectFile(f"yanks {shown(key)} with what is neither a reason in quotes nor true")
    return reason


def _nearest(word: str, known: list[str] | tuple[str, ...]) -> str:
    meant = nearest(word, known)
    return (
        f" (did you mean {meant!r}?)"
        if meant
        else f" (known: {', '.join(known)}; simpleindex docs directory explains {PROJECT_FILE})"
    )


class InvalidProjectFile(SimpleIndexError):
    """A ``simpleindex.toml`` that is not valid.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "simpleindex.toml {reason}"
    reason: str
