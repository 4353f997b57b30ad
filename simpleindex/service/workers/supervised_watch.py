"""A worker's watch of a directory, which its supervisor watches for all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from simpleindex.directory.watch.directory_events import decode_events
from simpleindex.directory.watch.interface import Watch, WatchUnavailable
from simpleindex.service.workers.messages import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from simpleindex.directory.live.live_directory import LiveDirectory
    from simpleindex.service.workers.event_queue import QueueView


class SupervisedWatch(Watch):
    """Reports to a live directory what the supervisor sees.

    Args:
        name: The directory's name among the sources.
        path: Where it lies.
        live: The directory.
        send: Sends a message to the supervisor.
        queue: Shows whether the supervisor has read everything that happened; None where that is not shown.
    """

    def __init__(
        self,
        name: str,
        path: str,
        live: LiveDirectory,
        send: Callable[[Message], None],
        queue: QueueView | None,
    ) -> None:
        self._name = name
        self._path = path
        self._live = live
        self._send = send
        self._queue = queue
        self._taken = 0
        self._catching_up: list[Deferred[None]] = []
        self._catching_up_next: list[Deferred[None]] = []
        self._is_watched = False
        self._has_begun = False
        self._number = 0
        self._waiting: list[Deferred[None]] = []

    def start(self) -> None:
        """Have the directory watched; later again, if it is not: what the supervisor answers comes later.

        Raises:
            WatchUnavailable: It is not watched yet, and was before.
        """
        if self._is_watched:
            return
        has_begun = self._has_begun
        self._send(Message("watch", self._path, self._name, int(has_begun)))
        if has_begun:
            raise WatchUnavailable(f"The supervisor of the workers begins to watch {self._name} again.")

    def stop(self) -> None:
        """Report nothing until it is started again."""
        self._is_watched = False

    def watch(self, names: Iterable[str]) -> None:
        """Do nothing: the supervisor watches each directory before it reports it."""

    def drain(self) -> Deferred[None] | None:
        """Return what fires when the supervisor has reported everything that has happened; None if it has."""
        if self._queue is None or not self._queue.is_ahead_of(self._taken) or not self._is_watched:
            return None
        reported: Deferred[None] = Deferred()
        # What is requested already may not include what happened since.
        self._catching_up_next.append(reported)
        if not self._catching_up:
            self._request_reports()
        return reported

    def _request_reports(self) -> None:
        self._catching_up, self._catching_up_next = self._catching_up_next, []
        if self._catching_up:
            self._send(Message("catch-up", detail=self._name))

    def _caught_up(self) -> None:
        waiting = self._catching_up
        self._request_reports()
        for each in waiting:
            each.callback(None)

    async def begun(self) -> None:
        """Return once the supervisor watches, or cannot."""
        if not self._has_begun:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting

    def received(self, message: Message) -> None:
        """Take a message of the supervisor about this directory."""
        match message.kind:
            case "watching":
                self._taken = message.number
                self._begin()
            case "unwatched":
                self._is_watched = False
                if not self._live.polling:
                    self._live.watch_failed(message.text)
                self._answered()
            case "reported":
                self._taken = message.number
                # Another one may have been under way when this worker requested one.
                if message.text:
                    self._caught_up()
            case "events":
                self._send(Message("heard", detail=self._name, number=message.number))
                self._report(message)

    def _begin(self) -> None:
        self._is_watched, self._number = True, 0
        if self._has_begun:
            self._live.watch_is_back()
        self._answered()

    def _answered(self) -> None:
        self._has_begun = True
        # All who wait: what was requested before is not answered any more.
        waiting = [*self._waiting, *self._catching_up, *self._catching_up_next]
        self._waiting, self._catching_up, self._catching_up_next = [], [], []
        for each in waiting:
            each.callback(None)

    def _report(self, message: Message) -> None:
        if not self._is_watched:
            return
        is_next, self._number = message.number == self._number + 1, message.number
        if is_next:
            decode_events(message.text).report_to(self._live)
        else:
            self._live.everything_changed()
