"""Changes of a directory as they are reported: by events, sweeps, uploads and operators; each has projects read again."""

from __future__ import annotations

import contextlib
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.names import ProjectName, parse_project_name
from simpleindex.directory.layout.distribution_like import is_trace
from simpleindex.directory.live.root_surveys import RootSurveys
from simpleindex.directory.live.snapshot_updates import ROOT
from simpleindex.directory.live.sweep import sweep
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, is_unread
from simpleindex.directory.watch.interface import NoWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from simpleindex.directory.scan.snapshot import ProjectSnapshot
    from simpleindex.directory.watch.interface import Watch

_THOROUGH_EVERY: Final = 10

_EVENTLESS_EVERY: Final = 30
"""Sweeps between two thorough ones where events report nearly everything; at the default interval a minute."""


class DirectoryChanges(RootSurveys):
    """Takes reports of changes, and has what they are about read again."""

    announce: Callable[[ProjectName], Coroutine[Any, Any, None]] | None = None
    """Returns once the other processes that serve this directory list a project's present state; None without others.
    With others there are no serials unless they are shared, for each process counts its own."""

    stale: str | None = None
    """Why what is served may be out of date, as a sentence: the place cannot be listed now. None normally."""

    def begin(self, watch: Watch) -> Deferred[None]:
        """Read everything for the first time.

        Returns:
            A Deferred that fires when :attr:`complete`.
        """
        self._watch = watch
        self.snapshots = self._empty_table()
        done: Deferred[None] = Deferred()
        self._when_complete.append(done)
        self._surveys.ask(ROOT)
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
        if self.catalogue is not None:
            self.catalogue.close()
            self.catalogue = None

    async def changed(self, name: ProjectName) -> None:
        """Return once the project's snapshot includes its present state on disk: the one door for changes.

        Files of which it is in doubt whether they were written in place are read again later: after a backup by hard links that may
        be all of a large project, and an upload would wait for it.
        """
        if await self._in_read_thread(self._reader.directory.stamp, ".") != self._root_stamp:
            await self._surveys.ask(ROOT)
        await self._looks.ask(name, first=True)
        await self._finish_reading(name, attrgetter("pending"))

    async def changed_here(self, name: ProjectName) -> None:
        """Return once every process that serves this directory lists a change that this one made."""
        await self.changed(name)
        if self.announce is not None:
            await self.announce(name)

    def note_whole_project_file(self, name: ProjectName) -> None:
        """Take the project's file as it now lies there for whole: the caller has written it, or removed it. Blocking."""
        directories = self._places.of(name).directories
        self._reader.note_whole(directories)

    def accept(self) -> None:
        """Scan everything again, and accept a suspicious root as it is: an operator has looked (SIGHUP)."""
        if self.suspended:
            self._forget_all()
            self._guard.accept()
            self.complete = self._surveyed = False
            self._renew_watch()
        self.everything_changed()

    def root_changed(self) -> None:
        """Survey the root again: an entry of it changed."""
        self._surveys.ask(ROOT)

    def names_heard(self, entries: Mapping[str, bool], files: Mapping[str, Iterable[bytes]]) -> None:
        """Take the names in events: of what is, or was, in the root and in its directories."""
        self.private_names.appeared(entries)
        if any(is_trace(raw) for raw in entries):
            # Also where temporary names are no reason to look.
            self._surveys.note([ROOT])
        if found := self.private_names.heard(files):
            self.directories_changed(found)

    def directories_changed(self, names: frozenset[str]) -> None:
        """Scan these directories again: something in them changed."""
        changed = []
        for raw in names:
            with contextlib.suppress(InvalidProjectName):
                changed.append(parse_project_name(raw))
        self._reported.update(changed)
        self._looks.note(changed)

    def watch_failed(self, reason: str) -> None:
        """Sweep for changes from now on: events are no longer available."""
        self._log.warn("{reason} The directory is swept for changes instead.", reason=reason)
        self._lost_watch, self._watch = self._watch, NoWatch()
        self.polling = True
        self.everything_changed()

    def watch_is_back(self) -> None:
        """Take events again, which were not available for a while."""
        self._watch_again()
        self.everything_changed()

    async def sweep(self, count: int) -> None:
        """Look for changes that caused no event; called every poll interval.

        Args:
            count: The number of this sweep; every tenth is thorough.
        """
        is_surveying = self._surveys.is_busy(ROOT) or self._root_look is not None
        if not self._surveyed and not self.suspended and is_surveying:
            return  # Of very many projects one more survey would take seconds.
        if self.suspended or not self.polling:
            identity = await self._in_read_thread(self._batches.identity)
            if self.suspended or identity != self._guard.identity:
                await self._surveys.ask(ROOT)
            # No event reports that a disk or a descriptor is available again.
            for name in [name for name, snapshot in self.snapshots.in_flux() if snapshot.trouble]:
                self._looks.ask(name)
            # Nor of a disk mounted over a directory, or of a write through another name of a file.
            if not self.suspended and count % _EVENTLESS_EVERY == 0:
                await self._sweep(thorough=True)
            return
        is_changed = await self._in_read_thread(self._reader.directory.stamp, ".") != self._root_stamp
        if self.follows_root and not is_changed:
            # A link that leads elsewhere now leaves the directory as it was.
            is_changed = await self._in_read_thread(self._batches.identity) != self._guard.identity
        if is_changed:
            await self._surveys.ask(ROOT)
            if self.suspended:
                return
        await self._sweep(thorough=count % _THOROUGH_EVERY == 0)

    async def _sweep(self, *, thorough: bool) -> None:
        for name in await self._in_read_thread(self._outdated, thorough=thorough):
            self._looks.ask(name)

    def _outdated(self, *, thorough: bool) -> list[ProjectName]:
        """Return the projects that must be looked at again; blocking."""
        directory, snapshots = self._reader.directory, self.snapshots
        if thorough:
            return sweep(directory, snapshots.items(), thorough=True)
        changed = [
            name for name, raw, stamp in snapshots.directories_at_rest() if directory.stamp(raw) != stamp
        ]
        return [*changed, *sweep(directory, snapshots.in_flux(), thorough=False)]

    async def _finish_reading(
        self, name: ProjectName, is_unread: Callable[[ProjectSnapshot], bool] = is_unread
    ) -> None:
        while is_unread(self.snapshots.get(name, NO_SNAPSHOT)) and not self.suspended:
            if self._long_reads.is_busy(name):
                await self._long_reads.join(name, first=True)
            else:
                await self._long_reads.ask(name, first=True)
