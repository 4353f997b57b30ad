"""Parse versions, specifiers and requirements (PEP 440, PEP 508) within bounds.

:mod:`packaging` parses them, and bounds none of them. Two of its habits matter here: a number of more than 4,300 digits
is another error than an invalid version, and markers in parentheses are parsed by recursion.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from simpleindex.core import bounds

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_AND_OR: Final = re.compile(r"\b(?:and|or)\b")


def parse_version(text: str) -> Version:
    """Parse a version.

    Raises:
        InvalidVersion: It is none, or exceeds a bound.
    """
    if excess := bounds.VERSION.excess(len(text)):
        raise InvalidVersion(excess)
    return Version(text)


def parse_specifiers(text: str) -> SpecifierSet:
    """Parse a set of version specifiers, separated by commas.

    Raises:
        InvalidSpecifier: It is none, or exceeds a bound.
    """
    excess = bounds.SPECIFIERS.excess(len(text)) or bounds.SPECIFIER_CLAUSES.excess(text.count(",") + 1)
    if excess:
        raise InvalidSpecifier(excess)
    return SpecifierSet(text)


def parse_requirement(text: str) -> Requirement:
    """Parse a requirement.

    Raises:
        InvalidRequirement: It is none, or exceeds a bound.
    """
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  (its grammar is 5 ms of a start)

    excess = (
        bounds.REQUIREMENT.excess(len(text))
        or bounds.SPECIFIER_CLAUSES.excess(text.count(",") + 1)
        or bounds.MARKER_CLAUSES.excess(len(_AND_OR.findall(text)) + 1)
        or bounds.MARKER_DEPTH.excess(text.count("("))
    )
    if excess:
        raise InvalidRequirement(excess)
    try:
        return Requirement(text)
    except ValueError as error:
        # A number too long for Python, in a version.
        raise error if isinstance(error, InvalidRequirement) else InvalidRequirement(str(error)) from None
