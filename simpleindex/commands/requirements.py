"""Files of requirements, as pip reads them (pip's documentation, "Requirements File Format").

A line names a project of an index, or something else that pip installs: a repository of sources, a path, a URL, another file.
What is no project of an index is left out and named, and never costs the other lines.
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
from simpleindex.core.version_texts import parse_requirement

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
class Wanted:
    """One project of which something is wanted.

    Attributes:
        name: The project.
        versions: Which of its versions: the newest of them.
        sha256s: The digests that its files may have; empty for any.
    """

    name: ProjectName
    versions: SpecifierSet
    sha256s: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line or an entry of which nothing is wanted of an index.

    Attributes:
        where: Its place in the file, such as "line 3".
        reason: Why, as the end of a sentence.
        is_mistake: Whether it is one: it cannot be read, or misses something. Otherwise it is no project of an index.
    """

    where: str
    reason: str
    is_mistake: bool = False


@dataclass(frozen=True, slots=True)
class Nested:
    """Another file that a line names.

    Attributes:
        path: As it is written, relative to the file.
        where: The line.
        is_constraint: Whether it only limits the versions of what is wanted.
    """

    path: str
    where: str
    is_constraint: bool


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a file says.

    Attributes:
        wanted: Projects of an index.
        left_out: Everything else.
        nested: Other files.
    """

    wanted: tuple[Wanted, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    nested: tuple[Nested, ...] = ()

    def joined(self, other: Requirements) -> Requirements:
        """Return both together."""
        return Requirements(
            self.wanted + other.wanted, self.left_out + other.left_out, self.nested + other.nested
        )

    def constrained(self, limits: tuple[Wanted, ...]) -> Requirements:
        """Return this with the versions of constraints as well."""
        versions: dict[ProjectName, SpecifierSet] = {}
        for limit in limits:
            versions[limit.name] = versions.get(limit.name, SpecifierSet()) & limit.versions
        wanted = (
            replace(each, versions=each.versions & versions[each.name]) if each.name in versions else each
            for each in self.wanted
        )
        return replace(self, wanted=tuple(wanted))


def parse_requirements(
    text: str, environment: Mapping[str, str], variables: Mapping[str, str]
) -> Requirements:
    """Read a file of requirements.

    Args:
        text: The file.
        environment: The values of markers (PEP 508), for lines that are not for every machine.
        variables: The environment's, for ``${NAME}``.
    """
    wanted: list[Wanted] = []
    left_out: list[LeftOut] = []
    nested: list[Nested] = []
    for number, written in _logical_lines(text):
        line = _VARIABLE.sub(lambda found: variables.get(found[1]) or found[0], written)
        found = _read_line(line, written, f"line {number}", environment)
        if isinstance(found, Wanted):
            wanted.append(found)
        elif isinstance(found, Nested):
            nested.append(found)
        elif found is not None:
            left_out.append(found)
    if any(line.strip() == "--pre" for _, line in _logical_lines(text)):
        wanted = [
            replace(each, versions=SpecifierSet(str(each.versions), prereleases=True)) for each in wanted
        ]
    return Requirements(tuple(wanted), tuple(left_out), tuple(nested))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Every line with its number: continued ones joined, comments and blanks taken away, in pip's order."""
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
    """A line up to the first ``#`` that begins it or follows a blank."""
    at = line.find("#")
    while at > 0 and not line[at - 1].isspace():
        at = line.find("#", at + 1)
    return line if at < 0 else line[:at]


def _without_options(line: str) -> str:
    """A line up to the first word behind a blank that begins with a hyphen, as pip's options do."""
    for word in _WORD.finditer(line):
        if word.start() and word[0].startswith("-"):
            return line[: word.start()].rstrip()
    return line


def _read_line(
    line: str, written: str, where: str, environment: Mapping[str, str]
) -> Wanted | Nested | LeftOut | None:
    if excess := bounds.LOCK_LINE.excess(len(line)):
        return LeftOut(where, f"cannot be read: {excess}", is_mistake=True)
    if found := _NESTED.fullmatch(line):
        return Nested(found[2].strip().strip("\"'"), where, is_constraint=found[1] in ("-c", "--constraint"))
    if _EDITABLE.match(line):
        return LeftOut(where, f"is installed from its sources: {_shown(written)}")
    if line.startswith("-"):
        return None  # another option of pip's
    digests = frozenset(digest.lower() for digest in _HASH.findall(line))
    stated = _without_options(line)
    if reason := _elsewhere(stated):
        return LeftOut(where, f"{reason}: {_shown(written)}")
    return _requirement(stated, digests, written, where, environment)


def _elsewhere(text: str) -> str | None:
    """Why a text names no project of an index, as the end of a sentence; None if it may name one."""
    if _VCS.match(text):
        return "comes from a repository of sources"
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
) -> Wanted | LeftOut | None:
    if unset := _VARIABLE.search(stated):
        return LeftOut(where, f"needs {unset[0]}, which is not set: {_shown(written)}", is_mistake=True)
    try:
        requirement = _parsed(stated)
        name = parse_project_name(requirement.name)
    except (InvalidRequirement, InvalidProjectName):
        meant = "NAME, NAME==VERSION or another requirement is meant"
        return LeftOut(where, f"cannot be read ({meant}): {_shown(written)}", is_mistake=True)
    try:
        if requirement.marker is not None and not requirement.marker.evaluate(dict(environment)):
            return None
    except (UndefinedComparison, UndefinedEnvironmentName):
        return LeftOut(where, f"has a condition that compares nothing: {_shown(written)}", is_mistake=True)
    if requirement.url:
        return LeftOut(where, f"is a URL, and no project of an index: {_shown(written)}")
    return Wanted(name, requirement.specifier, digests)


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
    """A line as it may be printed: without logins, and not too long."""
    line = _LOGIN.sub("//...@", text)
    return repr(line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}...")
