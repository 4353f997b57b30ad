"""TLS as clients meet it: which certificate, which protocol, resumption, and renewal under way."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface.verify import verifyObject

from simpleindex.core.errors import RefusedStart
from simpleindex.tls import certificates, serving
from simpleindex.tls.certificate_files import ACME_DIRECTORY, ACME_FILE, read_place
from simpleindex.tls.contexts import select_http
from simpleindex.tls.machine_names import MachineIdentity
from simpleindex.tls.private_ca import ensure
from simpleindex.tls.serving import AcmeServing, Certificates
from tests.fixtures.certificates import NOW, Handshake, Issued, issue, shake, trusting
from tests.fixtures.log import CapturedLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography import x509

    from simpleindex.tls.certificate_files import CertificatePlace
    from simpleindex.tls.certificates import ServerCertificate

ROOT = issue(ca=True)
MIDDLE = issue(by=ROOT, ca=True)
OTHER_MIDDLE = issue(by=ROOT, ca=True, key="rsa")
A = issue("a.example.com", "127.0.0.1", by=MIDDLE)
B = issue("b.example.com", "*.w.example.com", by=MIDDLE)
RSA_A = issue("a.example.com", by=OTHER_MIDDLE, key="rsa")


class Server:
    """Certificates of a directory, with a clock and a log of its own."""

    def __init__(
        self, certs: Path, ca: x509.Certificate | None = None, acme: AcmeServing | None = None
    ) -> None:
        self.certs = certs
        self.now = NOW
        self.log = CapturedLog()
        # What Twisted passes in is not looked at.
        self.protocol = TLSMemoryBIOProtocol(None, None)
        self.certificates = Certificates(certs, ca=ca, now=lambda: self.now, acme=acme)

    @property
    def lines(self) -> list[str]:
        """What was logged."""
        return self.log.lines

    def shake(
        self,
        host: str | None = None,
        client: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> Handshake:
        """Shake hands with a client that trusts the root; without a host, with one that sends no name."""
        client = client or trusting(ROOT)
        if host is None:
            client.check_hostname = False
        return shake(self.connection, client, host, session)

    def connection(self) -> SSL.Connection:
        """The server's end of a new connection."""
        return self.certificates.serverConnectionForTLS(self.protocol)

    def refusal(self, url_host: str | None = None, uid: int | None = None) -> str:
        with pytest.raises(RefusedStart) as caught:
            self.certificates.load(url_host, uid)
        return str(caught.value)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A and B served from sub-directories."""
    A.put_pair(tmp_path / "certs/a.example.com")
    B.put(tmp_path / "certs/b/host.pem")
    server = Server(tmp_path / "certs")
    server.certificates.load()
    with server.log:
        yield server


def client_for(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks this version only."""
    context = trusting(ROOT)
    context.minimum_version = context.maximum_version = version
    return context


BOTH_VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def test_interface(server: Server) -> None:
    """It is what Twisted's TLS factory takes."""
    assert verifyObject(IOpenSSLServerConnectionCreator, server.certificates)


# --- which certificate


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a.example.com", A),
        ("A.Example.COM", A),
        ("b.example.com", B),
        ("x.w.example.com", B),
        ("127.0.0.1", A),
        (None, A),
    ],
)
@BOTH_VERSIONS
def test_chosen_by_name(server: Server, version: ssl.TLSVersion, host: str | None, expected: Issued) -> None:
    """Exact name, one-label wildcard, and the default for the rest; each verified with its chain by a real client."""
    got = server.shake(host, client_for(version))
    assert got.leaf == expected.certificate
    assert got.echo(b"hello") == b"hello"


@pytest.mark.parametrize("name", ["x.y.w.example.com", "w.example.com", "unknown.example.com"])
def test_unknown_names_get_the_default(server: Server, name: str) -> None:
    """A name that nothing covers is answered with the default, for the client to refuse."""
    client = trusting(ROOT)
    client.check_hostname = False
    assert server.shake(name, client).leaf == A.certificate


def test_strange_names_get_the_default(server: Server) -> None:
    """The name in the greeting is the client's to choose: no bytes of it are an accident."""
    client = SSL.Context(SSL.TLS_CLIENT_METHOD)
    for name in (b"\xff\xfe", b"a.example.com.", b".", b"*", b"a" * 250):
        connection = SSL.Connection(client, None)
        connection.set_tlsext_host_name(name)
        ends = connection, server.connection()
        ends[0].set_connect_state()
        ends[1].set_accept_state()
        meet(*ends)
        assert connection.get_peer_certificate(as_cryptography=True) == A.certificate


def meet(client: SSL.Connection, server: SSL.Connection) -> None:
    """Let two ends of pyOpenSSL's shake hands."""
    for _flight in range(3):
        for one, other in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                one.do_handshake()
            with suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))


@pytest.mark.parametrize(
    ("url_host", "expected"), [(None, A), ("b.example.com", B), ("X.W.example.com.", B), ("127.0.0.1", A)]
)
def test_the_default_covers_the_url(server: Server, url_host: str | None, expected: Issued) -> None:
    """The default is what --url names; its names come first, wildcards last."""
    assert server.certificates.load(url_host) == ()
    assert server.shake().leaf == expected.certificate
    assert [each.default for each in server.certificates.describe()] == [expected is A, expected is B]
    assert server.certificates.names[0] == ("a.example.com" if expected is A else "b.example.com")
    assert server.certificates.names[-1] == "*.w.example.com"


def test_directly_in_certs_before_sub_directories(server: Server) -> None:
    """Without --url the default is what lies in certs/ itself."""
    B.put(server.certs / "z.pem")
    server.certificates.load()
    assert server.shake().leaf == B.certificate


@BOTH_VERSIONS
def test_ecdsa_where_the_client_can(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """With both kinds for one name a client that knows only RSA gets RSA, any other ECDSA; each with its issuers."""
    RSA_A.put(tmp_path / "1-rsa.pem")
    A.put(tmp_path / "2-ecdsa.pem")
    server = Server(tmp_path)
    server.certificates.load()
    assert server.shake("a.example.com", client_for(version)).leaf == A.certificate
    if version == ssl.TLSVersion.TLSv1_2:
        only_rsa = client_for(version)
        only_rsa.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")
        assert server.shake("a.example.com", only_rsa).leaf == RSA_A.certificate
        fond_of_rsa = client_for(version)
        fond_of_rsa.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384")
        assert server.shake("a.example.com", fond_of_rsa).leaf == A.certificate


@pytest.mark.parametrize(
    ("url_host", "host", "expected"),
    [
        (None, "own.example.com", "own"),
        (None, "x.w.example.com", "own"),
        (None, "acme.example.com", "acme"),
        (None, "box.example.com", "ca"),
        (None, "10.0.0.1", "ca"),
        (None, None, "own"),
        (None, "unknown.example.com", "own"),
        ("10.0.0.1", None, "ca"),
        ("192.0.2.1", None, "acme"),
        ("acme.example.com", None, "acme"),
        ("acme.example.com", "x.w.example.com", "own"),
        ("y.w.example.com", None, "own"),
    ],
)
@BOTH_VERSIONS
def test_the_operators_own_then_acmes_then_the_private_cas(
    tmp_path: Path, version: ssl.TLSVersion, url_host: str | None, host: str | None, expected: str
) -> None:
    """Whatever they match by: the operator's wildcard goes before a name that the other two have as it is.

    A client that asks for an address sends no name (RFC 6066 section 3), and gets what is for the host of ``--url``, else the
    first of that order.
    """
    certs = tmp_path / "certs"
    private = MachineIdentity(
        ("own.example.com", "x.w.example.com", "acme.example.com", "box.example.com"),
        (ip_address("192.0.2.1"), ip_address("10.0.0.1")),
    )
    ca = ensure(certs, tmp_path / "state", private, NOW)
    assert ca is not None
    own = issue("own.example.com", "*.w.example.com", by=ROOT)
    acme = issue("own.example.com", "x.w.example.com", "acme.example.com", "192.0.2.1", by=ROOT)
    acme.put(certs / ACME_DIRECTORY / ACME_FILE)
    own.put_pair(certs / "zzz")
    server = Server(certs, ca.certificate)
    server.certificates.load(url_host)
    client = client_for(version)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    leaf = server.shake(host, client).leaf
    assert leaf in (own.certificate, acme.certificate) or expected == "ca"
    assert leaf == {"own": own.certificate, "acme": acme.certificate}.get(expected, leaf)


def test_without_the_operators_own_a_client_without_a_name_gets_acmes(tmp_path: Path) -> None:
    """It asks for an address, and is told of one whose issuer it trusts."""
    certs = tmp_path / "certs"
    ca = ensure(certs, tmp_path / "state", MachineIdentity(("box.example.com",), ()), NOW)
    assert ca is not None
    acme = issue("192.0.2.1", by=ROOT)
    acme.put(certs / ACME_DIRECTORY / ACME_FILE)
    server = Server(certs, ca.certificate)
    server.certificates.load()
    assert server.shake().leaf == acme.certificate


# --- what is spoken


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_are_refused(server: Server, version: ssl.TLSVersion) -> None:
    """TLS 1.0 and 1.1 are over (RFC 8996)."""
    client = client_for(version)
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, SSL.Error)):
        server.shake("a.example.com", client)


@pytest.mark.parametrize(
    "suite",
    [
        "AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-SHA384",
        "DHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-SHA",
        "AES128-SHA",
    ],
)
def test_no_suite_without_forward_secrecy_or_authenticated_encryption(tmp_path: Path, suite: str) -> None:
    """Clients with nothing better than RSA key exchange, finite fields or CBC are refused, whichever key we have."""
    RSA_A.put(tmp_path / "rsa.pem")
    A.put(tmp_path / "ecdsa.pem")
    server = Server(tmp_path)
    server.certificates.load()
    client = client_for(ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(f"{suite}:@SECLEVEL=0")
    with pytest.raises(SSL.Error, match="no shared cipher"):
        server.shake("a.example.com", client)


@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"])
def test_the_suites_that_are_spoken(server: Server, suite: str) -> None:
    """Each of the three in TLS 1.2; nothing is compressed."""
    client = client_for(ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(f"ECDHE-ECDSA-{suite}")
    got = server.shake("a.example.com", client)
    assert got.client.cipher() == (f"ECDHE-ECDSA-{suite}", "TLSv1.2", 128 if "128" in suite else 256)
    assert got.client.compression() is None


@BOTH_VERSIONS
@pytest.mark.parametrize(
    ("offered", "selected"), [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), ([], None)]
)
def test_http_1_1_is_agreed_on(
    server: Server, version: ssl.TLSVersion, offered: list[str], selected: str | None
) -> None:
    """A client that offers it gets HTTP/1.1, under every name; one that offers nothing is served without agreement."""
    client = client_for(version)
    if offered:
        client.set_alpn_protocols(offered)
    for host in ("a.example.com", "b.example.com"):
        assert server.shake(host, client).client.selected_alpn_protocol() == selected


@BOTH_VERSIONS
def test_other_protocols_are_refused(server: Server, version: ssl.TLSVersion) -> None:
    """Who speaks only HTTP/2 is told so in TLS already (RFC 7301)."""
    client = client_for(version)
    client.set_alpn_protocols(["h2"])
    with pytest.raises(SSL.Error, match="no application protocol"):
        server.shake("a.example.com", client)


def test_no_renegotiation(server: Server) -> None:
    """A client's wish to begin again in TLS 1.2 is declined, and the connection goes on."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    client, end = SSL.Connection(context, None), server.connection()
    client.set_connect_state()
    end.set_accept_state()
    meet(client, end)
    client.renegotiate()
    with suppress(SSL.Error):
        client.do_handshake()
    end.bio_write(client.bio_read(65536))
    with pytest.raises(SSL.WantReadError):
        end.recv(10)
    assert end.total_renegotiations() == 0


# --- resumption


@BOTH_VERSIONS
@pytest.mark.parametrize("host", ["a.example.com", "x.w.example.com"])
def test_sessions_resume(server: Server, version: ssl.TLSVersion, host: str) -> None:
    """A ticket works under the name it was given for, whichever context that name has, and is given anew."""
    client = client_for(version)
    first = server.shake(host, client)
    assert not first.client.session_reused
    second = server.shake(host, client, first.client.session)
    assert second.client.session_reused
    assert second.echo(b"again") == b"again"


@BOTH_VERSIONS
def test_sessions_survive_a_reload(server: Server, version: ssl.TLSVersion) -> None:
    """A renewed certificate costs no client its session."""
    client = client_for(version)
    first = server.shake("a.example.com", client)
    issue("a.example.com", by=MIDDLE).put_pair(server.certs / "a.example.com")
    assert server.certificates.reload()
    assert server.shake("a.example.com", client, first.client.session).client.session_reused


@BOTH_VERSIONS
def test_ticket_keys_change_daily(server: Server, version: ssl.TLSVersion) -> None:
    """A key stolen from memory opens the tickets of a day, not of a year."""
    client = client_for(version)
    first = server.shake("a.example.com", client)
    server.now += timedelta(hours=23)
    assert server.shake("a.example.com", client, first.client.session).client.session_reused
    server.now += timedelta(hours=2)
    assert not server.shake("a.example.com", client, first.client.session).client.session_reused


@BOTH_VERSIONS
def test_ticket_keys_change_when_the_clock_is_set_back(server: Server, version: ssl.TLSVersion) -> None:
    """By years, where it was wrong at the start; the key would be kept until then."""
    client = client_for(version)
    first = server.shake("a.example.com", client)
    server.now -= timedelta(days=4000)
    assert not server.shake("a.example.com", client, first.client.session).client.session_reused
    again = server.shake("a.example.com", client)
    assert server.shake("a.example.com", client, again.client.session).client.session_reused


# --- the start


def test_refused_starts(tmp_path: Path) -> None:
    """Each reason not to start is one sentence with the file in it."""
    server = Server(tmp_path)
    assert server.refusal() == f"{tmp_path} holds no certificate: put one there."
    path = issue("a.example.com", end=timedelta(hours=-1)).put(tmp_path / "a.pem")
    assert server.refusal().startswith(f"{path} expired on ")
    issue("a.example.com", start=timedelta(hours=1)).put(path)
    assert server.refusal().startswith(f"{path} is not valid before ")
    path.write_bytes(A.chain_pem + B.key_pem)
    assert "do not belong together" in server.refusal()
    A.put(path)
    assert server.refusal("c.example.com").startswith(
        f"No certificate in {tmp_path} is for c.example.com, the host of --url"
    )
    B.put(tmp_path / "b.pem").write_bytes(b"")
    assert "b.pem holds no certificate" in server.refusal()


def test_unreadable_after_the_drop_of_privileges(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the later user cannot read again stops the start; what they can does not."""
    asked = []

    def told(uid: int, gid: int | None, path: Path) -> str | None:
        asked.append((uid, gid, path.name))
        return "Alas." if path.name == "host.pem" else None

    monkeypatch.setattr(serving, "why_unreadable", told)
    assert server.refusal(uid=7) == "Alas."
    assert asked == [(7, None, "fullchain.pem"), (7, None, "privkey.pem"), (7, None, "host.pem")]
    monkeypatch.setattr(serving, "why_unreadable", lambda *_arguments: None)
    server.certificates.load(uid=7)


def test_what_openssl_finds_too_weak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL has rules of its own; its refusal is a sentence too, and found before anything is served."""
    monkeypatch.setattr(certificates, "MINIMUM_RSA_BITS", 1024)
    path = issue("a.example.com", key="rsa1024").put(tmp_path / "a.pem")
    assert Server(tmp_path).refusal().startswith(f"{path} is not good enough for OpenSSL (ee key too small)")


def test_acmes_certificate_is_served_once_the_clock_is_right(tmp_path: Path) -> None:
    """A machine that starts before its clock is set; nothing about the file changes then."""
    certs = tmp_path / "certs"
    ca = ensure(certs, tmp_path / "state", MachineIdentity(("box.example.com",), ()), NOW - timedelta(days=9))
    assert ca is not None
    acme = issue("a.example.com", by=ROOT)
    acme.put(certs / ACME_DIRECTORY / ACME_FILE)
    serving = AcmeServing(frozenset({"a.example.com"}), select_http, lambda _: None)
    server = Server(certs, ca.certificate, serving)
    server.now = NOW - timedelta(days=9)
    (warning,) = server.certificates.load("a.example.com")
    assert "is this machine's clock right? It is not served" in warning
    server.certificates.reload()
    assert server.shake(None, trusting(ca.certificate)).leaf != acme.certificate
    server.now = NOW
    assert server.certificates.reload()
    assert server.shake("a.example.com").leaf == acme.certificate


def test_acmes_certificate_is_enough_where_the_private_cas_is_not_valid(tmp_path: Path) -> None:
    """It was made at the first start by a clock that was hours ahead, as a hardware clock in local time is."""
    certs, state = tmp_path / "certs", tmp_path / "state"
    identity = MachineIdentity(("box.example.com",), ())
    ensure(certs, state, identity, NOW + timedelta(hours=10))
    ca = ensure(certs, state, identity, NOW, has_acme=True)
    assert ca is not None
    serving = AcmeServing(frozenset({"a.example.com"}), select_http, lambda _: None)
    server = Server(certs, ca.certificate, serving)
    assert "is this machine's clock right? It is not served." in server.refusal("a.example.com")
    acme = issue("a.example.com", by=ROOT)
    acme.put(certs / ACME_DIRECTORY / ACME_FILE)
    (warning,) = server.certificates.load("a.example.com")
    assert warning.startswith(str(certs / "simpleindex.pem"))
    assert server.shake("a.example.com").leaf == acme.certificate
    # The operator's own is not passed over.
    issue("b.example.com", start=timedelta(hours=1)).put(certs / "b.pem")
    assert "b.pem is not valid before" in server.refusal("a.example.com")


def test_a_certificate_that_acme_left_behind_holds_up_no_start(tmp_path: Path) -> None:
    """The option was taken away months ago, and the machine is started again."""
    certs = tmp_path / "certs"
    left = issue("a.example.org", end=timedelta(hours=-1)).put(certs / ACME_DIRECTORY / ACME_FILE)
    server = Server(certs, None)
    assert server.refusal().startswith(f"{left} expired on ")
    own = issue("b.example.com", by=ROOT)
    own.put(certs / "b.pem")
    (warning,) = server.certificates.load()
    assert warning.startswith(f"{left} expired on ")
    assert warning.endswith(": renew it, or remove it. It is not served.")
    assert server.shake(None).leaf == own.certificate


def test_acmes_certificate_is_served_once_a_clock_that_was_ahead_is_right(tmp_path: Path) -> None:
    """Until then it looked ended; without a change of the file it would wait for the next renewal, which may be in two months."""
    certs = tmp_path / "certs"
    issue("box.example.com", by=ROOT, end=timedelta(days=400)).put(certs / "box.pem")
    acme = issue("a.example.com", by=ROOT)
    acme.put(certs / ACME_DIRECTORY / ACME_FILE)
    server = Server(certs, None, AcmeServing(frozenset({"a.example.com"}), select_http, lambda _: None))
    server.now = NOW + timedelta(days=200)
    (warning,) = server.certificates.load()
    assert "expired" in warning
    assert not server.certificates.reload()
    server.now = NOW + timedelta(minutes=1)
    assert server.certificates.reload()
    assert server.shake("a.example.com").leaf == acme.certificate


def test_a_certificate_whose_time_has_not_come_is_served_when_it_comes(server: Server) -> None:
    """It was put there early; nothing about the file changes then."""
    server.certificates.load()
    early = issue("early.example.com", by=ROOT, start=timedelta(days=2))
    early.put(server.certs / "early.pem")
    server.now = NOW + timedelta(days=1)
    assert not server.certificates.reload()
    server.now = NOW + timedelta(days=3)
    assert server.certificates.reload()
    assert "early.example.com" in server.certificates.names


def test_warned_from_fourteen_days(server: Server) -> None:
    """Both at the start and later the ones that are about to end are named."""
    server.now += timedelta(days=50)
    warnings = server.certificates.load()
    assert warnings == server.certificates.warnings()
    assert [warning.partition(" ")[0] for warning in warnings] == [
        str(server.certs / "a.example.com/fullchain.pem"),
        str(server.certs / "b/host.pem"),
    ]


def test_described(server: Server) -> None:
    """The log at start can say what is served, until when."""
    first, second = server.certificates.describe()
    assert first.names == ("a.example.com", "127.0.0.1")
    assert second.expires == NOW + timedelta(days=60)
    assert server.certificates.ca_pem is None
    assert server.certificates.ca_fingerprint is None


# --- our own CA


def test_with_our_own_ca(tmp_path: Path) -> None:
    """From an empty directory to a client that trusts our CA and verifies name and address."""
    identity = MachineIdentity(("box.example.com", "localhost"), (ip_address("127.0.0.1"), ip_address("::1")))
    ca = ensure(tmp_path / "certs", tmp_path / "state", identity, NOW)
    assert ca is not None
    server = Server(tmp_path / "certs", ca.certificate)
    server.certificates.load("localhost")
    for host in ("box.example.com", "localhost", "127.0.0.1", "::1"):
        server.shake(host, trusting(ca.certificate))
    assert server.certificates.names == ("box.example.com", "localhost", "127.0.0.1", "::1")
    assert server.certificates.ca_pem == (tmp_path / "state/ca/cert.pem").read_bytes()
    fingerprint = server.certificates.ca_fingerprint
    assert fingerprint is not None
    assert len(fingerprint.split(":")) == 32
    assert fingerprint == fingerprint.upper()


def test_the_operators_own_before_ours(tmp_path: Path) -> None:
    """Once there is a certificate of their own it is the default and answers to its names; ours to the rest."""
    certs, identity = (
        tmp_path / "certs",
        MachineIdentity(("a.example.com", "x.w.example.com", "localhost"), ()),
    )
    ca = ensure(certs, tmp_path / "state", identity, NOW)
    assert ca is not None
    server = Server(certs, ca.certificate)
    server.certificates.load()
    A.put(certs / "zzz.pem")
    B.put(certs / "zzz/b.pem")
    assert server.certificates.reload()
    for host, expected in (("a.example.com", A), ("x.w.example.com", B), (None, A)):
        assert server.shake(host).leaf == expected.certificate
    server.shake("localhost", trusting(ca.certificate))
    assert server.certificates.ca_pem is not None
    (certs / "simpleindex.pem").unlink()
    assert server.certificates.reload()
    assert server.certificates.ca_pem is None


# --- reload


def test_unchanged_files_are_not_read_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the files have settled, a look costs a few stats; SIGHUP reads all the same."""
    server.now += timedelta(days=1)
    assert not server.certificates.reload()
    reads: list[CertificatePlace] = []

    def read(place: CertificatePlace, ca: x509.Certificate | None) -> ServerCertificate:
        reads.append(place)
        return read_place(place, ca)

    monkeypatch.setattr(serving, "read_place", read)
    assert not server.certificates.reload()
    assert reads == []
    assert not server.certificates.reload(force=True)
    assert len(reads) == 2


def test_a_renewed_certificate_is_taken_up(server: Server) -> None:
    """New connections get it, open ones go on, the log says so."""
    old = server.shake("a.example.com")
    renewed = issue("a.example.com", by=MIDDLE, end=timedelta(days=80))
    renewed.put_pair(server.certs / "a.example.com")
    assert server.certificates.reload()
    assert server.shake("a.example.com").leaf == renewed.certificate
    assert server.shake("b.example.com").leaf == B.certificate
    assert old.echo(b"still here") == b"still here"
    end = f"{NOW + timedelta(days=80):%Y-%m-%d}"
    path = server.certs / "a.example.com/fullchain.pem"
    assert server.lines == [f"{path} is in use now; it is good until {end}."]
    assert not server.certificates.reload()


def test_certbot_replaces_the_links_one_by_one(tmp_path: Path, log: CapturedLog) -> None:
    """Live links are unlinked and made anew in turn: at each moment the whole old or the whole new pair is served."""
    live, archive = tmp_path / "certs/a.example.com", tmp_path / "archive"
    live.mkdir(parents=True)
    archive.mkdir()
    renewed = issue("a.example.com", by=MIDDLE)
    for number, issued in ((1, A), (2, renewed)):
        (archive / f"fullchain{number}.pem").write_bytes(issued.chain_pem)
        (archive / f"privkey{number}.pem").write_bytes(issued.key_pem)
    for name in ("fullchain", "privkey"):
        (live / f"{name}.pem").symlink_to(archive / f"{name}1.pem")
    server = Server(tmp_path / "certs")
    server.certificates.load()
    for name in ("privkey", "fullchain"):
        (live / f"{name}.pem").unlink()
        assert not server.certificates.reload()
        (live / f"{name}.pem").symlink_to(archive / f"{name}2.pem")
        assert server.certificates.reload() == (name == "fullchain")
    assert server.shake("a.example.com").leaf == renewed.certificate
    assert len(log.lines) == 4


def test_a_broken_renewal_is_refused(server: Server) -> None:
    """The old one stays, each problem has one line however often one looks, SIGHUP repeats it; others are taken up."""
    chain = server.certs / "a.example.com/fullchain.pem"
    renewed = issue("b.example.com", by=MIDDLE)
    renewed.put(server.certs / "b/host.pem")
    for data, words in (
        (A.chain_pem[:-30], "is cut short"),
        (issue("a.example.com").chain_pem, "do not belong together"),
        (issue("a.example.com", key=A.key, end=timedelta(hours=-1)).chain_pem, "expired on"),
    ):
        chain.write_bytes(data)
        server.log.clear()
        server.certificates.reload()
        server.certificates.reload()
        (line,) = [line for line in server.lines if "in use now" not in line]
        assert line.startswith(f"{chain} ")
        assert words in line
        assert line.endswith("The former one stays in use.")
        server.certificates.reload(force=True)
        assert server.lines.count(line) == 2
        assert server.shake("a.example.com").leaf == A.certificate
        assert server.shake("b.example.com").leaf == renewed.certificate


def test_a_broken_newcomer_is_left_out(server: Server) -> None:
    """Where nothing was before there is nothing to keep."""
    (server.certs / "c.pem").write_bytes(b"")
    assert not server.certificates.reload()
    assert "c.pem holds no certificate" in server.lines[0]
    assert "former" not in server.lines[0]


def test_a_removed_certificate_goes_the_last_one_stays(server: Server) -> None:
    """Removing one host's is obeyed; an empty directory is more likely a mishap."""
    (server.certs / "b/host.pem").unlink()
    assert server.certificates.reload()
    assert server.certificates.names == ("a.example.com", "127.0.0.1")
    (server.certs / "a.example.com").rename(server.certs.parent / "away")
    assert not server.certificates.reload()
    assert "holds no certificate any more" in server.lines[-1]
    server.shake("a.example.com")


def test_the_urls_host_stays_covered(server: Server) -> None:
    """A renewal that forgot the host of --url would lose every client, so the former ones stay."""
    server.certificates.load("a.example.com")
    issue("typo.example.com", by=MIDDLE).put_pair(server.certs / "a.example.com")
    assert not server.certificates.reload()
    assert "is for a.example.com any more" in server.lines[-1]
    server.shake("a.example.com")


def test_a_directory_that_cannot_be_listed_changes_nothing(server: Server) -> None:
    """An accident to the directory itself is one line."""
    server.certs.rename(server.certs.parent / "away")
    server.certs.write_bytes(b"a file")
    assert not server.certificates.reload()
    assert not server.certificates.reload()
    assert len(server.lines) == 1
    assert "cannot be read" in server.lines[0]


# --- in Twisted


class Greeter(Protocol):
    """Says hello, then what it hears."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


@BOTH_VERSIONS
@pytest.mark.parametrize("offered", ["http/1.1", "h2"])
def test_under_twisteds_factory(server: Server, version: ssl.TLSVersion, offered: str) -> None:
    """Twisted's own TLS protocol drives it: by name, with agreement on HTTP/1.1, or an alert and no connection."""
    clock = Clock()
    factory = TLSMemoryBIOFactory(server.certificates, False, Factory.forProtocol(Greeter), clock)
    protocol, transport = factory.buildProtocol(None), StringTransport()
    protocol.makeConnection(transport)
    client = client_for(version)
    client.set_alpn_protocols([offered])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = client.wrap_bio(incoming, outgoing, server_hostname="b.example.com")

    def exchange() -> None:
        for _flight in range(4):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
            if outgoing.pending:
                protocol.dataReceived(outgoing.read())
            clock.advance(0)  # small writes wait for the reactor's next turn
            incoming.write(transport.value())
            transport.clear()

    if offered == "h2":
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            exchange()
        assert transport.disconnecting
    else:
        exchange()
        assert protocol.negotiatedProtocol == b"http/1.1"
        assert end.read(100) == b"hello"


def test_no_file_stays_open(server: Server) -> None:
    """Looking again and again leaks no descriptor."""
    before = len(os.listdir("/proc/self/fd"))
    for _look in range(20):
        server.certificates.reload(force=True)
    assert len(os.listdir("/proc/self/fd")) <= before
