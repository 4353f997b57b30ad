"""The changes of a bucket as operations that return once the index shows them; ``writer.py`` makes them."""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from simpleindex.archives.examination import requests
from simpleindex.archives.inspect import ArchiveInfo
from simpleindex.core.errors import CannotStore, NotHere
from simpleindex.core.faults import Fault, Trouble
from simpleindex.core.names import PROVENANCE_SUFFIX
from simpleindex.core.selection import select
from simpleindex.core.text import human_size
from simpleindex.publishing.checks import judge_digests, judge_size
from simpleindex.publishing.interface import Published
from simpleindex.publishing.project_file_edits import with_status, with_yank, without_yank
from simpleindex.publishing.staging import StagedUpload, Staging
from simpleindex.system.atomic import storing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.access.identity import UploadRules
    from simpleindex.bucket.live_bucket import LiveBucket
    from simpleindex.bucket.writer import BucketWriter
    from simpleindex.core.model import Status
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.publishing.checks import Upload
    from simpleindex.publishing.interface import Draft
    from simpleindex.publishing.upload_checks import UploadChecks
    from simpleindex.system.threads import Threads


class BucketPublishing:
    """Publishes into a bucket.

    Attributes:
        require_writable: Refuses every change while the store cannot be written to.

    Args:
        writer: Writes into the bucket.
        staging: Where uploads lie until they are whole and checked.
        live: The served state of the bucket.
        source: The files that are listed.
        threads: Call blocking functions.
        checks: Checks an upload's file.
    """

    def __init__(
        self,
        writer: BucketWriter,
        staging: Staging,
        live: LiveBucket,
        source: Source,
        threads: Threads,
        *,
        checks: UploadChecks,
    ) -> None:
        self._writer = writer
        self._staging = staging
        self._live = live
        self._source = source
        self._threads = threads
        self._checks = checks
        self.require_writable: Callable[[], None] = lambda: None

    def require_room(self, size: int) -> None:
        """Refuse an upload that would not fit on the local disk, where it is checked, or any where nothing is written; blocking."""
        self.require_writable()
        place = os.path.dirname(self._staging.path)
        with storing(place):
            status = os.statvfs(place)
        free = status.f_frsize * status.f_bavail
        if free < size:
            raise CannotStore(
                f"The disk of this node is full: it has {human_size(free)} left, and this upload needs {human_size(size)}.",
                trouble=Trouble(Fault.FULL, os.strerror(errno.ENOSPC), place),
            )

    def reserve(self, name: ProjectName) -> Callable[[], None]:
        """Keep a name from upstreams while an upload of it is running; return a function that releases it."""
        return self._live.private_names.reserve(name)

    def open_draft(self) -> StagedUpload:
        """Create a file for an upload; blocking."""
        with storing(self._staging.path):
            return StagedUpload(self._staging.make())

    async def publish(
        self, draft: Draft, upload: Upload, rules: UploadRules, claim_name: Callable[[], None]
    ) -> Published:
        """Check a draft, and publish it."""
        assert isinstance(draft, StagedUpload)  # from open_draft
        name = upload.name.project
        sizes = await self._sizes(name)
        published: Published = await self._threads.run(self._publish, draft, upload, rules, claim_name, sizes)
        await self._live.changed_here(name)
        return published

    def _publish(
        self,
        draft: StagedUpload,
        upload: Upload,
        rules: UploadRules,
        claim_name: Callable[[], None],
        sizes: dict[str, int],
    ) -> Published:
        name = upload.name
        digests = draft.finish()
        judge_digests(upload, digests)
        others = sum(size for filename, size in sizes.items() if filename != name.filename)
        judge_size(name.project, digests.size, others, rules)
        self._checks.examine(draft, upload, rules)
        provenance, warnings = self._checks.provenance_of(upload, digests.sha256)
        claim_name()
        side_files = {} if provenance is None else {PROVENANCE_SUFFIX: provenance}
        stored = self._writer.publish(
            draft, name, self._facts(draft, upload), side_files, overwrite=rules.overwrite
        )
        return Published(stored.sha256, stored.created, warnings)

    def _facts(self, draft: StagedUpload, upload: Upload) -> ArchiveInfo | None:
        """Return what a node would learn by reading the file; None if that cannot be had now."""
        with draft.reader() as file:
            request = requests.distribution(
                file.fileno(), draft.size, upload.name.filename, upload.name.project
            )
            (outcome,) = self._checks.examiner.examine([request])
        return outcome if isinstance(outcome, ArchiveInfo) else None

    async def _sizes(self, name: ProjectName) -> dict[str, int]:
        try:
            project = await self._source.project(name)
        except NotHere:
            return {}
        return {file.filename: file.size or 0 for file in project.files}

    async def yank(self, name: ProjectName, key: str, reason: str) -> None:
        """Yank a version or a file (PEP 592)."""
        select(name, key, await self._threads.run(self._writer.filenames, name))
        await self._edit(name, partial(with_yank, key=key, reason=reason))

    async def unyank(self, name: ProjectName, key: str) -> None:
        """Remove the yank of a version or a file."""
        if not await self._edit(name, partial(without_yank, key=key)):
            # Nothing was yanked; an unknown version or file is an error all the same.
            select(name, key, await self._threads.run(self._writer.filenames, name))

    async def set_status(self, name: ProjectName, status: Status, reason: str | None) -> bool:
        """Set a project's status (PEP 792); return whether it changed."""
        return await self._edit(name, partial(with_status, status=status, reason=reason))

    async def delete(self, name: ProjectName, key: str, *, by: str) -> Mapping[str, str | None]:
        """Delete a version or a file; return the digests of the deleted files by name."""
        filenames = select(name, key, await self._threads.run(self._writer.filenames, name))
        deleted = await self._change(name, partial(self._writer.delete, who=by), name, filenames)
        return {each.filename: each.sha256 for each in sorted(deleted, key=lambda each: each.filename)}

    async def undelete(self, name: ProjectName, filename: str, *, by: str) -> str:
        """Undelete the file of that name that was deleted last; return its digest."""
        undeleted = await self._change(name, partial(self._writer.undelete, who=by), name, filename)
        sha256: str = undeleted.sha256
        return sha256

    async def free(self, name: ProjectName, filename: str, *, by: str) -> None:
        """Let a deleted file's name be used again."""
        if not await self._change(name, partial(self._writer.free_name, who=by), name, filename):
            raise NotHere(f"deleted file {filename} of the project {name}")

    async def _edit(self, name: ProjectName, change: Callable[[bytes | None], bytes | None]) -> bool:
        edited: bool = await self._change(name, self._writer.edit_project_file, name, change)
        return edited

    async def _change(self, name: ProjectName, function: Callable[..., Any], *arguments: Any) -> Any:
        self.require_writable()
        result = await self._threads.run(function, *arguments)
        await self._live.changed_here(name)
        return result
