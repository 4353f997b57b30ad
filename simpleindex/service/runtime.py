"""Values that all parts of the index share: the settings, the reactor, threads, examining processes and the records."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self

from simpleindex.archives.examination.pool import open_examination
from simpleindex.records.audit.audit import Audit
from simpleindex.records.opening import open_downloads, open_records, open_shared_audit
from simpleindex.service.ending import THREAD_SECONDS, Patience, bound_joins
from simpleindex.service.idle_processes import IdleProcesses
from simpleindex.service.places import own_directory
from simpleindex.system.threads import Threads, core_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simpleindex.archives.examination.pool import ExaminationPool
    from simpleindex.config.settings import Settings
    from simpleindex.records.audit.audit_sharing import AuditSharing
    from simpleindex.records.downloads.database import DownloadsDatabase
    from simpleindex.records.interface import Records
    from simpleindex.tls.private_ca import Owner

READ_THREADS: Final = 8
"""Threads for short blocking calls; they wait for disks, not for processors."""

WRITE_THREADS: Final = 4
"""Uploads whose bytes are hashed, unpacked and put on the disk at the same time; more wait for disk and processors."""

PAGE_THREADS: Final = 2
"""Pages that are rendered at the same time: they compute, and a small one should not wait for a large one."""

HOOK_THREADS: Final = 4
"""Programs of hooks that run at the same time; others wait."""

SEARCH_THREADS: Final = 2
"""One that searches, beside one that writes."""


@dataclass(frozen=True)
class ThreadPools:
    """The service's threads; calls of one kind never wait behind another kind.

    Attributes:
        reads: Short calls, such as reading a small file.
        digests: Reading whole files.
        examinations: Waiting for small files to be examined.
        wheels: Waiting for wheels of upstreams to be examined.
        passwords: Hashing passwords, one at a time.
        writes: Uploads and other changes.
        catch_ups: Reading what other nodes changed in the records, for tokens that are not known here.
        search: Searches, and writing the search index.
        downloads: Writing the counts of downloads.
        hooks: Waiting for programs of hooks.
        pages: Rendering pages for people.
        looks: Waiting for distributions and descriptions that people look at to be examined.
    """

    reads: Threads
    digests: Threads
    examinations: Threads
    wheels: Threads
    passwords: Threads
    writes: Threads
    catch_ups: Threads
    search: Threads
    downloads: Threads
    hooks: Threads
    pages: Threads
    looks: Threads

    @classmethod
    def create(cls, reactor: Any) -> Self:
        """Return pools that are not started; the wait for all of their threads together is bounded."""
        pools = cls(
            reads=Threads(reactor, "reads", READ_THREADS),
            digests=Threads(reactor, "digests", core_count()),
            examinations=Threads(reactor, "examinations", READ_THREADS),
            wheels=Threads(reactor, "wheels", READ_THREADS),
            passwords=Threads(reactor, "passwords", 1),
            writes=Threads(reactor, "writes", WRITE_THREADS),
            catch_ups=Threads(reactor, "catch-ups", 1),
            search=Threads(reactor, "search", SEARCH_THREADS),
            downloads=Threads(reactor, "downloads", 1),
            hooks=Threads(reactor, "hooks", HOOK_THREADS),
            pages=Threads(reactor, "pages", PAGE_THREADS),
            # Of the examining processes, as many as there are cores, one is left for installers and uploads.
            looks=Threads(reactor, "looks", max(1, core_count() - 1)),
        )
        patience = Patience(THREAD_SECONDS)
        for threads in pools:
            bound_joins(threads.pool, patience)
        return pools

    def __iter__(self) -> Iterator[Threads]:
        return (getattr(self, field.name) for field in fields(self))

    def start(self) -> None:
        """Take calls."""
        for threads in self:
            threads.start()

    def stop(self) -> None:
        """Take no more calls, and wait a bounded time for those that run; pools that never started are left alone."""
        for threads in self:
            if threads.pool.started:
                threads.stop()


@dataclass(frozen=True)
class Runtime:
    """Values that the parts of the index share.

    Attributes:
        settings: The settings at the start.
        current: Returns the settings in force; SIGHUP changes some.
        reactor: The event loop and the clock.
        threads: The service's threads.
        examination: The processes that examine files.
        idle_processes: Ends examining processes without work.
        records: The records; their connections open with the first query.
        downloads: The counts of downloads; the same.
        audit_sharing: Copies it to that of all nodes; None where nodes share nothing.
        owner: The user and group that the service becomes, if it changes them.
    """

    settings: Settings
    current: Callable[[], Settings]
    reactor: Any
    threads: ThreadPools
    examination: ExaminationPool
    idle_processes: IdleProcesses
    records: Records
    downloads: DownloadsDatabase
    audit: Audit
    audit_sharing: AuditSharing | None = None
    owner: Owner = (None, None)


def create_runtime(
    settings: Settings, current: Callable[[], Settings], reactor: Any, owner: Owner
) -> Runtime:
    """Return the shared parts; neither threads nor processes run yet.

    Args:
        settings: The settings at the start.
        current: Returns the settings in force.
        reactor: The event loop and the clock.
        owner: The user and group that the service becomes, if it changes them.
    """
    own_directory(settings.cache, owner)
    if settings.keeps_state:
        own_directory(settings.state, owner)
    threads = ThreadPools.create(reactor)
    examination = open_examination()
    idle_processes = IdleProcesses(examination, reactor, threads.reads)
    examination.begun = idle_processes.begun
    records = open_records(
        str(settings.state), settings.records, initialized=True, token_memory=settings.token_memory
    )
    audit = Audit(str(settings.state))
    downloads = open_downloads(str(settings.state), settings.records)
    return Runtime(
        settings,
        current,
        reactor,
        threads,
        examination,
        idle_processes,
        records,
        downloads,
        audit,
        _audit_sharing(settings),
        owner,
    )


def _audit_sharing(settings: Settings) -> AuditSharing | None:
    if settings.records is None or not settings.keeps_state:
        return None
    from simpleindex.records.audit.audit_sharing import AuditSharing  # noqa: PLC0415  (only with --records)

    return AuditSharing(str(settings.state), open_shared_audit(settings.records))
