"""Read certificates and private keys from PEM text, or say why they cannot be read (RFC 7468)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from simpleindex.core.errors import SimpleIndexError

ServerKey: TypeAlias = (
    ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)

# Up to the next five hyphens, which no block has in it: many beginnings without an end are read once.
# A label is of any printable characters, and hyphens between them (RFC 7468 section 3): "X9.42 DH PARAMETERS".
_BLOCK: Final = re.compile(
    rb"-----BEGIN ((?>(?:[ -,.-~]++|-(?!----))*))-----(?>(?:[^-]++|-(?!----))+)-----END \1-----"
)

_CERTIFICATES: Final = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "X.509 CERTIFICATE"})
"""The last two are what older programs write (RFC 7468 section 5.1)."""

_KEYS: Final = frozenset(
    {"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "DSA PRIVATE KEY"}
)
"""Those of OpenSSL; of other programs (OPENSSH PRIVATE KEY, PGP ...) none is for TLS."""

UNPARSABLE: Final = (
    ValueError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
"""What the library raises about a certificate, or about its extensions and key when they are looked at."""


@dataclass(frozen=True, slots=True)
class PemContents:
    """What was read from PEM text.

    Attributes:
        certificates: In the order of the text.
        key: The private key, or None if there is none.
    """

    certificates: tuple[x509.Certificate, ...]
    key: ServerKey | None


def read_pem(where: str, data: bytes) -> PemContents:
    """Read the certificates and the key in ``data``; text between the blocks and blocks of other kinds are passed over.

    Raises:
        UnusableCertificate: A block is cut short, unreadable or encrypted, or there are two keys.
    """
    blocks = [(found[1].decode(), found[0]) for found in _BLOCK.finditer(data)]
    if len(blocks) != data.count(b"-----BEGIN "):
        raise UnusableCertificate(where, "is cut short: copy it again, whole.")
    keys = [block for label, block in blocks if label in _KEYS]
    if len(keys) > 1:
        raise UnusableCertificate(
            where, "holds more than one private key: give each certificate a file of its own."
        )
    certificates = (
        block.replace(label.encode(), b"CERTIFICATE") for label, block in blocks if label in _CERTIFICATES
    )
    return PemContents(
        tuple(_load_certificate(where, block) for block in certificates),
        _load_key(where, keys[0]) if keys else None,
    )


def _load_certificate(where: str, block: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(block)
    except UNPARSABLE as error:
        raise UnusableCertificate(
            where, "holds a certificate that cannot be parsed: copy it again."
        ) from error


def _load_key(where: str, block: bytes) -> ServerKey:
    try:
        key = load_pem_private_key(block, password=None)
    except TypeError as error:
        raise UnusableCertificate(
            where,
            "holds an encrypted private key: decrypt it with `openssl pkey`, for nobody can type its password at start.",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableCertificate(
            where, "holds a private key that cannot be parsed: copy it again."
        ) from error
    if not isinstance(key, ServerKey):
        raise UnusableCertificate(
            where, "holds a key of a kind that TLS cannot use: use ECDSA P-256 or RSA 2048."
        )
    return key


class UnusableCertificate(SimpleIndexError):
    """A certificate or its key that cannot be served.

    Attributes:
        reason: What is wrong and what to do, as a sentence without its subject.
    """

    template = "{where} {reason}"
    where: str
    reason: str
