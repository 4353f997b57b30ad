"""The running index: what happens at the start, on SIGHUP and at the end."""

from __future__ import annotations

import gc
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.selectreactor import SelectReactor
from twisted.protocols.tls import TLSMemoryBIOFactory

from simpleindex.core.addresses import is_within
from simpleindex.core.errors import RefusedStart
from simpleindex.service.announcements import client_lines, listening_lines, log_catalogue
from simpleindex.service.composition.index import compose
from simpleindex.service.directory_report import report_of, taken_line
from simpleindex.service.fast_lane import tls_protocol
from simpleindex.service.log_lines import LoggedService
from simpleindex.service.places import open_access_log
from simpleindex.service.ports.accepting import AcceptGate
from simpleindex.service.ports.index_url import IndexUrl
from simpleindex.service.ports.listening import endpoint, listen_now, machine_has_ipv6
from simpleindex.service.process import ServiceProcess
from simpleindex.service.regular_work import RegularWork, follow_files, log_failure, work_for_all
from simpleindex.service.reloading import apply_settings, log_changes, reload_files, settings_in_force
from simpleindex.service.shutdown import drain, stop_parts
from simpleindex.service.state import begin_state, claim_state, recover_uploads, state_lock
from simpleindex.service.systemd import Notifier, start_watchdog
from simpleindex.system.descriptors import raise_limit
from simpleindex.system.log import PUBLISHER, log_each, logger
from simpleindex.system.threads import share_interpreter
from simpleindex.system.troubles import Troubles
from simpleindex.web.http.finished_requests import observe_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
    from twisted.internet.task import LoopingCall

    from simpleindex.config.settings import Settings
    from simpleindex.config.values import ListenAddress
    from simpleindex.service.audit.configuration_changes import ConfigurationChanges
    from simpleindex.service.composition.directory import ServedDirectory
    from simpleindex.service.systemd import ServiceNotifier
    from simpleindex.tls.private_ca import Owner
    from simpleindex.web.http.access_log import AccessLog

# As a class's attribute it would be named after the class.
_log: Final = logger(__name__)

WAITING_SECONDS: Final = 10.0
"""How long a worker that joins others lets connections wait until it has read everything; the others take new ones."""

_UNSUPERVISED: Final = ServiceProcess()


class IndexService(LoggedService):
    """The running index.

    Binding happens in :meth:`privilegedStartService`, while twistd may still be root; threads, the database and the
    watch begin in :meth:`startService`, after the fork and as the lesser user (docs/measurements.md).

    Args:
        settings: The settings at the start.
        resolve_again: Decides the settings again, for SIGHUP.
        reactor: The event loop.
        owner: The user and group that twistd becomes, if it changes them.
        process: How the process refuses and ends, and who supervises it.

    Attributes:
        index: The parts of the index.
        troubles: The machine's troubles, for ``/-/status``.
        access_log: The access log; None without one.
        sweep_loops: Look for changes in the directories at intervals.

    Raises:
        RefusedStart: The index cannot start with these settings.
    """

    name = "simpleindex"

    def __init__(
        self,
        settings: Settings,
        resolve_again: Callable[..., Settings],
        reactor: Any,
        owner: Owner,
        process: ServiceProcess = _UNSUPERVISED,
    ) -> None:
        self.settings = settings
        self._resolve_again = resolve_again
        self._refusal = process.refusal
        self._end_by_force = process.end_by_force
        self._supervisor = process.supervisor
        self._reactor = reactor
        self.troubles = Troubles(time.time)
        PUBLISHER.addObserver(self.troubles)
        self.index = compose(settings, lambda: self.settings, reactor, owner, self.troubles)
        self._ports: list[tuple[str, IListeningPort]] = []
        self._url = IndexUrl(self.index, lambda: self.settings, self._ports)
        if self._supervisor is not None:
            from simpleindex.service.workers.membership import join_workers  # noqa: PLC0415  (only with --workers)

            join_workers(self.index, self._url, self._supervisor)
        self._gate = AcceptGate(reactor)
        self._gate.close_idle = self._close_idle
        for site in self.index.http.sites:
            site.connections.has_room = self._gate.admits
        self._endpoints = [
            (listen, option, self._endpoint(option, place, listen))
            for option, listens in (("https", settings.https), ("http", settings.http))
            for place, listen in enumerate(listens)
        ]
        self._notifier: ServiceNotifier = Notifier({}, os.getpid())
        self._examines = True
        self.access_log: AccessLog | None = None
        self._state_lock = state_lock(settings)
        self._changes: ConfigurationChanges | None = None
        self._work = RegularWork(reactor)
        self.sweep_loops: list[LoopingCall] = []

    def _endpoint(self, option: str, place: int, listen: ListenAddress) -> IStreamServerEndpoint:
        inherited = None
        if self._supervisor is not None:
            inherited = self._supervisor.description.sockets[f"{option} {place}"]
        return endpoint(
            self._reactor,
            listen,
            option,
            has_ipv6=machine_has_ipv6,
            is_trusted=lambda host: is_within(host, self.settings.trusted_proxy),
            inherited=inherited,
        )

    @property
    def _is_first_worker(self) -> bool:
        """Whether this process does what one of several must do for all."""
        return self._supervisor is None or self._supervisor.description.is_first

    # The start

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        if not isinstance(self._reactor, SelectReactor):
            raise_limit()
        for listen, option, place in self._endpoints:
            try:
                port = listen_now(place, self._factory(option), listen, option)
            except RefusedStart as error:
                raise self._refusal(error) from None
            self._ports.append((option, port))
        self._gate.ports = [port for _, port in self._ports]
        if self._supervisor is not None and self._supervisor.description.is_waiting:
            self._gate.wait(WAITING_SECONDS)
        # The port is certain only now, where it was left to the system (0).
        self._url.use()

    def startService(self) -> None:
        super().startService()
        # Only now, for a daemon has forked meanwhile.
        self._notifier = self._supervisor_or_systemd()
        try:
            if self._supervisor is None:
                claim_state(self._state_lock)
            begin_state(self.index, self.settings, self._state_lock)
            self._exchange_access_log(self.settings)
        except RefusedStart as error:
            raise self._refusal(error) from None
        share_interpreter()
        self.index.runtime.threads.start()
        # What was imported and composed stays: a third of a start over 100,000 projects was the collector's visits to it.
        gc.freeze()
        for directory in self.index.sources.directories:
            directory.digests.open()
        self._examines = self.index.runtime.examination.check()
        if self.index.logins is not None:
            recover_uploads(self.index)
        if self.index.sources.upstreams is not None:
            self.index.sources.upstreams.load()
        for directory in self.index.sources.directories:
            directory.watch()
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reload))
        log_each(_log, listening_lines(self.index, self.settings, self._ports))
        for directory in self.index.sources.directories:
            self._begin(directory)
        follow_files(self.index, self._url, self._work)
        if self._is_first_worker:
            self._changes = work_for_all(self.index, self._url, self.settings, self._work)
        if (beat := start_watchdog(self._notifier, self._reactor)) is not None:
            self._work.add(beat)
        self._notifier.ready()

    def _supervisor_or_systemd(self) -> ServiceNotifier:
        """Return who hears of the start and the end."""
        if self._supervisor is None:
            return Notifier(os.environ, os.getpid())
        from simpleindex.service.workers.link import SupervisorNotifier  # noqa: PLC0415  (only with --workers)

        return SupervisorNotifier(self._supervisor)

    def _factory(self, option: str) -> IProtocolFactory:
        if option == "https":
            assert self.index.security is not None  # made where there is --https
            factory = TLSMemoryBIOFactory(self.index.security.certificates, False, self.index.http.site)
            factory.protocol, sentence = tls_protocol()
            if sentence is not None:
                log_each(_log, [sentence])
            return factory
        return self.index.http.redirect_site if self.settings.redirect_http else self.index.http.site

    def _begin(self, directory: ServedDirectory) -> None:
        first = directory.begin()
        first.addCallback(lambda _: self._first_catalogue_complete(directory)).addErrback(log_failure)
        if directory.choice.method != "off":
            self.sweep_loops.append(self._work.repeat(directory.sweep, self.settings.poll_interval))

    def _first_catalogue_complete(self, directory: ServedDirectory) -> None:
        # The collector need not visit the catalogue again and again: each visit costs every client
        # 240 ms (measured, 50,000 files). What is replaced of it later is freed all the same, by its reference count.
        gc.freeze()
        is_first = directory is self.index.sources.directories[0]
        log_catalogue(directory)
        if self.index.sources.upstreams is not None:
            maybeDeferred(self.index.sources.upstreams.follow).addErrback(log_failure)
        if self.index.search is not None:
            self.index.search.start(is_first=self._is_first_worker)
        if is_first:
            log_each(
                _log, client_lines(self.index, self.settings, self._url.current(), examines=self._examines)
            )
        report = report_of(self.index.sources.directories)
        if self.index.sources.upstreams is not None and report.ready:
            line = taken_line(report.names_by_entries, self.index.sources.upstreams.allow_upstream)
            if line is not None:
                log_each(_log, [line])
        self._notifier.status(f"{report.projects} projects, {report.files} files")
        if self._supervisor is not None and report.ready:
            self._gate.end_wait()
        if self._is_first_worker:
            upkeep = self.index.runtime.threads.reads.run(directory.keep_cache_up_to_date)
            upkeep.addErrback(log_failure)
            if (supervisor := self._supervisor) is not None and report.ready:
                # The other workers leave in the catalogue what lies there.
                upkeep.addCallback(lambda _: supervisor.complete())

    # The end

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._end_by_force()
        self._notifier.stopping()
        self._state_lock.end_claim()
        if self.index.acme is not None:
            self.index.acme.renewal.stop()
        self._work.stop()
        self._gate.stop()
        drained = drain(self.index, [port for _, port in self._ports], self._reactor)
        return drained.addBoth(lambda _: self._stop_the_rest())

    def _stop_the_rest(self) -> None:
        stop_parts(self.index)
        if self.access_log is not None:
            self.access_log.close()
        self._state_lock.release()

    def _close_idle(self, number: int) -> None:
        for site in self.index.http.sites:
            site.connections.retire_idle(number)

    # SIGHUP

    def reload(self) -> None:
        """Take new settings, sources and certificates, reopen the access log, and look at the directory again."""
        self._notifier.reloading()
        # Before the settings, because the URL may follow from the certificate's name.
        if self.index.security is not None:
            self._url.check_certificates(force=True)
        try:
            self._take(self._resolve_again(root_may_be_gone=True))
        except RefusedStart as error:
            _log.error("The configuration is left as it was: {error}", error=error)
        if self.index.acme is not None and self._is_first_worker:
            self.index.acme.renewal.check_now()
        if self.index.hooks is not None and self._is_first_worker:
            self.index.hooks.reload()
        if self.access_log is not None:
            self.access_log.reopen()
        reload_files(self.index)
        if self._changes is not None:
            self._changes.record()
        self._notifier.ready()

    def _take(self, new: Settings) -> None:
        before, now = self.settings, settings_in_force(self.settings, new)
        if (now.access_log, now.trusted_proxy) != (before.access_log, before.trusted_proxy):
            self._exchange_access_log(now)
        self.settings = now
        apply_settings(self.index, now)
        self._observe_requests()
        if (self._url.current(), now.page_cache) != (self.index.http.listings.base_url, before.page_cache):
            self._url.use()
        for sweeping in self.sweep_loops:
            sweeping.interval = now.poll_interval
        log_changes(before, new)

    def _exchange_access_log(self, settings: Settings) -> None:
        opened = open_access_log(settings, self._reactor)
        if self.access_log is not None:
            self.access_log.close()
        self.access_log = opened
        self._observe_requests()

    def _observe_requests(self) -> None:
        """Report finished requests to everything that records them."""
        requests = [] if self.access_log is None else [self.access_log.record]
        downloads = [self.index.downloads.record] if self.settings.downloads else []
        counts = None if self.index.metrics is None else self.index.metrics.requests
        if counts is not None:
            downloads.append(counts.record_download)
        for site in self.index.http.sites:
            site.request_over = observe_all(requests)
            site.request_counts = counts
            site.download_over = observe_all(downloads)
