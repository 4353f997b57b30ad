"""Few changes among very many files of a project: what is unchanged is neither unpacked, judged nor sorted again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.core.model import Project, Status, files_of_version, replaced_files
from simpleindex.directory.project_file import NO_PROJECT_FILE
from simpleindex.directory.scan.assemble import FileInPlace, are_told_apart
from simpleindex.directory.scan.listed_files import listed_entry
from simpleindex.directory.scan.scanned_files import ScannedFiles, settled_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.directory_listings import DirectoryEntry, ProjectListing
    from simpleindex.directory.scan.scanned_files import PlainRow, ScannedFile
    from simpleindex.directory.scan.snapshot import ProjectSnapshot, ScanJob

_MANY: Final = 500
"""Files of a project; fewer are put together in a few milliseconds."""

_SHARE: Final = 8
"""One in so many files is changed at most."""


@dataclass(frozen=True, slots=True)
class FewChanges:
    """The files of a project that are not as they were.

    Attributes:
        entries: Those that are new, or changed, or must be looked at again.
        rows: What was known of each file of the project.
        kept: The paths of those that are as they were.
    """

    entries: tuple[DirectoryEntry, ...]
    rows: Mapping[str, PlainRow]
    kept: frozenset[str]

    @classmethod
    def between(cls, job: ScanJob, look: ProjectListing) -> FewChanges | None:
        """Return the changes since a project was read; None where it has to be put together from all of its files.

        Args:
            job: The project, with what was known of it.
            look: What lies there now.
        """
        if len(look.entries) < _MANY or not _is_plain(job, look):
            return None
        rows = job.before.known.plain_rows()
        states = {path: state for path, row in rows.items() if (state := settled_state(row)) is not None}
        entries = tuple(
            entry for entry in look.entries if entry.trouble or states.get(entry.path) != entry.stamp
        )
        kept = frozenset(entry.path for entry in look.entries).difference(entry.path for entry in entries)
        is_few = len(entries) + len(rows) - len(kept) <= len(look.entries) // _SHARE
        return cls(entries, rows, kept) if is_few else None

    def applied(
        self, name: ProjectName, previous: ProjectSnapshot, read: Mapping[str, ScannedFile]
    ) -> tuple[Project, ScannedFiles] | None:
        """Return the project as it is now, and what is known of its files; None where more has to be judged.

        Args:
            name: The project.
            previous: What was known of it.
            read: What is known of each of the changed files.
        """
        assert previous.project is not None  # see _is_plain
        added: list[File] = []
        for entry in self.entries:
            item = read.get(entry.path)
            if item is None or item.stamp is None or not isinstance(item.outcome, ArchiveInfo):
                return None
            added.append(listed_entry(entry, item.stamp, item.outcome, read))
        removed = {path.rpartition("/")[2] for path in (self.rows.keys() | read.keys()) - self.kept}
        files = replaced_files(previous.project.files, removed, added)
        for version in {file.version for file in added}:
            alike = files_of_version(files, version)
            if not are_told_apart(name, [FileInPlace(file.filename, 0, file) for file in alike]):
                return None
        kept = (row for path, row in self.rows.items() if path in self.kept)
        return Project(name, files), ScannedFiles.of_rows(kept, read, files)


def _is_plain(job: ScanJob, look: ProjectListing) -> bool:
    """Return whether a project was, and is, nothing but listed files of one directory."""
    project = job.before.project
    if project is None or job.before.trouble or project.withheld or project.status is not Status.ACTIVE:
        return False
    if job.before.project_file is not NO_PROJECT_FILE or look.project_file is not None or look.side_files:
        return False
    is_one_place = len(job.directories) == 1 and not job.loose and look.project_file_trouble is None
    return is_one_place and len(job.before.known) == len(project.files)
