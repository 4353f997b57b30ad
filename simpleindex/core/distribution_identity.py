"""The identity of a distribution, by which different spellings of one file name are recognised.

Installers look for a release by its parsed name, version and tags, not by the text of a file name: ``Acme-1.0-py3-none-any.whl``
and ``acme-1.0.0-py3-none-any.whl`` are the same wheel to them, and which of the two they take is different from one to the
next. So a published distribution is protected under all spellings of its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from packaging.version import Version

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import WHEEL_SUFFIX, Kind, distribution_suffix, parse_distribution_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.core.names import DistributionName, ProjectName

_BUILD: Final = re.compile(r"([0-9]*+)(.*)")
_TAG_SETS: Final = 3
"""Components of a wheel's name that are sets of tags: Python, ABI and platform (PEP 425)."""


@dataclass(frozen=True, slots=True)
class DistributionIdentity:
    """What tells one distribution from another.

    Attributes:
        project: Normalized (PEP 503).
        version: Parsed, so that 1.0 and 1.0.0 are equal (PEP 440).
        kind: Wheel or sdist. A release has one sdist, in whatever format.
        build: A wheel's build tag, as number and rest; None without one.
        tags: A wheel's sets of Python, ABI and platform tags, in lower case; empty for an sdist. Two wheels have the same
            expanded tags exactly if these three are equal; the product itself can have thousands of members.
    """

    project: ProjectName
    version: Version
    kind: Kind
    build: tuple[int, str] | None = None
    tags: tuple[frozenset[str], ...] = ()


def identify(name: DistributionName) -> DistributionIdentity:
    """Return the identity of the distribution that a file name stands for."""
    version = Version(name.version)
    if name.kind is Kind.SDIST:
        return DistributionIdentity(name.project, version, name.kind)
    build, tags = wheel_tags(name.filename)
    return DistributionIdentity(name.project, version, name.kind, build, tags)


def wheel_tags(filename: str) -> tuple[tuple[int, str] | None, tuple[frozenset[str], ...]]:
    """Return a wheel's build tag and its sets of tags, as :class:`DistributionIdentity` has them."""
    _, _, *builds, python, abi, platform = filename.removesuffix(WHEEL_SUFFIX).split("-")
    match = _BUILD.fullmatch(builds[0]) if builds else None
    return (int(match[1]), match[2]) if match and match[1] else None, _tag_sets(python, abi, platform)


# Nearly all wheels of an index have one of few combinations.
@lru_cache(maxsize=1024)
def _tag_sets(*parts: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(part.lower().split(".")) for part in parts)


def same_distribution(
    name: DistributionName, filenames: Iterable[str], *, formats_may_differ: bool = False
) -> list[str]:
    """Return those of a project's file names that stand for the same distribution as one of them, sorted.

    Args:
        name: The one; it is not among the result itself.
        filenames: Of the same project's files; what is no distribution's name is passed over.
        formats_may_differ: Whether an sdist in another format counts as another distribution. Old releases have several,
            of which installers prefer one; two of the same format cannot be told apart.
    """
    identity, suffix = identify(name), distribution_suffix(name.filename)
    found = []
    for filename in filenames:
        if filename == name.filename or not _may_be(filename, identity):
            continue
        if formats_may_differ and distribution_suffix(filename) != suffix:
            continue
        try:
            other = parse_distribution_name(filename, name.project)
        except InvalidFilename:
            continue
        if identify(other) == identity:
            found.append(filename)
    return sorted(found)


def all_spellings(filename: str, project: ProjectName, filenames: Iterable[str]) -> list[str]:
    """Return those of a project's file names that are a given one, or another spelling of it, sorted."""
    filenames = set(filenames)
    try:
        others = same_distribution(parse_distribution_name(filename, project), filenames)
    except InvalidFilename:
        others = []
    return sorted({filename} & filenames | {*others})


def normalized_filename(name: DistributionName) -> str:
    """Return the file name that current build backends give to a distribution.

    PEP 625 for sdists, the binary distribution format (section "Escaping and Unicode") for wheels. Build and platform tags
    are left as they are, for no specification normalizes them.
    """
    stem = f"{name.project.replace('-', '_')}-{name.version}"
    if name.kind is Kind.SDIST:
        return f"{stem}.tar.gz"
    return "-".join((stem, *name.filename.split("-")[2:]))


def _may_be(filename: str, identity: DistributionIdentity) -> bool:
    """Judge quickly what need not be parsed: a project may have tens of thousands of files."""
    if identity.kind is Kind.SDIST:
        return not filename.endswith(WHEEL_SUFFIX)
    if not filename.endswith(WHEEL_SUFFIX):
        return False
    parts = filename.removesuffix(WHEEL_SUFFIX).lower().split("-")[-_TAG_SETS:]
    return tuple(frozenset(part.split(".")) for part in parts) == identity.tags
