"""Names of projects and of distribution files, parsed once, where they come in.

Inner code takes :data:`ProjectName` and :class:`DistributionName`, never raw text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import Final, NewType

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from simpleindex.core import bounds
from simpleindex.core.errors import InvalidFilename, InvalidProjectName

ProjectName = NewType("ProjectName", str)
"""A project's name in normalized form (PEP 503); only :func:`parse_project_name` makes one."""

# PyPUG "name-normalization". ASCII, because without it U+017F and U+212A match [A-Z] under IGNORECASE; \Z, because $
# lets a trailing newline through.
_VALID_NAME: Final = re.compile(r"([A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])\Z", re.IGNORECASE | re.ASCII)
_SEPARATORS: Final = re.compile(r"[-_.]+")
# Where a version can begin (PEP 440).
_CUT: Final = re.compile(r"-(?=v?[0-9])", re.IGNORECASE | re.ASCII)

# PEP 625 allows only .tar.gz for new sdists; the others are older ones that pip still installs. Longest first.
SDIST_SUFFIXES: Final = (".tar.bz2", ".tar.gz", ".tar.xz", ".tar", ".tbz", ".tgz", ".txz", ".zip")
WHEEL_SUFFIX: Final = ".whl"

METADATA_SUFFIX: Final = ".metadata"
PROVENANCE_SUFFIX: Final = ".provenance"
SIGNATURE_SUFFIXES: Final = (".asc", ".sig")
SIDE_FILE_SUFFIXES: Final = (*SIGNATURE_SUFFIXES, PROVENANCE_SUFFIX)

PROJECT_FILE: Final = "simpleindex.toml"
"""What file names cannot say of a project: yanks and status."""

OWN_PREFIX: Final = ".simpleindex"
"""How our own temporary, trash and ledger names begin; they never exist for HTTP."""

LEDGER: Final = f"{OWN_PREFIX}-ledger"
"""Which file names of a project were once used by files that have been deleted."""

COPIED: Final = f"{OWN_PREFIX}-copied"
"""Where files of a project came from that ``simpleindex copy`` put there."""


_MAY_OUTGROW: Final = 200
"""Characters. Versions of a shorter file name are within their bound in every form: the normal one adds at most some 10."""


class Kind(Enum):
    """What a distribution file is."""

    WHEEL = "wheel"
    SDIST = "sdist"


_COPY: Final = re.compile(
    r" ?\((?:[0-9]{1,4}|copy)\)\Z| - Copy(?: \([0-9]{1,4}\))?\Z| copy(?: [0-9]{1,4})?\Z"
)
"""What browsers, Windows and macOS put behind the name of a second copy, before its suffix."""


@dataclass(frozen=True, slots=True)
class DistributionName:
    """What a distribution's file name says.

    Attributes:
        filename: The name itself; printable ASCII without slashes.
        project: The project that the name states, normalized.
        version: The version, normalized as PEP 440 has it.
        kind: Wheel or sdist.
    """

    filename: str
    project: ProjectName
    version: str
    kind: Kind


def parse_project_name(text: str) -> ProjectName:
    """Normalize a project's name (PEP 503).

    Raises:
        InvalidProjectName: The text is not a valid name, so no project can be called that.
    """
    if bounds.PROJECT_NAME.excess(len(text)) or not _VALID_NAME.match(text):
        raise InvalidProjectName(text)
    return ProjectName(_SEPARATORS.sub("-", text).lower())


def spelling_pattern(project: ProjectName) -> re.Pattern[str]:
    """Return a pattern that matches the beginning of a text that is a spelling of a project's name.

    For picking one project's out of many names; each costs a tenth of :func:`parse_project_name`.
    """
    return re.compile("[-_.]+".join(map(re.escape, project.split("-"))), re.IGNORECASE | re.ASCII)


def distribution_suffix(filename: str) -> str | None:
    """Return the suffix that makes this a distribution's name, or None for every other file."""
    if filename.endswith(WHEEL_SUFFIX):
        return WHEEL_SUFFIX
    if not filename.endswith(SDIST_SUFFIXES):
        return None  # Nearly all that is judged and is no wheel: names of directories.
    return next(suffix for suffix in SDIST_SUFFIXES if filename.endswith(suffix))


def parse_distribution_name(filename: str, project: ProjectName | None = None) -> DistributionName:
    """Read a distribution's file name.

    Args:
        filename: The bare file name.
        project: The project in whose directory, or on whose page, the file lies. It decides where a legacy sdist's name
            (``a-1-1.tar.gz``) is split. None where the name alone decides: directly in the root, on a flat page.

    Raises:
        InvalidFilename: The name does not parse, or states another project.
    """
    suffix = distribution_suffix(filename)
    if suffix is None:
        raise InvalidFilename(filename, "it has no suffix of a wheel or an sdist")
    if excess := bounds.FILENAME.excess(len(filename)):
        raise InvalidFilename(filename, excess)
    is_odd = not filename.isascii() or not filename.isprintable() or " " in filename or "/" in filename
    if is_odd or filename.removesuffix(suffix).endswith(")"):
        raise InvalidFilename(filename, _oddity(filename, suffix))
    parsed = _parse_wheel(filename) if suffix == WHEEL_SUFFIX else _parse_sdist(filename, suffix, project)
    # The normal form can be longer than what the name states: 1c-1dev is 1rc0.post1.dev0.
    if len(filename) > _MAY_OUTGROW and (excess := bounds.VERSION.excess(len(parsed.version))):
        raise InvalidFilename(filename, excess)
    if project is not None and parsed.project != project:
        raise InvalidFilename(filename, f"its name states the project {parsed.project}, not {project}")
    return parsed


def _oddity(filename: str, suffix: str) -> str:
    """Name a character of a file name that no distribution's file name can have."""
    stem = filename.removesuffix(suffix)
    if copy := _COPY.search(stem):
        whole = stem[: copy.start()] + suffix
        return f"it looks like a browser's or desktop's copy of {whole!r}; rename it, or remove it"
    odd = next(each for each in filename if each in " /)" or not (each.isascii() and each.isprintable()))
    words = {" ": "a blank", "/": "a slash"}
    return f"its name has {words.get(odd, f'the character {odd!a}')}, which no distribution's has"


def number_of_tags(text: str) -> int:
    """Return how many tags a compressed set of them stands for (PEP 425), without making them."""
    return prod(part.count(".") + 1 for part in text.split("-"))


def _parse_wheel(filename: str) -> DistributionName:
    stem = filename.removesuffix(WHEEL_SUFFIX)
    if excess := bounds.TAGS.excess(number_of_tags("-".join(stem.split("-")[-3:]))):
        raise InvalidFilename(filename, excess)
    try:
        # A ValueError is packaging's word for no, and Python's for a number of more than 4,300 digits.
        _, version, _, _ = parse_wheel_filename(filename)
        # packaging's own normalization accepts names (a leading underscore, say) that are none.
        project = parse_project_name(filename.split("-", 1)[0])
    except (ValueError, InvalidProjectName):
        raise InvalidFilename(
            filename, "its name is not a wheel's (name-version-python-abi-platform.whl)"
        ) from None
    return DistributionName(filename, project, str(version), Kind.WHEEL)


def _parse_sdist(filename: str, suffix: str, project: ProjectName | None) -> DistributionName:
    """Split at the first hyphen that separates a project's name from a version (PEP 440), as pip does.

    Both can hold hyphens: ``zope-interface-5.0``, ``acme-1.0-beta2``. pip knows the project that it looks for. Where nobody
    does, the longest text that is a version is the version.
    """
    stem = filename.removesuffix(suffix)
    splits = [(stem[: match.start()], stem[match.start() + 1 :]) for match in _CUT.finditer(stem)]
    if project is not None:
        splits = [split for split in splits if _is_spelling(split[0], project)] or splits
    for name, version in splits:
        try:
            return DistributionName(filename, parse_project_name(name), str(Version(version)), Kind.SDIST)
        except (ValueError, InvalidProjectName):
            continue
    raise InvalidFilename(filename, f"its name is not an sdist's (name-version{suffix})")


def _is_spelling(text: str, project: ProjectName) -> bool:
    return _SEPARATORS.sub("-", text).lower() == project and _VALID_NAME.match(text) is not None


_SUFFIXES: Final = (METADATA_SUFFIX, *SIDE_FILE_SUFFIXES)


def listed_file(filename: str) -> str:
    """Return the name of the distribution that a file is, or lies beside."""
    suffix = next((suffix for suffix in _SUFFIXES if filename.endswith(suffix)), "")
    return filename.removesuffix(suffix)
