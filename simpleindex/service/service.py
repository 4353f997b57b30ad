"""The running index: what happens at the start, on SIGHUP and at the end."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver, LogLevel
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.components import Componentized

from simpleindex.config.settings import changes
from simpleindex.core import severity
from simpleindex.core.addresses import is_within
from simpleindex.core.errors import CannotStore, RefusedStart
from simpleindex.core.severity import severity_of
from simpleindex.records.beginning import begin_records
from simpleindex.service.accepting import AcceptGate
from simpleindex.service.compose import compose
from simpleindex.service.ending import SECONDS, THREAD_SECONDS
from simpleindex.service.fast_lane import tls_protocol
from simpleindex.service.listening import base_url, endpoint, listen_now, machine_has_ipv6, where
from simpleindex.service.places import open_access_log
from simpleindex.service.report import catalogue_lines, install_lines, live_report, report_of, taken_line
from simpleindex.service.systemd import Notifier, start_watchdog
from simpleindex.system.descriptors import raise_limit
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import PUBLISHER, logger
from simpleindex.system.troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twisted.internet.interfaces import IListeningPort, IProtocolFactory
    from twisted.logger import FileLogObserver
    from twisted.python.failure import Failure

    from simpleindex.config.settings import Settings
    from simpleindex.service.compose_directory import OwnDirectory
    from simpleindex.service.compose_publishing import Logins
    from simpleindex.tls.private_ca import Owner
    from simpleindex.web.http.access_log import AccessLog

# As a class's attribute it would be named after the class.
_log: Final = logger(__name__)

KEEP_SECONDS: Final = 1.0
"""How long files that came whole from upstreams may take to be kept after the last request."""

DRAIN_SECONDS: Final = SECONDS - KEEP_SECONDS - 2 * THREAD_SECONDS
"""How long requests in flight may go on after SIGTERM; the rest is for what comes after them."""

PEOPLE_INTERVAL: Final = 2.0
"""Seconds between looks at the files about people while nobody asks for anything; every request looks once a second."""

RULES_INTERVAL: Final = 10.0
"""Seconds between looks at advisories, and at the sources file while nobody asks for anything."""

CERTIFICATE_INTERVAL: Final = 60.0
"""Seconds between looks at the certificates' files."""


def in_the_foreground(error: RefusedStart) -> BaseException:
    """The end of a start in the foreground: one sentence, where anything else would be a traceback."""
    return SystemExit(f"simpleindex: {error}")


def as_daemon(error: RefusedStart) -> BaseException:
    """The end of a daemon's start: the parent waits for an ordinary exception's text, and for ever if there is none."""
    return error


class IndexService(Service):
    """The running index.

    Binding happens in :meth:`privilegedStartService`, while twistd may still be root; threads, the database and the
    watch begin in :meth:`startService`, after the fork and as the lesser user (docs/measurements.md).

    Args:
        settings: What it was told to do.
        resolve_again: Decides the settings anew, for SIGHUP.
        reactor: Runs everything.
        owner: The user and group that twistd will become, where it will.
        refusal: Makes what is raised where the start is refused after this; twistd in the foreground wants one thing and
            the daemon's parent, which waits for word, another.
        end_by_force: Makes sure that the process ends in time, whatever may hold it up; called when its end begins.

    Attributes:
        observer: Writes the log; None where twistd's own does.

    Raises:
        RefusedStart: It cannot start like this.
    """

    name = "simpleindex"
    observer: FileLogObserver | None = None

    def __init__(
        self,
        settings: Settings,
        resolve_again: Callable[..., Settings],
        reactor: Any,
        owner: Owner,
        refusal: Callable[[RefusedStart], BaseException] = in_the_foreground,
        *,
        end_by_force: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._resolve_again = resolve_again
        self._refusal = refusal
        self._end_by_force = end_by_force
        self._reactor = reactor
        self._troubles = Troubles(time.time)
        PUBLISHER.addObserver(self._troubles)
        self._index = compose(
            settings,
            lambda: self._settings,
            reactor,
            owner=owner,
            say=self._say,
            failed=self._failed,
            troubles=self._troubles,
        )
        self._gate = AcceptGate(reactor, self._failed)
        self._gate.close_idle = self._close_idle
        for site in (self._index.site, self._index.redirect_site):
            site.connections.has_room = self._gate.admits
        self._endpoints = [
            (
                listen,
                option,
                endpoint(
                    reactor,
                    listen,
                    option,
                    has_ipv6=machine_has_ipv6,
                    is_trusted=lambda host: is_within(host, self._settings.trusted_proxy),
                ),
            )
            for option, listens in (("https", settings.https), ("http", settings.http))
            for listen in listens
        ]
        self._notifier = Notifier({}, os.getpid())
        self._examines = True
        self._access_log: AccessLog | None = None
        self._ports: list[tuple[str, IListeningPort]] = []
        self._loops: list[LoopingCall] = []
        self._sweeping: list[LoopingCall] = []

    # The start

    def setServiceParent(self, parent: Any) -> None:
        """Join the application, and log in words of our own where twistd would log to the standard output."""
        super().setServiceParent(parent)
        if self.observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.observer)

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
        # Known only now where a port was left to the system (0).
        self._take_urls(self._settings.page_cache)

    def startService(self) -> None:
        super().startService()
        # Only now, for a daemon has forked meanwhile.
        self._notifier = Notifier(os.environ, os.getpid())
        try:
            self._begin_records()
            self._exchange_access_log(self._settings)
        except RefusedStart as error:
            raise self._refusal(error) from None
        self._index.read_pool.start()
        self._index.digest_pool.start()
        self._index.look_pool.start()
        self._index.wheel_pool.start()
        for own in self._index.own:
            own.digests.open()
        self._examines = self._index.examination.check()
        if self._index.logins is not None:
            self._start_logins(self._index.logins)
        if self._index.upstreams is not None:
            self._index.upstreams.load()
        for own in self._index.own:
            own.watch()
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reload))
        for line in self._listening_lines():
            self._say(line)
        for own in self._index.own:
            self._begin(own)
        if self._index.security is not None:
            self._repeat(self._check_certificates, CERTIFICATE_INTERVAL)
        if self._index.logins is not None:
            self._repeat(self._index.logins.follow, PEOPLE_INTERVAL)
        if self._index.upstreams is not None:
            self._repeat(self._index.upstreams.follow, RULES_INTERVAL)
        if (beat := start_watchdog(self._notifier, self._reactor)) is not None:
            self._loops.append(beat)
        self._notifier.ready()

    def _begin_records(self) -> None:
        """See that the records are there before anything asks them.

        Raises:
            RefusedStart: They were lost.
        """
        settings = self._settings
        if not settings.has_logins and settings.sources is None:
            return
        state = str(settings.state)
        try:
            begin_records(state, anew=settings.new_records)
        except (OSError, sqlite3.Error) as error:
            # What needs them is answered with 503 until they can be had.
            _log.error("{trouble}", trouble=trouble_of(error, state).for_operator())

    def _start_logins(self, logins: Logins) -> None:
        for pool in logins.pools:
            pool.start()
        try:
            for sentence in logins.writer.clean():
                self._say(sentence)
        except CannotStore as error:
            self._say(severity.error(f"Nothing can be uploaded: {error}"))

    def _factory(self, option: str) -> IProtocolFactory:
        if option == "https":
            assert self._index.security is not None  # made where there is --https
            factory = TLSMemoryBIOFactory(self._index.security.certificates, False, self._index.site)
            factory.protocol, sentence = tls_protocol()
            if sentence is not None:
                self._say(sentence)
            return factory
        return self._index.redirect_site if self._settings.redirect_http else self._index.site

    def _begin(self, own: OwnDirectory) -> None:
        first = own.begin()
        first.addCallback(lambda _: self._first_catalogue_complete(own)).addErrback(self._failed)
        if own.choice.method != "off":
            self._sweeping.append(self._repeat(own.sweep, self._settings.poll_interval))

    def _repeat(self, function: Callable[[], Any], interval: float) -> LoopingCall:
        # A LoopingCall ends with the first failure that it hears of.
        loop = LoopingCall(lambda: maybeDeferred(function).addErrback(self._failed))
        loop.clock = self._reactor
        loop.start(interval, now=False)
        self._loops.append(loop)
        return loop

    def _first_catalogue_complete(self, own: OwnDirectory) -> None:
        # The collector need not visit the catalogue again and again: each visit costs every client
        # 240 ms (measured, 50,000 files). What is replaced of it later is freed all the same, by its reference count.
        gc.freeze()
        is_first = own is self._index.own[0]
        for line in catalogue_lines(live_report(own.live, own.choice.method), own.path):
            # Withheld files have been named as they were found.
            if not line.startswith("Withheld: "):
                self._say(line if is_first else severity.prefixed(own.name, line))
        if self._index.upstreams is not None:
            maybeDeferred(self._index.upstreams.follow).addErrback(self._failed)
        if is_first:
            for line in (*self._upload_lines(), *self._install_lines()):
                self._say(line)
        report = report_of(self._index.own)
        if self._index.upstreams is not None and report.ready:
            taken = taken_line(report.taken, self._index.upstreams.allow_upstream)
            if taken is not None:
                self._say(taken)
        self._notifier.status(f"{report.projects} projects, {report.files} files")
        forgetting = deferToThreadPool(self._reactor, self._index.read_pool, own.forget_others)
        forgetting.addErrback(self._failed)

    # The end

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._end_by_force()
        self._notifier.stopping()
        for loop in self._loops:
            loop.stop()
        self._gate.stop()
        closing: list[Any] = [Deferred.fromCoroutine(_close(port)) for _, port in self._ports]
        closing += [site.drain() for site in (self._index.site, self._index.redirect_site)]
        drained: Deferred[Any] = DeferredList(closing, consumeErrors=True)
        drained.addTimeout(DRAIN_SECONDS, self._reactor)
        drained.addBoth(lambda _: self._keep_whole_files())
        return drained.addBoth(lambda _: self._stop_the_rest())

    def _keep_whole_files(self) -> Deferred[Any]:
        """Let files that came whole from upstreams be examined and kept: a client has them already."""
        keeping = [] if self._index.upstreams is None else self._index.upstreams.keeping()
        kept: Deferred[Any] = DeferredList(keeping, consumeErrors=True)
        return kept.addTimeout(KEEP_SECONDS, self._reactor)

    def _close_idle(self, number: int) -> None:
        for site in (self._index.site, self._index.redirect_site):
            site.connections.retire_idle(number)

    def _stop_the_rest(self) -> None:
        for site in (self._index.site, self._index.redirect_site):
            site.abort_all()
        for own in self._index.own:
            own.stop()
        self._index.idle_processes.stop()
        self._index.examination.stop()
        index = self._index
        for pool in (index.read_pool, index.digest_pool, index.look_pool, index.wheel_pool):
            if pool.started:
                pool.stop()
        for own in self._index.own:
            own.digests.close()
        if self._index.logins is not None:
            self._index.logins.close()
        if self._index.upstreams is not None:
            self._index.upstreams.stop()
        self._index.records.close()
        if self._access_log is not None:
            self._access_log.close()

    # SIGHUP

    def reload(self) -> None:
        """Take new settings, sources and certificates, reopen the access log, and look at the directory again."""
        self._notifier.reloading()
        # Before the settings, because the URL may follow from the certificate's name.
        if self._index.security is not None:
            self._check_certificates(force=True)
        try:
            self._take(self._resolve_again(root_may_be_gone=True))
        except RefusedStart as error:
            self._say(severity.error(f"The configuration is left as it was: {error}"))
        if self._index.logins is not None:
            self._index.logins.reload()
        if self._index.upstreams is not None:
            self._index.upstreams.reload()
        if self._access_log is not None:
            self._access_log.reopen()
        for own in self._index.own:
            own.live.accept()
        self._notifier.ready()

    def _take(self, new: Settings) -> None:
        taken, restart = changes(self._settings, new)
        # What needs a restart is not in force, and is named again next time.
        old = {name.replace("-", "_"): getattr(self._settings, name.replace("-", "_")) for name in restart}
        new = replace(new, **old)
        if not {"access-log", "trusted-proxy"}.isdisjoint(taken):
            self._exchange_access_log(new)
        page_cache, self._settings = self._settings.page_cache, new
        index = self._index
        index.files.immutable = new.immutable_files
        if index.logins is not None:
            index.logins.authentication.insecure_auth = new.insecure_auth
        index.resource.trusted = new.trusted_proxy
        index.resource.cors = index.redirect.cors = new.cors
        if (self._base_url(), new.page_cache) != (index.listings.base_url, page_cache):
            self._take_urls(new.page_cache)
        for site in (index.site, index.redirect_site):
            site.connections.bound = new.max_connections_per_address
        for sweeping in self._sweeping:
            sweeping.interval = new.poll_interval
        self._say(f"Configuration read again; changed: {', '.join(taken) or 'nothing'}.")
        if restart:
            self._say(severity.warning(f"These changed options need a restart: {', '.join(restart)}."))

    def _take_urls(self, page_cache: int) -> None:
        url = self._base_url()
        self._index.redirect.base_url = url
        # Without TLS and --url it is but a guess that clients reach this machine as localhost.
        is_sure = self._settings.url is not None or self._index.security is not None
        self._index.listings.forget(base_url=url, files_url=url if is_sure else None, cache_size=page_cache)

    def _check_certificates(self, *, force: bool = False) -> None:
        assert self._index.security is not None  # only then is it called
        self._index.security.check(force=force)
        # Another CA's certificates may have come meanwhile, or gone.
        has_private_ca = self._index.security.certificates.ca_pem is not None
        listings = self._index.listings
        listings.describe(replace(listings.description, has_private_ca=has_private_ca))

    def _exchange_access_log(self, settings: Settings) -> None:
        opened = open_access_log(settings, self._reactor)
        if self._access_log is not None:
            self._access_log.close()
        self._access_log = opened
        for site in (self._index.site, self._index.redirect_site):
            site.access_log = None if opened is None else opened.record

    # What is said

    def _listening_lines(self) -> Iterable[str]:
        security = self._index.security
        if self._settings.defaulted_http:
            yield "Neither --https nor --http is given: listening on this machine only, without TLS."
        for option, port in self._ports:
            what = " (redirects to HTTPS)" if option == "http" and self._settings.redirect_http else ""
            yield f"Serving {self._settings.path} on {where(port)} for {option}{what}."
        if self._index.upstreams is not None:
            yield from self._index.upstreams.lines
        if security is not None:
            yield from security.lines()

    def _upload_lines(self) -> Iterable[str]:
        logins, settings = self._index.logins, self._settings
        if logins is None or not self._examines:
            return
        who = f"the rules of {settings.access}" if settings.access else "everybody who can log in"
        users = "" if logins.users is None else f"; {settings.users} has {len(logins.users().hashes)} users"
        yield f"Uploads are taken at {self._base_url()}legacy/ by {who}{users}."

    def _install_lines(self) -> Iterable[str]:
        security = self._index.security
        fingerprint = security.certificates.ca_fingerprint if security else None
        return install_lines(self._base_url(), security.ca_path if security else None, fingerprint)

    def _base_url(self) -> str:
        if self._settings.url is not None:
            return self._settings.url
        security = self._index.security
        return base_url(self._ports, security.certificates.names if security else None)

    def _say(self, sentence: str) -> None:
        level = LogLevel.lookupByName(severity_of(sentence).value)
        _log.emit(level, "{sentence}", sentence=sentence)

    def _failed(self, failure: Failure) -> None:
        _log.failure("", failure)


async def _close(port: IListeningPort) -> None:
    closing = port.stopListening()
    if closing is not None:
        await closing
