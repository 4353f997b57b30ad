"""Store, replace, delete and undelete files in a local directory, under the lock of their project (docs/protocol.md).

Any number of processes may do that at once: what must not happen twice is decided by the file system, by ``link``, ``rename``
and ``flock``. Everything here blocks and runs in threads. After each change the caller asks the one door for changes,
:meth:`~simpleindex.directory.live.live_directory.LiveDirectory.changed`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import CannotStore, Changed, NotHere
from simpleindex.core.faults import Fault
from simpleindex.core.names import parse_distribution_name
from simpleindex.publishing.errors import AlreadyExists, NameUsed
from simpleindex.publishing.local.deletions import Deletions
from simpleindex.publishing.local.ledger_changes import record_copied
from simpleindex.publishing.local.locked_project import locked_project
from simpleindex.publishing.local.present_files import (
    MomentaryDirectory,
    StoredFile,
    digest_of,
    require_name,
    served_entries,
)
from simpleindex.publishing.local.recovery import move_note, recover
from simpleindex.publishing.local.staging import StagedUpload, Staging
from simpleindex.publishing.local.trash import let_side_files_follow, throw_away
from simpleindex.publishing.name_claim import NameClaim, withdrawn_on_error
from simpleindex.system.atomic import storing, sync_directory, sync_file_system
from simpleindex.system.descriptors import is_reserved_descriptor, no_descriptor
from simpleindex.system.ownership import give_to_owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.directory_listings import DirectoryEntry
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.publishing.local.locked_project import LockedProject

_TRIES: Final = 20
"""How often to look again while a program that knows no locks (rsync, an editor) changes the same file."""


@dataclass(frozen=True, slots=True)
class Space:
    """The free space of a file system.

    Attributes:
        free: Bytes that this user can still write.
        total: Bytes of the whole file system.
    """

    path: str
    free: int
    total: int


class Writer:
    """Writes into a root; any number of writers may exist, in any number of processes.

    Args:
        directory: The root.
        now: Seconds since 1970.
    """

    def __init__(self, directory: PackageDirectory, now: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._staging = Staging(directory)
        self._now = now
        self.deletions = Deletions(directory, self._staging, now)

    def space(self) -> Space:
        """Return the free space for this user; quotas are not counted.

        Raises:
            CannotStore: The file system cannot be read.
        """
        root = self._directory.root
        with storing(root):
            status = os.statvfs(root)
        free = status.f_bfree if os.geteuid() == 0 else status.f_bavail
        return Space(root, status.f_frsize * free, status.f_frsize * status.f_blocks)

    def begin(self) -> StagedUpload:
        """Create a file for an upload.

        Raises:
            CannotStore: Nothing can be written.
        """
        with storing(self._staging.path):
            staged = self._staging.make()
            if is_reserved_descriptor(staged.descriptor):
                staged.discard()
                raise no_descriptor()
            return StagedUpload(staged)

    def clean(self) -> list[str]:
        """Repair what crashed writers left unfinished; called at the start, while other writers may be at work.

        Returns:
            A sentence for each repair.
        """
        return recover(self._directory, self._staging, self._now())

    def commit(
        self,
        draft: StagedUpload,
        project: ProjectName,
        filename: str,
        *,
        overwrite: bool = False,
        formats_may_differ: bool = False,
        claim: NameClaim | None = None,
    ) -> StoredFile:
        """Move an uploaded file to its name in its project.

        When this returns, the file is on the disk and the draft is gone; when it raises, the draft is unchanged.

        Args:
            draft: The whole file.
            project: The project.
            filename: Its bare name.
            overwrite: Whether it may replace another file, and take the name of a deleted one.
            formats_may_differ: Whether the release may have an sdist in another format, as old releases have.
            claim: Made under the lock of the project, before the file gets its name; withdrawn if it gets none.

        Raises:
            InvalidFilename: The name is not that of a distribution of the project.
            AlreadyExists: Another file has that name, or the distribution exists under another name.
            NameUsed: A deleted file had it, or another spelling of it.
            CannotStore: It cannot be written.
        """
        name, claim = parse_distribution_name(filename, project), claim or NameClaim()
        digests = draft.finish()
        has_files = partial(self._has_files, project)
        with (
            locked_project(self._directory, self._staging, project) as place,
            withdrawn_on_error(claim, has_files),
        ):
            for _ in range(_TRIES):
                try:
                    if not (entries := served_entries(self._directory, place, filename)):
                        require_name(
                            self._directory,
                            name,
                            overwrite=overwrite,
                            formats_may_differ=formats_may_differ,
                        )
                    claim.make(has_files, may_run_for=0)
                    committed = self._try_to_commit(
                        place, draft, filename, digests.sha256, entries, overwrite=overwrite
                    )
                except (Changed, FileExistsError):
                    continue
                draft.discard()
                return committed
            raise _busy(project, filename)

    def _has_files(self, project: ProjectName) -> bool:
        return bool(self._directory.filenames_of(self._directory.places_of(project)))

    def commit_several(
        self, project: ProjectName, drafts: Sequence[tuple[StagedUpload, str]], notes: bytes
    ) -> list[StoredFile | AlreadyExists | NameUsed | CannotStore]:
        """Move several files to their names in a project, under one lock and with few waits for the disk; none replaces another one.

        Args:
            project: The project.
            drafts: The whole files, each with its bare name; releases may have sdists in other formats.
            notes: Lines for the project's note of copied files, which is written first.

        Returns:
            What is stored of each, or why it is not.

        Raises:
            CannotStore: None of them can be written.
        """
        outcomes: list[StoredFile | AlreadyExists | NameUsed | CannotStore] = []
        if not drafts:
            return outcomes
        with locked_project(self._directory, self._staging, project) as place, storing(place.path):
            for draft, _ in drafts:
                draft.make_readable(place.path)
            sync_file_system(self._staging.path)
            if notes:
                record_copied(place, notes)
            present = MomentaryDirectory(self._directory)
            for draft, filename in drafts:
                try:
                    outcomes.append(self._committed(place, draft, filename, present))
                except (AlreadyExists, NameUsed) as error:
                    outcomes.append(error)
                except (Changed, FileExistsError):
                    outcomes.append(_busy(project, filename))
                except CannotStore as error:
                    if error.fault is not Fault.MISPLACED:
                        raise
                    outcomes.append(error)
            sync_directory(place.path)
        return outcomes

    def _committed(
        self, place: LockedProject, draft: StagedUpload, filename: str, present: MomentaryDirectory
    ) -> StoredFile:
        name = parse_distribution_name(filename, place.name)
        entries = served_entries(present, place, filename)
        if entries:
            stored = digest_of(self._directory, entries[0])
            if stored != draft.digests().sha256:
                raise AlreadyExists(filename, stored)
            return StoredFile(entries[0].path, stored, created=False)
        require_name(present, name, overwrite=False, formats_may_differ=True)
        place.link(draft.staged.path, os.path.join(place.path, filename))
        return StoredFile(f"{place.name}/{filename}", draft.digests().sha256, created=True)

    def judge_name(
        self, project: ProjectName, filename: str, directory: MomentaryDirectory | None = None
    ) -> None:
        """Check whether a copied file may be added; :meth:`commit` checks once more, under the lock.

        Args:
            project: The project.
            filename: Its bare name.
            directory: As for :meth:`digest_of`.

        Raises:
            AlreadyExists: The distribution exists under another name.
            NameUsed: A deleted file had the name, or another spelling of it.
            CannotStore: The directory cannot be read.
        """
        with storing(os.path.join(self._directory.root, project)):
            name = parse_distribution_name(filename, project)
            require_name(directory or self._directory, name, overwrite=False, formats_may_differ=True)

    def _try_to_commit(
        self,
        place: LockedProject,
        draft: StagedUpload,
        filename: str,
        sha256: str,
        entries: Sequence[DirectoryEntry],
        *,
        overwrite: bool,
    ) -> StoredFile:
        if not entries:
            give_to_owner_of(place.path, draft.staged.descriptor)
            place.add(draft.staged.path, os.path.join(place.path, filename))
            return StoredFile(f"{place.name}/{filename}", sha256, created=True)
        stored = digest_of(self._directory, entries[0])
        if stored == sha256:
            # Its writer may have crashed before the file was on the disk.
            sync_directory(os.path.join(place.root, os.path.dirname(entries[0].path)))
            return StoredFile(entries[0].path, sha256, created=False)
        if not overwrite:
            raise AlreadyExists(filename, stored)
        self._overwrite(place, draft, entries)
        return StoredFile(entries[0].path, sha256, created=True)

    def _overwrite(
        self, place: LockedProject, draft: StagedUpload, entries: Sequence[DirectoryEntry]
    ) -> None:
        first, *others = entries
        with place.marked(move_note(entry.path for entry in others)):
            for entry in reversed(others):
                throw_away(place, entry.path, self._now())
            # Before the file: a missing signature does less harm than one of another file.
            let_side_files_follow(place, first.path, self._now())
            target = os.path.join(place.root, first.path)
            give_to_owner_of(os.path.dirname(target), draft.staged.descriptor)
            place.move(draft.staged.path, target)

    def put_beside(self, project: ProjectName, committed: StoredFile, suffix: str, data: bytes) -> None:
        """Write a side file of a stored file, in place of a former one.

        Args:
            project: The project.
            committed: The file.
            suffix: One of :data:`~simpleindex.core.names.SIDE_FILE_SUFFIXES`.
            data: Its content.

        Raises:
            CannotStore: It cannot be written.
        """
        with locked_project(self._directory, self._staging, project) as place, storing(place.path):
            place.replace(os.path.join(place.root, committed.path + suffix), data)

    def note(self, project: ProjectName, line: bytes) -> None:
        """Append a line to the project's note of copied files.

        Raises:
            CannotStore: It cannot be written.
        """
        with locked_project(self._directory, self._staging, project) as place, storing(place.path):
            record_copied(place, line)

    def digest_of(
        self, project: ProjectName, filename: str, directory: MomentaryDirectory | None = None
    ) -> str | None:
        """Return the sha256, in lower-case hex, of the stored file of a name; None if there is none that can be served.

        Args:
            project: The project.
            filename: Its bare name.
            directory: Remembers where the project lies, for many files of one; None to look.

        Raises:
            CannotStore: The directory cannot be read.
        """
        with storing(os.path.join(self._directory.root, project)):
            for _ in range(_TRIES):
                look = directory or self._directory
                entries = look.entries_of(look.places_of(project), filename)
                entry = next((entry for entry in entries if not entry.trouble), None)
                try:
                    return None if entry is None else digest_of(self._directory, entry)
                except (Changed, FileNotFoundError):
                    continue
        raise _busy(project, filename)

    def filenames(self, project: ProjectName) -> tuple[str, ...]:
        """Return the names of the stored distribution files, whether or not they can be served.

        Raises:
            NotHere: There is no such project.
            CannotStore: The directory cannot be read.
        """
        with storing(os.path.join(self._directory.root, project)):
            places = self._directory.places_of(project)
            look = self._directory.look(*places)
        if not any(places):
            raise NotHere(f"project {project}")
        return tuple(sorted({entry.filename for entry in look.entries}))


def _busy(project: ProjectName, filename: str) -> CannotStore:
    return CannotStore(
        f"{project}/{filename} is being changed by another writer; try again later.", fault=Fault.BUSY
    )
