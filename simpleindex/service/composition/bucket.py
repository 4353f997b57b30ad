"""Composition of a served bucket (``--path s3://...``); imported only with one."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater

from simpleindex.bucket.digests import BucketDigests
from simpleindex.bucket.facts_index import FactsIndex
from simpleindex.bucket.file_cache import BucketFileCache
from simpleindex.bucket.live_bucket import LiveBucket
from simpleindex.bucket.locks import LockFiles
from simpleindex.bucket.node_changes import files_changed_by_nodes
from simpleindex.bucket.object_store import ObjectStore
from simpleindex.bucket.package_bucket import PackageBucket
from simpleindex.bucket.probe import broken_promise
from simpleindex.bucket.publishing import BucketPublishing
from simpleindex.bucket.serials import BucketSerials
from simpleindex.bucket.source import BucketSource
from simpleindex.bucket.writer import BucketWriter
from simpleindex.config.bucket_location import parse_location
from simpleindex.core.errors import InvalidProjectName, NotAllowed, RefusedStart, Unavailable
from simpleindex.core.names import ProjectName, parse_project_name
from simpleindex.core.text import duration, plural
from simpleindex.core.views import LOCAL
from simpleindex.directory.layout.served_root import ServedRoot
from simpleindex.directory.scan.catalogue import CatalogueFile
from simpleindex.directory.watch.interface import NoWatch
from simpleindex.directory.watch.method import WatchMethod
from simpleindex.publishing.local.staging import Staging
from simpleindex.publishing.publisher import PublishingContext
from simpleindex.service.composition.directory import ServedDirectory
from simpleindex.service.places import own_directory
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from simpleindex.bucket.locks import Locks
    from simpleindex.config.settings import Settings
    from simpleindex.directory.live.private_names import NameRecord
    from simpleindex.publishing.upload.archive_checks import UploadChecks
    from simpleindex.records.postgresql.object_facts import ObjectFacts
    from simpleindex.service.runtime import Runtime
    from simpleindex.system.operation_times import OperationTimes
    from simpleindex.system.threads import Threads
    from simpleindex.tls.private_ca import Owner

FIRST_LISTING_SECONDS: Final = 5.0
"""Between two tries to list a bucket for the first time."""

_AHEAD_NS: Final = 3_600_000_000_000
"""A listing's states are exact: nothing that was put just now can change without another one, so no file is young."""


class ServedBucket(ServedDirectory):
    """A bucket of packages with everything that reads it and keeps it up to date; serves as a directory does.

    Args:
        location: ``s3://bucket/prefix``.
        runtime: What all parts share.
        used_names: Stores names of projects for good; None without upstreams.

    Attributes:
        name: Its name among the sources.
        choice: How changes are noticed.
        directory: Its listings and bytes.
        digests: The digest cache.
        live: Its projects, kept up to date.
        source: Its projects as a source.
        log: Where it logs.
        sweeps: The number of listings so far.
        read_only: Why nothing is written, as a sentence; None if uploads are possible.

    Raises:
        RefusedStart: The bucket cannot be used.
    """

    directory: PackageBucket
    digests: BucketDigests
    live: LiveBucket
    source: BucketSource

    def __init__(self, location: str, runtime: Runtime, used_names: NameRecord | None) -> None:
        settings = runtime.settings
        self.name = LOCAL
        self.path = location
        self.sweeps = 0
        self.log = logger(__name__)
        self.read_only: str | None = None
        self._is_probed = not runtime.settings.has_logins
        self._runtime = runtime
        self._scratch = str(settings.path)
        self._locks = _locks(settings, location)
        store = ObjectStore(parse_location(location))
        self._store = store
        self.directory = PackageBucket(store, self._scratch)
        self.made_by_nodes = partial(files_changed_by_nodes, self.directory)
        interval = duration(settings.poll_interval)
        self.choice = WatchMethod("bucket", f"Listing {self.directory.root} every {interval}.")
        facts = _shared_facts(settings, location)
        self.digests = BucketDigests(
            str(settings.cache), self.directory, facts or FactsIndex(self.directory, self._may_write_facts)
        )
        self._is_remote = True
        self.catalogue_file = CatalogueFile.of(str(settings.cache), self.directory.root, LOCAL)
        self.live = self._live(LiveBucket, lambda: time.time_ns() + _AHEAD_NS, used_names)
        self.live.bucket, self.live.reads = self.directory, runtime.threads.reads
        self._serials = None if facts is None else self._shared_serials(facts)
        self._file_cache = _file_cache(location, runtime)
        self.source = BucketSource(
            self.live,
            self.directory,
            runtime.threads.reads,
            redirect_seconds=settings.redirect_downloads or None,
            cache=self._file_cache,
        )

    def _shared_serials(self, facts: ObjectFacts) -> BucketSerials:
        from simpleindex.records.postgresql.project_serials import ProjectSerialTable  # noqa: PLC0415  (only with --records)

        live = self.live
        table = ProjectSerialTable(facts.server, self.path)
        serials = BucketSerials(
            table, lambda: live.snapshots, self._runtime.threads.writes, live.serials_changed
        )
        live.serials = serials
        return serials

    def prepare(self, owner: Owner) -> None:
        """Make the local directory, and refuse a bucket that cannot be listed; blocking.

        Raises:
            RefusedStart: It cannot be used.
        """
        own_directory(self._runtime.settings.path, owner)
        try:
            self._store.require_bucket()
        except OSError as error:
            raise RefusedStart(
                f"{self.directory.root}: {error.strerror}; start again when it answers."
            ) from None

    def follow_other_nodes(self) -> None:
        """Announce changes of this node, and list projects that others announce; without PostgreSQL listings find them."""
        records, threads = self._runtime.records, self._runtime.threads

        async def announce(name: ProjectName) -> None:
            await threads.writes.run(records.announce, self.path, name)

        def announced(place: str, project: str) -> None:
            if not place:
                self._runtime.reactor.callFromThread(self.sweep)
                return
            with suppress(InvalidProjectName):
                if place == self.path:
                    self._runtime.reactor.callFromThread(self._look_at, parse_project_name(project))

        self.live.announce = announce
        records.listeners.append(announced)

    def _look_at(self, name: ProjectName) -> None:
        look = Deferred.fromCoroutine(self.live.changed(name))
        look.addErrback(self._log_failure)

    def _log_failure(self, failure: Failure) -> None:
        self.log.failure("", failure)

    def watch(self) -> None:
        """Log how changes are noticed."""
        self.live.polling = False
        self.log.info("{sentence}", sentence=self.choice.sentence)

    def begin(self) -> Deferred[None]:
        """List and read everything; the Deferred fires when it is complete."""
        return Deferred.fromCoroutine(self._begin())

    async def _begin(self) -> None:
        self._runtime.threads.reads.run(self._runtime.examination.prepare).addErrback(lambda _: None)
        if self._file_cache is not None:
            self._runtime.threads.reads.run(self._file_cache.load).addErrback(self._log_failure)
        await self._look_again()
        while self.live.stale is not None:
            # The store was there a moment ago. Nothing is "not here" until it was listed once.
            await deferLater(self._runtime.reactor, FIRST_LISTING_SECONDS)
            await self._look_again()
        self.live.catalogue = self.catalogue_file.open()
        await self.live.begin(NoWatch())
        await self._runtime.threads.reads.run(self.digests.end_start)
        await self._catch_up_serials()

    async def _look_again(self) -> None:
        await self.live.list_again()
        if not self._is_probed and self.live.stale is None:
            await self._probe()
        if self.live.complete:
            await self._catch_up_serials()

    async def _catch_up_serials(self) -> None:
        if self._serials is not None:
            # Without the database the next listing tries again.
            with suppress(OSError):
                await self._serials.catch_up()

    async def _probe(self) -> None:
        try:
            promise = await self._runtime.threads.reads.run(broken_promise, self._store)
            self._is_probed = True
        except OSError as error:
            # It may have been away just now; the next listing tries again.
            promise = f"cannot be written to now ({error.strerror})"
        before = self.read_only
        self.read_only = (
            promise and f"The store of {self.directory.root} {promise}, so this index is read-only."
        )
        if self.read_only is not None and self.read_only != before:
            self.log.warn("{sentence}", sentence=self.read_only)
        elif self.read_only is None and before is not None:
            self.log.info("{bucket} can be written to again.", bucket=self.directory.root)

    def sweep(self) -> Deferred[None]:
        """List the bucket again; the first listing is made by :meth:`begin`."""
        self.sweeps += 1
        if not self.live.has_begun:
            return succeed(None)
        return Deferred.fromCoroutine(self._look_again())

    def measure(self, times: OperationTimes) -> None:
        """Measure requests to the store from now on."""
        self._store.measure(times)

    async def make_room(self) -> None:
        """Keep to the size of --bucket-cache with what all workers have written."""
        if self._file_cache is not None:
            await self._runtime.threads.reads.run(self._file_cache.make_room_for_all)

    def stop(self) -> None:
        """Stop reading, and close the connections of locks."""
        self.live.stop()
        self._locks.close()

    def publishing(self, threads: Threads, checks: UploadChecks) -> BucketPublishing:
        """Return what publishes into the bucket."""
        writer = BucketWriter(self.directory, self._locks)
        publishing = BucketPublishing(
            writer, self.staging, PublishingContext(self.live, self.source, threads, checks)
        )
        publishing.require_writable = self.require_writable
        publishing.file_cache = self._file_cache
        return publishing

    def _may_write_facts(self) -> bool:
        """Return whether facts may be written into the bucket: into one that this index only reads nothing is."""
        return self._runtime.settings.has_logins and self._is_probed and self.read_only is None

    def require_writable(self) -> None:
        """Refuse changes of a store that breaks a promise.

        Raises:
            NotAllowed: It does.
            Unavailable: It is not known yet whether it does.
        """
        if not self._is_probed:
            raise Unavailable(
                self.read_only or f"The store of {self.directory.root} is not tried yet; try again later.",
                retry_after=5,
            )
        if self.read_only is not None:
            raise NotAllowed(self.read_only)

    @property
    def staging(self) -> Staging:
        """Where uploads lie until they are whole and checked: the local directory."""
        return Staging(ServedRoot(self._scratch))

    def recover(self) -> list[str]:
        """Remove uploads that a crash left in the local directory; the bucket has none. Return a sentence for each repair."""
        left_over = [*self.staging.left_over()]
        for staged in left_over:
            staged.discard()
        return [f"Removed {plural(len(left_over), 'unfinished upload')}."] if left_over else []


def _shared_facts(settings: Settings, location: str) -> ObjectFacts | None:
    """Return the facts that nodes share; None without PostgreSQL."""
    if settings.records is None:
        return None
    from simpleindex.records.postgresql.object_facts import ObjectFacts  # noqa: PLC0415  (only with --records)

    return ObjectFacts(settings.records, location)


def _file_cache(location: str, runtime: Runtime) -> BucketFileCache | None:
    settings = runtime.settings
    if not settings.bucket_cache or settings.redirect_downloads:
        return None
    return BucketFileCache(
        str(settings.cache),
        location,
        settings.bucket_cache,
        runtime.threads.reads,
        is_shared=settings.workers != 1,
    )


def _locks(settings: Settings, location: str) -> Locks:
    """Return locks that all nodes share; those of one machine without PostgreSQL."""
    if settings.records is None:
        return LockFiles(os.path.join(settings.path, "locks"))
    from simpleindex.records.postgresql.locks import AdvisoryLocks  # noqa: PLC0415  (only with --records)

    return AdvisoryLocks(settings.records, location)
