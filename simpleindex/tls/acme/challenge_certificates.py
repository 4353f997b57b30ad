"""Certificates that answer a TLS-ALPN-01 challenge (RFC 8737), and the protocol by which a validator requests them."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from simpleindex.tls.host_names import canonical

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from OpenSSL import SSL

    from simpleindex.config.acme_values import Identifier

TLS_ALPN_PROTOCOL: Final = b"acme-tls/1"
"""The protocol that a validator offers by ALPN (RFC 8737 section 6.2)."""

_ACME_IDENTIFIER: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
"""The extension with the digest of the key authorization (RFC 8737 section 6.1)."""

_LIFETIME: Final = timedelta(days=7)
_BACKDATED: Final = timedelta(days=1)

_KEY_BEGINS: Final = b"-----BEGIN PRIVATE KEY-----"

_Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_KEYS: Final[tuple[Callable[[], _Key], ...]] = (
    lambda: ec.generate_private_key(ec.SECP256R1()),
    lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ed25519.Ed25519PrivateKey.generate,
)
"""One key of each type: OpenSSL chooses TLS 1.2's cipher by the ordinary key before the protocol is known, and sends the
certificate of that type; a challenge key of another type alone would leave the ordinary certificate in place."""


def make_challenge_certificates(identifier: Identifier, key_authorization: str, now: datetime) -> bytes:
    """Make the certificates that answer a challenge: one for each type of key.

    Args:
        identifier: What is to be validated.
        key_authorization: The challenge's token and the account's thumbprint (RFC 8555 section 8.1).
        now: The time, UTC.

    Returns:
        PEM text: a key, then its certificate, for each.
    """
    return b"".join(_certificate_with_key(identifier, key_authorization, now, make()) for make in _KEYS)


def use_challenge_certificates(connection: SSL.Connection, pem: bytes) -> bool:
    """Let a connection answer with challenge certificates instead of those of its context.

    Only ``use_certificate`` and ``use_privatekey`` are safe here: ``set_context`` in the ALPN callback ends the process
    with TLS 1.2 and an RSA key (pyOpenSSL 26.4, OpenSSL 4.0.3).

    Args:
        connection: The connection, in its ALPN callback.
        pem: The text of :func:`make_challenge_certificates`.

    Returns:
        Whether it does; False if the text is another.
    """
    try:
        pairs = [_certificate_and_key(block) for block in pem.split(_KEY_BEGINS)[1:]]
    except (ValueError, TypeError):
        return False
    for certificate, key in pairs:
        connection.use_certificate(certificate)
        connection.use_privatekey(key)
    return bool(pairs)


def requested_name(connection: SSL.Connection) -> str:
    """Return the name in a client's greeting as it is compared, which may be anything; empty without one."""
    return canonical((connection.get_servername() or b"").decode("ascii", "replace"))


def _certificate_and_key(block: bytes) -> tuple[x509.Certificate, _Key]:
    """Parse a key, without its first line, and the certificate that follows it."""
    encoded, begins, certificate = block.partition(b"-----BEGIN CERTIFICATE-----")
    # The key is the index's: checking an RSA key would take 32 ms of each such handshake, in the event loop.
    key = load_pem_private_key(_KEY_BEGINS + encoded, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, _Key):
        raise TypeError("no key of make_challenge_certificates")
    return x509.load_pem_x509_certificate(begins + certificate), key


def _certificate_with_key(
    identifier: Identifier,
    key_authorization: str,
    now: datetime,
    key: _Key,
) -> bytes:
    address = identifier.address
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME challenge")])
    name: x509.GeneralName = x509.DNSName(identifier.value) if address is None else x509.IPAddress(address)
    # An OCTET STRING of 32 bytes (DER: tag 4, length 32) within the extension's own.
    digest = b"\x04\x20" + hashlib.sha256(key_authorization.encode()).digest()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.UnrecognizedExtension(_ACME_IDENTIFIER, digest), critical=True)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256())
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(
        Encoding.PEM
    )
