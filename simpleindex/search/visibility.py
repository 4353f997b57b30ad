"""What of the search index a reader may see: only what the reader's own source offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.core.model import Status, file_named
from simpleindex.core.selection import latest_release, metadata_digest
from simpleindex.search.folding import fold, normalize

if TYPE_CHECKING:
    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.search.excerpt import Excerpt
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
        indexed: What the index has of it; None if the reader is not offered the file that has it.
        excerpt: The text around what matches, if neither the name nor the summary shows it.
    """

    project: ProjectName
    title: str
    version: str
    summary: str
    uploaded_ns: int | None
    source: str
    is_yanked: bool = False
    indexed: Candidate | None = None
    excerpt: Excerpt = ()

    def hidden_terms(self, query: Query) -> list[str]:
        """Return the terms of a search that a reader sees neither in the name nor in the summary."""
        summary = fold(self.summary)
        return [term for term in query.terms if normalize(term) not in self.project and term not in summary]


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


def is_visible(candidate: Candidate, project: Project, query: Query) -> bool:
    """Return whether a reader may see that a candidate matches.

    Args:
        candidate: Found in the whole index.
        project: The project as the reader is offered it.
        query: The search. If its reader is not offered the file whose text matches, the name alone must match.
    """
    if not is_shown(project):
        return False
    return _indexed_file(candidate, project) is not None or query.matches_name(project.name)


def hit_of(candidate: Candidate, project: Project) -> Hit:
    """Return a candidate as a reader may see it, who may see that it matches."""
    version = latest_release(project.files)
    assert version is not None  # it is shown
    return _hit(project, version, candidate)


def newest_release(candidate: Candidate, project: Project, *, yanked: bool = False) -> Hit | None:
    """Return the release of a project that a reader was offered last; None if the reader is offered none.

    Args:
        candidate: Found in the whole index.
        project: The project as the reader is offered it.
        yanked: Whether a yanked release counts although there is another.
    """
    if not is_shown(project):
        return None
    files = [file for file in project.files if yanked or file.yanked is None] or project.files
    time_ns = max(file.uploaded_ns or 0 for file in files)
    # Files out of one archive, and objects of one second, have the same time.
    version = latest_release(file for file in files if (file.uploaded_ns or 0) == time_ns)
    return None if version is None else _hit(project, version, candidate)


def visible_dependent(row: DependentRow, project: Project) -> Dependent | None:
    """Return a dependent as a reader may see it; None if the reader is not offered the file that says so."""
    file = _indexed_file(row.candidate, project)
    if file is None or not is_shown(project):
        return None
    return Dependent(project.name, file.version, row.requirement)


def is_shown(project: Project) -> bool:
    """Return whether a reader who is offered this of a project sees it in lists."""
    return project.status is not Status.QUARANTINED and project.denied is None and len(project.files) > 0


def _indexed_file(candidate: Candidate, project: Project) -> File | None:
    """Return the file whose metadata are indexed, if the reader is offered it."""
    file = file_named(project.files, candidate.filename)
    return file if file is not None and metadata_digest(file) == candidate.digest != "" else None


def _hit(project: Project, version: str, candidate: Candidate) -> Hit:
    indexed = None if _indexed_file(candidate, project) is None else candidate
    files = [file for file in project.files if file.version == version]
    times = [file.uploaded_ns for file in files if file.uploaded_ns is not None]
    is_yanked = all(file.yanked is not None for file in files)
    title, summary = (project.name, "") if indexed is None else (indexed.title, indexed.summary)
    facts = project.name, title, version, summary
    return Hit(*facts, max(times, default=None), files[0].source, is_yanked, indexed)
