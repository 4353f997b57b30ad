"""Faults of listings: files and metadata that an upstream lists but does not have, or not as listed.

They are withheld for a time that grows with each check that fails again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import NotHere
from simpleindex.core.model import MISSING, Withheld
from simpleindex.core.names import METADATA_SUFFIX
from simpleindex.upstreams.errors import WrongFile
from simpleindex.upstreams.pages.enrich import identity_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.errors import SimpleIndexError
    from simpleindex.core.files import File
    from simpleindex.core.model import Project


_FIRST: Final = 300.0
_GROWTH: Final = 6.0
_LONGEST: Final = 24 * 3600.0
"""Seconds between two checks: at first, and at most."""


@dataclass(frozen=True, slots=True)
class ListingFault:
    """What is wrong with a listed file or its metadata.

    Attributes:
        reason: What is wrong, as a sentence.
        until: When it is checked again, seconds since 1970.
        lasts: Seconds from the last check to then.
    """

    reason: str
    until: float
    lasts: float


def renewed_fault(before: ListingFault | None, reason: str, now: float) -> ListingFault:
    """Return a fault that was found now.

    Args:
        before: The fault that was found before; None if there was none.
        reason: What is wrong, as a sentence.
        now: Seconds since 1970.
    """
    lasts = _FIRST if before is None else min(_LONGEST, before.lasts * _GROWTH)
    if before is not None and now < before.until:
        # A client's request before the next check shows nothing new.
        return replace(before, reason=reason)
    return ListingFault(reason, now + lasts, lasts)


def why_not_offered(upstream: str, file: File, error: SimpleIndexError) -> str:
    """Return the sentence that says why a listed file is not offered.

    Args:
        upstream: The name of the upstream that lists it.
        file: The file.
        error: The error of fetching it.
    """
    reason = str(error)
    if isinstance(error, NotHere):
        reason = f"{upstream} lists it, but does not have it."
    elif isinstance(error, WrongFile):
        reason = f"{upstream} sends another file than it lists: {error.difference}."
    return f"{file.filename} is not offered: {reason}"


def without_faults(project: Project, faults: Mapping[str, ListingFault]) -> Project:
    """Return a project as its upstream lists it, without what is wrong.

    Args:
        project: As listed.
        faults: By the name of a file, or of its metadata, which ends in ``.metadata``.
    """
    if not faults:
        return project
    files: list[File] = []
    withheld = list(project.withheld)
    for file in project.files:
        fault = faults.get(file.filename)
        if fault is not None:
            withheld.append(Withheld(file.filename, fault.reason, MISSING, file.source, public=True))
            continue
        has_metadata = file.metadata is not None and file.filename + METADATA_SUFFIX not in faults
        files.append(file if has_metadata else replace(file, metadata=None))
    return replace(project, files=files, withheld=tuple(withheld))


def unchanged_faults(
    faults: Mapping[str, ListingFault], before: Project | None, now: Project
) -> Mapping[str, ListingFault]:
    """Return the faults of files whose listing has not changed: others may be right now."""
    if not faults or before is None:
        return {}
    marks = {name: mark for file in before.files for name, mark in _marks(file) if name in faults}
    return {
        name: faults[name]
        for file in now.files
        for name, mark in _marks(file)
        if name in faults and marks.get(name) == mark
    }


def due_rechecks(
    project: Project, faults: Mapping[str, ListingFault], now: float
) -> tuple[tuple[File, str], ...]:
    """Return the files to check again, each with the name under which its fault is stored."""
    names = {name for name, fault in faults.items() if fault.until <= now}
    if not names:
        return ()
    return tuple((file, name) for file in project.files for name, _ in _marks(file) if name in names)


def _marks(file: File) -> tuple[tuple[str, object], ...]:
    mark = identity_of(file)
    return (file.filename, mark), (file.filename + METADATA_SUFFIX, (mark, file.metadata))
