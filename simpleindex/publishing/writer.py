"""Changing what lies under a root: receive, commit, delete, restore (docs/architecture.md; docs/protocol.md).

Any number of processes may do that at once: what must not happen twice is decided by the file system, by ``link``, ``rename``
and ``flock``. Everything here blocks and runs in threads. After each change the caller asks the one door for changes,
:meth:`~simpleindex.directory.live.live_directory.LiveDirectory.changed`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import AlreadyExists, CannotStore, Changed, NotHere
from simpleindex.core.faults import Fault
from simpleindex.core.names import parse_distribution_name
from simpleindex.publishing.deletions import Deletions
from simpleindex.publishing.ledger_changes import record_copied
from simpleindex.publishing.locks import locked_project
from simpleindex.publishing.present_files import StoredFile, digest_of, require_name, served_entries
from simpleindex.publishing.recovery import move_note, recover
from simpleindex.publishing.staging import StagedUpload, Staging
from simpleindex.publishing.trash import let_side_files_follow, throw_away
from simpleindex.system.atomic import storing, sync_directory
from simpleindex.system.descriptors import is_reserved, no_descriptor
from simpleindex.system.ownership import give_to_owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.package_directory import Entry, PackageDirectory
    from simpleindex.publishing.locks import LockedProject

_TRIES: Final = 20
"""How often to look again where somebody who knows no locks (rsync, a person) changes the same file meanwhile."""


@dataclass(frozen=True, slots=True)
class Space:
    """The room on a file system.

    Attributes:
        path: A directory on it.
        free: Bytes that can still be written.
        total: Bytes of the whole file system.
    """

    path: str
    free: int
    total: int


class Writer:
    """Changes a root; any number of them may exist, in any number of processes.

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
        """Return the room on the root's file system for this user; quotas are not known to it.

        Raises:
            CannotStore: It cannot be told.
        """
        root = self._directory.root
        with storing(root):
            status = os.statvfs(root)
        free = status.f_bfree if os.geteuid() == 0 else status.f_bavail
        return Space(root, status.f_frsize * free, status.f_frsize * status.f_blocks)

    def begin(self) -> StagedUpload:
        """Begin to receive a file.

        Raises:
            CannotStore: Nothing can be written.
        """
        with storing(self._staging.path):
            staged = self._staging.make()
            if is_reserved(staged.descriptor):
                staged.discard()
                raise no_descriptor()
            return StagedUpload(staged)

    def clean(self) -> list[str]:
        """Put right what writers that died left undone; to be called at the start, while others may be at work.

        Returns:
            A sentence for everything that was found.
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
    ) -> StoredFile:
        """Give a received file its name in its project.

        When this returns the draft is gone and the file is on the disk; when it raises the draft is as it was.

        Args:
            draft: All of the file.
            project: The project.
            filename: Its bare name.
            overwrite: Whether it may take the place of other bytes, and a name that was used before.
            formats_may_differ: Whether an sdist of the release in another format may be there, as old releases have them.

        Raises:
            InvalidFilename: The name is not that of a distribution of the project.
            AlreadyExists: Other bytes have that name, or the distribution is there under another one.
            NameUsed: A deleted file had it, or another spelling of it.
            CannotStore: It cannot be written.
        """
        name = parse_distribution_name(filename, project)
        digests = draft.finish()
        with locked_project(self._directory, self._staging, project) as place:
            for _ in range(_TRIES):
                try:
                    if not (found := served_entries(self._directory, place, filename)):
                        require_name(
                            self._directory,
                            name,
                            overwrite=overwrite,
                            formats_may_differ=formats_may_differ,
                        )
                    committed = self._try_to_commit(
                        place, draft, filename, digests.sha256, found, overwrite=overwrite
                    )
                except (Changed, FileExistsError):
                    continue
                draft.discard()
                return committed
            raise CannotStore(
                f"{project}/{filename} is being changed by somebody else; try again later.", fault=Fault.BUSY
            )

    def judge_name(self, project: ProjectName, filename: str) -> None:
        """Judge whether a copied file may come to be; :meth:`commit` judges once more, under the lock.

        Raises:
            AlreadyExists: The distribution is there under another name.
            NameUsed: A deleted file had the name, or another spelling of it.
            CannotStore: That cannot be told.
        """
        with storing(os.path.join(self._directory.root, project)):
            name = parse_distribution_name(filename, project)
            require_name(self._directory, name, overwrite=False, formats_may_differ=True)

    def _try_to_commit(
        self,
        place: LockedProject,
        draft: StagedUpload,
        filename: str,
        sha256: str,
        found: Sequence[Entry],
        *,
        overwrite: bool,
    ) -> StoredFile:
        if not found:
            give_to_owner_of(place.path, draft.staged.descriptor)
            place.add(draft.staged.path, os.path.join(place.path, filename))
            return StoredFile(f"{place.name}/{filename}", sha256, created=True)
        there = digest_of(self._directory, found[0])
        if there == sha256:
            # Its writer may have died before that was on the disk.
            sync_directory(os.path.join(place.root, os.path.dirname(found[0].path)))
            return StoredFile(found[0].path, sha256, created=False)
        if not overwrite:
            raise AlreadyExists(filename, there)
        self._overwrite(place, draft, found)
        return StoredFile(found[0].path, sha256, created=True)

    def _overwrite(self, place: LockedProject, draft: StagedUpload, found: Sequence[Entry]) -> None:
        first, *others = found
        with place.marked(move_note(entry.path for entry in others)):
            for entry in reversed(others):
                throw_away(place, entry.path, self._now())
            # Before the file: a signature that is missing does less harm than one of other bytes.
            let_side_files_follow(place, first.path, self._now())
            target = os.path.join(place.root, first.path)
            give_to_owner_of(os.path.dirname(target), draft.staged.descriptor)
            place.move(draft.staged.path, target)

    def put_beside(self, project: ProjectName, committed: StoredFile, suffix: str, data: bytes) -> None:
        """Put a small file beside one that was committed, in place of the one that was there.

        Args:
            project: The project.
            committed: The file.
            suffix: Of :data:`~simpleindex.core.names.SIDE_FILE_SUFFIXES`.
            data: What it says.

        Raises:
            CannotStore: It cannot be written.
        """
        with locked_project(self._directory, self._staging, project) as place, storing(place.path):
            place.replace(os.path.join(place.root, committed.path + suffix), data)

    def note(self, project: ProjectName, line: bytes) -> None:
        """Add a line to the note that lies beside copied files.

        Raises:
            CannotStore: It cannot be written.
        """
        with locked_project(self._directory, self._staging, project) as place, storing(place.path):
            record_copied(place, line)

    def digest_of(self, project: ProjectName, filename: str) -> str | None:
        """The sha256, in lower-case hex, of the file that lies there under a name; None if there is none that can be served.

        Raises:
            CannotStore: That cannot be told.
        """
        with storing(os.path.join(self._directory.root, project)):
            for _ in range(_TRIES):
                entries = self._directory.entries_of(self._directory.places_of(project), filename)
                found = next((entry for entry in entries if not entry.trouble), None)
                try:
                    return None if found is None else digest_of(self._directory, found)
                except (Changed, FileNotFoundError):
                    continue
        raise CannotStore(
            f"{project}/{filename} is being changed by somebody else; try again later.", fault=Fault.BUSY
        )

    def filenames(self, project: ProjectName) -> tuple[str, ...]:
        """Names of the distribution files that lie there, whether or not they can be served.

        Raises:
            NotHere: There is no such project.
            CannotStore: That cannot be told.
        """
        with storing(os.path.join(self._directory.root, project)):
            places = self._directory.places_of(project)
            look = self._directory.look(*places)
        if not any(places):
            raise NotHere(f"project {project}")
        return tuple(sorted({entry.filename for entry in look.entries}))
