"""Make the files of a project's listing from what was read of each, with the signatures and provenance beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.core.files import File
from simpleindex.core.model import Project, Withheld
from simpleindex.core.names import (
    PROVENANCE_SUFFIX,
    SIDE_FILE_SUFFIXES,
    SIGNATURE_SUFFIXES,
    WHEEL_SUFFIX,
    Kind,
)
from simpleindex.directory.scan.assemble import FileInPlace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.directory.layout.directory_listings import DirectoryEntry, ProjectListing
    from simpleindex.directory.scan.scanned_files import ScannedFile
    from simpleindex.system.stamp import Stamp


def files_in_place(look: ProjectListing, known: Mapping[str, ScannedFile]) -> list[FileInPlace]:
    """Return each distribution that was read, and each side file that is withheld, with its place."""
    files = []
    for entry in look.entries:
        item = known.get(entry.path)
        if item is None:
            continue
        if isinstance(item.outcome, Withheld):
            files.append(FileInPlace(entry.path, entry.rank, item.outcome))
            continue
        assert isinstance(item.outcome, ArchiveInfo)  # digests alone are of side files
        assert item.stamp is not None  # read in that state
        file = listed_entry(entry, item.stamp, item.outcome, known)
        files.append(FileInPlace(entry.path, entry.rank, file))
    files += [
        FileInPlace(path, 0, item.outcome)
        for path, item in known.items()
        if path in (look.side_files or {}) and isinstance(item.outcome, Withheld)
    ]
    return files


def listed_entry(
    entry: DirectoryEntry, stamp: Stamp, facts: ArchiveInfo, known: Mapping[str, ScannedFile]
) -> File:
    """Return a distribution as it is listed.

    Args:
        entry: Where it lies.
        stamp: The state in which it was read.
        facts: What was read.
        known: What is known of each file, those beside it too.
    """
    beside = {
        suffix
        for suffix in SIDE_FILE_SUFFIXES
        if (item := known.get(entry.path + suffix)) is not None and isinstance(item.outcome, str)
    }
    return File(
        filename=entry.filename,
        version=facts.version,
        kind=Kind.WHEEL if entry.filename.endswith(WHEEL_SUFFIX) else Kind.SDIST,
        size=stamp.size,
        sha256=facts.sha256,
        uploaded_ns=stamp.mtime_ns,
        requires_python=facts.requires_python,
        metadata=facts.sidecar,
        signatures=tuple(suffix for suffix in SIGNATURE_SUFFIXES if suffix in beside) if beside else (),
        provenance=PROVENANCE_SUFFIX in beside,
    )


def with_source(project: Project, source: str) -> Project:
    """Return a project with another source's name than the default."""
    files = [replace(file, source=source) for file in project.files]
    withheld = tuple(replace(item, source=source) for item in project.withheld)
    return replace(project, files=files, withheld=withheld)


def with_withheld(project: Project, withheld: Withheld) -> Project:
    """Return a project with one more withheld file."""
    return replace(project, withheld=(*project.withheld, withheld))
