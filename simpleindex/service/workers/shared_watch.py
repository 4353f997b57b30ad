"""The watch of one directory for all workers, in their supervisor: it watches by inotify, and reports each change to every worker."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.task import Cooperator
from twisted.internet.threads import deferToThreadPool

from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.names import parse_project_name
from simpleindex.directory.layout.distribution_like import is_trace
from simpleindex.directory.watch.directory_events import DirectoryEvents, encode_events
from simpleindex.directory.watch.inotify import InotifyWatch
from simpleindex.directory.watch.interface import ChangeListener, WatchUnavailable
from simpleindex.service.workers.event_queue import SharedQueue
from simpleindex.service.workers.messages import MOST_BYTES, Message
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall

    from simpleindex.directory.layout.directory_listings import RootListing
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.service.composition.directory import ServedDirectory
    from simpleindex.service.workers.worker_process import WorkerProcess

_log = logger(__name__)

_AT_ONCE: Final = 512
"""Directories that are watched in one turn of the reactor; takes some 3 ms."""

_EVERYTHING: Final = DirectoryEvents(everything=True)
_NOTHING: Final = DirectoryEvents()


@dataclass
class _Recipient:
    """A worker that gets reports, of which one is under way at a time.

    Attributes:
        number: Of the last report.
        is_waiting: Whether it has not been received yet.
        was_waiting: Whether the same was so at the last look.
        is_catching_up: Whether it waits until everything is reported.
        due: What happened since.
    """

    number: int = 0
    is_waiting: bool = False
    was_waiting: bool = False
    is_catching_up: bool = False
    due: DirectoryEvents = _NOTHING


class SharedWatch(ChangeListener):
    """Watches a directory for all workers.

    Each worker reads the directory after it has heard that it is watched, so that no change can come between.

    Args:
        name: The directory's name among the sources.
        path: The directory; if it is a link, it is followed when the watch begins.
        directory: Its listings.
        reactor: Where events are waited for.
        run_in_thread: Runs what blocks.

    Attributes:
        path: See above.
        queue: Shows workers whether events wait.
    """

    def __init__(
        self,
        name: str,
        path: str,
        directory: PackageDirectory,
        reactor: Any,
        run_in_thread: Callable[..., Deferred[Any]],
    ) -> None:
        self._name = name
        self.path = path
        self.queue = SharedQueue()
        self._directory = directory
        self._reactor = reactor
        self._run_in_thread = run_in_thread
        self._cooperator = Cooperator(scheduler=lambda turn: reactor.callLater(0, turn))
        self._watch: InotifyWatch | None = None
        self._identity: tuple[int, int] | None = None
        self._is_complete = False
        self._failure: str | None = None
        self._turn = 0
        self._sending: IDelayedCall | None = None
        self._unserved: set[WorkerProcess] = set()
        self._recipients: dict[WorkerProcess, _Recipient] = {}

    # Beginning and end

    def start(self) -> None:
        """Begin to watch, or begin again where another directory lies now."""
        self.close()
        self._failure = None
        self._watch = InotifyWatch(self._reactor, self.path, self, self.queue)
        # Before the watch: where another directory takes its place meanwhile, it is watched anew once more.
        self._identity = self._identity_now()
        try:
            self._watch.start()
        except WatchUnavailable as error:
            self.watch_failed(error.reason)
            return
        self._survey()

    def close(self) -> None:
        """Watch no more."""
        self._turn += 1
        self._is_complete = False
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _survey(self) -> None:
        """Watch every directory of a project that there is now."""
        self._turn += 1
        surveying = self._run_in_thread(self._directory.survey)
        surveying.addCallback(self._watch_all, self._turn)
        surveying.addErrback(self._could_not_survey, self._turn)
        surveying.addErrback(lambda failure: _log.failure("", failure))

    def _watch_all(self, listing: RootListing, turn: int) -> Deferred[None]:
        # What a link leads to that is reserved may come later.
        names = chain(*listing.directories.values(), listing.reserved.values())
        done = self._cooperator.coiterate(self._watch_some(names, turn))
        return done.addCallback(lambda _: self._complete(turn))

    def _watch_some(self, names: Iterator[str], turn: int) -> Iterator[None]:
        while turn == self._turn and self._watch is not None and (some := tuple(islice(names, _AT_ONCE))):
            self._watch.watch(some)
            yield

    def _could_not_survey(self, failure: Any, turn: int) -> None:
        if turn == self._turn:
            # Whatever it is: pages would wait for a survey that does not come.
            cause = getattr(failure.value, "strerror", None) or failure.value
            self.watch_failed(f"The root of the index cannot be read ({cause}).")
        failure.trap(OSError)

    def _complete(self, turn: int) -> None:
        if turn != self._turn or self._watch is None:
            return
        self._is_complete = True
        for worker in self._recipients:
            self._add(worker, _EVERYTHING)
        for worker in sorted(self._unserved, key=lambda each: each.number):
            self._begin_reports(worker)
        self._unserved.clear()

    # What workers send

    def requested(self, worker: WorkerProcess, *, again: bool) -> None:
        """Report changes to a worker from now on, once all is watched.

        Args:
            worker: Which.
            again: Whether it had reports before, and found another directory in the root's place, or the root back.
        """
        self._recipients.pop(worker, None)
        if again and (self._failure or self._identity != self._identity_now()):
            self._unserved.add(worker)
            self.start()
        elif self._failure is not None:
            worker.send(Message("unwatched", self._failure, self._name))
        elif self._is_complete:
            self._begin_reports(worker)
        else:
            self._unserved.add(worker)

    def received(self, worker: WorkerProcess, number: int) -> None:
        """Take note that a worker has received a report, and send it what happened since."""
        recipient = self._recipients.get(worker)
        if recipient is not None and recipient.number == number:
            recipient.is_waiting = recipient.was_waiting = False
            self._send(worker, recipient)

    def catch_up(self, worker: WorkerProcess) -> None:
        """Report to a worker everything that has happened, and then that this was all."""
        if self._watch is not None:
            self._watch.drain()
        if (recipient := self._recipients.get(worker)) is None:
            return  # It knows that nothing is watched.
        recipient.is_catching_up = True
        self._send(worker, recipient)

    def ended(self, worker: WorkerProcess) -> None:
        """Forget a worker whose process has ended."""
        self._unserved.discard(worker)
        self._recipients.pop(worker, None)

    def repeat_lost(self) -> None:
        """Let workers look at everything that have not received a report since the last look."""
        for worker, recipient in self._recipients.items():
            if recipient.was_waiting:
                recipient.is_waiting = False
                self._add(worker, _EVERYTHING)
            recipient.was_waiting = recipient.is_waiting

    # What the watch reports

    def names_heard(self, entries: Mapping[str, bool], files: Mapping[str, set[bytes]]) -> None:
        """Watch directories that are new, before they are reported; pass the names on."""
        if self._watch is not None and (new := [raw for raw in entries if self._may_be_project(raw)]):
            self._watch.watch(new)
        # One such name is enough, of thousands of files.
        traces = {raw: set(islice(filter(_is_trace, names), 1)) for raw, names in files.items()}
        self._report(
            DirectoryEvents(entries=entries, files={raw: names for raw, names in traces.items() if names})
        )

    def root_changed(self) -> None:
        """Report that the root must be surveyed."""
        self._report(DirectoryEvents(root=True))

    def directories_changed(self, names: frozenset[str]) -> None:
        """Report directories that must be looked at."""
        self._report(DirectoryEvents(directories=names))

    def everything_changed(self) -> None:
        """Watch what was made while events were lost; then all workers look at everything."""
        if self._watch is not None:
            self._is_complete = False
            self._survey()

    def watch_failed(self, reason: str) -> None:
        """Report that nothing is watched any more, and why."""
        self.close()
        self._failure = reason
        for worker in {*self._unserved, *self._recipients}:
            worker.send(Message("unwatched", reason, self._name))
        self._unserved.clear()
        self._recipients.clear()

    def _may_be_project(self, raw: str) -> bool:
        try:
            parse_project_name(raw)
        except InvalidProjectName:
            return False
        path = os.path.join(self.path, raw)
        # What a link leads to may come later.
        return (os.path.isdir(path) or os.path.islink(path)) and not self._directory.is_excluded(
            os.path.realpath(path)
        )

    def _identity_now(self) -> tuple[int, int] | None:
        try:
            return self._directory.identity()
        except OSError:
            return None

    # Reports

    def _begin_reports(self, worker: WorkerProcess) -> None:
        self._recipients[worker] = _Recipient()
        worker.send(Message("watching", detail=self._name, number=self.queue.taken))

    def _report(self, events: DirectoryEvents) -> None:
        for worker in self._recipients:
            self._add(worker, events)

    def _add(self, worker: WorkerProcess, events: DirectoryEvents) -> None:
        recipient = self._recipients[worker]
        recipient.due = recipient.due.joined(events)
        if self._sending is None:
            # Together with what the watch reports next of the same events.
            self._sending = self._reactor.callLater(0, self._send_due)

    def _send_due(self) -> None:
        self._sending = None
        for worker, recipient in self._recipients.items():
            self._send(worker, recipient)

    def _send(self, worker: WorkerProcess, recipient: _Recipient) -> None:
        was_due = not recipient.due.is_empty
        if was_due and not recipient.is_waiting:
            part, recipient.due = recipient.due.split()
            recipient.number += 1
            recipient.is_waiting = True
            worker.send(Message("events", encode_events(part, MOST_BYTES), self._name, recipient.number))
        if (was_due or recipient.is_catching_up) and recipient.due.is_empty and self._is_complete:
            requested, recipient.is_catching_up = recipient.is_catching_up, False
            worker.send(Message("reported", "requested" if requested else "", self._name, self.queue.taken))


def _is_trace(filename: bytes) -> bool:
    return is_trace(filename.decode("utf-8", "replace"))


def shared_watches(directories: Iterable[ServedDirectory], reactor: Any) -> dict[str, SharedWatch]:
    """Return the watches of those directories that are watched by inotify, by their names."""

    def run_in_thread(function: Callable[..., Any]) -> Deferred[Any]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), function)

    return {
        each.name: SharedWatch(each.name, each.path, each.directory, reactor, run_in_thread)
        for each in directories
        if each.choice.method == "inotify"
    }
