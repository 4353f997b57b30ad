"""Reading projects, a batch at a time: taken from the catalogue, looked at shortly, or read at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.directory.live.snapshot_updates import BATCH, ROOT, SnapshotUpdates
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ScanJob
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.live.project_places import ProjectPlaces
    from simpleindex.directory.scan.batches import RunInThread
    from simpleindex.directory.scan.catalogue import Catalogue, StoredProject

_log = logger(__name__)


class ProjectReads(SnapshotUpdates):
    """Reads the projects that the queues hold, and publishes them."""

    def everything_changed(self) -> None:
        """Scan everything again: changes were missed."""
        self._surveys.ask(ROOT)
        # What is at rest lies in its place, or is looked at because its place is gone.
        self._look_at([name for name, _ in self.snapshots.in_flux() if name not in self._places])
        self._look_at_all(self._places)

    def _look_at_all(self, places: ProjectPlaces) -> None:
        """Have all projects read, without an object for each until its turn."""
        if len(places) > BATCH:
            remaining = places.remaining()
            self._looks.note_set(remaining, remaining.in_order())
        else:
            self._look_at(sorted(places))

    def _look_at(self, names: Sequence[ProjectName]) -> None:
        """Have projects read: a few each on its own, so that none waits for its neighbours."""
        if len(names) > BATCH:
            self._looks.note_all(names)
        else:
            for name in names:
                self._looks.ask(name)

    async def _look(self, names: Sequence[ProjectName]) -> None:
        if self.catalogue is not None and (not self.complete or len(names) >= BATCH):
            # Also of very many that are looked at again, those that have not changed stay in the catalogue, and out of memory.
            names = await self._recall(names, self.catalogue)
        for start in range(0, len(names), BATCH):
            part = names[start : start + BATCH]
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
        # What is reported from now on is of another look.
        reported = self._reported.intersection(names)
        self._reported -= reported
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
                is_reported=name in reported,
            )
            for name in names
        ]
        snapshots = await run_in_thread(self._batches.read, jobs, self._guard.identity, verify=verify)
        if snapshots is None:
            self._reported |= reported
            await self._surveys.ask(ROOT)
            # Where the root is lost, its return asks for all.
            return () if self.suspended else names
        if epoch != self._guard.epoch:
            self._reported |= reported
            return names
        self.private_names.note_remembered(job.name for job in jobs if job.is_traced)
        existed = self._guard.existing
        overtaken = [
            job.name
            for job, snapshot in zip(jobs, snapshots, strict=True)
            if not self._publish(job.name, job.before, snapshot)
        ]
        self._reported |= reported.intersection(overtaken)
        found = any(each.project is not None for each in snapshots)
        self._judge_emptiness(existed, found=found)
        self._finish_first_reads({*names}.difference(overtaken))
        return overtaken

    async def _recall(self, names: Sequence[ProjectName], catalogue: Catalogue) -> Sequence[ProjectName]:
        """Publish the projects that are as the catalogue has them, if they are not published; return the others."""
        directories = {name: raw for name in names if (raw := self._places.only_directory(name)) is not None}
        # One batch at a time: threads would hand the interpreter to each other with each system call.
        await self._recalling.acquire()
        try:
            epoch = self._guard.epoch
            # As in _read: what is reported from now on is of another look.
            reported = self._reported.intersection(directories)
            self._reported -= reported
            self._watch.watch(directories.values())
            stored = await self._in_look_thread(
                self._batches.recall, directories, catalogue, self._guard.identity
            )
        finally:
            self._recalling.release()
        if epoch != self._guard.epoch:
            self._reported |= reported
            return names
        done = {each.name for each in stored if self.snapshots.at_rest.has_number(each.number)}
        self.private_names.note_remembered(done)
        # One that was read before is to be looked at; a request may have been quicker with another.
        stored = [each for each in stored if not self.snapshots.has_stored(each)]
        if stored and not self.complete:  # Later, each change is reported.
            done.update(self._publish_stored(stored))
        self._reported |= reported.difference(done)
        return [name for name in names if name not in done]

    def _publish_stored(self, stored: Sequence[StoredProject]) -> list[ProjectName]:
        """Publish projects that are as the catalogue has them; return their names."""
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
        return recalled
