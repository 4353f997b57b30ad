"""What the service does at intervals from its start to its end: it follows files, and one worker of several does the rest for all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import LoopingCall

from simpleindex.service.audit.configuration_changes import ConfigurationChanges
from simpleindex.service.ports.index_url import CERTIFICATE_INTERVAL
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

    from simpleindex.config.settings import Settings
    from simpleindex.service.composition.directory import ServedDirectory
    from simpleindex.service.composition.index import ComposedIndex
    from simpleindex.service.ports.index_url import IndexUrl
    from simpleindex.service.shared_pins import PinSharing
    from simpleindex.service.upstreams import Upstreams

_log: Final = logger(__name__)

PEOPLE_INTERVAL: Final = 2.0
"""Seconds between looks at the files about people while nobody asks for anything; every request looks once a second."""

RETENTION_INTERVAL: Final = 600.0
"""Seconds between two looks whether there are counts of downloads that are kept no longer."""

AUDIT_INTERVAL: Final = 1.0
"""Seconds between looks for entries of the audit that other nodes have not yet."""

RULES_INTERVAL: Final = 10.0
"""Seconds between looks at advisories, at the sources file while nobody asks for anything, at the hooks file, and at copies of files."""


class RegularWork:
    """Calls functions at intervals."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._loops: list[LoopingCall] = []

    def repeat(self, function: Callable[[], Any], interval: float) -> LoopingCall:
        """Call a function at an interval, beginning after the first; a failure is logged and ends nothing."""
        # A LoopingCall ends with the first failure that it hears of.
        loop = LoopingCall(lambda: maybeDeferred(function).addErrback(log_failure))
        loop.clock = self._clock
        loop.start(interval, now=False)
        self._loops.append(loop)
        return loop

    def add(self, loop: LoopingCall) -> None:
        """Add a loop that has been started, to be stopped with the others."""
        self._loops.append(loop)

    def stop(self) -> None:
        """Stop all calls."""
        for loop in self._loops:
            loop.stop()


def follow_files(index: ComposedIndex, url: IndexUrl, work: RegularWork) -> None:
    """Look at the files of certificates, users, rights, sources and rules at intervals; each worker reads its own."""
    if index.security is not None:
        work.repeat(url.check_certificates, CERTIFICATE_INTERVAL)
    if index.logins is not None:
        work.repeat(index.logins.follow, PEOPLE_INTERVAL)
    if index.sources.upstreams is not None:
        work.repeat(index.sources.upstreams.follow, RULES_INTERVAL)


def work_for_all(
    index: ComposedIndex, url: IndexUrl, settings: Settings, work: RegularWork
) -> ConfigurationChanges | None:
    """Begin what one process does for all workers: certificates are renewed, servers notified, old counts removed, changes noted.

    Returns:
        Records changes of the configuration; None where there is no state directory.
    """
    if index.acme is not None:
        index.acme.renewal.start(url.use_issued_certificate)
    if settings.downloads:
        work.repeat(lambda: Deferred.fromCoroutine(index.downloads.remove_old()), RETENTION_INTERVAL)
    if settings.workers != 1:
        for directory in index.sources.directories:
            work.repeat(partial(_make_room, directory), RULES_INTERVAL)
    if (audit := index.runtime.audit_sharing) is not None:
        threads = index.runtime.threads.downloads
        work.repeat(lambda: threads.run(audit.share), AUDIT_INTERVAL)
    if index.hooks is not None:
        index.hooks.start()
        work.repeat(index.hooks.follow, RULES_INTERVAL)
    if settings.records is not None and index.sources.upstreams is not None:
        pins = _pin_sharing(index, index.sources.upstreams)
        work.repeat(lambda: Deferred.fromCoroutine(pins.follow()), RULES_INTERVAL)
    if index.hand_changes is not None:
        for directory in index.sources.directories:
            directory.live.files_listener = partial(
                index.hand_changes.note, directory.name, made_by_nodes=directory.made_by_nodes
            )
    if not settings.keeps_state:
        return None
    changes = ConfigurationChanges(index)
    if index.logins is not None or index.sources.upstreams is not None:
        work.repeat(changes.record, PEOPLE_INTERVAL)
    return changes


def _make_room(directory: ServedDirectory) -> Deferred[None]:
    return Deferred.fromCoroutine(directory.make_room())


def _pin_sharing(index: ComposedIndex, upstreams: Upstreams) -> PinSharing:
    from simpleindex.records.pins import PinTable  # noqa: PLC0415  (only with --records and upstreams)
    from simpleindex.service.shared_pins import PinSharing  # noqa: PLC0415  (the same)
    from simpleindex.upstreams.cache.pins import Pins  # noqa: PLC0415  (the same)

    runtime = index.runtime
    return PinSharing(
        PinTable(runtime.records),
        Pins(str(runtime.settings.state)),
        upstreams.cache,
        upstreams.connected,
        runtime.threads.reads,
        runtime.reactor.seconds,
    )


def log_failure(failure: Failure) -> None:
    """Log a failure that nobody expected."""
    _log.failure("", failure)
