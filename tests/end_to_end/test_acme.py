"""Certificates of a public authority (``--acme``), requested from a real pebble by real servers."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from simpleindex.config.acme_values import Identifier
from simpleindex.records.opening import open_postgresql
from simpleindex.records.postgresql.acme import SharedAcmeStore
from simpleindex.tls.acme.issuing import AcmeAuthority, certificate_path, names_of
from simpleindex.tls.acme.settings import AcmeSettings
from tests.end_to_end.acme_place import Place
from tests.end_to_end.acme_servers import MISSING, Pebble
from tests.end_to_end.clients import found, version_in
from tests.end_to_end.running import JSON, PATIENCE, Installed, Server, ask, bare_environment, wait_until
from tests.fixtures.certificates import issue
from tests.fixtures.distributions import add_wheel
from tests.fixtures.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fixtures.postgresql import PostgreSQL

pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

ISSUED = r"The certificate authority issued a certificate for "
NAME = "packages.example.org"
SLEEPING_OTHERWISE = """
import runpy, select, sys, time
time.sleep = lambda seconds: select.select([], [], [], seconds)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs twistd with another ``sleep``: Python's fails under a libfaketime that leaves the steady clock as it is."""

TELLING_NOBODY = """
import runpy, sys, threading
from acme.client import ClientV2
ClientV2.answer_challenge = lambda *_: threading.Event().wait()
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs twistd where a challenge stays open, because the authority is never told to validate it."""

FAKETIME = [str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    """An authority that validates on one port only, on which one server after the other listens."""
    pebble = Pebble(tmp_path_factory.mktemp("pebble"), free_port()).start()
    yield pebble
    pebble.stop()


@pytest.fixture
def new_client(new_server: Callable[..., Server], pebble: Pebble) -> Callable[..., Server]:
    """Make servers that request certificates."""

    def make(*options: str, port: int = pebble.tls_port, **further: Any) -> Server:
        server = new_server(*pebble.options, *options, **further)
        server.listen = ["--https", f"tcp:{port}:interface=127.0.0.1"]
        server.port = port
        return server

    return make


class Connection(http.client.HTTPSConnection):
    """A connection to this machine whose certificate must be for a name."""

    def __init__(self, port: int, name: str, context: ssl.SSLContext) -> None:
        super().__init__(name, port, timeout=PATIENCE)
        self._trust = context

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self.sock = self._trust.wrap_socket(plain, server_hostname=self.host)

    @property
    def certificate(self) -> bytes | None:
        """The server's."""
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock.getpeercert(binary_form=True)


def shown(server: Server, trust: Pebble | ssl.SSLContext, name: str = NAME) -> x509.Certificate:
    """The certificate that a client gets which trusts the authority."""
    context = ssl.create_default_context(cafile=str(trust.root())) if isinstance(trust, Pebble) else trust
    with closing(Connection(server.port, name, context)) as connection:
        assert ask(connection, "/-/health").status == 200
        der = connection.certificate
    assert der is not None
    return x509.load_der_x509_certificate(der)


def anybody() -> ssl.SSLContext:
    """A client that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def due(server: Server, pebble: Pebble) -> None:
    """Let the time of renewal have come."""
    settings = AcmeSettings(None, pebble.directory, (Identifier(NAME),))
    Place(server.home, settings).let_time_come()


def certificates_command(server: Server) -> tuple[int, dict[str, Any]]:
    """What ``simpleindex certificates`` says."""
    places = [f"--certs={server.certs}", f"--state={server.home / 'state'}", "--json"]
    ended = server.installed.run("-m", "simpleindex", "certificates", *places, home=server.home)
    assert ended.stderr == ""
    report: dict[str, Any] = json.loads(ended.stdout)
    return ended.returncode, report


@pytest.mark.parametrize("name", [NAME, "127.0.0.1"])
def test_one_command_is_enough(
    new_client: Callable[..., Server], pebble: Pebble, tmp_path: Path, name: str
) -> None:
    """From nothing to an index that is trusted like any public one, for a name or for an address."""
    server = new_client("--acme-name", name)
    add_wheel(server.root, "acme")
    server.launch().await_line(ISSUED + name)
    # The last line does not speak of the private CA any more.
    server.await_line(
        rf"Install with: pip install --index-url https://{re.escape(name)}:{server.port}/simple/"
    )
    assert names_of(shown(server, pebble, name)) == {name}
    status, report = certificates_command(server)
    assert (status, report["acme"]["last-error"]) == (0, None)
    assert {"authority", "private-ca"} == {each["origin"] for each in report["certificates"]}
    if name == "127.0.0.1":
        install_without_options(server, pebble.root(), tmp_path)


def test_another_node_requests(
    new_client: Callable[..., Server], pebble: Pebble, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    """Which the authority does not reach: this one answers, and has the certificate at once."""
    url = postgresql.create_database()
    settings = AcmeSettings(None, pebble.directory, (Identifier(NAME),), trust=pebble.trust)
    with closing(open_postgresql(url)) as records:
        records.prepare()
        store = SharedAcmeStore(records, url, pebble.directory, [NAME])
        with store.locked() as is_held:
            assert is_held
            server = new_client("--acme-name", NAME, "--records", url)
            server.launch().await_line("Until the certificate is there: pip install --cert ")
            other = AcmeAuthority(settings, store, tmp_path / "other", lambda: datetime.now(UTC))
            certificate = other.obtain()
    server.await_line(ISSUED + NAME)
    assert shown(server, pebble) == certificate


def install_without_options(server: Server, root: Path, directory: Path) -> None:
    """Install with pip and uv in whose trust store the authority is, as a public one is."""
    index = f"https://127.0.0.1:{server.port}/simple/"
    environment = bare_environment(
        directory, SSL_CERT_FILE=str(root), PIP_CONFIG_FILE="/dev/null", UV_NO_CONFIG="1"
    )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--target", "by-pip"]
    for command in (pip, [found("uv"), "pip", "install", "--no-cache", "--target", "by-uv"]):
        words = [*command, "--index-url", index, "acme"]
        subprocess.run(words, check=True, capture_output=True, cwd=directory, env=environment)
        assert version_in(directory / words[-4], "acme") == "1.0"


class Load:
    """Clients that make requests again and again, over connections that stay open and over new ones.

    Attributes:
        counts: How many answers came, by whether the connection stays open.
        shown: The certificates that new connections were shown.
        failures: What went wrong.
    """

    def __init__(self, server: Server, context: ssl.SSLContext) -> None:
        self._server = server
        self._context = context
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._fetch_advice, args=[is_kept]) for is_kept in (True, True, False)
        ]
        self.counts = {True: 0, False: 0}
        self.shown: set[bytes | None] = set()
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _fetch_advice(self, is_kept: bool) -> None:
        connection = Connection(self._server.port, NAME, self._context)
        while not self._is_over.wait(0.001):
            try:
                answer = ask(connection, "/simple/acme/", accept=JSON)
                if answer.status != 200 or b"acme-1.0" not in answer.body:
                    self.failures.append(str(answer))
            except Exception as error:
                self.failures.append(repr(error))
                connection.close()
            self.counts[is_kept] += 1
            if not is_kept:
                self.shown.add(connection.certificate)
                connection.close()
        connection.close()


def test_a_renewal_under_load_drops_nobody_and_without_the_authority_the_certificate_stays(
    new_client: Callable[..., Server], tmp_path: Path
) -> None:
    """A thousand requests while the certificate changes; then pebble goes away."""
    pebble = Pebble(tmp_path / "pebble", free_port()).start()
    try:
        server = new_client(*pebble.options, "--acme-name", NAME, port=pebble.tls_port)
        add_wheel(server.root, "acme")
        server.launch().await_line(ISSUED)
        context = ssl.create_default_context(cafile=str(pebble.root()))
        first = shown(server, context)
        with Load(server, context) as load:
            wait_until(lambda: load.counts[False] > 50, "requests before")
            due(server, pebble)
            server.process.send_signal(signal.SIGHUP)
            server.await_line(ISSUED, times=2)
            second = shown(server, context)
            assert second != first
            after = load.counts[False]
            wait_until(lambda: sum(load.counts.values()) > 1000, "a thousand requests")
            wait_until(lambda: load.counts[False] > after + 50, "requests afterwards")
        assert not load.failures
        assert load.shown == {each.public_bytes(Encoding.DER) for each in (first, second)}
    finally:
        pebble.stop()
    due(server, pebble)
    server.process.send_signal(signal.SIGHUP)
    server.await_line(r"warn.*No new certificate: localhost:\d+ cannot be reached \(.*Connection refused\)")
    assert shown(server, context) == second
    status, report = certificates_command(server)
    assert status == 1
    assert report["acme"]["failures"] == 1
    assert "cannot be reached" in report["acme"]["last-error"]
    assert report["acme"]["next-try"] > datetime.now(UTC).isoformat()


def test_http_where_that_is_all_that_is_open(new_client: Callable[..., Server], tmp_path: Path) -> None:
    """The authority cannot connect to the port for TLS; plain HTTP only redirects, but for the challenge."""
    http_port = free_port()
    pebble = Pebble(tmp_path / "pebble", free_port(), http_port).start()
    try:
        server = new_client(*pebble.options, "--acme-name", NAME, port=free_port())
        server.launch().await_line(
            r"error.*No new certificate: .* could not validate packages\.example\.org by tls-alpn-01"
        )
        server.stop()
        (server.home / "state" / "acme" / "status.json").unlink()
        server.listen = [*server.listen, "--http", f"tcp:{http_port}:interface=127.0.0.1"]
        server.launch().await_line(ISSUED)
        shown(server, ssl.create_default_context(cafile=str(pebble.root())))
    finally:
        pebble.stop()


def test_workers_over_one_state_directory(new_client: Callable[..., Server], pebble: Pebble) -> None:
    """The first one requests, whichever the authority reaches answers the challenge, and all serve what comes."""
    server = new_client("--acme-name", NAME, "--workers=2")
    plain = free_port()
    server.listen = [*server.listen, "--http", f"tcp:{plain}:interface=127.0.0.1"]
    server.launch().await_line(ISSUED)
    server.await_line("2 workers serve")
    context = ssl.create_default_context(cafile=str(pebble.root()))

    def redirect() -> str | None:
        with closing(http.client.HTTPConnection("127.0.0.1", plain, timeout=PATIENCE)) as connection:
            connection.request("GET", "/simple/")
            return connection.getresponse().getheader("Location")

    def is_served_by_all() -> bool:
        try:
            served = {shown(server, context) for _ in range(8)}
        except ssl.SSLError:
            return False
        return bool(served) and {redirect() for _ in range(8)} == {f"https://{NAME}:{server.port}/simple/"}

    wait_until(is_served_by_all, "both serve it, and name the index by it")
    assert len(re.findall(ISSUED, server.log)) == 1


def test_what_was_left_behind(new_client: Callable[..., Server], pebble: Pebble, tmp_path: Path) -> None:
    """A certificate that ended while the server was off, a process killed with a challenge open, and then another name."""
    server = new_client("--acme-name", NAME)
    issue(NAME, end=timedelta(hours=-1)).put(certificate_path(server.certs))
    challenges = server.home / "state" / "acme" / "challenges" / "tls-alpn-01"
    installed = server.installed
    server.installed = instead(installed, tmp_path / "twistd", {}, "-c", TELLING_NOBODY)
    server.launch()
    wait_until(lambda: challenges.is_dir() and [*challenges.iterdir()], "a challenge is open")
    server.kill()
    server.installed = installed
    assert re.search(
        r"certificate\.pem (expired|ended|has).*It is not served; a new one is requested", server.log
    ), server.log
    server.launch().await_line(ISSUED)
    context = ssl.create_default_context(cafile=str(pebble.root()))
    first = shown(server, context)
    assert not [*challenges.iterdir()]
    server.stop()
    server.options = [*server.options, "--acme-name", "other.example.org"]
    server.launch().await_line(ISSUED)
    assert names_of(shown(server, context, "other.example.org")) == {NAME, "other.example.org"}
    server.stop()
    server.launch().await_listening()
    assert shown(server, context) != first
    assert "is requested from" not in server.log_since_start
    assert "issued" not in server.log_since_start


@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed")
@pytest.mark.parametrize(
    ("wrong_by", "sentence"), [("+4000d", "The certificate of localhost"), ("-3h", "At localhost")]
)
def test_a_machine_whose_clock_is_wrong_until_it_is_set_right(
    new_client: Callable[..., Server], pebble: Pebble, tmp_path: Path, wrong_by: str, sentence: str
) -> None:
    """Far ahead no certificate of the authority's looks valid, slow by hours its own would not be: nothing is ordered, and the log says why.

    The clock is set right while it runs, and no wait that was noted by the wrong one holds the next try up.
    """
    server = new_client("--acme-name", NAME)
    clock = tmp_path / "clock"
    clock.write_text(wrong_by)
    environment = {
        "LD_PRELOAD": FAKETIME[0],
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    server.installed = instead(server.installed, tmp_path / "twistd", environment, "-c", SLEEPING_OTHERWISE)
    server.launch().await_line(
        rf"No new certificate: {sentence}:?\d* .*this machine's clock shows \d{{4}}-.*: set the clock right\."
    )
    clock.write_text("+0")

    def is_issued() -> bool:
        # Until the process has noticed: the library looks at its file once a second.
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        return re.search(ISSUED, server.log) is not None

    wait_until(is_issued, "a certificate by the right clock")
    server.await_line(r"certificate\.pem is in use now")
    assert names_of(shown(server, pebble)) == {NAME}


def instead(installed: Installed, wrapper: Path, environment: dict[str, str], *options: str) -> Installed:
    """The same with a wrapper around twistd that runs it with other variables and options of Python's."""
    words = f"[sys.executable, *{[*options, str(installed.twistd)]!r}, *sys.argv[1:]]"
    wrapper.write_text(
        f"import os, sys\nos.execve(sys.executable, {words}, {{**os.environ, **{environment!r}}})\n"
    )
    return Installed(installed.python, wrapper)


def test_without_acme_none_of_it_is_imported(
    new_server: Callable[..., Server], pebble: Pebble, tmp_path: Path
) -> None:
    """Nor is the library that makes its requests; with the option they are, which shows that this test would notice."""
    for options, is_there in (([], False), ([*pebble.options, "--acme-name", NAME], True)):
        server = new_server(*options, name=f"server-{is_there}")
        server.installed = instead(server.installed, tmp_path / "twistd", {}, "-X", "importtime")
        server.launch().await_listening()
        server.await_line("pip install ")
        server.stop()
        imported = set(re.findall(r"^import time: .*\| +([\w.]+)$", server.log, re.MULTILINE))
        assert "simpleindex.service.composition.index" in imported
        roots = {"acme", "josepy", "requests", "simpleindex.tls.acme"}
        assert (roots & imported) == (roots if is_there else set())
