"""Parse a deny list: names and versions that are not offered, as an operator or a script writes them.

::

    # One on each line; the text after a # is the reason.
    litellm == 1.82.7      # stole credentials
    evil-*
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement
from packaging.specifiers import SpecifierSet

from simpleindex.core.errors import InvalidProjectName, SimpleIndexError
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.text_files import InvalidText, decode_requirements
from simpleindex.core.parsing.version_texts import parse_requirement
from simpleindex.core.patterns import FirstMatch, InvalidPattern, is_glob, matching, parse_pattern
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.names import ProjectName

_LINE_END: Final = re.compile(r"\r\n|\n|\r")
"""Of Unix, Windows and old Macs. Not all that Unicode has: a reason may hold one."""

_ALL_VERSIONS: Final = SpecifierSet()


@dataclass(frozen=True, slots=True)
class DenyList:
    """The content of a deny list.

    Attributes:
        names: Reasons by name; empty where none is given.
        patterns: Reasons by pattern; the first that matches counts.
        versions: By name, the versions with their reasons.
    """

    names: Mapping[ProjectName, str]
    patterns: Mapping[str, str]
    versions: Mapping[ProjectName, tuple[tuple[SpecifierSet, str], ...]]
    matches: FirstMatch = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches", FirstMatch([tuple(self.patterns)]))

    def project_reason(self, name: ProjectName) -> str | None:
        """Return why all of a project is listed, as the end of a sentence; None if it is not."""
        reason = self.names.get(name)
        if reason is None and self.matches.find(name) is not None:
            reason = self.patterns[matching(tuple(self.patterns), name) or ""]
        return None if reason is None else _why(reason)

    def version_reason(self, name: ProjectName, version: str) -> str | None:
        """Return why a version is listed; None if it is not."""
        for specifiers, reason in self.versions.get(name, ()):
            if specifiers.contains(version, prereleases=True):
                return _why(reason)
        return None

    def is_fix(self, name: ProjectName, version: str) -> bool:
        """Return False: a deny list does not say which versions fix others."""
        del name, version
        return False


def parse_deny_list(content: bytes) -> DenyList:
    """Parse the file.

    Raises:
        InvalidNameList: A line is not valid; the whole list is refused, so that no denied name is offered by mistake.
    """
    names: dict[ProjectName, str] = {}
    patterns: dict[str, str] = {}
    versions: dict[ProjectName, list[tuple[SpecifierSet, str]]] = {}
    try:
        whole = decode_requirements(content)
    except InvalidText as error:
        raise InvalidNameList(error.reason) from None
    for number, line in enumerate(_LINE_END.split(whole), 1):
        text, _, reason = (part.strip() for part in line.partition("#"))
        reason = "".join(character for character in reason if character.isprintable())
        if not text:
            continue
        if is_glob(text) and "=" not in text:
            patterns.setdefault(_pattern(text, number), reason)
            continue
        name, specifiers = _entry(text, number)
        if specifiers:
            versions.setdefault(name, []).append((specifiers, reason))
        else:
            names.setdefault(name, reason)
    return DenyList(names, patterns, {name: tuple(each) for name, each in versions.items()})


def _pattern(text: str, number: int) -> str:
    try:
        return parse_pattern(text)
    except InvalidPattern as error:
        raise InvalidNameList(f"has {shown(text)} on line {number}, which {error.reason}") from None


def _entry(text: str, number: int) -> tuple[ProjectName, SpecifierSet]:
    """Parse a name and a specifier of its versions; an empty one stands for all."""
    # Nearly all lines are names, and this takes a tenth of the time of a requirement.
    with suppress(InvalidProjectName):
        return parse_project_name(text), _ALL_VERSIONS
    with suppress(InvalidRequirement, InvalidProjectName):
        requirement = parse_requirement(text)
        if not (requirement.url or requirement.marker or requirement.extras):
            return parse_project_name(requirement.name), requirement.specifier
    raise InvalidNameList(
        f"has {shown(text)} on line {number}, which is neither a name, nor one with * in it, nor a name with versions such as "
        "litellm == 1.82.7"
    )


def _why(reason: str) -> str:
    return f"the list has it, {reason}" if reason else "the list has it"


class InvalidNameList(SimpleIndexError):
    """A list of names of which a line cannot be understood.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "The list {reason}"
    reason: str
