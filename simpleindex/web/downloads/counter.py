"""Count finished downloads: collect them in memory, and write them in batches, in a thread."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.addresses import client_address
from simpleindex.core.text import plural, printable
from simpleindex.core.user_agents import ClientProgram, parse_user_agent
from simpleindex.records.downloads.keys import DownloadEvent, DownloadKey, day_of
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from simpleindex.config.settings import Settings
    from simpleindex.records.downloads.database import DownloadsDatabase
    from simpleindex.system.threads import Threads
    from simpleindex.web.http.finished_requests import FinishedRequest

_log: Final = logger(__name__)

FLUSH_SECONDS: Final = 5.0
"""How long a download is counted in memory only; a process that is killed loses no more."""

_MOST: Final = 10_000
"""Rows in memory: while the disk is full further downloads are not counted. Some 5 MB."""

_FULL_BATCH: Final = 2_000
"""Rows that are written before their time."""

_PATIENCE: Final = 10.0
"""Seconds that a batch may wait for other processes."""

_LAST_PATIENCE: Final = 0.5
"""The same at the end of the service, whose time is bounded."""


class DownloadCounter:
    """Counts the downloads of one process.

    A disk that is full, or records that cannot be written, cost counts and one line of the log; they cost no answer.

    Args:
        database: Where the counts are kept.
        clock: The reactor.
        threads: Threads for writing; one is enough.
        current: Returns the settings in force.
        now: The time, seconds since 1970.
    """

    def __init__(
        self,
        database: DownloadsDatabase,
        clock: Any,
        threads: Threads,
        current: Callable[[], Settings],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._clock = clock
        self._threads = threads
        self._current = current
        self._now = now
        self._counts: Counter[DownloadKey] = Counter()
        self._events: list[DownloadEvent] = []
        self._waking: Any = None
        self._is_writing = False
        self._is_failing = False
        self._uncounted = 0
        self._latest = 0
        self._removed_before = 0

    def record(self, request: FinishedRequest) -> None:
        """Count a request that is a finished download."""
        now = self._now()
        program = _program_of(request.getHeader(b"User-Agent") or b"")
        key = _key_of(request, program.name, day_of(now))
        if key not in self._counts and len(self._counts) >= _MOST:
            self._uncounted += 1
            return
        self._counts[key] += 1
        settings = self._current()
        if settings.keep_addresses and len(self._events) < _MOST:
            address = _address_of(request, settings)
            self._events.append(DownloadEvent(key, int(now), program.version, address))
        if len(self._counts) >= _FULL_BATCH and not self._is_failing:
            self.flush()
        elif self._waking is None:
            self._waking = self._clock.callLater(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Begin to write what was counted; while a batch is being written the next one waits for it."""
        if self._waking is not None and self._waking.active():
            self._waking.cancel()
        self._waking = None
        if self._is_writing or not self._counts:
            return
        self._is_writing = True
        counts, events = self._taken()
        writing = self._threads.run(self._write, counts, events, _PATIENCE)
        writing.addErrback(lambda failure: _log.failure("", failure))
        writing.addCallback(lambda is_written: self._end_batch(counts, events, is_written=bool(is_written)))

    async def remove_old(self) -> None:
        """Remove the counts and the addresses that were kept long enough at the last call too, if that was another day than before.

        They go also from a server that nobody downloads from any more. The date may be years ahead until it is corrected, minutes
        after a start, and what is removed does not come back.
        """
        latest = day_of(self._now()) - self._current().keep_downloads
        before, self._latest = min(self._latest, latest), latest
        if before == self._removed_before:
            return
        try:
            await self._threads.run(partial(self._database.prune, before, patience=_PATIENCE))
        except (OSError, sqlite3.Error) as error:
            self._log_error(
                "Old counts of downloads are not removed, because {path} cannot be changed", error
            )
            return
        self._removed_before = before

    def close(self) -> None:
        """Write what is left, at the end of the service."""
        if self._waking is not None and self._waking.active():
            self._waking.cancel()
        self._waking = None
        counts, events = self._taken()
        if counts:
            self._write(counts, events, _LAST_PATIENCE)

    def _taken(self) -> tuple[Counter[DownloadKey], list[DownloadEvent]]:
        counts, events = self._counts, self._events
        self._counts, self._events = Counter(), []
        return counts, events

    def _write(
        self, counts: Mapping[DownloadKey, int], events: Sequence[DownloadEvent], patience: float
    ) -> bool:
        """Write a batch; return whether it was written. Blocking."""
        try:
            self._database.add(counts, events, patience=patience)
        except (OSError, sqlite3.Error) as error:
            self._complain(error)
            return False
        return True

    def _end_batch(
        self, counts: Counter[DownloadKey], events: list[DownloadEvent], *, is_written: bool
    ) -> None:
        self._is_writing = False
        if is_written:
            if self._is_failing:
                lost = (
                    f"; {plural(self._uncounted, 'download')} meanwhile were not" if self._uncounted else ""
                )
                _log.info("Downloads are counted again{lost}.", lost=lost)
            self._is_failing, self._uncounted = False, 0
        else:
            self._put_back(counts, events)
        if self._counts and self._waking is None:
            self._waking = self._clock.callLater(FLUSH_SECONDS, self.flush)

    def _put_back(self, counts: Counter[DownloadKey], events: list[DownloadEvent]) -> None:
        """Keep a batch that could not be written for the next try, as far as there is room."""
        for key, count in counts.items():
            if key in self._counts or len(self._counts) < _MOST:
                self._counts[key] += count
            else:
                self._uncounted += count
        self._events = [*events, *self._events][:_MOST]

    def _complain(self, error: OSError | sqlite3.Error) -> None:
        if not self._is_failing:
            self._is_failing = True
            self._log_error("Downloads are not counted, because {path} cannot be written", error)

    def _log_error(self, what: str, error: OSError | sqlite3.Error) -> None:
        path = self._database.path
        trouble = trouble_of(error, path)
        _log.error(
            what + " ({cause}): {remedy}", path=printable(path), cause=trouble.cause, remedy=trouble.remedy
        )


def _key_of(request: FinishedRequest, program: str, day: int) -> DownloadKey:
    record = request.record
    assert record is not None  # it is a finished download
    download, identity = record.download, record.identity
    assert download is not None  # the same
    return DownloadKey(
        day,
        download.project,
        download.filename,
        program,
        identity.user or "",
        identity.token_id or "",
        download.origin.source,
        download.origin.delivery.value,
    )


def _address_of(request: FinishedRequest, settings: Settings) -> str:
    forwarded_for = b",".join(request.requestHeaders.getRawHeaders(b"X-Forwarded-For", ())).decode("latin-1")
    peer = getattr(request.getClientAddress(), "host", None) or ""
    return client_address(peer, forwarded_for, settings.trusted_proxy)


@lru_cache(maxsize=256)
def _program_of(agent: bytes) -> ClientProgram:
    """Return the program that sends this User-Agent; the same few are sent all the time."""
    return parse_user_agent(agent.decode("latin-1"))
