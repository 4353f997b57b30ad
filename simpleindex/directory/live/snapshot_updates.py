"""Surveys of the root, short scans and long reads: how a change on disk becomes a new snapshot of its project.

Each kind has its queue. Everything here runs in the reactor's thread, except the reading itself.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import DeferredLock
from twisted.python.failure import Failure

from simpleindex.directory.live.coalescer import Coalescer
from simpleindex.directory.live.listing_changes import file_changes
from simpleindex.directory.live.offered_names import OfferedNames
from simpleindex.directory.live.private_names import NoRecord, PrivateNames
from simpleindex.directory.live.project_places import ProjectPlaces
from simpleindex.directory.live.root_guard import EMPTIED, REPLACED, UNTIL_READ, RootGuard
from simpleindex.directory.live.serials import ProjectSerials, Serials
from simpleindex.directory.live.snapshot_table import SnapshotTable
from simpleindex.directory.live.withheld_log import WithheldLog
from simpleindex.directory.scan.batches import BatchReader
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ScanJob, exists, is_offered
from simpleindex.directory.watch.interface import NoWatch, WatchUnavailable
from simpleindex.system.errors import own_trouble
from simpleindex.system.log import logger
from simpleindex.system.stamp import is_young

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.logger import Logger

    from simpleindex.core.model import ProjectList
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.directory_listings import RootListing
    from simpleindex.directory.layout.unserved import Unserved
    from simpleindex.directory.live.listing_changes import FileChanges
    from simpleindex.directory.live.private_names import NameRecord
    from simpleindex.directory.scan.batches import RunInThread, ScanThreads
    from simpleindex.directory.scan.catalogue import Catalogue
    from simpleindex.directory.scan.scanner import Scanner
    from simpleindex.directory.scan.snapshot import ProjectSnapshot
    from simpleindex.directory.watch.interface import Watch
    from simpleindex.system.stamp import Stamp

_log = logger(__name__)

_BATCH: Final = 128
"""Projects read in one visit to a thread; the visit itself costs more than to read one small project."""

_RECALLED: Final = 4 * _BATCH
"""Projects compared with the catalogue in one visit."""

# Seconds after which a project that changed within the last 2 s is looked at once more.
_SECOND_LOOK: Final = 2.1

ROOT: Final = "root"
"""The one key of the queue of surveys."""


class SnapshotUpdates:
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
        changed_ns: When a project was last listed anew, nanoseconds since 1970; 0 before.
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
        self._first_reads: set[ProjectName] = set()
        self._names: ProjectList | None = None
        self._offered = OfferedNames()
        self.serials: ProjectSerials = Serials(reader.now_ns)
        self._second_looks: dict[ProjectName, IDelayedCall] = {}
        self._root_look: IDelayedCall | None = None
        self._withheld_log = WithheldLog(log)
        self._when_complete: list[Deferred[None]] = []
        self._surveys = Coalescer(self._survey, workers=1, batch=1)
        self._looks = Coalescer(self._look, workers=workers, batch=_RECALLED)
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

    def everything_changed(self) -> None:
        """Scan everything again: changes were missed."""
        self._surveys.ask(ROOT)
        self._look_at(tuple(self.snapshots))

    def _look_at(self, names: Sequence[ProjectName]) -> None:
        """Have projects read: a few each on its own, so that none waits for its neighbours."""
        if len(names) > _BATCH:
            self._looks.note_all(names)
        else:
            for name in names:
                self._looks.ask(name)

    def _renew_watch(self) -> None:
        """Watch the directory that lies there now: the watch may be of the one that lay there before."""
        if self._lost_watch is None and not self.polling:
            self._watch.stop()
            self._lost_watch = self._watch
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
        return SnapshotTable(self.catalogue, self._looks.ask)

    # -- the rounds -------------------------------------------------------------------------------------------------

    async def _survey(self, _: Sequence[str]) -> None:
        try:
            survey, places = await self._in_read_thread(
                self._survey_now, self.private_names.begin_survey(), self._places
            )
        except (OSError, MemoryError) as error:
            self._could_not_survey(error)
            return
        is_successor = False
        if self._guard.identity not in (None, survey.identity):
            is_successor = self.follows_root and self._is_successor(survey)
            if not is_successor:
                self._suspend(REPLACED)
                return
            self._follow_root()
        if not places and await self._is_suspiciously_empty():
            self._suspend(EMPTIED)
            return
        self._guard.identity = survey.identity
        # What comes within the same tick of the clock leaves the same stamp, so a young one proves nothing.
        self._root_stamp = None if is_young(survey.stamp, self._reader.now_ns()) else survey.stamp
        self._take_strays(survey.strays)
        if self.private_names.end_survey(survey.reserved) or not places.has_names_of(self._places):
            self._names = None  # Upstreams' names that are taken here are not listed either.
        self._tell_unserved(self._passed_over, survey.unserved)
        self._passed_over = survey.unserved
        changed = self._changed_projects(places)
        self._places = places
        if not self._surveyed:
            self._surveyed = True
            self._first_reads = set(places)
            self._finish_first_reads(())
        due = {*places, *self.snapshots} if self.suspended or is_successor else changed
        self._look_at(sorted(due))
        # One that was emptied is back only when all that was there is; see _judge_emptiness.
        if self.suspended and not self._guard.is_emptied:
            self._resume()

    def _changed_projects(self, places: ProjectPlaces) -> set[ProjectName]:
        """Return the projects that must be read because of a survey."""
        changed = places.changed(self._places)
        # A directory may have been away just when it was looked at, and be back as if it had never been. What is at rest was
        # read in these very places.
        at_rest = self.snapshots.at_rest
        unsure = (name for name in places if name not in at_rest and name not in changed)
        changed |= {name for name in unsure if not self._has_seen(name, places.of(name).directories)}
        return changed

    def _is_successor(self, survey: RootListing) -> bool:
        """Whether a root of another identity is like the one that was read."""
        before = self._existing_names()
        now = {*survey.directories, *survey.loose}
        on_same_disk = self._guard.identity is not None and self._guard.identity[0] == survey.identity[0]
        return on_same_disk and not self._guard.is_emptied and 2 * len(before & now) > len(before)

    def _existing_names(self) -> set[ProjectName]:
        in_flux = (name for name, snapshot in self.snapshots.in_flux() if exists(snapshot))
        return {*self.snapshots.at_rest, *in_flux}

    def _follow_root(self) -> None:
        """Take another directory for the root. What was read in the one before is compared with it, project by project."""
        self._guard.epoch += 1
        self.generation += 1
        self._log.info(
            "Another directory with most of the same projects lies where the root of the index was: it is served from now on."
        )
        self._renew_watch()

    def _could_not_survey(self, error: OSError | MemoryError) -> None:
        trouble = own_trouble(error)
        if trouble is not None:
            _log.failure("", Failure(error))
        if trouble is None or not trouble.is_passing:
            cause = getattr(error, "strerror", None) or error
            reason = f"The root of the index cannot be read ({cause})."
            self._suspend(reason, *(() if trouble is None else (UNTIL_READ,)))
        elif self._root_look is None:
            # The root is as it was; this process was short of what it takes to look.
            self._root_look = self._clock.callLater(_SECOND_LOOK, self._look_at_root_again)

    def _look_at_root_again(self) -> None:
        self._root_look = None
        self._surveys.ask(ROOT)

    def _survey_now(
        self, appeared: Sequence[str], before: ProjectPlaces
    ) -> tuple[RootListing, ProjectPlaces]:
        """Survey the root, and remember names that it takes; blocking."""
        directory = self._reader.directory
        survey = directory.survey()
        if self._guard.identity in (None, survey.identity):
            self.private_names.remember_surveyed(directory.vanished(appeared), survey.traced)
        return survey, ProjectPlaces.listed(survey, before)

    def _has_seen(self, name: ProjectName, directories: Iterable[str]) -> bool:
        snapshot = self.snapshots.get(name, NO_SNAPSHOT)
        return snapshot.trouble is not None or all(raw in snapshot.stamps for raw in directories)

    async def _is_suspiciously_empty(self) -> bool:
        """Whether an empty root once held something: an unmounted disk is often an empty directory."""
        if self._surveyed or self._guard.ever:
            return bool(self._guard.ever)
        digests = self._reader.digests
        if self._guard.is_accepted:
            await self._in_read_thread(digests.forget_others, ())
            return False
        # A machine that has just started may not have mounted it yet.
        return bool(await self._in_read_thread(digests.remembers_anything))

    async def _look(self, names: Sequence[ProjectName]) -> None:
        if self.catalogue is not None and not self.complete:
            names = await self._recall(names, self.catalogue)
        for start in range(0, len(names), _BATCH):
            part = names[start : start + _BATCH]
            # A request that waits for this look must not go on while what was seen is not what is published.
            while part:
                part = await self._read(self._in_look_thread, part)

    async def _read_long(self, names: Sequence[ProjectName]) -> None:
        for name in await self._read(self._in_digest_thread, names, verify=True):
            self._looks.ask(name)

    async def _read(
        self, run_in_thread: RunInThread, names: Sequence[ProjectName], *, verify: bool = False
    ) -> Sequence[ProjectName]:
        """Read projects and publish them; return those whose reading was overtaken, to be read once more."""
        self.generation += 1
        epoch = self._guard.epoch
        # Before they are listed, and a few at a time: to watch ten thousand at once takes a while without any answer.
        self._watch.watch(
            raw for name in names if name in self._places for raw in self._places.of(name).directories
        )
        jobs = [
            ScanJob(
                name,
                *self._places.of(name),
                self.snapshots.get(name, NO_SNAPSHOT),
                is_surveyed=name in self._places,
                is_traced=self.private_names.is_traced(name),
            )
            for name in names
        ]
        snapshots = await run_in_thread(
            self._batches.read, jobs, self._guard.identity, self.generation, verify=verify
        )
        if snapshots is None:
            await self._surveys.ask(ROOT)
            # Where the root is lost, its return asks for all.
            return () if self.suspended else names
        if epoch != self._guard.epoch:
            return names
        self.private_names.note_remembered(job.name for job in jobs if job.is_traced)
        existed = self._guard.existing
        overtaken = [
            job.name
            for job, snapshot in zip(jobs, snapshots, strict=True)
            if not self._publish(job.name, job.before, snapshot)
        ]
        found = any(each.project is not None for each in snapshots)
        self._judge_emptiness(existed, found=found)
        self._finish_first_reads({*names}.difference(overtaken))
        return overtaken

    async def _recall(self, names: Sequence[ProjectName], catalogue: Catalogue) -> Sequence[ProjectName]:
        """Publish the projects that are as the catalogue has them; return the others."""
        directories = {
            name: raw
            for name in names
            if name not in self.snapshots and (raw := self._places.only_directory(name)) is not None
        }
        # One batch at a time: threads would hand the interpreter to each other with each system call.
        await self._recalling.acquire()
        try:
            epoch = self._guard.epoch
            self._watch.watch(directories.values())
            stored = await self._in_look_thread(
                self._batches.recall, directories, catalogue, self._guard.identity
            )
        finally:
            self._recalling.release()
        if epoch != self._guard.epoch:
            return names
        # A request may have been quicker with one of them.
        stored = [each for each in stored if each.name not in self.snapshots]
        if not stored:
            return names
        recalled = [each.name for each in stored]
        self.generation += 1
        self.changed_ns = self._reader.now_ns()
        self._names = None
        self._offered.forget()
        self.private_names.note_remembered(recalled)
        existed = self._guard.existing
        self._guard.note_appearance(recalled)
        self.snapshots.add_stored(stored)
        self._withheld_log.forget(recalled)
        self._judge_emptiness(existed, found=True)
        self._finish_first_reads(recalled)
        done = {*recalled}
        return [name for name in names if name not in done]

    def _publish(self, name: ProjectName, before: ProjectSnapshot, snapshot: ProjectSnapshot) -> bool:
        """Replace a snapshot; return whether what was read is still newer than it."""
        current = self.snapshots.get(name, NO_SNAPSHOT)
        if current is not before:
            # Another round was quicker and may have seen later: only what was learnt is kept.
            self.snapshots[name] = replace(current, known=snapshot.known.updated(current.known))
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
        # After an emptied root was forgotten, its return would log every file of the index.
        if self.complete and not self._guard.is_emptied and snapshot.project is not before.project:
            changes = file_changes((before.project, before.chosen), (snapshot.project, snapshot.chosen))
            if changes is not None:
                self._log.info("{change}", change=changes.sentence(name))
                self.files_listener(name, changes)
        self._tell_unserved(before.unserved, snapshot.unserved)
        if snapshot.pending or snapshot.unverified:
            self._long_reads.ask(name)
        if snapshot.young and not self.polling and name not in self._second_looks:
            self._second_looks[name] = self._clock.callLater(_SECOND_LOOK, self._look_again, name)
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
        self._first_reads.difference_update(names)
        if self._surveyed and not self._first_reads:
            self.complete = True
            self._first_reads = set()
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

    def _take_strays(self, strays: Mapping[str, str]) -> None:
        for name, reason in strays.items():
            if name not in self.strays:
                self._log.warn("{reason}", reason=reason)
        self.strays = strays
