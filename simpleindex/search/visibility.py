"""What of the search index a reader may see: only what the reader's own source offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.core.model import Status
from simpleindex.core.selection import latest_release, metadata_digest

if TYPE_CHECKING:
    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.search.query import Query
    from simpleindex.search.ranking import Candidate, DependentRow


@dataclass(frozen=True, slots=True)
class Hit:
    """A project that a search found, as its reader may see it.

    Attributes:
        title: The same as its metadata spell it.
        version: The latest release that the reader is offered.
        summary: One line; empty if the reader is not offered the file that has it.
        uploaded_ns: When the newest file of that release was uploaded; None if that is not known.
        source: The directory or upstream that has it.
        is_yanked: Whether that release is yanked, as every other is.
    """

    project: ProjectName
    title: str
    version: str
    summary: str
    uploaded_ns: int | None
    source: str
    is_yanked: bool = False


@dataclass(frozen=True, slots=True)
class Dependent:
    """A project that requires another one, as its reader may see it.

    Attributes:
        version: Its release whose metadata say so.
        requirement: As they write it (PEP 508).
    """

    project: ProjectName
    version: str
    requirement: str


def visible_hit(candidate: Candidate, project: Project, query: Query) -> Hit | None:
    """Return a candidate as a reader may see it; None if the reader may not see that it matches.

    Args:
        candidate: Found in the whole index.
        project: The project as the reader is offered it.
        query: The search. If its reader is not offered the file whose text matches, the name alone must match.
    """
    version = _shown_release(project)
    if version is None:
        return None
    file = _indexed_file(candidate, project)
    if file is None and not query.matches_name(project.name):
        return None
    title, summary = (project.name, "") if file is None else (candidate.title, candidate.summary)
    return _hit(project, version, title, summary)


def newest_release(candidate: Candidate, project: Project, *, yanked: bool = False) -> Hit | None:
    """Return the release of a project that a reader was offered last; None if the reader is offered none.

    Args:
        candidate: Found in the whole index.
        project: The project as the reader is offered it.
        yanked: Whether a yanked release counts although there is another.
    """
    if _shown_release(project) is None:
        return None
    files = [file for file in project.files if yanked or file.yanked is None] or project.files
    time_ns = max(file.uploaded_ns or 0 for file in files)
    # Files out of one archive, and objects of one second, have the same time.
    version = latest_release(file for file in files if (file.uploaded_ns or 0) == time_ns)
    if version is None:
        return None
    file = _indexed_file(candidate, project)
    title, summary = (project.name, "") if file is None else (candidate.title, candidate.summary)
    return _hit(project, version, title, summary)


def visible_dependent(row: DependentRow, project: Project) -> Dependent | None:
    """Return a dependent as a reader may see it; None if the reader is not offered the file that says so."""
    file = _indexed_file(row.candidate, project)
    if file is None or _shown_release(project) is None:
        return None
    return Dependent(project.name, file.version, row.requirement)


def _shown_release(project: Project) -> str | None:
    """Return the latest release of a project; None if it is not shown in lists."""
    if project.status is Status.QUARANTINED or project.denied is not None:
        return None
    return latest_release(project.files)


def _indexed_file(candidate: Candidate, project: Project) -> File | None:
    """Return the file whose metadata are indexed, if the reader is offered it."""
    for file in project.files:
        if file.filename == candidate.filename:
            return file if metadata_digest(file) == candidate.digest != "" else None
    return None


def _hit(project: Project, version: str, title: str, summary: str) -> Hit:
    files = [file for file in project.files if file.version == version]
    times = [file.uploaded_ns for file in files if file.uploaded_ns is not None]
    is_yanked = all(file.yanked is not None for file in files)
    return Hit(project.name, title, version, summary, max(times, default=None), files[0].source, is_yanked)
