"""Recognise names of distributions that are not served: still being copied, of another format, or misspelt.

A copy that is not finished has a temporary name. rsync writes ``.acme-1.0.tar.gz.Xy12Zz``, browsers ``.part`` or
``.crdownload``, ProFTPD ``.in.acme-1.0.tar.gz.``, Syncthing ``.syncthing.acme-1.0.tar.gz.tmp``. Each states the project.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import InvalidFilename, InvalidProjectName
from simpleindex.core.names import (
    SDIST_SUFFIXES,
    WHEEL_SUFFIX,
    distribution_suffix,
    parse_distribution_name,
    parse_project_name,
)

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName

OTHER_FORMATS: Final = (".egg", ".exe", ".msi", ".rpm", ".tar.Z", ".tar.lz", ".tar.lzma", ".tar.zst")
"""What setuptools and distutils built beside wheels and sdists, and archives that no installer unpacks."""

_LONGEST: Final = 255
"""Bytes of a file name (NAME_MAX of every common file system); also what bounds the patterns below."""

_SUFFIX: Final = "|".join(
    re.escape(suffix)
    for suffix in sorted((*SDIST_SUFFIXES, WHEEL_SUFFIX, *OTHER_FORMATS), key=len, reverse=True)
)
# A suffix counts where it ends a word: `.egg-info` and `.zipped` are none.
_MARK: Final = re.compile(rf"(?:{_SUFFIX})(?![A-Z0-9])(?!-info)", re.IGNORECASE | re.ASCII)
# Where a version begins, as in most names.
_VERSION: Final = re.compile(r"-v?[0-9]", re.ASCII)
# Before the name of a file that is on its way.
_BEFORE: Final = re.compile(
    r"[^A-Z0-9]+(?:(?:in|incoming|new|part|partial|syncthing|temp|tmp|upload)[._~-]+)?",
    re.IGNORECASE | re.ASCII,
)


def is_trace(filename: str) -> bool:
    """Return whether a name looks like that of a distribution, complete or not: it contains the suffix of one."""
    return len(filename) <= _LONGEST and _MARK.search(filename) is not None


def traced_projects(filename: str) -> tuple[ProjectName, ...]:
    """Return the projects of which a file lying directly in the root may be a distribution.

    Args:
        filename: The bare name, also a temporary one.

    Returns:
        Most often one project; none where the name is not like a distribution's. Several where it is not clear what belongs
        to the name.
    """
    if not is_trace(filename):
        return ()
    readings = [filename]
    if before := _BEFORE.match(filename):
        readings.append(filename[before.end() :])
    found = [project for reading in readings if (project := _stated(reading)) is not None]
    return tuple(dict.fromkeys(found))


def is_misspelt(filename: str) -> bool:
    """Return whether only capitals in its suffix keep a file from being a distribution's, as in ``ACME-1.0.TAR.GZ``."""
    return distribution_suffix(filename) is None and distribution_suffix(filename.lower()) is not None


def is_other_format(filename: str) -> bool:
    """Return whether a file is a distribution of a format that no installer takes today, such as an egg."""
    lower = filename.lower()
    return any(lower.endswith(suffix.lower()) for suffix in OTHER_FORMATS) and _stated(filename) is not None


def _stated(reading: str) -> ProjectName | None:
    """Return the project that a name states, ignoring what follows its suffix."""
    mark = _MARK.search(reading)
    if mark is None:
        return None
    stem, suffix = reading[: mark.start()].lstrip("._~-"), mark.group().lower()
    with suppress(InvalidFilename):
        return parse_distribution_name(f"{stem}{suffix}").project
    # A wheel needs no version to be some project's.
    version = _VERSION.search(stem)
    end = version.start() if version else -1
    if suffix == WHEEL_SUFFIX:
        end = stem.find("-") if "-" in stem else len(stem)
    with suppress(InvalidProjectName):
        return parse_project_name(stem[:end].strip("._- ~")) if end >= 0 else None
    return None
