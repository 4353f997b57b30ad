"""A list of names that are not to be offered, as an operator or a script writes it.

::

    # One on each line; what follows a # is the reason.
    litellm == 1.82.7      # stole credentials
    evil-*
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from simpleindex.core.errors import InvalidPattern, InvalidSources
from simpleindex.core.metadata import shown
from simpleindex.core.names import parse_project_name
from simpleindex.core.patterns import is_glob, matcher, matching, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.specifiers import SpecifierSet

    from simpleindex.core.names import ProjectName


@dataclass(frozen=True, slots=True)
class DenyList:
    """What such a file says.

    Attributes:
        names: Reasons by names; empty where none is given.
        patterns: The same for patterns, the first that matches counts.
        versions: Of a name: which versions, and the reason.
    """

    names: Mapping[ProjectName, str]
    patterns: Mapping[str, str]
    versions: Mapping[ProjectName, tuple[tuple[SpecifierSet, str], ...]]

    def whole(self, name: ProjectName) -> str | None:
        """Why all of a project is on it, as the end of a sentence; None if it is not."""
        reason = self.names.get(name)
        if reason is None and self.patterns and matcher(tuple(self.patterns)).find(name) is not None:
            reason = self.patterns[matching(tuple(self.patterns), name) or ""]
        return None if reason is None else _why(reason)

    def version(self, name: ProjectName, version: str) -> str | None:
        """Why a version is on it; None if it is not."""
        for specifiers, reason in self.versions.get(name, ()):
            if specifiers.contains(version, prereleases=True):
                return _why(reason)
        return None

    def mends(self, name: ProjectName, version: str) -> bool:
        """It knows of no versions that mend others."""
        del name, version
        return False


def parse_deny_list(content: bytes) -> DenyList:
    """Read the file.

    Raises:
        InvalidSources: A line of it is not understood; a name that is meant to be denied must not pass.
    """
    names: dict[ProjectName, str] = {}
    patterns: dict[str, str] = {}
    versions: dict[ProjectName, tuple[tuple[SpecifierSet, str], ...]] = {}
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        raise InvalidSources("is not UTF-8 text") from None
    for number, line in enumerate(lines, 1):
        text, _, reason = (part.strip() for part in line.partition("#"))
        reason = "".join(character for character in reason if character.isprintable())
        if not text:
            continue
        if is_glob(text) and "=" not in text:
            patterns[_pattern(text, number)] = reason
            continue
        requirement = _requirement(text, number)
        name = parse_project_name(requirement.name)
        if requirement.specifier:
            versions[name] = (*versions.get(name, ()), (requirement.specifier, reason))
        else:
            names[name] = reason
    return DenyList(names, patterns, versions)


def _pattern(text: str, number: int) -> str:
    try:
        return parse_pattern(text)
    except InvalidPattern as error:
        raise InvalidSources(f"has {shown(text)} on line {number}, which {error.reason}") from None


def _requirement(text: str, number: int) -> Requirement:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        requirement = None
    if requirement is None or requirement.url or requirement.marker or requirement.extras:
        raise InvalidSources(
            f"has {shown(text)} on line {number}, which is neither a name, nor one with * in it, nor a name with versions such "
            "as litellm == 1.82.7"
        )
    return requirement


def _why(reason: str) -> str:
    return f"the list has it, {reason}" if reason else "the list has it"
