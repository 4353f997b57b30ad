"""A directory that is served: it answers from snapshots in step with the disk.

Events, sweeps, commands and waiting requests all use the queues of :mod:`simpleindex.directory.live.snapshot_updates`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, TimeoutError  # noqa: A004  (Twisted's own name)

from simpleindex.core.errors import BrokenProject, Unavailable
from simpleindex.core.model import ProjectList
from simpleindex.directory.layout.unserved import Unserved, sum_up
from simpleindex.directory.live.directory_changes import DirectoryChanges
from simpleindex.directory.live.private_names import ENTRY, UPLOAD
from simpleindex.directory.live.snapshot_updates import ROOT
from simpleindex.directory.live.sweep import is_outdated
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, exists, is_unread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.core.model import Withheld
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.scan.snapshot import ProjectSnapshot
    from simpleindex.system.stamp import Stamp

LONGEST_WAIT: Final = 10.0
"""Seconds that a request waits at most: pip and poetry give up after 15 (docs/measurements.md, "Waiting")."""


_MANY: Final = 1_000
"""Projects; fewer are gone through in less than a millisecond."""


class LiveDirectory(DirectoryChanges):
    """A directory that is served: it receives changes, and answers questions from snapshots in step with the disk."""

    async def up_to_date(self, name: ProjectName) -> ProjectSnapshot | None:
        """Return a project's snapshot, in step with the disk; None if there is no such project.

        Raises:
            Unavailable: It is not known now.
        """
        reported = self._watch.drain()
        snapshots = self.snapshots
        # Most that are requested were requested before.
        snapshot = snapshots.unpacked.get(name)
        if snapshot is None:
            snapshot = snapshots.get(name, NO_SNAPSHOT)
        in_time = True
        is_busy = self._looks.is_busy(name) or self._surveys.is_busy(ROOT) or is_unread(snapshot)
        if reported is not None or self.polling or is_busy:
            in_time = await self._bounded(Deferred.fromCoroutine(self._bring_up_to_date(name, reported)))
            snapshot = self.snapshots.get(name, NO_SNAPSHOT)
        elif snapshot.project is not None and not (
            snapshot.trouble or snapshot.partial or self._guard.suspended
        ):
            return snapshot  # Nearly always it is this, and with every page.
        answer = self._answer(name, snapshot, in_time=in_time)
        if answer is None and self.is_behind(name, snapshot):
            return await self.rescanned(name)
        return answer

    def is_behind(self, name: ProjectName, snapshot: ProjectSnapshot) -> bool:
        """Return whether a project's directories differ from its snapshot; to be known before "not here" is answered."""
        if self.polling or name in self.private_names.reserved:
            return False  # It was looked at, or is known to lead elsewhere.
        known = snapshot.stamps
        stamp = self._reader.directory.stamp
        others = self._places.others
        directories = others[name].directories if name in others else (name,)
        for raw in directories:  # noqa: SIM110  (with each page of an upstream: a generator costs more than the rest)
            if stamp(raw) != known.get(raw):
                return True
        return False

    async def rescanned(self, name: ProjectName) -> ProjectSnapshot | None:
        """As :meth:`up_to_date`, after a look that begins now: for a caller that found the disk ahead of the snapshot."""
        in_time = await self._bounded(Deferred.fromCoroutine(self._rescan(name)))
        return self._answer(name, self.snapshots.get(name, NO_SNAPSHOT), in_time=in_time)

    def why_own(self, name: ProjectName) -> str | None:
        """Return why a name without a project is the index's own, as the end of a sentence; None if it is not.

        To be called when :meth:`up_to_date` has returned None; it costs no system call.
        """
        private = self.private_names
        if name in self._places or name in private.reserved:
            return ENTRY
        return UPLOAD if name in private.uploads else None

    def claims(self, name: ProjectName) -> bool:
        """Return whether a name is this directory's, or may be, by what is in memory."""
        snapshot = self.snapshots.unpacked.get(name, NO_SNAPSHOT)
        is_unsure = bool(snapshot.trouble or self.suspended) or not self.complete
        return self._is_listed(name) or is_unsure or self.why_own(name) is not None

    def names_by_entries(self) -> tuple[ProjectName, ...]:
        """Return the names that are the index's own by entries of the root of which nothing is served, sorted; none while that is not known."""
        if not self.complete:
            return ()
        # Not all places are compared with what is at rest: of 500,000 that takes 0.4 s, for each status page.
        at_rest, in_flux = self.snapshots.at_rest, self.snapshots.in_flux()
        empty = {name for name, snapshot in in_flux if not exists(snapshot) and name in self._places}
        served = {name for name, snapshot in in_flux if exists(snapshot)}
        reserved = {name for name in self.private_names.reserved if name not in at_rest}
        return tuple(sorted(empty | reserved - served))

    def lacks(self, name: ProjectName) -> bool:
        """Return whether it is certain that there is no such project and that its name is not taken; False where that is not known yet.

        As sure as when :meth:`up_to_date` returns None and :meth:`why_own` too, at less cost.
        """
        return (
            self._watch.drain() is None
            and self.complete
            and not (self.polling or self._guard.suspended or self.stale)
            and name not in self.snapshots
            and not (self._looks.is_busy(name) or self._surveys.is_busy(ROOT))
            and self.why_own(name) is None
            and not self._reader.directory.has(name)
        )

    def unserved(self) -> tuple[Unserved, ...]:
        """Return what is passed over in the whole root, one item for each cause."""
        return sum_up(
            (
                *self._passed_over,
                *(item for _, snapshot in self.snapshots.in_flux() for item in snapshot.unserved),
            )
        )

    def _answer(
        self, name: ProjectName, snapshot: ProjectSnapshot, *, in_time: bool
    ) -> ProjectSnapshot | None:
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
            Unavailable: It is not known now.
        """
        reported = self._watch.drain()
        is_quiet = not (self.polling or self._surveys.is_busy(ROOT)) and self._looks.is_idle
        if not self.complete and not self.suspended:
            done: Deferred[None] = Deferred()
            self._when_complete.append(done)
            await self._bounded(done)
        elif reported is not None or not is_quiet:
            await self._bounded(Deferred.fromCoroutine(self._bring_all_up_to_date(reported)))
        if self._names is None:
            await self._offered.gather(self.snapshots, self._in_read_thread)
        return self._list()

    def _list(self) -> ProjectList:
        if self.suspended:
            raise Unavailable(self.suspended, retry_after=30)
        if not self.complete:
            raise Unavailable("The index is still being read for the first time.", retry_after=2)
        if self._names is None:
            self._names = ProjectList(
                self._offered.of(self.snapshots),
                serials=self.serials.now() if self._has_serials() else None,
            )
        return self._names

    def serial_of(self, name: ProjectName) -> int | None:
        """Return the serial of a project as the list of projects has it; None where it has none."""
        return self.serials.of(name) if self._has_serials() and name in self.snapshots else None

    def serials_changed(self) -> None:
        """List the projects again, because one has another serial."""
        self.generation += 1
        self._names = None

    def _has_serials(self) -> bool:
        return self.announce is None or self.serials.are_shared

    def withheld(self) -> Iterator[tuple[ProjectName, Withheld]]:
        """Return everything that is there and not offered, by project."""
        for name, snapshot in self.snapshots.in_flux():
            for item in snapshot.project.withheld if snapshot.project else ():
                yield name, item

    def has_file(self, name: ProjectName, filename: str) -> bool:
        """Return whether a project has a file of this name; usable from any thread."""
        snapshot = self.snapshots.peek(name)
        return snapshot is not None and filename in snapshot.chosen

    async def _rescan(self, name: ProjectName) -> None:
        await self.changed(name)
        await self._finish_reading(name)

    async def _bring_up_to_date(self, name: ProjectName, reported: Deferred[None] | None) -> None:
        if reported is not None:
            await reported
        if self.polling and not self._surveyed:
            # The first survey is under way, and may have begun before what is requested now was there.
            self._surveys.ask(ROOT)
        elif self.polling:
            # A look that is under way may have begun before the file was written whole that is requested now.
            is_under_way = self._looks.is_busy(name)
            root, outdated = await self._in_read_thread(self._check, self.snapshots.get(name, NO_SNAPSHOT))
            if root != self._root_stamp:
                self._surveys.ask(ROOT)
            if outdated or is_under_way:
                self._looks.ask(name, first=True)
        if self._surveys.is_busy(ROOT):
            await self._surveys.join(ROOT)
        if self._looks.is_busy(name):
            await self._looks.join(name, first=True)
        await self._finish_reading(name)

    async def _bring_all_up_to_date(self, reported: Deferred[None] | None) -> None:
        if reported is not None:
            await reported
        if self.polling:
            # As for one project.
            self._looks.note(self._looks.running)
            if await self._in_read_thread(self._reader.directory.stamp, ".") != self._root_stamp:
                self._surveys.ask(ROOT)
        if self._surveys.is_busy(ROOT):
            await self._surveys.join(ROOT)
        if len(self._looks) > _MANY:
            unlisted = await self._in_read_thread(self._unlisted)
        else:
            unlisted = self._unlisted()
        for name in unlisted:
            # While one was waited for, another may have been looked at.
            if self._looks.is_busy(name) and not self._is_listed(name):
                await self._looks.join(name)

    def _unlisted(self) -> list[ProjectName]:
        """Return the projects that are looked at, or will be, and are not listed; usable from any thread."""
        return [name for name in self._looks.busy() if not self._is_listed(name)]

    def _is_listed(self, name: ProjectName) -> bool:
        """Return whether a project is listed now; usable from any thread."""
        snapshot = self.snapshots.unpacked.get(name)
        return name in self.snapshots.at_rest if snapshot is None else snapshot.project is not None

    def _check(self, snapshot: ProjectSnapshot) -> tuple[Stamp | None, bool]:
        # Thorough, for one project: a file written in place leaves its directory's stamp alone.
        return self._reader.directory.stamp("."), is_outdated(self._reader.directory, snapshot, thorough=True)

    async def _bounded(self, waiting: Deferred[None]) -> bool:
        """Wait for a limited time; return whether that was enough."""
        waiting.addTimeout(LONGEST_WAIT, self._clock)
        try:
            await waiting
        except TimeoutError:
            return False
        return True
