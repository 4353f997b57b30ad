"""The changes of a bucket as operations that return once the index shows them; ``writer.py`` makes them."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.archives.examination import protocol
from simpleindex.core.errors import CannotStore
from simpleindex.core.faults import Fault, Trouble
from simpleindex.core.names import PROVENANCE_SUFFIX
from simpleindex.core.text import human_size
from simpleindex.publishing.local.staging import StagedUpload, Staging
from simpleindex.publishing.publisher import Publisher
from simpleindex.system.atomic import storing

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.bucket.file_cache import BucketFileCache
    from simpleindex.bucket.writer import BucketWriter
    from simpleindex.core.names import ProjectName
    from simpleindex.publishing.local.present_files import StoredFile
    from simpleindex.publishing.name_claim import NameClaim
    from simpleindex.publishing.project_file_edits import ProjectFileChange
    from simpleindex.publishing.publisher import PublishingContext
    from simpleindex.publishing.upload.checks import Upload


class BucketPublishing(Publisher):
    """Publishes into a bucket.

    Attributes:
        require_writable: Refuses every change while the store cannot be written to.
        file_cache: Keeps uploaded files on the local disk; None to keep none.

    Args:
        writer: Writes into the bucket.
        staging: Where uploads lie until they are whole and checked.
        context: What publishing needs beside the storage.
    """

    IS_LISTING_EXACT = False

    def __init__(
        self,
        writer: BucketWriter,
        staging: Staging,
        context: PublishingContext,
    ) -> None:
        super().__init__(writer, context)
        self._writer = writer
        self._staging = staging
        self.require_writable: Callable[[], None] = lambda: None
        self.file_cache: BucketFileCache | None = None

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

    def open_draft(self) -> StagedUpload:
        """Create a file for an upload; blocking."""
        with storing(self._staging.path):
            return StagedUpload(self._staging.make())

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
        side_files = {} if provenance is None else {PROVENANCE_SUFFIX: provenance}
        facts = self._facts(draft, upload)
        stored = self._writer.publish(draft, upload.name, facts, side_files, claim, overwrite=overwrite)
        if stored.created and self.file_cache is not None:
            # It is published: a copy that cannot be kept is requested of the store later.
            with suppress(CannotStore), draft.reader() as file:
                self.file_cache.keep_upload(file, stored.path, draft.size)
        return stored, ()

    def _edit_project_file(self, name: ProjectName, change: ProjectFileChange) -> bool:
        return self._writer.edit_project_file(name, change)

    def _facts(self, draft: StagedUpload, upload: Upload) -> ArchiveInfo | None:
        """Return the facts that a node would find by reading the file; None if they are not available now."""
        with draft.reader() as file:
            request = protocol.distribution(
                file.fileno(), draft.size, upload.name.filename, upload.name.project
            )
            (outcome,) = self._checks.examiner.examine([request])
        return outcome if isinstance(outcome, ArchiveInfo) else None

    async def _change(self, name: ProjectName, function: Callable[..., Any], *arguments: Any) -> Any:
        self.require_writable()
        try:
            return await super()._change(name, function, *arguments)
        except CannotStore as error:
            if error.trouble is not None and error.trouble.fault is Fault.AWAY:
                # The store may have made it although no answer came; nobody waits until it is there again.
                Deferred.fromCoroutine(self._live.changed_here(name)).addErrback(lambda _: None)
            raise
