"""The service's life, in memory: the start, what it answers, SIGHUP, and the end."""

from __future__ import annotations

import os
import shutil
import socket
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from simpleindex.access.logins.hashes import hash_password
from simpleindex.core.errors import RefusedStart
from simpleindex.directory.source import LocalSource
from simpleindex.directory.watch import inotify as watch
from simpleindex.records.downloads.keys import day_of
from simpleindex.service.composition import directory as own_directories
from simpleindex.service.composition import index as compose
from simpleindex.service.fast_lane import tls_protocol
from simpleindex.service.ports.index_url import CERTIFICATE_INTERVAL
from simpleindex.service.process import as_daemon, in_the_foreground
from simpleindex.service.regular_work import RETENTION_INTERVAL
from simpleindex.service.shutdown import DRAIN_SECONDS
from simpleindex.system.log import logger
from tests.fixtures.certificates import issue
from tests.fixtures.counted_downloads import WHEEL, key
from tests.fixtures.distributions import add_wheel, put, wheel_bytes, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.fast_lane import needs_fast_lane
from tests.fixtures.live_directory import LONG_AFTER_NS
from tests.fixtures.service import Pool, ServiceFixture, service_fixture
from tests.fixtures.site import FAR, Transport, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK = "tcp:8080:interface=127.0.0.1"
TLS = "tcp:8443:interface=127.0.0.1"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceFixture]:
    """An empty root, and plain HTTP on loopback."""
    yield from service_fixture(tmp_path, monkeypatch)


@pytest.fixture
def systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: ServiceFixture
) -> Iterator[socket.socket]:
    """Systemd's end of the notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", receiver.getsockname())
        yield receiver


def told(systemd: socket.socket) -> list[bytes]:
    """What systemd was told, by the first word of each message."""
    messages = []
    while True:
        try:
            messages.append(systemd.recv(999).partition(b"=")[0])
        except BlockingIOError:
            return messages


# -- the start ----------------------------------------------------------------------------------------------------------


def test_ports_are_bound_before_anything_runs(world: ServiceFixture) -> None:
    """While twistd is still root there are ports, and neither threads nor a database nor the log's file."""
    made = world.make(access_log="access.log")
    assert not world.reactor.tcpServers
    made.privilegedStartService()
    assert [(server[0], server[3]) for server in world.reactor.tcpServers] == [(8080, "127.0.0.1")]
    assert not made.index.runtime.threads.reads.pool.started
    assert (world.place / "cache").is_dir()
    assert not (world.place / "access.log").exists()
    assert not (world.place / "cache" / "digests.sqlite3").exists()
    assert world.said == []


def test_what_is_said_at_the_start(world: ServiceFixture) -> None:
    """How changes are learnt of, where it listens, how to install, and what there is; withheld files once."""
    add_wheel(world.root)
    put(world.root / "acme" / wheel_name("acme", "2.0"), b"no archive")
    world.start(watch="poll")
    polling, serving, withheld, counts, install = world.taken()
    assert polling == "Looking for changes every 2 s."
    assert serving == f"Serving {world.root} on port 8080 of 127.0.0.1 for http."
    assert install == "Install with: pip install --index-url http://localhost:8080/simple/ PACKAGE"
    assert "acme-2.0" in withheld
    assert counts.startswith("1 project, 1 file, ")


def test_a_unix_socket(world: ServiceFixture) -> None:
    """It is named in the log as it is, and closed at the end."""
    made = world.start(http=("unix:/run/index.sock",), watch="off")
    assert f"Serving {world.root} on /run/index.sock for http." in world.taken()
    assert made.stopService().called


def test_nobody_said_where_to_listen(world: ServiceFixture) -> None:
    """It is said that this is our choice and whom it serves."""
    world.start(http=None)
    assert (
        "Neither --https nor --http is given: listening on this machine only, without TLS." in world.taken()
    )
    assert [server[3] for server in world.reactor.tcpServers] == ["127.0.0.1"]


def test_a_port_that_is_taken(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence ends the start."""
    made = world.make()

    def refuse(port: int, *_: object) -> None:
        raise CannotListenError("127.0.0.1", port, OSError(98, "Address already in use"))

    monkeypatch.setattr(world.reactor, "listenTCP", refuse)
    with pytest.raises(SystemExit) as refusal:
        made.privilegedStartService()
    assert str(refusal.value).startswith(f"simpleindex: --http {LOOPBACK} cannot be listened on: ")


def test_a_daemon_s_refusal_is_an_exception_for_its_parent(world: ServiceFixture) -> None:
    """Twistd's parent process waits for the text of one, and SystemExit is none to it."""
    error = RefusedStart("No.")
    assert as_daemon(error) is error
    assert isinstance(in_the_foreground(error), SystemExit)


def test_an_access_log_that_cannot_be_written(world: ServiceFixture) -> None:
    """One sentence ends the start, before any thread runs."""
    made = world.make(access_log="missing/access.log")
    made.privilegedStartService()
    with pytest.raises(SystemExit) as refusal:
        made.startService()
    assert str(refusal.value).startswith("simpleindex: The access log ")
    assert not made.index.runtime.threads.reads.pool.started


def test_systemd_hears_of_it(world: ServiceFixture, systemd: socket.socket) -> None:
    """Ready at the start, around a reload, and stopping at the end."""
    made = world.start()
    assert told(systemd) == [b"STATUS", b"READY"]
    world.reload()
    assert told(systemd) == [b"RELOADING", b"READY"]
    made.stopService()
    assert told(systemd) == [b"STOPPING"]


def test_the_watchdog(world: ServiceFixture, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """It beats from the event loop until the end."""
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    made = world.start()
    assert told(systemd) == [b"STATUS", b"WATCHDOG", b"READY"]
    world.reactor.advance(15)
    assert told(systemd) == [b"WATCHDOG"]
    made.stopService()
    world.reactor.advance(60)
    assert told(systemd) == [b"STOPPING"]


# -- how changes are learnt of ------------------------------------------------------------------------------------------


def test_events(world: ServiceFixture) -> None:
    """The descriptor is the reactor's from the start to the end; what it tells of is served."""
    made = world.start(watch="inotify")
    assert world.taken()[0] == "Waiting for the file system's events (inotify)."
    (reader,) = world.reactor.getReaders()
    add_wheel(world.root)
    reader.doRead()
    assert world.ask("/acme/").status == 200
    made.stopService()
    assert not world.reactor.getReaders()


def test_no_events_to_be_had(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says why, and looks for changes itself."""
    monkeypatch.setattr(watch, "inotify_simple", None)
    world.start()
    assert world.taken()[0] == (
        "Events of the file system need Linux and the package inotify-simple. "
        "Looking for changes every 2 s instead."
    )
    add_wheel(world.root)
    world.reactor.advance(2)
    assert world.ask("/acme/").status == 200
    assert world.ask("/-/status").json["watch"] == "poll"


def test_a_network_file_system(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes no events for what others change, and opening a file there may take long."""
    mounts = "1 1 0:1 / / rw - nfs4 server:/export rw\n"
    monkeypatch.setattr(own_directories, "mountinfo", lambda: mounts)
    opens: list[bool] = []

    def source(*arguments: Any, slow_opens: bool, **named: Any) -> LocalSource:
        opens.append(slow_opens)
        return LocalSource(*arguments, slow_opens=slow_opens, **named)

    monkeypatch.setattr(own_directories, "LocalSource", source)
    made = world.start()
    assert world.taken()[0].startswith("The directory lies on nfs4, ")
    assert made.index.sources.directories[0].live.polling
    assert made.index.sources.directories[0].live._reader.patient
    assert opens == [True]


def test_what_is_gone_is_forgotten(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of digests does not grow for ever; what is served stays in it."""
    gone, kept = add_wheel(world.root, "gone"), add_wheel(world.root, "kept")
    # Nothing is remembered of a file that changed just now.
    monkeypatch.setattr(time, "time_ns", lambda: LONG_AFTER_NS)
    world.start(watch="off").stopService()
    gone.unlink()
    made = world.start(watch="off")
    rows = made.index.sources.directories[0].digests._run("SELECT filename FROM facts", ())
    assert rows == [(kept.name,)]


def test_sweeps(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """One every interval, counted, and none on top of one that is not over."""
    made = world.start(watch="poll", poll_interval="3")
    counts = []
    hold: Deferred[None] = Deferred()

    async def sweep(count: int) -> None:
        counts.append(count)
        await hold

    monkeypatch.setattr(made.index.sources.directories[0].live, "sweep", sweep)
    world.reactor.pump([3, 3])
    assert counts == [1]
    hold.callback(None)
    world.reactor.pump([3])
    assert counts == [1, 2]


def test_old_counts_of_downloads_go(world: ServiceFixture) -> None:
    """At the second look, ten minutes after the first, also if nobody downloads anything."""
    made = world.start()
    database = made.index.runtime.downloads
    database.add({key("tool", WHEEL, day): 1 for day in (1, day_of(time.time()))}, (), patience=1)
    counted = []
    for _ in range(2):
        world.reactor.advance(RETENTION_INTERVAL)
        counted += database.read("SELECT SUM(count) FROM totals WHERE kind = 1", ())
    assert counted == [(2,), (1,)]


def test_not_watching(world: ServiceFixture) -> None:
    """What is changed by hand is seen after a restart: nothing wakes up for it."""
    world.start(watch="off", downloads="off")
    assert world.taken()[0] == "Not watching: what is changed by hand is seen after a restart."
    world.reactor.pump([1, 1])  # to the end of what is indexed for the search
    assert not world.reactor.getReaders()
    assert not world.reactor.getDelayedCalls()
    # The loop that is not there has no interval to be changed.
    assert world.reload(poll_interval="5")[0] == "Configuration read again; changed: poll-interval."


# -- what is served -----------------------------------------------------------------------------------------------------


def test_the_index(world: ServiceFixture) -> None:
    """Pages, files, and the pages of its own go out on what is listened on."""
    path = add_wheel(world.root)
    world.start(watch="poll")
    assert world.ask("/simple/acme/").status == 200
    assert world.ask(f"/acme/{path.name}").body == path.read_bytes()
    assert world.ask("/-/ready").status == 200
    assert world.ask("/-/ca.pem").status == 404
    assert world.ask("/.well-known/acme-challenge/token").status == 404


def test_the_settings_at_the_start(world: ServiceFixture) -> None:
    """What SIGHUP can change is in force from the beginning."""
    path = add_wheel(world.root)
    made = world.start(watch="poll", cors="off", immutable_files=True, max_connections_per_address="3")
    answer = world.ask(f"/acme/{path.name}")
    assert "immutable" in answer.headers["cache-control"]
    assert "access-control-allow-origin" not in answer.headers
    opened = [world.connect(peer=FAR) for _ in range(5)]
    assert len(made.index.http.site.connections) == 3
    for transport in opened:
        transport.leave()


@needs_fast_lane
def test_the_express_lane(world: ServiceFixture) -> None:
    """It is there for the index, and for no redirect."""
    made = world.start()
    assert made.index.http.site.fast_lane is not None
    assert made.index.http.redirect_site.fast_lane is None


@needs_fast_lane
def test_a_release_of_twisted_with_other_tls(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves, slower, and says so."""
    issue("a.example.com").put(world.certs / "a.pem")
    monkeypatch.setattr(TLSMemoryBIOProtocol, "_write", None)
    world.start(https=(TLS,))
    https = world.reactor.tcpServers[0][1]
    assert isinstance(https, TLSMemoryBIOFactory)
    assert https.protocol is BufferingTLSTransport
    assert any(line.startswith("This release of Twisted does TLS in another way") for line in world.taken())


def test_https_beside_a_redirect(world: ServiceFixture) -> None:
    """Plain HTTP only leads to the certificate's name; challenges are answered there."""
    issue("a.example.com").put(world.certs / "a.pem")
    put(world.place / "webroot" / ".well-known" / "acme-challenge" / "token", b"proof")
    made = world.start(https=(TLS,), acme_webroot="webroot")
    said = world.taken()
    assert f"Serving {world.root} on port 8443 of 127.0.0.1 for https." in said
    assert f"Serving {world.root} on port 8080 of 127.0.0.1 for http (redirects to HTTPS)." in said
    assert any(line.startswith(f"Certificate {world.certs / 'a.pem'} for a.example.com") for line in said)
    assert "Install with: pip install --index-url https://a.example.com:8443/simple/ PACKAGE" in said
    https, _http = (server[1] for server in world.reactor.tcpServers)
    assert isinstance(https, TLSMemoryBIOFactory)
    assert https.wrappedFactory is made.index.http.site
    assert https.protocol is tls_protocol()[0]
    moved = world.ask("/simple/acme/?x", server=1)
    assert (moved.status, moved.headers["location"]) == (308, "https://a.example.com:8443/simple/acme/?x")
    assert world.ask("/.well-known/acme-challenge/token", server=1).body == b"proof"


def test_https_beside_a_full_listener(world: ServiceFixture) -> None:
    """With --serve-http both serve the same; our own certificate is offered there."""
    made = world.start(https=(TLS,), serve_http=True)
    assert world.ask("/simple/", server=1).status == 200
    assert made.index.security is not None
    assert world.ask("/-/ca.pem", server=1).body == made.index.security.certificates.ca_pem
    said = world.taken()
    assert f"Serving {world.root} on port 8080 of 127.0.0.1 for http." in said
    assert any(f"--cert {world.place / 'state' / 'ca' / 'cert.pem'} " in line for line in said)


def test_certificates_are_looked_at_every_minute(world: ServiceFixture) -> None:
    """A renewed one is in use without a signal."""
    issue("a.example.com").put(world.certs / "a.pem")
    made = world.start(https=(TLS,))
    issue("b.example.com").put(world.certs / "a.pem")
    world.reactor.advance(CERTIFICATE_INTERVAL)
    assert made.index.security is not None
    assert made.index.security.certificates.names == ("b.example.com",)


def test_accesses_are_logged(world: ServiceFixture) -> None:
    """On both kinds of listeners, if asked for."""
    issue("a.example.com").put(world.certs / "a.pem")
    made = world.start(https=(TLS,), access_log="access.log")
    sites = made.index.http.site, made.index.http.redirect_site
    assert made.access_log is not None
    assert [site.request_over for site in sites] == [made.access_log.record] * 2
    world.ask("/simple/", server=1)
    world.reactor.advance(1)
    assert '"GET /simple/ HTTP/1.1" 308 ' in (world.place / "access.log").read_text()


def test_accesses_are_not_logged(world: ServiceFixture) -> None:
    """Unless asked for: then nothing is even called."""
    made = world.start()
    assert made.index.http.site.request_over is None
    assert made.index.http.redirect_site.request_over is None


# -- SIGHUP -------------------------------------------------------------------------------------------------------------


def test_nothing_changed(world: ServiceFixture) -> None:
    """That is said too, and the directory is looked at again."""
    add_wheel(world.root)
    world.start(watch="off")
    newer = wheel_name("acme", "2.0").encode()
    add_wheel(world.root, "acme", "2.0")
    assert newer not in world.ask("/acme/").body
    assert world.reload() == [
        "Configuration read again; changed: nothing.",
        f"acme: {newer.decode()} appeared.",
    ]
    assert newer in world.ask("/acme/").body


def test_what_takes_effect_at_once(world: ServiceFixture) -> None:
    """Headers, bounds, intervals and the URL are those of the new configuration."""
    path = add_wheel(world.root)
    made = world.start(watch="poll", http=(LOOPBACK,))
    page = {"Accept": "application/vnd.pypi.simple.v1+json"}
    before = world.ask("/acme/", *page.items())
    assert before.headers["access-control-allow-origin"] == "*"
    cache = made.index.http.listings._cache
    (line,) = world.reload(
        cors="off",
        immutable_files=True,
        url="https://packages.example.com",
        page_cache="1M",
        poll_interval="7",
        max_connections_per_address="3",
        trusted_proxy=("192.0.2.0/24",),
    )
    assert line == (
        "Configuration read again; changed: url, poll-interval, immutable-files, cors, trusted-proxy, "
        "max-connections-per-address, page-cache."
    )
    assert "access-control-allow-origin" not in world.ask("/acme/").headers
    assert "immutable" in world.ask(f"/acme/{path.name}").headers["cache-control"]
    assert (
        made.index.http.listings.base_url
        == made.index.http.redirect.base_url
        == "https://packages.example.com/"
    )
    assert made.index.http.listings._cache is not cache
    assert [site.connections.bound for site in (made.index.http.site, made.index.http.redirect_site)] == [
        3,
        3,
    ]
    assert [sweeping.interval for sweeping in made.sweep_loops] == [7]
    assert made.index.http.resource.trusted == made.settings.trusted_proxy
    # A proxy holds the connections of many.
    opened = [world.connect(peer=IPv4Address("TCP", "192.0.2.7", 40000 + number)) for number in range(5)]
    assert len(made.index.http.site.connections) == 5
    for transport in opened:
        transport.leave()


def test_the_redirect_has_the_same_origins(world: ServiceFixture) -> None:
    """At the start and after a reload: a web page follows a redirect only if it may read it."""
    issue("a.example.com").put(world.certs / "a.pem")
    world.start(https=(TLS,), cors="https://app.example.com")
    field = "access-control-allow-origin"
    assert world.ask("/", server=1).headers[field] == "https://app.example.com"
    world.reload(cors="*")
    assert world.ask("/", server=1).headers[field] == "*"


def test_rendered_pages_are_kept(world: ServiceFixture) -> None:
    """Settings that no page depends on do not cost them."""
    made = world.start()
    cache = made.index.http.listings._cache
    world.reload(cors="off", immutable_files=True)
    assert made.index.http.listings._cache is cache
    world.reload(page_cache="0")
    assert made.index.http.listings._cache is not cache


def test_what_needs_a_restart_is_named_each_time(world: ServiceFixture) -> None:
    """It is not in force, and stays a difference until it is."""
    world.start(watch="poll")
    restart = "These changed options need a restart: http, watch."
    assert world.reload(watch="off", http=("9090",), cors="off") == [
        "Configuration read again; changed: cors.",
        restart,
    ]
    assert world.reload() == ["Configuration read again; changed: nothing.", restart]
    assert world.reload(watch="poll", http=(LOOPBACK,)) == ["Configuration read again; changed: nothing."]


def test_a_wrong_configuration(world: ServiceFixture) -> None:
    """It is refused whole with its sentence, and the former one stays in force."""
    made = world.start()
    settings = made.settings
    (line,) = world.reload(cors="off", poll_interval="soon")
    assert line.startswith("The configuration is left as it was: --poll-interval: 'soon' ")
    assert made.settings is settings
    assert made.index.http.resource.cors == "*"


def test_another_access_log(world: ServiceFixture) -> None:
    """On, elsewhere and off again; what was held for the old file is written to it."""
    made = world.start()
    for name in ("one.log", "two.log"):
        assert world.reload(access_log=name) == ["Configuration read again; changed: access-log."]
        world.ask(f"/{name}/")
    world.reload(access_log="off")
    assert made.access_log is None
    assert made.index.http.site.request_over is None
    assert [(world.place / name).read_text().count("GET") for name in ("one.log", "two.log")] == [1, 1]


def test_an_access_log_that_was_moved_away(world: ServiceFixture) -> None:
    """As logrotate does: lines go on in a new file of the old name."""
    log = world.place / "access.log"
    world.start(access_log="access.log")
    log.rename(world.place / "access.log.1")
    world.reload()
    world.ask("/simple/")
    world.reactor.advance(1)
    assert log.read_text().count("GET") == 1


def test_a_new_access_log_that_cannot_be_written(world: ServiceFixture) -> None:
    """One sentence; the old one goes on, and so does every other setting."""
    made = world.start(access_log="access.log")
    (line,) = world.reload(access_log="missing/access.log", cors="off")
    assert line.startswith("The configuration is left as it was: The access log ")
    assert made.index.http.resource.cors == "*"
    world.ask("/simple/")
    world.reactor.advance(1)
    assert (world.place / "access.log").read_text().count("GET") == 1


def test_a_renewed_certificate(world: ServiceFixture) -> None:
    """It is taken up with the signal, and the URL that follows from its name with it."""
    issue("a.example.com").put(world.certs / "a.pem")
    made = world.start(https=(TLS,))
    issue("b.example.com").put(world.certs / "a.pem")
    said = world.reload()
    assert any("is in use now" in line for line in said)
    assert made.index.http.listings.base_url == "https://b.example.com:8443/"
    assert world.ask("/", server=1).headers["location"] == "https://b.example.com:8443/"


def test_a_certificate_that_broke(world: ServiceFixture) -> None:
    """Each signal complains of it, for an operator who looks now."""
    path = issue("a.example.com").put(world.certs / "a.pem")
    world.start(https=(TLS,))
    path.write_bytes(b"broken")
    first = world.reload()
    assert any("The former one stays in use." in line for line in first)
    assert world.reload() == first


def test_an_operator_accepts_an_emptied_root(world: ServiceFixture) -> None:
    """The signal says that somebody has looked: what is gone is gone."""
    paths = [add_wheel(world.root, name) for name in ("acme", "other")]
    world.start(watch="poll")
    for path in paths:
        path.unlink()
        path.parent.rmdir()
    world.reactor.advance(2)
    assert world.ask("/acme/").status == 503
    world.reload()
    assert world.ask("/acme/").status == 404


def test_the_root_may_be_away(world: ServiceFixture) -> None:
    """A disk that is unmounted for the moment does not hold up other settings."""
    made = world.start()
    world.root.rename(world.place / "away")
    assert world.reload(cors="off")[0] == "Configuration read again; changed: cors."
    assert made.index.http.resource.cors is None


# -- the end ------------------------------------------------------------------------------------------------------------


def test_the_end(world: ServiceFixture) -> None:
    """With nobody served it is over at once: no port, no thread, no timer, no database, no log."""
    made = world.start(watch="poll", access_log="access.log")
    transport = world.connect()
    stopped = made.stopService()
    transport.take()
    assert transport.gone
    assert stopped.called
    assert not any(port.is_open for port in world.reactor.ports)
    assert not world.reactor.getDelayedCalls()
    index, threads = made.index, made.index.runtime.threads
    assert [cast("Pool", pool).was_stopped for pool in (threads.reads.pool, threads.digests.pool)] == [
        True,
        True,
    ]
    assert index.sources.directories[0].digests._connection is None
    assert made.access_log is not None
    assert made.access_log._file.closed
    assert index.sources.directories[0].live._reader.stopping.is_set()


def a_download(world: ServiceFixture) -> tuple[Transport, bytes]:
    """A client that has asked for a file that no socket holds, and taken nothing yet."""
    data = wheel_bytes(files={"blob": os.urandom(1 << 20)})
    put(world.root / "acme" / wheel_name(), data)
    world.reactor.advance(2)
    transport = world.connect(peer=FAR)
    transport.protocol.dataReceived(request("GET", f"/acme/{wheel_name()}"))
    return transport, data


def test_who_is_served_is_served_to_the_end(world: ServiceFixture) -> None:
    """Nobody new gets in; an answer under way ends, and then it is over."""
    made = world.start(watch="poll")
    transport, data = a_download(world)
    stopped = made.stopService()
    assert not any(port.is_open for port in world.reactor.ports)
    assert not cast("Pool", made.index.runtime.threads.reads.pool).was_stopped
    assert transport.take().endswith(data)
    assert transport.gone
    assert stopped.called
    assert cast("Pool", made.index.runtime.threads.reads.pool).was_stopped


def test_nobody_holds_up_the_end(world: ServiceFixture) -> None:
    """A client that takes nothing is left after a bounded time."""
    made = world.start(watch="poll")
    transport, _ = a_download(world)
    stopped = made.stopService()
    world.reactor.advance(DRAIN_SECONDS - 1)
    assert not stopped.called
    world.reactor.advance(1)
    assert stopped.called
    assert transport.aborted
    assert cast("Pool", made.index.runtime.threads.reads.pool).was_stopped


def test_a_start_that_failed_can_be_ended(world: ServiceFixture) -> None:
    """Pools that never ran are not stopped."""
    made = world.make()
    assert made.stopService().called
    assert not cast("Pool", made.index.runtime.threads.reads.pool).was_stopped


# -- further local directories -----------------------------------------------------------------------------------


def staged(world: ServiceFixture) -> Path:
    """Name a further directory, with a project, in a sources file; returns it."""
    staging = world.place / "staging"
    add_wheel(staging, "staged", "2.0")
    sources = world.place / "sources.toml"
    sources.write_text('[[directory]]\nname = "staging"\npath = "staging"\n')
    world.give(sources=str(sources))
    return staging


def test_a_further_directory(world: ServiceFixture) -> None:
    """It is read, watched, counted and spoken of like the first, under its name."""
    staging = staged(world)
    add_wheel(world.root)
    put(staging / "staged" / wheel_name("staged", "3.0"), b"no archive")
    world.start(watch="poll")
    said = world.taken()
    assert said[:2] == ["Looking for changes every 2 s.", "staging: Looking for changes every 2 s."]
    assert f"Beside it: staging, {staging}." in said
    assert any(line.startswith("staging: 1 project, 1 file, ") for line in said)
    assert any(line.startswith("1 project, 1 file, ") for line in said)
    assert sum("staged-3.0" in line for line in said) == 1
    assert sum(line.startswith("Install with: ") for line in said) == 1
    status = world.ask("/-/status").json
    assert (status["projects"], status["files"], status["withheld"]) == (2, 2, 1)
    assert world.ask("/simple/staged/").status == 200
    assert world.ask(f"/simple/staged/{wheel_name('staged', '2.0')}").status == 200
    why = world.ask("/-/why/staged", ("Accept", "application/json")).json
    assert [file["source"] for file in why["files"]] == ["staging", "staging"]


def test_changes_in_a_further_directory(world: ServiceFixture) -> None:
    """They are found by its own sweeps; what is forgotten and remembered is its own too."""
    staging = staged(world)
    made = world.start(watch="poll")
    add_wheel(staging, "staged", "4.0")
    assert "staged-4.0" in world.ask("/simple/staged/").text
    assert [own.sweeps for own in made.index.sources.directories] == [0, 0]
    world.reactor.pump([2])
    assert [own.sweeps for own in made.index.sources.directories] == [1, 1]
    assert made.stopService().called
    assert all(own.live._reader.stopping.is_set() for own in made.index.sources.directories)
    assert all(own.digests._connection is None for own in made.index.sources.directories)


def test_a_further_directory_that_is_gone(world: ServiceFixture) -> None:
    """Nothing is known of any name that is not shown before it, until it is back or an operator has looked."""
    staging = staged(world)
    add_wheel(world.root)
    world.start(watch="poll")
    staging.rename(world.place / "aside")
    assert world.ask("/simple/staged/").status == 503
    assert world.ask("/simple/unknown/").status == 503
    assert world.ask("/simple/acme/").status == 200
    ready = world.ask("/-/ready")
    assert ready.status == 503
    assert ready.text.startswith("The directory staging: The root of the index cannot be read (No such file")
    assert not world.ask("/-/status").json["ready"]
    assert any(line.startswith("staging: The root of the index") for line in world.taken())
    (world.place / "aside").rename(staging)
    world.reactor.pump([2])
    assert world.ask("/simple/staged/").status == 200
    assert world.ask("/-/ready").status == 200


def test_an_operator_accepts_an_emptied_further_directory(world: ServiceFixture) -> None:
    """SIGHUP speaks of all of them."""
    staging = staged(world)
    add_wheel(staging, "other")
    world.start(watch="poll")
    for name in ("staged", "other"):
        shutil.rmtree(staging / name)
    world.reactor.pump([2])
    assert world.ask("/simple/staged/").status == 503
    world.reload()
    assert world.ask("/simple/staged/").status == 404


def test_sources_are_read_again(world: ServiceFixture) -> None:
    """What needs no restart is taken with SIGHUP: a name that has become private is requested from no upstream any more."""
    staged(world)
    sources = world.place / "sources.toml"
    text = sources.read_text() + '[[upstream]]\nname = "a"\nurl = "http://127.0.0.1:9/"\nttl = "{}"\n{}'
    sources.write_text(text.format("5m", ""))
    made = world.start(watch="poll")
    sources.write_text('own = ["zoo"]\n' + text.format("1h", 'exclude = ["b*"]\n'))
    said = world.reload()
    assert (
        "The index's own names, and the names and times of its upstreams, are as the file has them." in said
    )
    assert world.ask("/simple/zoo/").status == 404
    assert world.ask("/simple/bar/").status == 404
    assert not world.reactor.tcpClients
    upstreams = made.index.sources.upstreams
    assert upstreams is not None
    assert upstreams.connected[0].cached.ttls.most == 3600
    sources.write_text(text.format("1h", 'timeout = "1s"\n'))
    said = world.reload()
    assert f"Other changes in the sources file {sources} need a restart." in said


# -- what should never happen -------------------------------------------------------------------------------------------


def test_a_sweep_that_fails(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged with its traceback and a plea, and the next one comes all the same."""
    made = world.start(watch="poll")
    counts = []

    async def sweep(count: int) -> None:
        counts.append(count)
        raise ZeroDivisionError

    monkeypatch.setattr(made.index.sources.directories[0].live, "sweep", sweep)
    world.reactor.pump([2, 2])
    assert counts == [1, 2]
    assert [failure.type for failure in world.failures] == [ZeroDivisionError] * 2
    world.failures.clear()


def test_a_look_at_the_certificates_that_fails(
    world: ServiceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One surprise does not end the renewals of a service that runs for months."""
    issue("a.example.com").put(world.certs / "a.pem")
    made = world.make(https=(TLS,))
    looks = []

    def check(*, force: bool) -> None:
        looks.append(world.reactor.seconds())
        raise ZeroDivisionError

    monkeypatch.setattr(made.index.security, "check", check)
    made.privilegedStartService()
    made.startService()
    world.reactor.pump([CERTIFICATE_INTERVAL] * 2)
    assert looks == [CERTIFICATE_INTERVAL, 2 * CERTIFICATE_INTERVAL]
    assert [failure.type for failure in world.failures] == [ZeroDivisionError] * 2
    world.failures.clear()


def test_lost_records_refuse_the_start(world: ServiceFixture) -> None:
    """They are made at the first start; without them the next is refused, unless it is said that this is meant."""
    sources = world.place / "sources.toml"
    sources.write_text("# nobody\n")
    records = world.place / "state" / "records.sqlite3"
    first = world.start(sources=str(sources))
    assert records.stat().st_size
    first.stopService()
    world.reactor.advance(11)
    records.unlink()
    records.touch()
    again = world.make(sources=str(sources))
    again.privilegedStartService()
    with pytest.raises(SystemExit, match=r"records\.sqlite3 is empty or gone.*--new-records"):
        again.startService()
    again.running = 0
    again.stopService()
    assert not records.stat().st_size
    world.taken()
    world.start(sources=str(sources), new_records=True)
    taken = world.taken()
    assert any("begin anew" in line for line in taken), taken


def test_a_trouble_that_is_logged_is_shown(world: ServiceFixture) -> None:
    """Also where it is met by what knows nothing of the status page."""
    service = world.start()
    log = logger("simpleindex.tests")
    log.error("The disk of {path} is full.", path="/srv")
    log.info("All is well.")
    assert [each.sentence for each in service.troubles.shown()] == ["The disk of /srv is full."]


@pytest.mark.parametrize("runs", [True, False])
def test_uploads_are_announced_where_they_can_be_examined(
    world: ServiceFixture, monkeypatch: pytest.MonkeyPatch, runs: bool
) -> None:
    """The pool logs why not; to say after it that uploads are taken would be untrue."""
    monkeypatch.setattr(InProcessExaminer, "check", lambda _: runs)
    users = world.place / "users"
    users.write_text(f"alice:{hash_password('correct horse')}\n")
    world.start(users=str(users))
    assert any("Uploads are taken" in line and "has 1 user." in line for line in world.taken()) is runs


def test_mistakes_that_stand_are_said_again_at_a_reload(world: ServiceFixture) -> None:
    """SIGHUP looks at every followed file, and the log says whether all is well."""
    files = {
        "sources": ("# nobody\n", "[[upstraem]]\n"),
        "access": ('[[rule]]\nprojects = ["*"]\nread = ["anyone"]\n', "[[rule]]\nprojcts = []\n"),
        "users": ("# nobody\n", "alice:weak\n"),
    }
    for name, (good, _) in files.items():
        (world.place / name).write_text(good)
    world.start(**{name: str(world.place / name) for name in files})
    for name, (_, bad) in files.items():
        (world.place / name).write_text(bad)
    for _ in range(3):
        said = "\n".join(world.reload())
        assert f"The sources file {world.place / 'sources'} is not valid now" in said
        assert f"The access file {world.place / 'access'} is not valid now" in said
        assert "'alice' is refused" in said
    for name, (good, _) in files.items():
        (world.place / name).write_text(good)
    said = "\n".join(world.reload())
    assert said.count("is valid again") == 2
    assert "is valid again" not in "\n".join(world.reload())


def test_a_title_without_pages_names_the_extra(
    world: ServiceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be shown nowhere."""
    monkeypatch.setattr(compose, "has_pages", lambda: False)
    world.start(title="Packages of Example Ltd")
    assert any("--title and --notice are shown on the pages for people" in line for line in world.taken())
