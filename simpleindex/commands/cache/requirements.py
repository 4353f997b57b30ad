"""Files of requirements, as pip reads them (pip's documentation, "Requirements File Format").

A line names a project of an index, or something else that pip installs: a repository of sources, a path, a URL, another file.
What is no project of an index is skipped and reported, and never costs the other lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement
from packaging.specifiers import SpecifierSet

from simpleindex.core import bounds
from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.version_texts import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.requirements import Requirement

    from simpleindex.core.names import ProjectName

_HASH: Final = re.compile(r"--hash[= ]\s*sha256:([0-9a-fA-F]{64})")
_WORD: Final = re.compile(r"\S+")
_VARIABLE: Final = re.compile(r"\$\{([A-Z0-9_]+)\}")
_NESTED: Final = re.compile(r"(-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(\S.*)")
_EDITABLE: Final = re.compile(r"(?:-e|--editable)(?:[\s=]|(?<=-e))")
_VCS: Final = re.compile(r"(git|hg|svn|bzr)(\+|://|@)", re.IGNORECASE)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}:(//|[^\\ ])")
_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")
_ARCHIVE: Final = re.compile(
    r"[^\s<>=!~;@]+\.(whl|zip|tar|tgz|tbz|tlz|txz|tar\.(gz|bz2|xz|lzma))(\[[^\[\]]*+\])?", re.IGNORECASE
)
_LOGIN: Final = re.compile(r"//[^/@\s]*@")

_LONGEST_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class ProjectRequirement:
    """A requirement on a project of an index.

    Attributes:
        versions: Of these the newest.
        sha256s: The digests that its files may have; empty for any.
    """

    name: ProjectName
    versions: SpecifierSet
    sha256s: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SkippedLine:
    """A line or an entry that names no project of an index, or cannot be read.

    Attributes:
        where: Its place in the file, such as "line 3".
        reason: Why it is skipped, as the end of a sentence.
        is_mistake: Whether it cannot be read, or lacks something; otherwise it is no project of an index.
    """

    where: str
    reason: str
    is_mistake: bool = False


@dataclass(frozen=True, slots=True)
class NestedFile:
    """A file that a line names with ``-r`` or ``-c``.

    Attributes:
        path: As it is written, relative to the file.
        is_constraint: Whether it only limits the versions of the requirements.
    """

    path: str
    where: str
    is_constraint: bool


@dataclass(frozen=True, slots=True)
class Requirements:
    """The requirements of a file.

    Attributes:
        projects: Requirements on projects of an index.
        skipped: Lines that are none.
    """

    projects: tuple[ProjectRequirement, ...] = ()
    skipped: tuple[SkippedLine, ...] = ()
    nested: tuple[NestedFile, ...] = ()

    def joined(self, other: Requirements) -> Requirements:
        """Return the requirements of both files."""
        return Requirements(
            self.projects + other.projects, self.skipped + other.skipped, self.nested + other.nested
        )

    def constrained(self, limits: tuple[ProjectRequirement, ...]) -> Requirements:
        """Return the requirements with their versions limited by constraints."""
        versions: dict[ProjectName, SpecifierSet] = {}
        for limit in limits:
            versions[limit.name] = versions.get(limit.name, SpecifierSet()) & limit.versions
        projects = (
            replace(each, versions=each.versions & versions[each.name]) if each.name in versions else each
            for each in self.projects
        )
        return replace(self, projects=tuple(projects))


def parse_requirements(
    text: str, environment: Mapping[str, str], variables: Mapping[str, str]
) -> Requirements:
    """Read a file of requirements.

    Args:
        text: The file.
        environment: The values of markers (PEP 508), for lines that are not for every machine.
        variables: The environment's, for ``${NAME}``.
    """
    projects: list[ProjectRequirement] = []
    skipped: list[SkippedLine] = []
    nested: list[NestedFile] = []
    for number, written in _logical_lines(text):
        line = _VARIABLE.sub(lambda match: variables.get(match[1]) or match[0], written)
        item = _read_line(line, written, f"line {number}", environment)
        if isinstance(item, ProjectRequirement):
            projects.append(item)
        elif isinstance(item, NestedFile):
            nested.append(item)
        elif item is not None:
            skipped.append(item)
    if any(line.strip() == "--pre" for _, line in _logical_lines(text)):
        projects = [
            replace(each, versions=SpecifierSet(str(each.versions), prereleases=True)) for each in projects
        ]
    return Requirements(tuple(projects), tuple(skipped), tuple(nested))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with its number: continued ones joined, without comments and blanks, in pip's order."""
    start, parts = 0, []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            start = start or number
            parts.append(line.strip("\\"))
            continue
        # A comment ends a continued line, and is no part of it.
        parts.append(f" {line}" if is_comment else line)
        joined = _without_comment("".join(parts)).strip()
        if joined:
            yield start or number, joined
        start, parts = 0, []


def _without_comment(line: str) -> str:
    """Return a line up to the first ``#`` that begins it or follows a blank."""
    at = line.find("#")
    while at > 0 and not line[at - 1].isspace():
        at = line.find("#", at + 1)
    return line if at < 0 else line[:at]


def _without_options(line: str) -> str:
    """Return a line up to the first option of pip's: a word after a blank that begins with a hyphen."""
    for word in _WORD.finditer(line):
        if word.start() and word[0].startswith("-"):
            return line[: word.start()].rstrip()
    return line


def _read_line(
    line: str, written: str, where: str, environment: Mapping[str, str]
) -> ProjectRequirement | NestedFile | SkippedLine | None:
    if excess := bounds.LOCK_LINE.excess(len(line)):
        return SkippedLine(where, f"cannot be read: {excess}", is_mistake=True)
    if match := _NESTED.fullmatch(line):
        return NestedFile(
            match[2].strip().strip("\"'"), where, is_constraint=match[1] in ("-c", "--constraint")
        )
    if _EDITABLE.match(line):
        return SkippedLine(where, f"is installed from its sources: {_shown(written)}")
    if line.startswith("-"):
        return None  # another option of pip's
    digests = frozenset(digest.lower() for digest in _HASH.findall(line))
    stated = _without_options(line)
    if reason := _elsewhere(stated):
        return SkippedLine(where, f"{reason}: {_shown(written)}")
    return _requirement(stated, digests, written, where, environment)


def _elsewhere(text: str) -> str | None:
    """Return why a text names no project of an index, as the end of a sentence; None if it may name one."""
    if _VCS.match(text):
        return "comes from a version control system"
    if _DRIVE.match(text) or text.startswith((".", "/", "~", "\\", "file:")):
        return "is a file or directory, and no project of an index"
    if _URL.match(text):
        return "is a URL, and no project of an index"
    name = text.partition(";")[0].strip()
    if _ARCHIVE.fullmatch(name) or (("/" in name or "\\" in name) and "@" not in name):
        return "is a file or directory, and no project of an index"
    return None


def _requirement(
    stated: str, digests: frozenset[str], written: str, where: str, environment: Mapping[str, str]
) -> ProjectRequirement | SkippedLine | None:
    if unset := _VARIABLE.search(stated):
        return SkippedLine(where, f"needs {unset[0]}, which is not set: {_shown(written)}", is_mistake=True)
    try:
        requirement = _parsed(stated)
        name = parse_project_name(requirement.name)
    except (InvalidRequirement, InvalidProjectName):
        meant = "NAME, NAME==VERSION or another requirement is meant"
        return SkippedLine(where, f"cannot be read ({meant}): {_shown(written)}", is_mistake=True)
    try:
        if requirement.marker is not None and not requirement.marker.evaluate(dict(environment)):
            return None
    except (UndefinedComparison, UndefinedEnvironmentName):
        return SkippedLine(
            where, f"has a condition that compares nothing: {_shown(written)}", is_mistake=True
        )
    if requirement.url:
        return SkippedLine(where, f"is a URL, and no project of an index: {_shown(written)}")
    return ProjectRequirement(name, requirement.specifier, digests)


def _parsed(stated: str) -> Requirement:
    try:
        return parse_requirement(stated)
    except InvalidRequirement:
        # Without the blank before it pip takes a comment for a part of the version; people mean a comment.
        before, mark, _ = stated.partition("#")
        if not mark:
            raise
        return parse_requirement(before)


def _shown(text: str) -> str:
    """Return a line for a message: without logins, and not too long."""
    line = _LOGIN.sub("//...@", text)
    return repr(line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}...")
