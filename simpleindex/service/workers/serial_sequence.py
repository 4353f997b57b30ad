"""The serials of a directory's projects for all workers, in their supervisor."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Final

from simpleindex.service.workers.messages import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.service.workers.worker_process import WorkerProcess

_AT_ONCE: Final = 2_000
"""Serials in one message."""


class SerialSequence:
    """Gives each listing of a project a serial, and sends it to every worker.

    A serial is a time, as in :class:`simpleindex.directory.live.serials.Serials`: what has not changed since the start has that of the start.

    Args:
        name: The directory's name among the sources.
        now: The time, seconds since 1970.
    """

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self._name = name
        self._now = now
        self._first = self._last = int(now() * 1_000_000)
        # In the order of serials, so that no worker shows one before a smaller one.
        self._rows: dict[str, tuple[int, int]] = {}
        self._workers: list[WorkerProcess] = []

    def requested(self, worker: WorkerProcess) -> None:
        """Send a worker all serials, and from now on each new one."""
        self._workers.append(worker)
        rows = iter([(project, *row) for project, row in self._rows.items()])
        part = [*islice(rows, _AT_ONCE)]
        self._send(worker, part)
        while part := [*islice(rows, _AT_ONCE)]:
            self._send(worker, part)

    def note(self, project: str, listing: int) -> None:
        """Give a listing that a worker has now a serial larger than all before, unless it was noted last for the project."""
        if project in self._rows and self._rows[project][0] == listing:
            return
        self._rows.pop(project, None)
        self._last = max(int(self._now() * 1_000_000), self._last + 1)
        self._rows[project] = listing, self._last
        for worker in self._workers:
            self._send(worker, [(project, listing, self._last)])

    def ended(self, worker: WorkerProcess) -> None:
        """Forget a worker whose process has ended."""
        if worker in self._workers:
            self._workers.remove(worker)

    def _send(self, worker: WorkerProcess, rows: Sequence[tuple[str, int, int]]) -> None:
        worker.send(Message("serials", json.dumps(rows), self._name, self._first))
