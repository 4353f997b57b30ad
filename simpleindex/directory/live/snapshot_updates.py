"""The snapshots of a directory's projects, and how one takes the place of another; the queues of what is yet to be read.

Everything here runs in the reactor's thread.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import DeferredLock

from simpleindex.directory.live.coalescer import Coalescer
from simpleindex.directory.live.listing_changes import file_changes
from simpleindex.directory.live.offered_names import OfferedNames
from simpleindex.directory.live.private_names import NoRecord, PrivateNames
from simpleindex.directory.live.project_places import ProjectPlaces
from simpleindex.directory.live.root_guard import EMPTIED, RootGuard
from simpleindex.directory.live.serials import ProjectSerials, Serials
from simpleindex.directory.live.snapshot_table import DAMAGED, SnapshotTable
from simpleindex.directory.live.withheld_log import WithheldLog
from simpleindex.directory.scan.batches import BatchReader
from simpleindex.directory.scan.name_sets import NO_PROJECTS, RemainingNames
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, exists, is_offered
from simpleindex.directory.watch.interface import NoWatch, WatchUnavailable
from simpleindex.system.collector import Freezing
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.logger import Logger

    from simpleindex.core.model import ProjectList
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.unserved import Unserved
    from simpleindex.directory.live.listing_changes import FileChanges
    from simpleindex.directory.live.private_names import NameRecord
    from simpleindex.directory.scan.batches import ScanThreads
    from simpleindex.directory.scan.catalogue import Catalogue
    from simpleindex.directory.scan.scanner import Scanner
    from simpleindex.directory.scan.snapshot import ProjectSnapshot
    from simpleindex.directory.watch.interface import Watch
    from simpleindex.system.stamp import Stamp

_log = logger(__name__)

BATCH: Final = 128
"""Projects read in one visit to a thread; the visit itself costs more than to read one small project."""

RECALLED: Final = 4 * BATCH
"""Projects compared with the catalogue in one visit."""

SECOND_LOOK: Final = 2.1
"""Seconds after which a project that changed within the last 2 s is looked at once more."""

ROOT: Final = "root"
"""The one key of the queue of surveys."""


class SnapshotUpdates(ABC):
    """The snapshots of every project under a root, and the queues that replace them.

    Args:
        reader: Reads projects.
        clock: For timeouts, second looks and sweeps.
        threads: The threads of its reading.
        log: Where changes and troubles of this directory are logged.
        workers: How many batches of projects are read at once.
        record: Remembers for good which names were projects here; None if there is no other index.

    Attributes:
        polling: Whether changes are found by sweeping, so that a request looks before it answers.
        complete: Whether every project has been read once.
        generation: Rises with every change.
        changed_ns: When a project was last listed again, nanoseconds since 1970; 0 before.
        snapshots: What is known of each project.
        strays: Files directly in the root that are withheld, with the reason.
        follows_root: Whether another directory in the root's place is served at once, if it is on the same file system and has most
            of the same projects.
        private_names: Names that are the index's own beyond its projects.
        catalogue: Where projects are that have not changed since an earlier start; to be set before :meth:`begin`.
        listener: Called with each project that changes once :attr:`complete`.
        files_listener: Called with the files that came and went in it.
    """

    def __init__(
        self,
        reader: Scanner,
        clock: IReactorTime,
        *,
        threads: ScanThreads,
        log: Logger = _log,
        workers: int = 2,
        record: NameRecord | None = None,
    ) -> None:
        self.polling = False
        self.complete = False
        self.follows_root = False
        self.generation = 0
        self.changed_ns = 0
        self.listener: Callable[[ProjectName], object] = lambda _: None
        self.files_listener: Callable[[ProjectName, FileChanges], object] = lambda *_: None
        self.catalogue: Catalogue | None = None
        self.snapshots = SnapshotTable()
        self.strays: Mapping[str, str] = {}
        self._reader = reader
        self.private_names = PrivateNames(record or NoRecord())
        self._recalling = DeferredLock()
        self._batches = BatchReader(
            reader, self.private_names, nullcontext() if threads.lists_at_once else threading.Lock()
        )
        self._guard = RootGuard(log)
        self._clock = clock
        self._in_read_thread = threads.reads
        self._in_digest_thread = threads.digests
        self._in_look_thread = threads.examinations
        self._log = log
        self._watch: Watch = NoWatch()
        self._lost_watch: Watch | None = None
        self._places = ProjectPlaces()
        self._passed_over: tuple[Unserved, ...] = ()
        self._root_stamp: Stamp | None = None
        self._surveyed = False
        self._first_reads = RemainingNames(NO_PROJECTS)
        self._freezing = Freezing()
        self._names: ProjectList | None = None
        self._offered = OfferedNames()
        self.serials: ProjectSerials = Serials(reader.now_ns)
        self._reported: set[ProjectName] = set()
        self._second_looks: dict[ProjectName, IDelayedCall] = {}
        self._root_look: IDelayedCall | None = None
        self._withheld_log = WithheldLog(log)
        self._when_complete: list[Deferred[None]] = []
        self._surveys = Coalescer(self._survey, workers=1, batch=1)
        self._looks = Coalescer(self._look, workers=workers, batch=RECALLED)
        self._long_reads = Coalescer(self._read_long, workers=workers, batch=1)

    @property
    def suspended(self) -> str | None:
        """Why nothing can be answered, as a sentence; None normally."""
        return self._guard.suspended

    @property
    def lag(self) -> float:
        """For how many seconds the oldest change that is known of has not been listed yet; 0 if all are."""
        return max(each.longest_wait for each in (self._surveys, self._looks, self._long_reads))

    @property
    def queued(self) -> int:
        """How many projects are being looked at, or wait for that."""
        return len(self._looks)

    @property
    def queued_digests(self) -> int:
        """How many projects have large files that are being read, or wait for that."""
        return len(self._long_reads)

    @abstractmethod
    async def _survey(self, _: Sequence[str]) -> None:
        """Look at the root."""

    @abstractmethod
    async def _look(self, names: Sequence[ProjectName]) -> None:
        """Look at projects, and read what is quickly read."""

    @abstractmethod
    async def _read_long(self, names: Sequence[ProjectName]) -> None:
        """Read what takes long."""

    @abstractmethod
    def everything_changed(self) -> None:
        """Scan everything again: changes were missed."""

    def _renew_watch(self) -> None:
        """Watch the directory that lies there now: the watch may be of the one that lay there before."""
        if self._lost_watch is None and not self.polling:
            self._watch.stop()
            self._lost_watch, self._watch = self._watch, NoWatch()
            self.polling = True
        self._watch_again()

    def _watch_again(self) -> None:
        """Try the lost watch once more: the root that took it away is back. Everything must be looked at after it."""
        if self._lost_watch is None:
            return
        try:
            self._lost_watch.start()
        except WatchUnavailable:
            return
        self._watch, self._lost_watch = self._lost_watch, None
        self.polling = False

    def _forget_all(self) -> None:
        """Drop all snapshots; the digest cache makes it quick to read them again."""
        self._guard.forget_projects(self._existing_names())
        self.snapshots, self._places, self._names = self._empty_table(), ProjectPlaces(), None
        self._offered.forget()
        self.generation += 1

    def _empty_table(self) -> SnapshotTable:
        return SnapshotTable(self.catalogue, self._read_damaged)

    def _read_damaged(self, name: ProjectName) -> None:
        """Have a project read that is damaged in the catalogue. Whether it still exists is not known until then."""
        self._guard.note_existence(name, before=True, now=False)
        self._offered.note(name, is_offered=False)
        self._names = None
        self._looks.ask(name)

    def _existing_names(self) -> set[ProjectName]:
        in_flux = (name for name, snapshot in self.snapshots.in_flux() if exists(snapshot))
        return {*self.snapshots.at_rest, *in_flux}

    def _publish(self, name: ProjectName, before: ProjectSnapshot, snapshot: ProjectSnapshot) -> bool:
        """Replace a snapshot; return whether what was read is still newer than it."""
        current = self.snapshots.get(name, NO_SNAPSHOT)
        if current is not before:
            # Another round was quicker and may have seen later: only what was read is kept.
            self.snapshots[name] = replace(current, known=snapshot.known.updated(current.known))
            self._offered.note(name, is_offered=is_offered(current))
            return False
        if snapshot.project is not before.project or snapshot.trouble != before.trouble:
            self.generation += 1
            self.changed_ns = self._reader.now_ns()
        if is_offered(snapshot) != is_offered(before):
            self._names = None
        self._offered.note(name, is_offered=is_offered(snapshot))
        self._guard.note_existence(name, before=exists(before), now=exists(snapshot))
        if snapshot == NO_SNAPSHOT and name not in self._places:
            self.snapshots.remove(name)
        else:
            self.snapshots[name] = snapshot
        self._withheld_log.tell(name, snapshot)
        if self.complete and snapshot.project is not before.project:
            self.serials.note(name)
            self._names = None
            self.listener(name)
        # After an emptied root was forgotten, its return would log every file of the index; so would damage all of a project.
        is_forgotten = self._guard.is_emptied or before is DAMAGED
        if self.complete and not is_forgotten and snapshot.project is not before.project:
            changes = file_changes(before.project, snapshot.project)
            if changes is not None:
                self._log.info("{change}", change=changes.sentence(name))
                self.files_listener(name, changes)
        self._tell_unserved(before.unserved, snapshot.unserved)
        if snapshot.pending or snapshot.unverified:
            self._long_reads.ask(name)
        if snapshot.young and not self.polling and name not in self._second_looks:
            self._second_looks[name] = self._clock.callLater(SECOND_LOOK, self._look_again, name)
        return True

    def _look_again(self, name: ProjectName) -> None:
        del self._second_looks[name]
        self._looks.ask(name)

    def _judge_emptiness(self, existed: int, *, found: bool) -> None:
        guard = self._guard
        # An only project can lose its last file in good order; that its directory goes too is the survey's to judge.
        if self.complete and existed and not guard.existing and guard.ever > 1:
            self._suspend(EMPTIED)
        elif guard.is_emptied and found and not guard.vanished:
            self._resume()

    def _suspend(self, reason: str, *until: str) -> None:
        if self._guard.suspend(reason, *until):
            self.generation += 1
            if reason is EMPTIED:
                self._forget_all()

    def _resume(self) -> None:
        self._guard.resume()
        self.generation += 1
        if self._lost_watch is not None:
            self._watch_again()
            self.everything_changed()

    def _finish_first_reads(self, names: Iterable[ProjectName]) -> None:
        if self.complete:
            return
        for name in names:
            self._first_reads.discard(name)
            self._freezing.note_object()
        if self._surveyed and not self._first_reads:
            self.complete = True
            self._first_reads = RemainingNames(NO_PROJECTS)
            if self.catalogue is not None:
                self.catalogue.clear_caches()
            waiters, self._when_complete = self._when_complete, []
            for waiter in waiters:
                waiter.callback(None)

    def _tell_unserved(self, before: Sequence[Unserved], now: Sequence[Unserved]) -> None:
        # What the first reading finds is summed up at its end.
        if self.complete:
            causes = {item.cause for item in before}
            for item in now:
                if item.cause not in causes:
                    self._log.warn("{item}", item=item)
