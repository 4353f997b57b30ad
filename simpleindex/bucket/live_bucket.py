"""A bucket that is served: listed at intervals, and a project at once where a change of it became known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.directory.live.live_directory import LiveDirectory
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from simpleindex.bucket.package_bucket import PackageBucket
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.watch.interface import Watch
    from simpleindex.system.threads import Threads

_log = logger(__name__)


class LiveBucket(LiveDirectory):
    """The served state of a bucket.

    Attributes:
        has_begun: Whether what is listed is read; before that a listing only replaces the one before.
    """

    has_begun = False
    bucket: PackageBucket
    reads: Threads

    async def changed(self, name: ProjectName) -> None:
        if not self.has_begun:
            # One project is no list of projects: every other name would be "not here".
            return
        try:
            await self.reads.run(self.bucket.list_project, name)
        except OSError as error:
            self._could_not_list(error)
        await super().changed(name)

    def begin(self, watch: Watch) -> Deferred[None]:
        self.has_begun = True
        return super().begin(watch)

    async def list_again(self) -> None:
        """List the whole bucket, and read what has changed."""
        try:
            changes = await self.reads.run(self.bucket.list_all)
        except OSError as error:
            self._could_not_list(error)
            return
        if self.stale is not None:
            _log.info("{bucket} is listed again.", bucket=self.bucket.root)
        self.stale = None
        if not self.has_begun:
            return
        if changes.has_root_changed:
            self.root_changed()
        if changes.directories:
            self.directories_changed(changes.directories)

    def _could_not_list(self, error: OSError) -> None:
        sentence = f"{self.bucket.root} cannot be listed ({error.strerror}); what was listed before is served meanwhile."
        if self.stale is None:
            _log.error("{sentence}", sentence=sentence)
        self.stale = sentence
