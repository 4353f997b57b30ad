"""Challenges of ``--acme`` on the port for everybody: real processes among validators, ordinary and hostile clients."""

from __future__ import annotations

import hashlib
import random
import shutil
import socket
import ssl
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from simpleindex.config.acme_values import Identifier
from simpleindex.tls.acme.challenge_certificates import make_challenge_certificates
from simpleindex.tls.acme.state_files import AcmeState
from tests.end_to_end.running import PATIENCE, Server, ask
from tests.fixtures.certificates import Issued, issue
from tests.fixtures.depth import number_of
from tests.fixtures.ports import free_port

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable, Iterator

    from tests.end_to_end.running import Installed

pytestmark = pytest.mark.slow

NAME: Final = "packages.example.org"
ADDRESS: Final = "1.0.0.127.in-addr.arpa"
"""What a validator of 127.0.0.1 sends as the server's name (RFC 8738 section 6)."""

IPV6: Final = "2001:db8::1"
REVERSE_IPV6: Final = "1" + ".0" * 23 + ".8.b.d.0.1.0.0.2.ip6.arpa"
"""The same of :data:`IPV6`."""

CHALLENGE: Final = "acme-tls/1"
KEY_AUTHORIZATION: Final = "token.thumbprint"
PUBLIC_KEYS: Final = {
    "ec": ec.EllipticCurvePublicKey,
    "rsa": rsa.RSAPublicKey,
    "ed": ed25519.Ed25519PublicKey,
}

versions = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
with_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@dataclass(frozen=True)
class Challenged:
    """A server with certificates of the operator's, whose authority has open challenges.

    Attributes:
        server: It.
        kind: The type of the key of the certificate for :data:`NAME`, which is the default.
        issued: That certificate.
    """

    server: Server
    kind: str
    issued: Issued

    def connect(self) -> http.client.HTTPSConnection:
        """An ordinary client, which checks the name."""
        return self.server.connect()

    def assert_ordinary(self, connection: http.client.HTTPSConnection) -> None:
        """See that a connection that was open before works, and a new one too; both get the operator's certificate."""
        assert self.server.process.poll() is None, self.server.log
        assert ask(connection, "/-/health").status == 200
        with closing(self.connect()) as another:
            assert ask(another, "/-/health").status == 200
            assert isinstance(another.sock, ssl.SSLSocket)
            assert another.sock.getpeercert(binary_form=True) == connection.sock.getpeercert(binary_form=True)


@pytest.fixture(scope="module", params=["rsa", "ec", "ed"])
def challenged(
    request: pytest.FixtureRequest, installed: Installed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Challenged]:
    """The authority is away, so what opens the challenges is as good as another server of the same state directory."""
    home = tmp_path_factory.mktemp("challenged")
    directory = f"https://localhost:{free_port()}/dir"
    names = ["--acme-name", NAME, "--acme-name", "127.0.0.1", "--acme-name", IPV6]
    options = ["--acme", "none", "--acme-directory", directory, *names]
    server = Server(installed, home / "server", home / "packages", options)
    issued = issue(NAME, "localhost", key=request.param)
    issued.put_pair(server.certs)
    server.trust = ssl.create_default_context(cadata=issued.chain_pem.decode())
    server.launch().await_listening()
    server.await_line(r"No new certificate: localhost:\d+ cannot be reached")
    state = AcmeState(server.home / "state", directory)
    for identifier in (Identifier(NAME), Identifier("127.0.0.1"), Identifier(IPV6)):
        pem = make_challenge_certificates(identifier, KEY_AUTHORIZATION, datetime.now(UTC))
        state.open_challenge("tls-alpn-01", identifier.server_name, pem)
    yield Challenged(server, request.param, issued)
    server.stop()


@pytest.fixture
def ordinary(challenged: Challenged) -> Iterator[http.client.HTTPSConnection]:
    """A connection that is open all the while, and must be served afterwards."""
    with closing(challenged.connect()) as connection:
        assert ask(connection, "/-/health").status == 200
        yield connection
        challenged.assert_ordinary(connection)


def validator(version: ssl.TLSVersion, *protocols: str) -> ssl.SSLContext:
    """A client that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def shake(
    server: Server, context: ssl.SSLContext, name: str | None, session: ssl.SSLSession | None = None
) -> tuple[str | None, x509.Certificate]:
    """The protocol that was agreed on, and the certificate."""
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=name, session=session) as channel,
    ):
        der = channel.getpeercert(binary_form=True)
        assert der is not None
        return channel.selected_alpn_protocol(), x509.load_der_x509_certificate(der)


def assert_answers(certificate: x509.Certificate, name: str) -> None:
    """See that a certificate is as a validator wants it (RFC 8737 section 3)."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each.value) for each in names] == [name]
    identifier = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
    assert identifier.critical
    assert isinstance(identifier.value, x509.UnrecognizedExtension)
    assert identifier.value.value == b"\x04\x20" + hashlib.sha256(KEY_AUTHORIZATION.encode()).digest()
    certificate.verify_directly_issued_by(certificate)


@versions
@pytest.mark.parametrize(
    ("server_name", "name"),
    [(NAME, NAME), (ADDRESS, "127.0.0.1"), (REVERSE_IPV6, IPV6), (REVERSE_IPV6.upper(), IPV6)],
)
def test_a_validator_gets_the_challenge_certificate(
    challenged: Challenged,
    ordinary: http.client.HTTPSConnection,
    version: ssl.TLSVersion,
    server_name: str,
    name: str,
) -> None:
    """With TLS 1.2 it is of the ordinary key's type, for the cipher was chosen by that."""
    for _ in range(3):
        protocol, certificate = shake(challenged.server, validator(version, CHALLENGE), server_name)
        assert protocol == CHALLENGE
        assert_answers(certificate, name)
        if version == ssl.TLSVersion.TLSv1_2:
            assert isinstance(certificate.public_key(), PUBLIC_KEYS[challenged.kind])


@versions
@pytest.mark.parametrize("protocols", [(), ("http/1.1",), ("h2", "http/1.1"), ("http/1.1", CHALLENGE)])
def test_an_ordinary_client_gets_the_ordinary_certificate(
    challenged: Challenged,
    ordinary: http.client.HTTPSConnection,
    version: ssl.TLSVersion,
    protocols: tuple[str, ...],
) -> None:
    """Also one that offers the challenge's protocol among others, which no validator does."""
    for name in (NAME, ADDRESS, REVERSE_IPV6, "unknown.test", None):
        protocol, certificate = shake(challenged.server, validator(version, *protocols), name)
        assert protocol == ("http/1.1" if protocols else None)
        assert certificate == challenged.issued.certificate


@versions
@pytest.mark.parametrize("name", [None, "unknown.test", "status.json", "a" * 63 + ".test", "127.0.0.1"])
def test_a_challenge_that_is_not_open_is_refused(
    challenged: Challenged,
    ordinary: http.client.HTTPSConnection,
    version: ssl.TLSVersion,
    name: str | None,
) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)no[ _]application[ _]protocol"):
        shake(challenged.server, validator(version, CHALLENGE), name)


@versions
@pytest.mark.parametrize("protocols", [("h2",), (CHALLENGE, CHALLENGE), (CHALLENGE, "h2"), ("ACME-TLS/1",)])
def test_other_protocols_are_refused(
    challenged: Challenged,
    ordinary: http.client.HTTPSConnection,
    version: ssl.TLSVersion,
    protocols: tuple[str, ...],
) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)no[ _]application[ _]protocol"):
        shake(challenged.server, validator(version, *protocols), NAME)


@versions
def test_a_session_of_an_ordinary_client_does_not_hinder_a_challenge(
    challenged: Challenged, version: ssl.TLSVersion
) -> None:
    """And the session of a validator is no way past the certificate."""
    context = validator(version, "http/1.1")
    with (
        socket.create_connection(("127.0.0.1", challenged.server.port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as channel,
    ):
        channel.sendall(b"GET /-/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        while channel.recv(65536):
            pass
        session = channel.session
    assert session is not None
    for protocols in ([CHALLENGE], ["h2"], ["http/1.1"], [CHALLENGE]):
        context.set_alpn_protocols(protocols)
        with suppress(ssl.SSLError):
            shake(challenged.server, context, NAME, session)
    with closing(challenged.connect()) as connection:
        challenged.assert_ordinary(connection)
    assert_answers(shake(challenged.server, validator(version, CHALLENGE), NAME)[1], NAME)


@with_openssl
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_with_odd_choices_harms_nobody(
    challenged: Challenged,
    ordinary: http.client.HTTPSConnection,
    version: str,
) -> None:
    """Signatures of one kind only, a second greeting (RFC 8446 section 4.1.4), and no name."""
    for choice in (
        ("-servername", NAME),
        ("-noservername",),
        ("-servername", "../../status.json"),
        ("-servername", NAME, "-sigalgs", "ECDSA+SHA256"),
        ("-servername", NAME, "-sigalgs", "RSA-PSS+SHA256"),
        ("-servername", NAME, "-sigalgs", "ed25519"),
        ("-servername", NAME, "-groups", "ffdhe8192:P-256"),
        ("-servername", NAME, "-status", "-no_ticket"),
    ):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{challenged.server.port}"]
        ended = subprocess.run(
            [*command, version, "-alpn", CHALLENGE, *choice],
            input="GET / HTTP/1.1\r\n\r\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert challenged.server.process.poll() is None, challenged.server.log
        if choice == ("-servername", NAME):
            assert "ALPN protocol: acme-tls/1" in ended.stdout, ended.stdout + ended.stderr


def greeting(version: ssl.TLSVersion, protocol: str, name: str) -> bytes:
    """What a client sends first."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = validator(version, protocol).wrap_bio(to_client, to_server, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return to_server.read()


def garbled_protocols(version: ssl.TLSVersion, number: int) -> Iterator[bytes]:
    """Greetings whose list of protocols (RFC 7301 section 3.1) has the right length in all and wrong ones within."""
    marker = "Z" * 20
    before, after = greeting(version, marker, NAME).split(b"\x00\x15\x14" + marker.encode())
    draw = random.Random(1)
    yield from (
        before + text.ljust(23, b"\x00")[:23] + after
        for text in (
            b"\x00\x15\x00",
            b"\x00\x00",
            b"\xff\xff",
            b"\x00\x15\x0aacme-tls/1\x0aacme-tls",
            b"\x00\x0b\x0aacme-tls/1",
            b"\x00\x15\x0aacme-tls/1\x00",
            b"\x00\x15\x14" + b"\x00" * 20,
            b"\x00\x15\xff" + b"acme-tls/1" * 2,
        )
    )
    for _ in range(number):
        yield before + draw.choice([b"\x00\x15", b"\x00\x0b"]) + draw.randbytes(21) + after


def garbled_names(version: ssl.TLSVersion, number: int) -> Iterator[bytes]:
    """Greetings of validators whose name (RFC 6066 section 3) has the right length in all, and other bytes or lengths within."""
    marker = "z" * 36
    # The list of names with its length, a kind, and the name with its length.
    before, after = greeting(version, CHALLENGE, marker).split(b"\x00\x27\x00\x00\x24" + marker.encode())
    draw = random.Random(2)
    texts = (
        b"../../status.json",
        b"/etc/passwd",
        b"..",
        b".",
        b"packages.example.org\0",
        b"PACKAGES.EXAMPLE.ORG.",
        b"xn--" + b"-" * 30,
        b"\xff" * 36,
        b"\0" * 36,
        b"[2001:db8::1]",
        b"1.0.0.127.IN-ADDR.ARPA.",
        b"fe80::1%../../status.json",
    )
    for text in texts:
        # As many bytes, and as long as it is with something behind.
        yield before + b"\x00\x27\x00\x00\x24" + text.ljust(36, b"a")[:36] + after
        length = len(text).to_bytes(2, "big")
        yield before + b"\x00\x27\x00" + length + text + b"\0" * (36 - len(text)) + after
    for _ in range(number):
        header = draw.choice(
            [b"\x00\x27\x00\x00\x24", draw.randbytes(5), b"\x00\x27\x00" + draw.randbytes(2)]
        )
        letters = draw.choice([bytes(range(256)), b"abz019.-", b"./\0\\%:[]~"])
        yield before + header + bytes(draw.choices(letters, k=36)) + after


@versions
@pytest.mark.parametrize("garbled", [garbled_protocols, garbled_names])
def test_garbled_greetings_harm_nobody(
    challenged: Challenged,
    ordinary: http.client.HTTPSConnection,
    version: ssl.TLSVersion,
    garbled: Callable[[ssl.TLSVersion, int], Iterator[bytes]],
) -> None:
    """Lists of protocols and names of any bytes, each on a connection of its own to the one process."""
    for count, hello in enumerate(garbled(version, number_of(480))):
        with socket.create_connection(("127.0.0.1", challenged.server.port), timeout=PATIENCE) as plain:
            plain.sendall(hello)
            with suppress(ConnectionError):
                answer = plain.recv(3)
                # An alert, or the answer to an accidentally good list.
                assert answer[:1] in (b"\x15", b"\x16"), answer
        if count % 20 == 0:
            challenged.assert_ordinary(ordinary)
    assert "Traceback" not in challenged.server.log
    # It still answers those who behave.
    assert_answers(shake(challenged.server, validator(version, CHALLENGE), NAME)[1], NAME)


def test_validators_and_ordinary_clients_at_the_same_time(challenged: Challenged) -> None:
    """Handshakes half way through do not share anything: a challenge's certificate stays with its connection."""
    contexts = [
        (validator(version, protocol), protocol)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        for protocol in (CHALLENGE, "http/1.1")
    ]
    begun = []
    for context, protocol in contexts * 5:
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(to_client, to_server, server_hostname=NAME)
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
        plain = socket.create_connection(("127.0.0.1", challenged.server.port), timeout=PATIENCE)
        plain.sendall(to_server.read())
        begun.append((plain, client, to_client, to_server, protocol))
    for plain, client, to_client, to_server, protocol in begun:
        with closing(plain):
            while True:
                with suppress(ssl.SSLWantReadError):
                    client.do_handshake()
                    break
                plain.sendall(to_server.read())
                to_client.write(plain.recv(65536))
            der = client.getpeercert(binary_form=True)
            assert der is not None
            certificate = x509.load_der_x509_certificate(der)
            assert client.selected_alpn_protocol() == protocol
            if protocol == CHALLENGE:
                assert_answers(certificate, NAME)
            else:
                assert certificate == challenged.issued.certificate
