"""What workers exchange through their supervisor: changes that all must list, reports of all for one, and the watch of directories."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Final

from simpleindex.service.workers.announced_changes import AnnouncedChanges
from simpleindex.service.workers.messages import Message
from simpleindex.service.workers.serial_sequence import SerialSequence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.service.workers.shared_watch import SharedWatch
    from simpleindex.service.workers.worker_process import WorkerProcess

MOST_QUEUES: Final = 100
"""Directories whose queues are shown: their descriptors and those of all ports go to a worker at once, of which Linux takes 253."""


class WorkerExchange:
    """Passes changes and reports from each worker to the others, and watches directories for all."""

    def __init__(
        self,
        workers: Mapping[int, WorkerProcess],
        watches: Mapping[str, SharedWatch],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._workers = workers
        self._watches = watches
        self._serials: dict[str, SerialSequence] = {}
        self._now = now
        self._changes = AnnouncedChanges()
        self._collections = AnnouncedChanges()

    def watch_directories(self) -> None:
        """Begin to watch the directories for all workers."""
        for watch in self._watches.values():
            watch.start()

    def queues(self) -> dict[str, tuple[int, ...]]:
        """Return the descriptors by which workers see the queues of events, by the directories' names."""
        return {name: watch.queue.descriptors for name, watch in islice(self._watches.items(), MOST_QUEUES)}

    def repeat_lost_reports(self) -> None:
        """Let workers look at everything that do not receive reports of changes."""
        for watch in self._watches.values():
            watch.repeat_lost()

    def close(self) -> None:
        """Watch no more."""
        for watch in self._watches.values():
            watch.close()

    def received(self, worker: WorkerProcess, message: Message) -> None:
        """Take a message of a worker to the others, or about a directory."""
        match message.kind:
            case "changed":
                self.announce(worker, message)
            case "seen":
                self.seen(worker, message)
            case "collect":
                self.collect(worker, message)
            case "report":
                self.report(worker, message)
            case "serials":
                self._serials_of(message.detail).requested(worker)
            case "serial":
                self._serials_of(message.detail).note(message.text, message.number)
            case "watch":
                self._watch(worker, message)
            case "heard" if (watch := self._watches.get(message.detail)) is not None:
                watch.received(worker, message.number)
            case "catch-up" if (watch := self._watches.get(message.detail)) is not None:
                watch.catch_up(worker)

    def _watch(self, worker: WorkerProcess, message: Message) -> None:
        watch = self._watches.get(message.detail)
        if watch is not None and watch.path == message.text:
            watch.requested(worker, again=bool(message.number))
            return
        # A worker that is started again reads the sources file as it is now.
        reason = (
            f"{message.text} is watched after a restart of the server, for it was no source at its start."
        )
        worker.send(Message("unwatched", reason, message.detail))

    def announce(self, worker: WorkerProcess, message: Message) -> None:
        """Let all others list what one changed."""
        others = self._others(worker)
        number = self._changes.begin(worker.number, message.number, others)
        if number is None:
            self._answer("seen", (worker.number, message.number))
            return
        for each in others:
            self._workers[each].send(Message("changed", message.text, message.detail, number))

    def seen(self, worker: WorkerProcess, message: Message) -> None:
        """Take note that a worker lists a change."""
        self._answer("seen", self._changes.seen(message.number, worker.number))

    def collect(self, worker: WorkerProcess, message: Message) -> None:
        """Request the reports of all others for a worker that shows the metrics or the status of all."""
        others = self._others(worker)
        number = self._collections.begin(worker.number, message.number, others)
        if number is None:
            self._answer("collected", (worker.number, message.number))
            return
        for each in others:
            self._workers[each].send(Message("collect", message.text, number=number))

    def report(self, worker: WorkerProcess, message: Message) -> None:
        """Pass a worker's report to the one that requested it."""
        origin = self._collections.origin_of(message.number)
        if origin is not None and origin[0] in self._workers:
            self._workers[origin[0]].send(Message("report", message.text, str(worker.number), origin[1]))
        self._answer("collected", self._collections.seen(message.number, worker.number))

    def ended(self, worker: WorkerProcess) -> None:
        """Wait no longer for a worker that has ended."""
        for watch in self._watches.values():
            watch.ended(worker)
        for serials in self._serials.values():
            serials.ended(worker)
        for origin in self._changes.ended(worker.number):
            self._answer("seen", origin)
        for origin in self._collections.ended(worker.number):
            self._answer("collected", origin)

    def _serials_of(self, directory: str) -> SerialSequence:
        if directory not in self._serials:
            self._serials[directory] = SerialSequence(directory, self._now)
        return self._serials[directory]

    def _others(self, worker: WorkerProcess) -> set[int]:
        return {number for number, each in self._workers.items() if each.is_ready and each is not worker}

    def _answer(self, kind: str, origin: tuple[int, int] | None) -> None:
        if origin is not None and origin[0] in self._workers:
            self._workers[origin[0]].send(Message(kind, number=origin[1]))
