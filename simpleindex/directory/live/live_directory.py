"""The projects of a directory, kept up to date: every change on disk becomes a new snapshot of its project.

Events, sweeps, commands and waiting requests all use the same three queues: surveys of the root, short scans and long reads.
Everything here runs in the reactor's thread, except the reading itself.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, TimeoutError  # noqa: A004  (Twisted's own name)
from twisted.python.failure import Failure

from simpleindex.core.errors import BrokenProject, InvalidProjectName, Unavailable
from simpleindex.core.model import ProjectList, Status
from simpleindex.core.names import ProjectName, parse_project_name
from simpleindex.directory.layout.distribution_like import is_trace
from simpleindex.directory.layout.unserved import Unserved, sum_up
from simpleindex.directory.live.coalescer import Coalescer
from simpleindex.directory.live.listing_changes import describe_changes
from simpleindex.directory.live.private_names import ENTRY, UPLOAD, NoRecord, PrivateNames
from simpleindex.directory.live.root_guard import EMPTIED, REPLACED, UNTIL_READ, RootGuard
from simpleindex.directory.live.serials import Serials
from simpleindex.directory.live.sweep import is_outdated, sweep
from simpleindex.directory.live.withheld_log import WithheldLog
from simpleindex.directory.scan.batches import BatchReader
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ScanJob
from simpleindex.directory.watch.interface import NoWatch, WatchUnavailable
from simpleindex.system.errors import own_trouble
from simpleindex.system.log import logger
from simpleindex.system.stamp import is_young

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.logger import Logger

    from simpleindex.core.model import Withheld
    from simpleindex.directory.layout.listings import RootListing
    from simpleindex.directory.live.private_names import NameRecord
    from simpleindex.directory.scan.scanner import Scanner
    from simpleindex.directory.scan.snapshot import ProjectSnapshot
    from simpleindex.directory.watch.interface import Watch
    from simpleindex.system.stamp import Stamp

    InThread = Callable[..., Awaitable[Any]]
    Places = tuple[tuple[str, ...], tuple[str, ...]]

_log = logger(__name__)

# Projects looked at in one visit to a thread; the visit itself costs more than looking at one small project.
_BATCH: Final = 128

# Seconds after which a project that changed within the last 2 s is looked at once more.
_SECOND_LOOK: Final = 2.1

LONGEST_WAIT: Final = 10.0
"""Seconds that a request waits at most: pip and poetry give up after 15 (docs/measurements.md, "Waiting")."""

_THOROUGH_EVERY: Final = 10

_UNTOLD_EVERY: Final = 30
"""Sweeps between two thorough ones where events tell of nearly everything; at the default interval a minute."""

_ROOT: Final = "root"


@dataclass(frozen=True, slots=True)
class ScanThreads:
    """Functions that make a blocking call in a thread, for each kind of reading.

    Attributes:
        reads: For short calls.
        digests: For reading whole files.
        examinations: For waiting until small files are examined.
    """

    reads: InThread
    digests: InThread
    examinations: InThread


class LiveDirectory:
    """The snapshots of every project under a root, in step with the disk.

    Args:
        reader: Reads projects.
        clock: For timeouts, second looks and sweeps.
        threads: The threads of its reading.
        log: Where changes and troubles of this directory are logged.
        workers: How many batches of projects are read at once.
        record: Remembers for good which names were projects here; None where no other index is asked.

    Attributes:
        polling: Whether changes are found by sweeping, so that a request looks before it answers.
        complete: Whether every project has been read once.
        generation: Rises with every change.
        snapshots: What is known, by project.
        strays: Files directly in the root that are withheld, with the reason.
        follows_root: Whether another directory in the root's place is served at once, if it is on the same file system and has most
            of the same projects.
        private_names: Names that are the index's own beyond its projects.
        listener: Called with each project that changes once :attr:`complete`.
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
        self.listener: Callable[[ProjectName], object] = lambda _: None
        self.snapshots: dict[ProjectName, ProjectSnapshot] = {}
        self.strays: Mapping[str, str] = {}
        self._reader = reader
        self.private_names = PrivateNames(record or NoRecord())
        self._batches = BatchReader(reader, self.private_names)
        self._guard = RootGuard(log)
        self._clock = clock
        self._in_read_thread = threads.reads
        self._in_digest_thread = threads.digests
        self._in_look_thread = threads.examinations
        self._log = log
        self._watch: Watch = NoWatch()
        self._lost_watch: Watch | None = None
        self._places: dict[ProjectName, Places] = {}
        self._passed_over: tuple[Unserved, ...] = ()
        self._root_stamp: Stamp | None = None
        self._surveyed = False
        self._first_reads: set[ProjectName] = set()
        self._names: ProjectList | None = None
        self._serials = Serials(reader.now_ns)
        self._second_looks: dict[ProjectName, IDelayedCall] = {}
        self._root_look: IDelayedCall | None = None
        self._withheld_log = WithheldLog(log)
        self._when_complete: list[Deferred[None]] = []
        self._surveys = Coalescer(self._survey, workers=1, batch=1)
        self._looks = Coalescer(self._look, workers=workers, batch=_BATCH)
        self._long_reads = Coalescer(self._read_long, workers=workers, batch=1)

    @property
    def suspended(self) -> str | None:
        """Why nothing can be answered, as a sentence; None normally."""
        return self._guard.suspended

    # -- the door, and what uses it ---------------------------------------------------------------------------------

    def begin(self, watch: Watch) -> Deferred[None]:
        """Read everything for the first time.

        Returns:
            A Deferred that fires when :attr:`complete`.
        """
        self._watch = watch
        done: Deferred[None] = Deferred()
        self._when_complete.append(done)
        self._surveys.ask(_ROOT)
        return done

    def stop(self) -> None:
        """Cancel everything that is scheduled, and do not wait for what is being read."""
        for call in self._second_looks.values():
            call.cancel()
        self._second_looks.clear()
        if self._root_look is not None:
            self._root_look.cancel()
            self._root_look = None
        for rounds in (self._surveys, self._looks, self._long_reads):
            rounds.stop()
        self._reader.stopping.set()
        self._guard.epoch += 1

    async def changed(self, name: ProjectName) -> None:
        """Return once the project's snapshot includes its present state on disk: the one door for changes."""
        if await self._in_read_thread(self._reader.directory.stamp, ".") != self._root_stamp:
            await self._surveys.ask(_ROOT)
        await self._looks.ask(name, first=True)
        await self._finish_reading(name)

    def note_whole_project_file(self, name: ProjectName) -> None:
        """Take the project's file as it now lies there for whole: whoever says so has written it, or removed it. Blocking."""
        directories, _ = self._places.get(name, ((name,), ()))
        self._reader.note_whole(directories)

    def accept(self) -> None:
        """Scan everything again, and accept a suspicious root as it is: an operator has looked (SIGHUP)."""
        if self.suspended:
            self._guard.accept()
            self._forget_all()
            self.complete = self._surveyed = False
            self._renew_watch()
        self.everything_changed()

    def _forget_all(self) -> None:
        """Drop all snapshots; the digest cache makes it quick to read them again."""
        self.snapshots, self._places, self._names = {}, {}, None
        self._guard.forget_projects()
        self.generation += 1

    def root_changed(self) -> None:
        """Survey the root again: an entry of it changed."""
        self._surveys.ask(_ROOT)

    def names_heard(self, entries: Mapping[str, bool], files: Mapping[str, Iterable[bytes]]) -> None:
        """Events name what lies, or lay, in the root and in directories of it, even if it is gone by now."""
        self.private_names.appeared(entries)
        if any(is_trace(raw) for raw in entries):
            # Also where temporary names are no reason to look.
            self._surveys.note([_ROOT])
        if found := self.private_names.heard(files):
            self.directories_changed(found)

    def directories_changed(self, names: frozenset[str]) -> None:
        """Scan these directories again: something in them changed."""
        changed = []
        for raw in names:
            with contextlib.suppress(InvalidProjectName):
                changed.append(parse_project_name(raw))
        self._looks.note(changed)

    def everything_changed(self) -> None:
        """Scan everything again: changes were missed."""
        self._surveys.ask(_ROOT)
        for name in tuple(self.snapshots):
            self._looks.ask(name)

    def watch_failed(self, reason: str) -> None:
        """Sweep for changes from now on: events are no longer available."""
        self._log.warn("{reason} The directory is swept for changes instead.", reason=reason)
        self._lost_watch, self._watch = self._watch, NoWatch()
        self.polling = True
        self.everything_changed()

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

    async def sweep(self, count: int) -> None:
        """Look for changes that caused no event; called every poll interval.

        Args:
            count: The number of this sweep; every tenth is thorough.
        """
        if self.suspended or not self.polling:
            identity = await self._in_read_thread(self._batches.identity)
            if self.suspended or identity != self._guard.identity:
                await self._surveys.ask(_ROOT)
            # No event tells that a disk or a descriptor is to be had again.
            for name in [name for name, snapshot in self.snapshots.items() if snapshot.trouble]:
                self._looks.ask(name)
            # Nor of a disk mounted over a directory, or of a write through another name of a file.
            if not self.suspended and count % _UNTOLD_EVERY == 0:
                await self._sweep(thorough=True)
            return
        is_changed = await self._in_read_thread(self._reader.directory.stamp, ".") != self._root_stamp
        if self.follows_root and not is_changed:
            # A link that leads elsewhere now leaves the directory as it was.
            is_changed = await self._in_read_thread(self._batches.identity) != self._guard.identity
        if is_changed:
            await self._surveys.ask(_ROOT)
            if self.suspended:
                return
        await self._sweep(thorough=count % _THOROUGH_EVERY == 0)

    async def _sweep(self, *, thorough: bool) -> None:
        snapshots = list(self.snapshots.items())
        names = await self._in_read_thread(sweep, self._reader.directory, snapshots, thorough=thorough)
        for name in names:
            self._looks.ask(name)

    # -- answers ----------------------------------------------------------------------------------------------------

    async def up_to_date(self, name: ProjectName) -> ProjectSnapshot | None:
        """Return a project's snapshot, in step with the disk; None if there is no such project.

        Raises:
            Unavailable: It cannot be told (now).
        """
        self._watch.drain()
        snapshot = self.snapshots.get(name, NO_SNAPSHOT)
        in_time = True
        if self.polling or self._looks.is_busy(name) or self._surveys.is_busy(_ROOT) or _is_unread(snapshot):
            in_time = await self._bounded(Deferred.fromCoroutine(self._bring_up_to_date(name)))
        elif snapshot.project is not None and not (snapshot.trouble or snapshot.partial or self.suspended):
            return snapshot  # Nearly always it is this, and it is asked with every page.
        answer = self._answer(name, in_time=in_time)
        if answer is None and not self.polling and self._has_appeared(name):
            return await self.rescanned(name)
        return answer

    def _has_appeared(self, name: ProjectName) -> bool:
        """Whether there is something after all where a project would lie: "not here" must be known, not believed."""
        if name in self.private_names.reserved:
            return False  # What lies there is known, and leads elsewhere.
        known = self.snapshots.get(name, NO_SNAPSHOT).stamps
        directories, _ = self._places.get(name, ((name,), ()))
        stamp = self._reader.directory.stamp
        for raw in directories:  # noqa: SIM110  (with each page of an upstream: a generator costs more than the rest)
            if stamp(raw) != known.get(raw):
                return True
        return False

    async def rescanned(self, name: ProjectName) -> ProjectSnapshot | None:
        """As :meth:`up_to_date`, after a look that begins now: for whoever found the disk ahead of the snapshot."""
        in_time = await self._bounded(Deferred.fromCoroutine(self.changed(name)))
        return self._answer(name, in_time=in_time)

    def why_own(self, name: ProjectName) -> str | None:
        """Return why a name without a project is the index's own, as the end of a sentence; None if it is not.

        To be asked when :meth:`up_to_date` has returned None; it costs no system call.
        """
        own = self.private_names
        if name in self._places or name in own.reserved:
            return ENTRY
        return UPLOAD if name in own.uploads else None

    def claims(self, name: ProjectName) -> bool:
        """Return whether a name is this directory's, or may be, by what is in memory."""
        snapshot = self.snapshots.get(name, NO_SNAPSHOT)
        is_unsure = bool(snapshot.trouble or self.suspended) or not self.complete
        return snapshot.project is not None or is_unsure or self.why_own(name) is not None

    def names_by_entries(self) -> tuple[ProjectName, ...]:
        """Return the names that are the index's own by entries of the root of which nothing is served, sorted."""
        served = (name for name, snapshot in self.snapshots.items() if _exists(snapshot))
        return tuple(sorted({*self._places, *self.private_names.reserved}.difference(served)))

    def unserved(self) -> tuple[Unserved, ...]:
        """Return what is passed over in the whole root, one item for each cause."""
        return sum_up(
            (
                *self._passed_over,
                *(item for snapshot in self.snapshots.values() for item in snapshot.unserved),
            )
        )

    def _answer(self, name: ProjectName, *, in_time: bool) -> ProjectSnapshot | None:
        snapshot = self.snapshots.get(name, NO_SNAPSHOT)
        # What has been found in a root that was emptied is true; of the rest nothing is known.
        if self.suspended and not (self._guard.is_emptied and snapshot.project is not None):
            raise Unavailable(self.suspended, retry_after=30)
        if snapshot.trouble and snapshot.is_file_broken and not snapshot.young:
            raise BrokenProject(snapshot.trouble)
        if snapshot.trouble:
            raise Unavailable(snapshot.trouble, retry_after=30)
        if snapshot.partial or (snapshot.project is None and not in_time):
            raise Unavailable(f"The project {name} is still being read.", retry_after=2)
        if snapshot.project is None and not self.complete:
            raise Unavailable("The index is still being read for the first time.", retry_after=2)
        return snapshot if snapshot.project is not None else None

    async def project_list(self) -> ProjectList:
        """Return the names of every project that is offered.

        Raises:
            Unavailable: It cannot be told (now).
        """
        is_up_to_date = self._is_list_up_to_date()
        if not self.complete and not self.suspended:
            done: Deferred[None] = Deferred()
            self._when_complete.append(done)
            await self._bounded(done)
        elif not is_up_to_date:
            await self._bounded(Deferred.fromCoroutine(self._bring_all_up_to_date()))
        return self._list()

    def _is_list_up_to_date(self) -> bool:
        self._watch.drain()
        return not (self.polling or self._surveys.is_busy(_ROOT)) and self._looks.is_idle

    def _list(self) -> ProjectList:
        if self.suspended:
            raise Unavailable(self.suspended, retry_after=30)
        if not self.complete:
            raise Unavailable("The index is still being read for the first time.", retry_after=2)
        if self._names is None:
            names = sorted(name for name, snapshot in self.snapshots.items() if _is_offered(snapshot))
            self._names = ProjectList(tuple(names), self.generation, serials=self._serials.of(names))
        return self._names

    def withheld(self) -> Iterator[tuple[ProjectName, Withheld]]:
        """Everything that is there and not offered, by project."""
        for name, snapshot in self.snapshots.items():
            for item in snapshot.project.withheld if snapshot.project else ():
                yield name, item

    async def _bring_up_to_date(self, name: ProjectName) -> None:
        if self.polling and not self._surveyed:
            # The first survey is under way, and may have begun before what is asked for now was there.
            self._surveys.ask(_ROOT)
        elif self.polling:
            root, outdated = await self._in_read_thread(self._check, self.snapshots.get(name, NO_SNAPSHOT))
            if root != self._root_stamp:
                self._surveys.ask(_ROOT)
            if outdated:
                self._looks.ask(name, first=True)
        if self._surveys.is_busy(_ROOT):
            await self._surveys.join(_ROOT)
        if self._looks.is_busy(name):
            await self._looks.join(name, first=True)
        await self._finish_reading(name)

    async def _finish_reading(self, name: ProjectName) -> None:
        while _is_unread(self.snapshots.get(name, NO_SNAPSHOT)) and not self.suspended:
            if self._long_reads.is_busy(name):
                await self._long_reads.join(name, first=True)
            else:
                await self._long_reads.ask(name, first=True)

    async def _bring_all_up_to_date(self) -> None:
        if self.polling and await self._in_read_thread(self._reader.directory.stamp, ".") != self._root_stamp:
            self._surveys.ask(_ROOT)
        if self._surveys.is_busy(_ROOT):
            await self._surveys.join(_ROOT)
        for name in self._looks.busy():
            # While one was waited for, another may have been looked at.
            if self._looks.is_busy(name) and self.snapshots.get(name, NO_SNAPSHOT).project is None:
                await self._looks.join(name)

    def _check(self, snapshot: ProjectSnapshot) -> tuple[Stamp | None, bool]:
        # Thorough, for one project: a file written in place leaves its directory's stamp alone.
        return self._reader.directory.stamp("."), is_outdated(self._reader.directory, snapshot, thorough=True)

    async def _bounded(self, waiting: Deferred[None]) -> bool:
        """Wait, though not for ever; whether it came in time."""
        waiting.addTimeout(LONGEST_WAIT, self._clock)
        try:
            await waiting
        except TimeoutError:
            return False
        return True

    # -- the rounds -------------------------------------------------------------------------------------------------

    async def _survey(self, _: Sequence[str]) -> None:
        try:
            survey: RootListing = await self._in_read_thread(
                self._survey_now, self.private_names.begin_survey()
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
        places = {
            name: (survey.directories.get(name, ()), survey.loose.get(name, ()))
            for name in {*survey.directories, *survey.loose}
        }
        if not places and await self._is_suspiciously_empty():
            self._suspend(EMPTIED)
            return
        self._guard.identity = survey.identity
        # What comes within the same tick of the clock leaves the same stamp, so a young one proves nothing.
        self._root_stamp = None if is_young(survey.stamp, self._reader.now_ns()) else survey.stamp
        self._take_strays(survey.strays)
        if self.private_names.end_survey(survey.reserved) or places.keys() != self._places.keys():
            self._names = None  # Upstreams' names that are taken here are not listed either.
        self._tell_unserved(self._passed_over, survey.unserved)
        self._passed_over = survey.unserved
        # A loose file may have been overwritten under its name.
        changed = {name for name in {*places, *self._places} if places.get(name) != self._places.get(name)}
        changed |= {name for name, (_, loose) in places.items() if loose}
        # A directory may have been away just when it was looked at, and be back as if it had never been.
        changed |= {name for name, (raw, _) in places.items() if not self._has_seen(name, raw)}
        self._places = places
        if not self._surveyed:
            self._surveyed = True
            self._first_reads = set(places)
            self._finish_first_reads(())
        for name in sorted({*places, *self.snapshots} if self.suspended or is_successor else changed):
            self._looks.ask(name)
        # One that was emptied is back only when all that was there is; see _judge_emptiness.
        if self.suspended and not self._guard.is_emptied:
            self._resume()

    def _is_successor(self, survey: RootListing) -> bool:
        """Whether a root of another identity is like the one that was read."""
        before = {name for name, snapshot in self.snapshots.items() if _exists(snapshot)}
        now = {*survey.directories, *survey.loose}
        on_same_disk = self._guard.identity is not None and self._guard.identity[0] == survey.identity[0]
        return on_same_disk and not self._guard.is_emptied and 2 * len(before & now) > len(before)

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
        self._surveys.ask(_ROOT)

    def _survey_now(self, appeared: Sequence[str]) -> RootListing:
        """Survey the root, and remember names that it takes; blocking."""
        directory = self._reader.directory
        survey = directory.survey()
        if self._guard.identity in (None, survey.identity):
            self.private_names.remember_surveyed(directory.vanished(appeared), survey.traced)
        return survey

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
        # Whoever waits for this look must not hear of its end while what it saw is not what is published.
        while names:
            names = await self._read(self._in_look_thread, names)

    async def _read_long(self, names: Sequence[ProjectName]) -> None:
        for name in await self._read(self._in_digest_thread, names, verify=True):
            self._looks.ask(name)

    async def _read(
        self, in_thread: InThread, names: Sequence[ProjectName], *, verify: bool = False
    ) -> Sequence[ProjectName]:
        """Read projects and publish them; return those whose reading was overtaken, to be read once more."""
        self.generation += 1
        epoch = self._guard.epoch
        # Before they are listed, and a few at a time: to watch ten thousand at once takes a while without any answer.
        self._watch.watch(raw for name in names if name in self._places for raw in self._places[name][0])
        jobs = [
            ScanJob(
                name,
                *self._places.get(name, ((name,), ())),
                self.snapshots.get(name, NO_SNAPSHOT),
                is_surveyed=name in self._places,
                is_traced=self.private_names.is_traced(name),
            )
            for name in names
        ]
        snapshots = await in_thread(
            self._batches.read, jobs, self._guard.identity, self.generation, verify=verify
        )
        if snapshots is None:
            await self._surveys.ask(_ROOT)
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
        self._judge_emptiness(existed, found=any(snapshot.project is not None for snapshot in snapshots))
        self._finish_first_reads({*names}.difference(overtaken))
        return overtaken

    def _publish(self, name: ProjectName, before: ProjectSnapshot, snapshot: ProjectSnapshot) -> bool:
        """Replace a snapshot; return whether what was read is still newer than it."""
        current = self.snapshots.get(name, NO_SNAPSHOT)
        if current is not before:
            # Another round was quicker and may have seen later: only what was learnt is kept.
            self.snapshots[name] = replace(current, known=snapshot.known.updated(current.known))
            return False
        if snapshot.project is not before.project or snapshot.trouble != before.trouble:
            self.generation += 1
        if _is_offered(snapshot) != _is_offered(before):
            self._names = None
        self._guard.note_existence(name, before=_exists(before), now=_exists(snapshot))
        if snapshot == NO_SNAPSHOT and name not in self._places:
            self.snapshots.pop(name, None)
        else:
            self.snapshots[name] = snapshot
        self._withheld_log.tell(name, snapshot)
        if self.complete and snapshot.project is not before.project:
            self._serials.note(name)
            self._names = None
            self.listener(name)
        # After an emptied root was forgotten, its return would log every file of the index.
        if self.complete and not self._guard.is_emptied and snapshot.project is not before.project:
            change = describe_changes(
                name, (before.project, before.chosen), (snapshot.project, snapshot.chosen)
            )
            if change is not None:
                self._log.info("{change}", change=change)
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
        if self.complete and existed and not guard.existing and len(guard.ever) > 1:
            self._suspend(EMPTIED)
        elif (
            guard.is_emptied
            and found
            and all(_exists(self.snapshots.get(name, NO_SNAPSHOT)) for name in guard.ever)
        ):
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


def _exists(snapshot: ProjectSnapshot) -> bool:
    """Whether something lies there, even if it cannot be read."""
    return snapshot.project is not None or snapshot.trouble is not None


def _is_unread(snapshot: ProjectSnapshot) -> bool:
    """Whether a request has to wait for bytes to be read."""
    return snapshot.pending or snapshot.doubtful


def _is_offered(snapshot: ProjectSnapshot) -> bool:
    """Whether the root listing names the project: not while it is quarantined (PEP 792, as PyPI does)."""
    if snapshot.project is None:
        return snapshot.trouble is not None
    return snapshot.project.status is not Status.QUARANTINED
