"""Keep the search index up to date in the background, with a small share of one processor core."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from simpleindex.core.errors import InvalidMetadata, SimpleIndexError
from simpleindex.core.names import ProjectName
from simpleindex.search.document_rows import DocumentChanges, Entry
from simpleindex.search.origins import GoneOrigin
from simpleindex.search.release_events import Yank
from simpleindex.system.clocks import wall_clock
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure

    from simpleindex.search.database import SearchDatabase
    from simpleindex.search.document_rows import IndexedFile
    from simpleindex.search.origins import Origin, Representative
    from simpleindex.system.threads import Threads

_log: Final = logger(__name__)

SHARE: Final = 0.1
"""Of one processor core, while there is something to index. The rest of a batch's time is for what is not measured."""

BATCH: Final = 20
"""Projects that are written together: with 3 KiB each it takes 10 ms of a processor."""

LISTINGS: Final = 200
"""Projects that are compared with the index together, by a number for what is listed of each."""

DELAY: Final = 1.0
"""Seconds between a change and its indexing, in which others come that are written with it.

One alone takes 2.7 times the work of each of many with 0.1 kB of metadata, 1.7 times with 3 kB."""

SURVEY_INTERVAL: Final = 3600.0
"""Seconds between two comparisons of everything with the index, where not every change is noted."""

REOPENING_INTERVAL: Final = 30.0
"""Seconds until an index that cannot be used is opened again: a disk has room by then, or somebody has given rights."""

_COMPARED: Final = 5_000
"""Names that are compared in one call, during which no other thread runs."""

_AFTER_FAILURE: Final = 1.0
"""Seconds of work that a failure counts as, so that what fails always does not fill the log."""


class Indexer:
    """Indexes projects: all of them at the start, then those that change.

    Args:
        database: The search index.
        origins: Where projects come from.
        clock: The reactor.
        threads: For the search index.
        seconds: Returns the processor time of the calling thread; what the work took of it is followed by a multiple of waiting.
    """

    def __init__(
        self,
        database: SearchDatabase,
        origins: Sequence[Origin],
        clock: Any,
        threads: Threads,
        seconds: Callable[[], float] = time.thread_time,
    ) -> None:
        self._database = database
        self._origins: dict[str, Origin] = {origin.name: origin for origin in origins}
        self._clock = clock
        self._now = wall_clock(clock)
        self._threads = threads
        self._seconds = seconds
        self._changed: dict[str, dict[ProjectName, None]] = {name: {} for name in self._origins}
        self._surveyed: dict[str, Iterator[ProjectName]] = {}
        self._surveys = self._is_survey_due = True
        self._has_failed = self._has_found_news = False
        self._wake: Deferred[None] | None = None
        self._running: Deferred[None] | None = None
        self._call: IDelayedCall | None = None

    @property
    def is_idle(self) -> bool:
        """Whether everything is indexed that is known to be there."""
        return not (self._is_survey_due or self._surveyed or any(self._changed.values()))

    @property
    def is_behind(self) -> bool:
        """Whether projects are being indexed that a comparison found: after the first start, or when much changed meanwhile."""
        return bool(self._surveyed) and self._has_found_news

    def start(self, *, surveys: bool = True) -> None:
        """Open the index, compare it with every project, and follow changes from now on.

        Args:
            surveys: Whether it does what one of several processes does for all; the others index only what no other hears of.
        """
        if self._running is None:
            self._surveys = self._is_survey_due = surveys
            self._running = Deferred.fromCoroutine(self._run())
            self._running.addErrback(_log_unless_stopped)

    def stop(self) -> None:
        """Index nothing more."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    def note(self, origin: str, name: ProjectName) -> None:
        """Index a project again soon: it changed, appeared or vanished."""
        if origin in self._changed and (self._surveys or not self._origins[origin].is_followed):
            self._changed[origin][name] = None
            self._awake()

    def survey(self) -> None:
        """Compare everything with the index soon."""
        self._is_survey_due = self._surveys
        self._awake()

    def _awake(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.callback(None)

    async def _run(self) -> None:
        while True:
            if not self._database.is_open and not await self._threads.run(self._database.open):
                await deferLater(self._clock, REOPENING_INTERVAL)
                continue
            started = self._seconds()
            try:
                spent = await self._work()
            except CancelledError:
                raise
            except Exception:  # noqa: BLE001  (one project's surprise must not end the search of all others)
                _log.failure("")
                self._has_failed, spent = True, _AFTER_FAILURE
            if not self._database.is_open:
                await deferLater(self._clock, REOPENING_INTERVAL)
            elif spent is None:
                self._wake = Deferred()
                await self._wake
                await deferLater(self._clock, DELAY)
            else:
                spent += max(0.0, self._seconds() - started)
                await deferLater(self._clock, spent * (1 / SHARE - 1))

    async def _work(self) -> float | None:
        """Do some of what is due; return how long others worked for it, or None if nothing is due."""
        if self._is_survey_due:
            self._is_survey_due = False
            if self._call is not None and self._call.active():
                self._call.cancel()
            self._has_failed = False
            return await self._survey()
        for origin, names in self._changed.items():
            if batch := list(islice(names, BATCH)):
                for name in batch:
                    del names[name]
                return await self._index(self._origins[origin], batch)
        for origin, surveyed in tuple(self._surveyed.items()):
            if listed := list(islice(surveyed, LISTINGS)):
                return await self._compare(self._origins[origin], listed)
            del self._surveyed[origin]
        if self._surveys and self._needs_surveys and not (self._call is not None and self._call.active()):
            self._call = self._clock.callLater(SURVEY_INTERVAL, self.survey)
        return None

    @property
    def _needs_surveys(self) -> bool:
        """Whether differences can come without a note: files leave caches, and what failed is tried again."""
        return self._has_failed or not all(origin.is_followed for origin in self._origins.values())

    async def _survey(self) -> float:
        self._has_found_news = False
        for name in await self._threads.run(self._database.origins) - self._origins.keys():
            self._origins[name], self._changed[name] = GoneOrigin(name), {}
        for origin in self._origins.values():
            try:
                names = await origin.names()
            except SimpleIndexError:
                self._has_failed = True
                continue
            self._surveyed[origin.name] = iter(names)
            for name in await self._threads.run(self._gone, origin.name, names):
                self.note(origin.name, ProjectName(name))
        return 0.0

    def _gone(self, origin: str, names: Sequence[ProjectName]) -> set[str]:
        """Return the indexed names of an origin that are not among these; in a thread, and without keeping others from running."""
        gone = self._database.indexed_names(origin)
        for start in range(0, len(names), _COMPARED):
            gone.difference_update(names[start : start + _COMPARED])
        return gone

    async def _compare(self, origin: Origin, names: Sequence[ProjectName]) -> float:
        """Have those of some projects indexed next that may be others by now; return the time that threads worked."""
        differing, spent = await self._threads.run(self._differing, origin, names)
        self._changed[origin.name].update(dict.fromkeys(differing))
        self._has_found_news |= bool(differing) and origin.is_followed
        return float(spent)

    def _differing(self, origin: Origin, names: Sequence[ProjectName]) -> tuple[list[ProjectName], float]:
        started = self._seconds()
        indexed = self._database.listing_digests(origin.name, names)
        now = ((name, origin.listing_digest(name)) for name in names)
        differing = [name for name, digest in now if digest is None or indexed.get(name) != digest]
        return differing, self._seconds() - started

    async def _index(self, origin: Origin, names: Sequence[ProjectName]) -> float:
        """Index projects of one origin; return the time that threads and other processes worked."""
        indexed = await self._threads.run(self._database.indexed_files, origin.name, names)
        changes, before = _Differences(), origin.seconds
        now_ns = int(self._now() * 1e9)
        found = await origin.representatives(names)
        self._has_failed |= len(found) < len(names)
        for name, representative in found.items():
            try:
                await _add_change(changes, origin, name, indexed.get(name), representative, now_ns)
            except (SimpleIndexError, OSError):
                self._has_failed = True
            except CancelledError:
                raise
            except Exception:  # noqa: BLE001  (as in _write)
                _log.failure("")
                self._has_failed = True
        spent = origin.seconds - before
        if changes.sources or changes.removed or changes.updates:
            worked, is_written = await self._threads.run(self._write, origin.name, changes)
            spent += worked
            if not is_written:
                self._changed[origin.name].update(dict.fromkeys(names))
                spent += _AFTER_FAILURE
        return spent

    def _write(self, origin: str, changes: _Differences) -> tuple[float, bool]:
        from simpleindex.search.document import document_of  # noqa: PLC0415  (after most starts nothing is new)

        started = self._seconds()
        entries = []
        for name, representative, metadata in changes.sources:
            try:
                document = document_of(name, representative.file, metadata)
            except InvalidMetadata:
                document = document_of(name, representative.file, None)
            except Exception:  # noqa: BLE001  (the others of the batch would be found no more, whenever it is tried again)
                _log.failure("")
                document = document_of(name, representative.file, None)
            entries.append(Entry(representative.indexed, document))
        is_written = self._database.write(
            origin, DocumentChanges(entries, changes.removed, changes.updates, changes.yanks, changes.undone)
        )
        return self._seconds() - started, is_written


@dataclass(slots=True)
class _Differences:
    """What differs from what is indexed of one origin; as :class:`~simpleindex.search.document_rows.DocumentChanges`.

    Attributes:
        sources: Projects with the distributions that represent them, and their metadata.
    """

    sources: list[tuple[ProjectName, Representative, bytes | None]] = field(default_factory=list)
    removed: list[ProjectName] = field(default_factory=list)
    updates: list[tuple[ProjectName, IndexedFile]] = field(default_factory=list)
    yanks: list[Yank] = field(default_factory=list)
    undone: list[tuple[str, str]] = field(default_factory=list)


async def _add_change(
    changes: _Differences,
    origin: Origin,
    name: ProjectName,
    indexed: IndexedFile | None,
    now: Representative | None,
    now_ns: int,
) -> None:
    """Compare a project with what is indexed of it."""
    if now is None:
        if indexed is not None:
            changes.removed.append(name)
    elif indexed is None or indexed[:2] != now.indexed[:2]:
        changes.sources.append((name, now, await origin.metadata(name, now.file)))
    elif indexed != now.indexed:
        changes.updates.append((name, now.indexed))
    before = () if indexed is None else indexed.yanked.split()
    yanked = {} if now is None else now.yanked_ns
    for version in yanked.keys() - set(before):
        # What was yanked before anybody looked is no news.
        changes.yanks.append(Yank(name, version, yanked[version] if indexed is None else now_ns))
    changes.undone.extend((name, version) for version in before if version not in yanked)


def _log_unless_stopped(failure: Failure) -> None:
    if not failure.check(CancelledError):
        _log.failure("", failure)
