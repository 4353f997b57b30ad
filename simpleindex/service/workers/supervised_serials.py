"""A worker's serials of a directory's projects, which its supervisor gives out to all workers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from simpleindex.core.names import ProjectName
from simpleindex.directory.live.agreed_serials import AgreedSerials, SerialRow
from simpleindex.service.workers.messages import Message
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from simpleindex.directory.live.live_directory import LiveDirectory

_log = logger(__name__)

BEHIND_SECONDS: Final = 2.0
"""After so long a project is looked at whose serial is of a listing that this worker does not have: it may be of none any more."""


class SupervisedSerials(AgreedSerials):
    """Serials that are the same in all workers.

    Args:
        name: The directory's name among the sources.
        live: The directory.
        send: Sends a message to the supervisor.
        clock: For later looks.
    """

    def __init__(
        self, name: str, live: LiveDirectory, send: Callable[[Message], None], clock: IReactorTime
    ) -> None:
        super().__init__(lambda: live.snapshots, live.serials_changed)
        self._name = name
        self._live = live
        self._send = send
        self._clock = clock
        self._is_looking = False
        send(Message("serials", detail=name))

    def note(self, name: ProjectName) -> None:
        """Have the supervisor note a project's listing, because it has changed."""
        self._note(name)
        if name in self._behind:
            self._compare((name,))

    def received(self, message: Message) -> None:
        """Take serials that the supervisor has given out."""
        self._first = message.number
        self.take(SerialRow(ProjectName(project), *row) for project, *row in json.loads(message.text))
        self._look_later()

    def _note(self, name: ProjectName) -> None:
        listing = self._snapshots().listing_digest(name)
        if listing is not None:
            self._send(Message("serial", name, self._name, listing))

    def _look_later(self) -> None:
        if self._behind and not self._is_looking:
            self._is_looking = True
            self._clock.callLater(BEHIND_SECONDS, self._begin_look)

    def _begin_look(self) -> None:
        looking = Deferred.fromCoroutine(self._look())
        looking.addErrback(lambda failure: _log.failure("", failure))
        looking.addBoth(lambda _: self._end_look())

    def _end_look(self) -> None:
        self._is_looking = False
        self._look_later()

    async def _look(self) -> None:
        """Look at the projects again, and note what is listed of them where it still is something else."""
        if not self._live.complete:
            return
        for name in tuple(self._behind):
            await self._live.changed(name)
            self._compare((name,))
            if name in self._behind:
                self._note(name)
