"""Changes as operations that return once the index shows them: the steps of every storage, and those of a local directory."""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from simpleindex.core.errors import CannotStore, NotHere
from simpleindex.core.faults import Fault, Trouble
from simpleindex.core.names import PROVENANCE_SUFFIX
from simpleindex.core.selection import select
from simpleindex.core.text import human_size
from simpleindex.publishing.interface import Published
from simpleindex.publishing.local.staging import StagedUpload
from simpleindex.publishing.project_file_edits import with_status, with_yank, without_yank
from simpleindex.publishing.upload.checks import judge_digests, judge_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from simpleindex.access.identity import UploadRules
    from simpleindex.core.model import Status
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.directory.live.live_directory import LiveDirectory
    from simpleindex.publishing.interface import Draft
    from simpleindex.publishing.local.deletions import DeletedFile
    from simpleindex.publishing.local.present_files import StoredFile
    from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
    from simpleindex.publishing.local.writer import Writer
    from simpleindex.publishing.name_claim import NameClaim
    from simpleindex.publishing.project_file_edits import ProjectFileChange
    from simpleindex.publishing.upload.archive_checks import UploadChecks
    from simpleindex.publishing.upload.checks import Upload
    from simpleindex.system.threads import Threads

SPARE: Final = 64 * 1024 * 1024
"""Bytes that an upload leaves free, because records, cache and log may lie on the same disk."""

SPARE_PART: Final = 20
"""A small disk keeps one part in so many free instead."""


def spare_of(total: int) -> int:
    """Return how many bytes an upload leaves free on a disk of so many bytes."""
    return min(SPARE, total // SPARE_PART)


class StoredDeletions(Protocol):
    """Deletes and undeletes stored files; blocking."""

    def delete(self, project: ProjectName, filenames: Iterable[str], *, who: str) -> tuple[DeletedFile, ...]:
        """Move files of a project into the trash; their names stay used."""
        ...

    def undelete(self, project: ProjectName, filename: str, *, who: str) -> StoredFile:
        """Take the file of that name that was deleted last out of the trash."""
        ...

    def free_name(self, project: ProjectName, filename: str, *, who: str) -> bool:
        """Let a name be used again; return whether it was used."""
        ...


@dataclass(frozen=True)
class PublishingContext:
    """What publishing needs beside the storage, whichever that is.

    Attributes:
        live: The served state, which is refreshed after every change.
        source: The files that are listed.
        threads: Call blocking functions.
        checks: Checks an upload's file.
    """

    live: LiveDirectory
    source: Source
    threads: Threads
    checks: UploadChecks


class Publisher(ABC):
    """Publishes into a storage: judges what is uploaded, changes it in a thread, and waits until the index shows that.

    Attributes:
        IS_LISTING_EXACT: Whether a file that is listed is stored; False where other servers delete files.
    """

    IS_LISTING_EXACT: ClassVar[bool]

    def __init__(
        self,
        deletions: StoredDeletions,
        context: PublishingContext,
    ) -> None:
        self._deletions = deletions
        self._live = context.live
        self._source = context.source
        self._threads = context.threads
        self._checks = context.checks

    @abstractmethod
    def _filenames(self, name: ProjectName) -> tuple[str, ...]:
        """Return the names of the stored files of a project."""

    @abstractmethod
    def _store(
        self,
        draft: StagedUpload,
        upload: Upload,
        provenance: bytes | None,
        claim: NameClaim,
        *,
        overwrite: bool,
    ) -> tuple[StoredFile, tuple[str, ...]]:
        """Store a checked file, and settle the claim; return the file, and sentences for the client.

        The name is claimed once nothing else can refuse the file: an upload that others keep waiting for too long takes no name.
        """

    @abstractmethod
    def _edit_project_file(self, name: ProjectName, change: ProjectFileChange) -> bool:
        """Change a project's ``simpleindex.toml``; return whether it changed."""

    def reserve(self, name: ProjectName) -> Callable[[], None]:
        """Keep a name from upstreams while an upload of it is running; return a function that releases it."""
        return self._live.private_names.reserve(name)

    async def publish(self, draft: Draft, upload: Upload, rules: UploadRules, claim: NameClaim) -> Published:
        """Check a draft, and publish it."""
        assert isinstance(draft, StagedUpload)  # from open_draft
        name = upload.name.project
        listed = await self._sizes(name)
        published: Published = await self._change(name, self._publish, draft, upload, rules, claim, listed)
        return published

    def _publish(
        self,
        draft: StagedUpload,
        upload: Upload,
        rules: UploadRules,
        claim: NameClaim,
        listed: dict[str, tuple[str, int]],
    ) -> Published:
        name = upload.name
        digests = draft.finish()
        judge_digests(upload, digests)
        same_name, others = listed.get(name.filename), sum(size for _, size in listed.values())
        if self.IS_LISTING_EXACT and same_name is not None and same_name[0] == digests.sha256:
            # A file may be sent again because the first upload was killed, or its answer lost, before the claim was settled.
            claim.make(lambda: True)
            claim.settle()
            return Published(digests.sha256, created=False)
        judge_size(name.project, digests.size, others - (same_name[1] if same_name else 0), rules)
        self._checks.examine(draft, upload, rules)
        provenance, warnings = self._checks.provenance_of(upload, digests.sha256)
        stored, more_warnings = self._store(draft, upload, provenance, claim, overwrite=rules.overwrite)
        return Published(stored.sha256, stored.created, (*warnings, *more_warnings))

    async def _sizes(self, name: ProjectName) -> dict[str, tuple[str, int]]:
        """Return digest and size of each listed file."""
        try:
            project = await self._source.project(name)
        except NotHere:
            return {}
        return {file.filename: (file.sha256 or "", file.size or 0) for file in project.files}

    async def yank(self, name: ProjectName, key: str, reason: str) -> None:
        """Yank a version or a file (PEP 592)."""
        select(name, key, await self._threads.run(self._filenames, name))
        await self._edit(name, partial(with_yank, key=key, reason=reason))

    async def unyank(self, name: ProjectName, key: str) -> None:
        """Remove the yank of a version or a file."""
        if not await self._edit(name, partial(without_yank, key=key)):
            # Nothing was yanked; an unknown version or file is an error all the same.
            select(name, key, await self._threads.run(self._filenames, name))

    async def set_status(self, name: ProjectName, status: Status, reason: str | None) -> bool:
        """Set a project's status (PEP 792); return whether it changed."""
        return await self._edit(name, partial(with_status, status=status, reason=reason))

    async def delete(self, name: ProjectName, key: str, *, by: str) -> Mapping[str, str | None]:
        """Delete a version or a file; return the digests of the deleted files by name."""
        filenames = select(name, key, await self._threads.run(self._filenames, name))
        deleted = await self._change(name, partial(self._deletions.delete, who=by), name, filenames)
        digests = {os.path.basename(each.path): each.known_sha256 for each in deleted}
        return dict(sorted(digests.items()))

    async def undelete(self, name: ProjectName, filename: str, *, by: str) -> str:
        """Undelete the file of that name that was deleted last; return its digest."""
        undeleted: StoredFile = await self._change(
            name, partial(self._deletions.undelete, who=by), name, filename
        )
        return undeleted.sha256

    async def free(self, name: ProjectName, filename: str, *, by: str) -> None:
        """Let a deleted file's name be used again."""
        if not await self._change(name, partial(self._deletions.free_name, who=by), name, filename):
            raise NotHere(f"deleted file {filename} of the project {name}")

    async def _edit(self, name: ProjectName, change: ProjectFileChange) -> bool:
        edited: bool = await self._change(name, self._edit_project_file, name, change)
        return edited

    async def _change(self, name: ProjectName, function: Callable[..., Any], *arguments: Any) -> Any:
        result = await self._threads.run(function, *arguments)
        await self._live.changed_here(name)
        return result


class LocalPublishing(Publisher):
    """Publishes into a local directory."""

    IS_LISTING_EXACT = True

    def __init__(
        self,
        writer: Writer,
        project_files: ProjectFileWriter,
        context: PublishingContext,
    ) -> None:
        super().__init__(writer.deletions, context)
        self._writer = writer
        self._project_files = project_files

    def require_room(self, size: int) -> None:
        """Refuse an upload that would not fit on the disk; blocking."""
        space = self._writer.space()
        spare = spare_of(space.total)
        if space.free < size + spare:
            raise CannotStore(
                f"The disk of this index is full: it has {human_size(space.free)} left, of which {human_size(spare)} are kept "
                f"in reserve, and this upload needs {human_size(size)}.",
                trouble=Trouble(Fault.FULL, os.strerror(errno.ENOSPC), space.path),
            )

    def open_draft(self) -> StagedUpload:
        """Create a file for an upload; blocking."""
        return self._writer.begin()

    def _filenames(self, name: ProjectName) -> tuple[str, ...]:
        return self._writer.filenames(name)

    def _store(
        self,
        draft: StagedUpload,
        upload: Upload,
        provenance: bytes | None,
        claim: NameClaim,
        *,
        overwrite: bool,
    ) -> tuple[StoredFile, tuple[str, ...]]:
        name = upload.name
        stored = self._writer.commit(draft, name.project, name.filename, overwrite=overwrite, claim=claim)
        claim.settle()
        if provenance is not None:
            try:
                self._writer.put_beside(name.project, stored, PROVENANCE_SUFFIX, provenance)
            except CannotStore as error:
                # The file is stored, so it has to be listed.
                return stored, (f"The file was published without its provenance: {error}",)
        return stored, ()

    def _edit_project_file(self, name: ProjectName, change: ProjectFileChange) -> bool:
        changed = self._project_files.edit(name, change)
        self._live.note_whole_project_file(name)
        return changed
