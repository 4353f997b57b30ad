"""The composition root: every real object is made and put together here, and nowhere else.

Read :meth:`IndexService.__init__` as a picture: directory -> live shelves -> source -> pages and files -> HTTP.
"""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.threadpool import ThreadPool

from simpleindex import __version__
from simpleindex.core.addresses import is_within
from simpleindex.core.errors import RefusedStart, WatchUnavailable
from simpleindex.listening import endpoint, listen_now, machine_has_ipv6
from simpleindex.report import catalogue_lines, install_lines
from simpleindex.settings import Settings, changes
from simpleindex.sources.local import LocalSource
from simpleindex.store.acme import read_challenge
from simpleindex.store.digests import Digests
from simpleindex.store.directory import Directory
from simpleindex.store.live import LiveDirectory, NoWatch
from simpleindex.store.reading import Reader
from simpleindex.store.watch import InotifyWatch
from simpleindex.store.watch_mode import choose, network_filesystem
from simpleindex.systemd import Notifier, start_watchdog
from simpleindex.tls.security import Security
from simpleindex.web.access_log import AccessLog
from simpleindex.web.express import Express
from simpleindex.web.files import Files
from simpleindex.web.index import Listings, available_encodings
from simpleindex.web.server import IndexSite
from simpleindex.web.site import IndexResource, RedirectResource
from simpleindex.web.status import Report, StatusPages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twisted.internet.interfaces import IListeningPort, IProtocolFactory
    from twisted.python.failure import Failure


READ_THREADS: Final = 8
"""Threads for short blocking calls; they wait for disks, not for processors."""

DRAIN_SECONDS: Final = 10.0
"""How long requests in flight may go on after SIGTERM; systemd kills after 90 by default."""

CERTIFICATE_INTERVAL: Final = 60.0
"""Seconds between looks at the certificates' files."""


def make_service(
    settings: Settings,
    resolve_again: Callable[..., Settings],
    reactor: Any,
    owner: tuple[int | None, int | None],
) -> IndexService:
    """Make the whole service.

    Args:
        settings: What it was told to do.
        resolve_again: Decides the settings anew, for SIGHUP.
        reactor: Runs everything.
        owner: The user and group that twistd will become, where it will.

    Raises:
        RefusedStart: It cannot start like this.
    """
    return IndexService(settings, resolve_again, reactor, owner)


class IndexService(Service):
    """The running index.

    Binding happens in :meth:`privilegedStartService`, while twistd may still be root; threads, the database and the
    watch begin in :meth:`startService`, after the fork and as the lesser user (DESIGN section 5).
    """

    name = "simpleindex"
    _log = Logger(namespace="simpleindex")

    def __init__(
        self,
        settings: Settings,
        resolve_again: Callable[..., Settings],
        reactor: Any,
        owner: tuple[int | None, int | None],
    ) -> None:
        self._settings = settings
        self._resolve_again = resolve_again
        self._reactor = reactor
        self._read_pool = ThreadPool(0, READ_THREADS, "reads")
        self._digest_pool = ThreadPool(0, os.cpu_count() or 1, "digests")
        in_read_thread = partial(deferToThreadPool, reactor, self._read_pool)
        in_digest_thread = partial(deferToThreadPool, reactor, self._digest_pool)

        own_directory(settings.cache, owner)
        self._security = _open_security(settings, owner, self._say) if settings.https else None
        directory = Directory(str(settings.path), excluded_paths(settings))
        self._digests = Digests(str(settings.cache), directory.root, self._say)
        filesystem = network_filesystem(directory.root, mountinfo())
        self._choice = choose(settings.watch.value, interval=settings.poll_interval, filesystem=filesystem)
        patient = self._choice.method == "poll"
        self._live = LiveDirectory(
            Reader(directory, self._digests, time.time_ns, patient=patient),
            reactor,
            in_read_thread=in_read_thread,
            in_digest_thread=in_digest_thread,
            log=self._say,
            failed=self._failed,
            workers=os.cpu_count() or 1,
        )
        source = LocalSource(self._live, directory, in_read_thread, slow_opens=filesystem is not None)
        self._listings = Listings(
            source,
            base_url=settings.url,
            encodings=available_encodings(),
            cache_size=settings.page_cache,
            in_thread=in_read_thread,
        )
        self._files = Files(source, immutable=settings.immutable_files)
        status = StatusPages(
            self._report, lambda: self._security.certificates.ca_pem if self._security else None
        )
        self._resource = IndexResource(
            listings=self._listings,
            files=self._files,
            status=status,
            acme_challenge=self._acme_challenge,
            trusted=settings.trusted_proxy,
            cors=settings.cors,
            failed=self._failed,
        )
        self._redirect = RedirectResource("", self._acme_challenge, self._failed)
        self._site = self._new_site(self._resource)
        self._site.express = Express(self._listings, self._resource.also)
        self._redirect_site = self._new_site(self._redirect)
        self._endpoints = [
            (listen, option, endpoint(reactor, listen, option, has_ipv6=machine_has_ipv6))
            for option, listens in (("https", settings.https), ("http", settings.http))
            for listen in listens
        ]
        self._access_log: AccessLog | None = None
        self._ports: list[tuple[str, IListeningPort]] = []
        self._watch: InotifyWatch | None = None
        self._loops: list[LoopingCall] = []
        self._sweeping: LoopingCall | None = None
        self._sweeps = 0
        self._notifier: Notifier | None = None

    # -- the life of the service ------------------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        for listen, option, where in self._endpoints:
            try:
                port = listen_now(where, self._factory(option), listen, option)
            except RefusedStart as error:
                raise SystemExit(f"simpleindex: {error}") from None
            self._ports.append((option, port))
        # Known only now where a port was left to the system (0).
        self._listings.base_url = self._redirect.base_url = self._base_url()

    def startService(self) -> None:
        super().startService()
        self._notifier = Notifier(os.environ, os.getpid())
        try:
            self._access_log = open_access_log(self._settings, self._reactor)
        except RefusedStart as error:
            raise SystemExit(f"simpleindex: {error}") from None
        self._read_pool.start()
        self._digest_pool.start()
        self._digests.open()
        self._begin_to_watch()
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reload))
        for line in self._listening_lines():
            self._say(line)
        self._live.begin(self._watch or NoWatch()).addCallback(lambda _: self._first_catalogue_complete())
        if self._choice.method != "off":
            self._sweeping = self._repeat(self._sweep, self._settings.poll_interval)
        if self._security is not None:
            self._repeat(self._security.check, CERTIFICATE_INTERVAL)
        if (beat := start_watchdog(self._notifier, self._reactor)) is not None:
            self._loops.append(beat)
        self._notifier.ready()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        if self._notifier is not None:
            self._notifier.stopping()
        for loop in self._loops:
            if loop.running:
                loop.stop()
        closing: list[Any] = [Deferred.fromCoroutine(_close(port)) for _, port in self._ports]
        closing += [site.drain() for site in (self._site, self._redirect_site)]
        drained: Deferred[Any] = DeferredList(closing, consumeErrors=True)
        drained.addTimeout(DRAIN_SECONDS, self._reactor)
        return drained.addBoth(lambda _: self._stop_the_rest())

    def _stop_the_rest(self) -> None:
        for site in (self._site, self._redirect_site):
            site.abort_all()
        self._live.stop()
        if self._watch is not None:
            self._watch.stop()
        for pool in (self._read_pool, self._digest_pool):
            if pool.started:
                pool.stop()
        self._digests.close()
        if self._access_log is not None:
            self._access_log.close()

    def reload(self) -> None:
        """SIGHUP: take new settings and certificates, reopen the access log, and look at the directory again."""
        if self._notifier is not None:
            self._notifier.reloading()
        try:
            self._take(self._resolve_again(root_may_be_gone=True))
        except RefusedStart as error:
            self._say(f"The configuration is left as it was: {error}")
        if self._security is not None:
            self._security.check(force=True)
        if self._access_log is not None:
            self._access_log.reopen()
        self._live.accept()
        if self._notifier is not None:
            self._notifier.ready()

    def _take(self, new: Settings) -> None:
        taken, restart = changes(self._settings, new)
        old, self._settings = self._settings, new
        self._files.immutable = new.immutable_files
        self._resource.trusted, self._resource.cors = new.trusted_proxy, new.cors
        base_url = self._base_url()
        self._redirect.base_url = base_url
        if (base_url, new.page_cache) != (self._listings.base_url, old.page_cache):
            self._listings.forget(base_url=base_url, cache_size=new.page_cache)
        for site in (self._site, self._redirect_site):
            site.connections.bound = new.max_connections_per_address
        if self._sweeping is not None and self._sweeping.interval is not None:
            self._sweeping.interval = new.poll_interval
        if not {"access-log", "trusted-proxy"}.isdisjoint(taken):
            self._exchange_access_log(new)
        self._say(f"Configuration read again; changed: {', '.join(taken) or 'nothing'}.")
        if restart:
            self._say(f"These changed options need a restart: {', '.join(restart)}.")

    def _exchange_access_log(self, new: Settings) -> None:
        try:
            opened = open_access_log(new, self._reactor)
        except RefusedStart as error:
            self._say(str(error))
            return
        if self._access_log is not None:
            self._access_log.close()
        self._access_log = opened

    # -- parts ------------------------------------------------------------------------------------------------------

    def _new_site(self, resource: IndexResource | RedirectResource) -> IndexSite:
        return IndexSite(
            resource,
            self._reactor,
            log=self._record,
            max_connections_per_address=self._settings.max_connections_per_address,
            exempt=lambda host: is_within(host, self._settings.trusted_proxy),
        )

    def _record(self, request: Any) -> None:
        if self._access_log is not None:
            self._access_log.record(request)

    def _factory(self, option: str) -> IProtocolFactory:
        if option == "https":
            assert self._security is not None  # opened when there is --https
            return TLSMemoryBIOFactory(self._security.certificates, False, self._site)
        return self._redirect_site if self._settings.redirect_http else self._site

    def _begin_to_watch(self) -> None:
        if self._choice.method == "inotify":
            watch = InotifyWatch(self._reactor, str(self._settings.path), self._live)
            try:
                watch.start()
                self._watch = watch
            except WatchUnavailable as error:
                interval = self._settings.poll_interval
                self._choice = choose(self._settings.watch.value, interval=interval, unavailable=str(error))
        self._live.polling = self._choice.method == "poll"
        self._say(self._choice.sentence)

    def _repeat(self, function: Callable[[], Any], interval: float) -> LoopingCall:
        loop = LoopingCall(function)
        loop.clock = self._reactor
        loop.start(interval, now=False).addErrback(self._failed)
        self._loops.append(loop)
        return loop

    def _sweep(self) -> Deferred[None]:
        self._sweeps += 1
        return Deferred.fromCoroutine(self._live.sweep(self._sweeps)).addErrback(self._failed)

    def _acme_challenge(self, token: str) -> bytes | None:
        webroot = self._settings.acme_webroot
        return read_challenge(None if webroot is None else str(webroot), token)

    # -- what is said -----------------------------------------------------------------------------------------------

    def _first_catalogue_complete(self) -> None:
        report = self._report()
        for line in catalogue_lines(report, str(self._settings.path)):
            # Withheld files have been named as they were found.
            if not line.startswith("Withheld: "):
                self._say(line)
        if self._notifier is not None:
            self._notifier.status(f"{report.projects} projects, {report.files} files")
        alive = [path for shelf in self._live.shelves.values() for path in shelf.known]
        deferToThreadPool(self._reactor, self._read_pool, self._digests.forget_others, alive).addErrback(
            self._failed
        )

    def _listening_lines(self) -> Iterable[str]:
        if self._settings.defaulted_http:
            yield "Neither --https nor --http is given: listening on this machine only, without TLS."
        for option, port in self._ports:
            what = " (redirects to HTTPS)" if option == "http" and self._settings.redirect_http else ""
            yield f"Serving {self._settings.path} on {port.getHost()} for {option}{what}."
        if self._security is not None:
            yield from self._security.lines()
        ca = self._security.ca_path if self._security else None
        fingerprint = self._security.certificates.ca_fingerprint if self._security else None
        yield from install_lines(self._base_url(), ca, fingerprint)

    def _base_url(self) -> str:
        if self._settings.url is not None:
            return self._settings.url
        name = self._security.certificates.names[0] if self._security is not None else "localhost"
        scheme, usual = ("https", 443) if self._security is not None else ("http", 80)
        port = next(
            (getattr(port.getHost(), "port", usual) for kind, port in self._ports if kind == scheme), usual
        )
        host = f"[{name}]" if ":" in name else name
        return f"{scheme}://{host}/" if port == usual else f"{scheme}://{host}:{port}/"

    def _report(self) -> Report:
        return live_report(self._live, self._choice.method)

    def _say(self, sentence: str) -> None:
        self._log.info("{sentence}", sentence=sentence)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("This should never happen; please report it.", failure=failure)


def _open_security(
    settings: Settings, owner: tuple[int | None, int | None], log: Callable[[str], None]
) -> Security:
    return Security(settings.certs, settings.state, url=settings.url, owner=owner, log=log)


async def _close(port: IListeningPort) -> None:
    closing = port.stopListening()
    if closing is not None:
        await closing


def live_report(live: LiveDirectory, watch: str) -> Report:
    """The state of a live directory."""
    files = [file for shelf in live.shelves.values() if shelf.project for file in shelf.project.files]
    strays = tuple(("", name, "name", reason) for name, reason in live.strays.items())
    return Report(
        ready=live.complete,
        suspended=live.suspended,
        projects=sum(1 for shelf in live.shelves.values() if shelf.project),
        files=len(files),
        size=sum(file.size for file in files),
        withheld=strays
        + tuple((name, item.filename, item.rule, item.reason) for name, item in live.withheld()),
        watch="poll" if live.polling else watch,
        version=__version__,
    )


def excluded_paths(settings: Settings) -> list[str]:
    """What is never a project, wherever it lies (DESIGN section 4)."""
    paths: list[Path | None] = [
        settings.certs,
        settings.state,
        settings.cache,
        settings.acme_webroot,
        settings.config,
    ]
    return [str(path) for path in paths if path is not None]


def own_directory(path: Path, owner: tuple[int | None, int | None]) -> None:
    """Make a directory for the user that the service will become; what cannot be made is noticed by who needs it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=False)
        if os.getuid() == 0 and owner != (None, None):
            os.chown(path, -1 if owner[0] is None else owner[0], -1 if owner[1] is None else owner[1])
    except OSError:
        return


def mountinfo() -> str:
    """The mounts of this process, or nothing where there is no such file."""
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def open_access_log(settings: Settings, reactor: Any) -> AccessLog | None:
    """Open the access log.

    Raises:
        RefusedStart: It cannot be written.
    """
    if settings.access_log is None:
        return None
    try:
        return AccessLog(str(settings.access_log), reactor, trusted=settings.trusted_proxy)
    except OSError as error:
        raise RefusedStart(
            f"The access log {settings.access_log} cannot be written ({error.strerror}); choose another --access-log."
        ) from None
