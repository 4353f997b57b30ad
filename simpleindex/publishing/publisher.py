"""Changing what a local directory holds, and returning when that is what it says."""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from simpleindex.archives.examination import requests
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.core.errors import BrokenArchive, CannotStore, NotHere, Unavailable
from simpleindex.core.faults import Fault, Trouble
from simpleindex.core.names import PROVENANCE_SUFFIX
from simpleindex.core.selection import select
from simpleindex.core.sizes import human_size
from simpleindex.publishing.checks import judge_digests, judge_metadata, judge_size, refused_archive
from simpleindex.publishing.interface import Published
from simpleindex.publishing.staging import StagedUpload
from simpleindex.system.atomic import storing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from simpleindex.access.identity import UploadRules
    from simpleindex.archives.examination.requests import Examiner
    from simpleindex.archives.verify import Examined
    from simpleindex.core.model import Status
    from simpleindex.core.names import DistributionName, ProjectName
    from simpleindex.core.source import Source
    from simpleindex.directory.live.live_directory import LiveDirectory
    from simpleindex.publishing.checks import Upload
    from simpleindex.publishing.interface import Draft
    from simpleindex.publishing.present_files import StoredFile
    from simpleindex.publishing.project_file_writer import ProjectFileWriter
    from simpleindex.publishing.writer import Writer

SPARE: Final = 64 * 1024 * 1024
"""Bytes that an upload leaves free: the records, the cache and the log may lie on the same disk."""

SPARE_PART: Final = 20
"""Of a small disk only so many'th part is left free."""


def spare_of(total: int) -> int:
    """Return how many bytes an upload leaves free on a disk of so many bytes."""
    return min(SPARE, total // SPARE_PART)


class LocalPublishing:
    """The writing interface of a local directory.

    Args:
        writer: Stores files.
        project_files: Changes yanks and status.
        live: Is told of every change, the one door for them.
        source: What there is.
        in_thread: Calls a blocking function in a thread.
        examiner: Examines uploads.
        provenance: Makes of an upload's attestations what is stored beside the file, or refuses them (PEP 740); None where
            they are ignored.
    """

    def __init__(
        self,
        writer: Writer,
        project_files: ProjectFileWriter,
        live: LiveDirectory,
        source: Source,
        in_thread: Callable[..., Awaitable[Any]],
        *,
        examiner: Examiner,
        provenance: Callable[[str, str, str], bytes | None] | None = None,
    ) -> None:
        self._writer = writer
        self._project_files = project_files
        self._live = live
        self._source = source
        self._in_thread = in_thread
        self._examiner = examiner
        self._provenance = provenance

    def require_room(self, size: int) -> None:
        """Refuse what would not fit; blocking."""
        space = self._writer.space()
        spare = spare_of(space.total)
        if space.free < size + spare:
            raise CannotStore(
                f"The disk of this index is full: it has {human_size(space.free)} left, of which {human_size(spare)} are kept "
                f"in reserve, and this upload needs {human_size(size)}.",
                trouble=Trouble(Fault.FULL, os.strerror(errno.ENOSPC), space.path),
            )

    def reserve(self, name: ProjectName) -> Callable[[], None]:
        """Take a name for an upload that is on its way; returns what gives it back."""
        return self._live.own_names.reserve(name)

    def open_draft(self) -> StagedUpload:
        """Begin a file; blocking."""
        return self._writer.begin()

    async def publish(
        self, draft: Draft, upload: Upload, rules: UploadRules, own: Callable[[], None]
    ) -> Published:
        """Judge a draft's bytes, and put the file where it is listed."""
        assert isinstance(draft, StagedUpload)  # from open_draft
        name = upload.name.project
        there = await self._sizes(name)
        published: Published = await self._in_thread(self._publish, draft, upload, rules, own, there)
        await self._live.changed(name)
        return published

    def _publish(
        self,
        draft: StagedUpload,
        upload: Upload,
        rules: UploadRules,
        own: Callable[[], None],
        there: dict[str, tuple[str, int]],
    ) -> Published:
        name = upload.name
        digests = draft.finish()
        judge_digests(
            upload,
            sha256=digests.sha256,
            blake2_256=digests.blake2_256,
            md5=digests.md5,
            size=digests.size,
        )
        listed, others = there.get(name.filename), sum(size for _, size in there.values())
        if listed is not None and listed[0] == digests.sha256:
            return Published(digests.sha256, created=False)
        judge_size(name.project, digests.size, others - (listed[1] if listed else 0), rules)
        examined = self._examine(draft, name, rules)
        judge_metadata(upload, examined.metadata)
        provenance, warnings = self._judge_attestations(upload, digests.sha256)
        own()
        committed = self._writer.commit(draft, name.project, name.filename, overwrite=rules.overwrite)
        if provenance is not None:
            try:
                self._writer.put_beside(name.project, committed, PROVENANCE_SUFFIX, provenance)
            except CannotStore as error:
                # The file is there, and has to be listed and answered.
                warnings = (f"The file was published without its provenance: {error}",)
        return Published(committed.sha256, committed.created, warnings)

    def _examine(self, draft: StagedUpload, name: DistributionName, rules: UploadRules) -> Examined:
        with draft.reader() as file, storing(draft.staged.path):
            wanted = requests.upload(file.fileno(), draft.size, name, rules)
            try:
                return requests.value_of(*self._examiner.examine([wanted]))
            except BrokenArchive as error:
                raise refused_archive(name, error) from None
            except NotExamined as error:
                if error.trouble is not None:
                    raise CannotStore(
                        f"Uploads cannot be examined: {error}; the operator of the index has to mend that.",
                        trouble=error.trouble,
                    ) from None
                raise Unavailable(f"Uploads cannot be examined now: {error}.", retry_after=2) from None

    def _judge_attestations(self, upload: Upload, sha256: str) -> tuple[bytes | None, tuple[str, ...]]:
        if upload.attestations is None:
            return None, ()
        if self._provenance is None:
            # Refusing the field would break a publisher that sends it unasked (SPEC Y13a).
            return None, ("The attestations were ignored: this index does not verify any.",)
        return self._provenance(upload.attestations, upload.name.filename, sha256), ()

    async def _sizes(self, name: ProjectName) -> dict[str, tuple[str, int]]:
        """Digest and bytes of each file that is listed."""
        try:
            project = await self._source.project(name)
        except NotHere:
            return {}
        return {file.filename: (file.sha256 or "", file.size or 0) for file in project.files}

    async def yank(self, name: ProjectName, key: str, reason: str) -> None:
        """Yank a version or a file (PEP 592)."""
        select(name, key, await self._in_thread(self._writer.filenames, name))
        await self._edit(name, self._project_files.yank, name, key, reason)

    async def unyank(self, name: ProjectName, key: str) -> None:
        """Take that back."""
        if not await self._edit(name, self._project_files.unyank, name, key):
            # Not yanked is what it should be, unless there is no such thing.
            select(name, key, await self._in_thread(self._writer.filenames, name))

    async def set_status(self, name: ProjectName, status: Status, reason: str | None) -> bool:
        """Set a project's status (PEP 792); return whether it was another."""
        return await self._edit(name, self._project_files.set_status, name, status, reason)

    async def delete(self, name: ProjectName, key: str, *, by: str) -> Mapping[str, str | None]:
        """Delete a version or a file; return the digests of the files that are gone, by name."""
        filenames = select(name, key, await self._in_thread(self._writer.filenames, name))
        deleted = await self._change(name, partial(self._writer.deletions.delete, who=by), name, filenames)
        digests = {os.path.basename(each.path): each.known_sha256 for each in deleted}
        return dict(sorted(digests.items()))

    async def restore(self, name: ProjectName, filename: str, *, by: str) -> str:
        """Take a deleted file out of the trash, the one that was deleted last; return its digest."""
        restored: StoredFile = await self._change(
            name, partial(self._writer.deletions.restore, who=by), name, filename
        )
        return restored.sha256

    async def free(self, name: ProjectName, filename: str, *, by: str) -> None:
        """Let a deleted file's name be used again."""
        if not await self._change(name, partial(self._writer.deletions.free_name, who=by), name, filename):
            raise NotHere(f"deleted file {filename} of the project {name}")

    async def _edit(self, name: ProjectName, function: Callable[..., Any], *arguments: Any) -> bool:
        def edit() -> bool:
            changed: bool = function(*arguments)
            self._live.note_whole_project_file(name)
            return changed

        edited: bool = await self._change(name, edit)
        return edited

    async def _change(self, name: ProjectName, function: Callable[..., Any], *arguments: Any) -> Any:
        result = await self._in_thread(function, *arguments)
        await self._live.changed(name)
        return result
