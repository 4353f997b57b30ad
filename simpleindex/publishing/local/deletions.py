"""Deletion of files: into the trash, out of it again, and for good. The names of deleted files stay used. Blocking."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.core.distribution_identity import all_spellings
from simpleindex.core.errors import NotHere
from simpleindex.core.names import SIDE_FILE_SUFFIXES, distribution_suffix, parse_distribution_name
from simpleindex.core.text import printable
from simpleindex.directory.ledger import UNKNOWN_DIGEST
from simpleindex.directory.ledger_files import used_names_of
from simpleindex.publishing.errors import AlreadyExists
from simpleindex.publishing.local.ledger_changes import free_name, record_deleted
from simpleindex.publishing.local.locked_project import locked_project, moved_meanwhile
from simpleindex.publishing.local.present_files import (
    StoredFile,
    digest_if_readable,
    digest_of,
    require_new,
    served_entries,
)
from simpleindex.publishing.local.recovery import move_note
from simpleindex.publishing.local.trash import purge_trash, remove_empty, throw_away, trashed
from simpleindex.system.atomic import storing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.directory_listings import DirectoryEntry
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.publishing.local.staging import Staging


@dataclass(frozen=True, slots=True)
class DeletedFile:
    """A deleted file.

    Attributes:
        path: Its former path, relative to the root.
        sha256: Lower-case hex digest, or ``-`` if it could not be read.
        trash: Its path in the trash, relative to the root.
    """

    path: str
    sha256: str
    trash: str

    @property
    def known_sha256(self) -> str | None:
        """The digest; None if the file could not be read."""
        return None if self.sha256 == UNKNOWN_DIGEST else self.sha256


class Deletions:
    """Deletes and undeletes files under a root; any number of these may exist, in any number of processes.

    Args:
        directory: The root.
        staging: The directory for unfinished files.
        now: Seconds since 1970.
    """

    def __init__(self, directory: PackageDirectory, staging: Staging, now: Callable[[], float]) -> None:
        self._directory = directory
        self._staging = staging
        self._now = now

    def delete(self, project: ProjectName, filenames: Iterable[str], *, who: str) -> tuple[DeletedFile, ...]:
        """Move files of a project into the trash, from every place where they lie; their names stay used.

        At any moment each file is either served or deleted; after a crash some of several may be deleted.

        Args:
            project: The project.
            filenames: Bare names.
            who: The user, for the ledger.

        Raises:
            NotHere: One of the files does not exist; then none is deleted.
            CannotStore: They cannot be moved.
        """
        unique = [*dict.fromkeys(filenames)]
        self._find_all(project, unique)
        with locked_project(self._directory, self._staging, project) as place:
            files = self._find_all(project, unique)
            digests = {
                entry.path: digest_if_readable(self._directory, entry)
                for entries in files
                for entry in entries
            }
            with place.marked(move_note(digests, {*unique} - self.used_names(project))):
                lines = [(entries[0].filename, digests[entries[0].path]) for entries in files]
                record_deleted(place, lines, now=self._now(), who=who)
                # The least preferred place first: of two files with one name, the hidden one must not be served meanwhile.
                return tuple(
                    DeletedFile(entry.path, digests[entry.path], throw_away(place, entry.path, self._now()))
                    for entries in files
                    for entry in reversed(entries)
                )

    def _find_all(self, project: ProjectName, filenames: Sequence[str]) -> list[list[DirectoryEntry]]:
        with storing(os.path.join(self._directory.root, project)):
            places = self._directory.places_of(project)
        files = []
        for filename in filenames:
            is_name = distribution_suffix(filename) and "/" not in filename and "\0" not in filename
            entries = self._directory.entries_of(places, filename) if is_name else []
            entries = [
                entry
                for entry in entries
                if not os.path.isdir(os.path.join(self._directory.root, entry.path))
            ]
            if filename.startswith(".") or not entries:
                raise NotHere(f"file {printable(filename)} of the project {project}")
            files.append(entries)
        return files

    def used_names(self, project: ProjectName) -> frozenset[str]:
        """Return the names of a project's deleted files.

        Raises:
            CannotStore: The ledger cannot be read.
        """
        with storing(os.path.join(self._directory.root, project)):
            return used_names_of(self._directory, project)

    def free_name(self, project: ProjectName, filename: str, *, who: str) -> bool:
        """Let a name be used again, in every spelling that a deleted file had.

        Returns:
            Whether it was used.

        Raises:
            CannotStore: The ledger cannot be written.
        """
        freed = all_spellings(filename, project, self.used_names(project))
        if not freed:
            return False
        with locked_project(self._directory, self._staging, project) as place:
            for name in freed:
                free_name(self._directory, place, name, now=self._now(), who=who)
        return True

    def undelete(self, project: ProjectName, filename: str, *, who: str) -> StoredFile:
        """Take a deleted file out of the trash: the one that was deleted last.

        Raises:
            NotHere: There is none in the trash.
            AlreadyExists: A file of that name exists, or the same distribution under another name.
            CannotStore: It cannot be moved.
        """
        name = parse_distribution_name(filename, project)
        missing = NotHere(f"deleted file {filename} of the project {project}")
        if next(trashed(self._directory.root, project, filename), None) is None:
            raise missing
        with locked_project(self._directory, self._staging, project) as place:
            source = next(trashed(place.root, project, filename), None)
            if source is None:
                raise missing
            if entries := served_entries(self._directory, place, filename):
                raise AlreadyExists(filename, digest_of(self._directory, entries[0]))
            require_new(self._directory, name, formats_may_differ=True)
            target = os.path.join(place.path, filename)
            with place.marked(move_note([f"{project}/{filename}"], [filename])):
                # The file comes after its side files, because it makes them visible; its name is freed last.
                for suffix in SIDE_FILE_SUFFIXES:
                    if os.path.lexists(source + suffix):
                        place.move(source + suffix, target + suffix)
                place.add(source, target)
                free_name(self._directory, place, filename, now=self._now(), who=who)
                try:
                    os.unlink(source)
                    remove_empty(place.root, project)
                except OSError:
                    # The file is undeleted all the same.
                    place.leave()
            entries = served_entries(self._directory, place, filename)
            if not entries:
                raise moved_meanwhile(project)
            return StoredFile(entries[0].path, digest_of(self._directory, entries[0]), created=True)

    def purge(self, older_than_days: int) -> list[str]:
        """Remove for good files that were deleted at least so many days ago.

        Returns:
            The removed files, relative to the root.

        Raises:
            CannotStore: Something cannot be removed.
        """
        with storing(self._directory.root):
            return purge_trash(self._directory.root, older_than_days, self._now())
