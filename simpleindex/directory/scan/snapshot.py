"""What one project offers at one moment, as a frozen value, and the values from which a scan makes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from simpleindex.core.model import Status
from simpleindex.directory.project_file import NO_PROJECT_FILE, ProjectFile
from simpleindex.directory.scan.scanned_files import NOTHING_KNOWN, ScannedFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.unserved import Unserved
    from simpleindex.system.stamp import Stamp


@dataclass(frozen=True, slots=True)
class ProjectSnapshot:
    """What is listed and served of one project at one moment; never changed, only replaced.

    Attributes:
        project: What is listed; None if there is no such project.
        trouble: Why it cannot be answered for now, as a sentence; None normally.
        known: What is known of every file, by path.
        stamps: State of the directories and of ``simpleindex.toml``, by path.
        project_file: The last good one.
        pending: Whether files are there that have not been read yet.
        unverified: Whether files are listed that must be read again: their ctime or link count changed since, or they
            were young then.
        young: Whether something changed so recently that another look is due in 2 s.
        partial: Whether it has never been read completely.
        doubtful: Whether one of the unverified may well have other bytes: a write in place whose mtime was set back changes
            nothing but the ctime, and with a new link the number of links.
        has_traces: Whether anything like a distribution lies there, whole or not, or may do.
        unserved: What lies there and is passed over, one item for each cause.
        is_file_broken: Whether the trouble is the project's own file, which cannot be obeyed.
    """

    project: Project | None = None
    trouble: str | None = None
    known: ScannedFiles = field(default_factory=lambda: NOTHING_KNOWN)
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    project_file: ProjectFile = NO_PROJECT_FILE
    pending: bool = False
    unverified: bool = False
    young: bool = False
    partial: bool = False
    doubtful: bool = False
    has_traces: bool = False
    unserved: tuple[Unserved, ...] = ()
    is_file_broken: bool = False

    @property
    def chosen(self) -> Mapping[str, str]:
        """The path of each listed file, by file name."""
        return self.known.chosen


NO_SNAPSHOT: Final = ProjectSnapshot()


class ScanJob(NamedTuple):
    """One project to be read.

    Attributes:
        name: Which.
        directories: Raw names of its directories, the normalized one first.
        loose: Names of its files directly in the root.
        before: What was known of it.
        is_surveyed: Whether a survey has seen these directories and files.
        is_traced: Whether an event named something like a distribution there.
        is_reported: Whether an event reported a change there.
    """

    name: ProjectName
    directories: tuple[str, ...]
    loose: tuple[str, ...]
    before: ProjectSnapshot
    is_surveyed: bool = True
    is_traced: bool = False
    is_reported: bool = False


def is_settled(snapshot: ProjectSnapshot) -> bool:
    """Return whether nothing of a project has to be read, judged or logged again."""
    is_in_flux = (
        snapshot.pending or snapshot.unverified or snapshot.young or snapshot.partial or snapshot.trouble
    )
    withheld = snapshot.known.withheld or (snapshot.project and snapshot.project.withheld)
    return not (is_in_flux or withheld) and snapshot.project_file is NO_PROJECT_FILE


def exists(snapshot: ProjectSnapshot) -> bool:
    """Return whether something lies there, even if it cannot be read."""
    return snapshot.project is not None or snapshot.trouble is not None


def is_unread(snapshot: ProjectSnapshot) -> bool:
    """Return whether a request has to wait for bytes to be read."""
    return snapshot.pending or snapshot.doubtful


def is_offered(snapshot: ProjectSnapshot) -> bool:
    """Return whether the root listing names the project: not while it is quarantined (PEP 792, as PyPI does)."""
    if snapshot.project is None:
        return snapshot.trouble is not None
    return snapshot.project.status is not Status.QUARANTINED
