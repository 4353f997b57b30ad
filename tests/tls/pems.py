"""Certificates for tests, with elliptic-curve keys unless told otherwise, and TLS handshakes in memory."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simpleindex.tls.certificates import ServerKey

NOW = datetime.now(UTC).replace(microsecond=0)
"""The clients of the ssl module know no other time."""


@dataclass(frozen=True)
class Issued:
    """A certificate, its key, and the issuers between it and its root."""

    certificate: x509.Certificate
    key: ServerKey
    issuers: tuple[x509.Certificate, ...] = ()

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def encrypted_key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))

    @property
    def chain_pem(self) -> bytes:
        return b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.issuers))

    @property
    def combined(self) -> bytes:
        return self.key_pem + self.chain_pem

    def put_pair(self, directory: Path) -> Path:
        """Lay it down as certbot does."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "fullchain.pem").write_bytes(self.chain_pem)
        (directory / "privkey.pem").write_bytes(self.key_pem)
        return directory

    def put(self, path: Path) -> Path:
        """Lay it down as one combined file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.combined)
        return path


def new_key(kind: str = "ec") -> ServerKey:
    """A fresh private key."""
    makers: dict[str, Callable[[], ServerKey]] = {
        "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
        "k1": lambda: ec.generate_private_key(ec.SECP256K1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
        "ed": ed25519.Ed25519PrivateKey.generate,
    }
    return makers[kind]()


def issue(
    *names: str,
    by: Issued | None = None,
    key: ServerKey | str = "ec",
    ca: bool = False,
    start: timedelta = timedelta(days=-1),
    end: timedelta = timedelta(days=60),
    now: datetime = NOW,
) -> Issued:
    """A certificate for DNS names and addresses; self-signed without ``by``."""
    key = new_key(key) if isinstance(key, str) else key
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"test {x509.random_serial_number():x}"[:64])]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
    signer = key if by is None else by.key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else SHA256()
    by_root = by is None or by.certificate.issuer == by.certificate.subject
    issuers = () if by is None or by_root else (by.certificate, *by.issuers)
    return Issued(builder.sign(signer, algorithm), key, issuers)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def trusting(*roots: Issued | x509.Certificate) -> ssl.SSLContext:
    """A client's context that trusts these and nothing else, as strict as Python 3.13 is by default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    certificates = (root.certificate if isinstance(root, Issued) else root for root in roots)
    context.load_verify_locations(
        cadata="".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)
    )
    return context


@dataclass
class Handshake:
    """Both ends of a connection whose handshake is over."""

    client: ssl.SSLObject
    server: SSL.Connection
    to_client: ssl.MemoryBIO
    to_server: ssl.MemoryBIO

    @property
    def leaf(self) -> x509.Certificate:
        """What the server showed."""
        der = self.client.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der)

    def echo(self, data: bytes) -> bytes:
        """Send ``data`` to the server, and what it received back."""
        self.client.write(data)
        self.server.bio_write(self.to_server.read())
        self.server.send(self.server.recv(65536))
        self.to_client.write(self.server.bio_read(65536))
        return self.client.read(65536)


def shake(
    make_server: Callable[[], SSL.Connection],
    client_context: ssl.SSLContext,
    host: str | None,
    session: ssl.SSLSession | None = None,
) -> Handshake:
    """Let a client of the ssl module greet a server, wholly in memory; verify ``host`` as installers do."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host, session=session)
    server = make_server()
    server.set_accept_state()
    for _flight in range(4):
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
        if to_server.pending:
            server.bio_write(to_server.read())
        try:
            with suppress(SSL.WantReadError):
                server.do_handshake()
        finally:
            with suppress(SSL.WantReadError):
                to_client.write(server.bio_read(65536))
    with suppress(ssl.SSLWantReadError):
        client.read(1)  # takes in the tickets of TLS 1.3
    return Handshake(client, server, to_client, to_server)
