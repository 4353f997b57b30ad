"""What PEM text holds, whether it can be served, and which certificate answers to a name: decisions over values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

ServerKey: TypeAlias = (
    ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)

WARN_BEFORE: Final = timedelta(days=14)
"""From how long before its end a certificate is warned of: a weekend and a week to act in."""

MINIMUM_RSA_BITS: Final = 2048
"""RFC 9325 (BCP 195) section 4.5."""

_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
"""The curves that TLS 1.3 has signatures for (RFC 8446 section 4.2.3)."""

# Up to the next five hyphens, which no block has in it: many beginnings without an end are read once.
# A label is of any printable characters, and hyphens between them (RFC 7468 section 3): "X9.42 DH PARAMETERS".
_BLOCK: Final = re.compile(rb"-----BEGIN ((?:[ -,.-~]|-(?!----))*+)-----(?:[^-]|-(?!----))++-----END \1-----")

_CERTIFICATES: Final = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "X.509 CERTIFICATE"})
"""The last two are what older programs write (RFC 7468 section 5.1)."""

_KEYS: Final = frozenset(
    {"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "DSA PRIVATE KEY"}
)
"""Those of OpenSSL; of other programs (OPENSSH PRIVATE KEY, PGP ...) none is for TLS."""


class CertificateOrigin(IntEnum):
    """Where a certificate comes from; of two for one name, the one with the lower value is served."""

    OPERATOR = 0
    """Put into ``--certs`` by the operator."""
    AUTHORITY = 1
    """Issued by the ACME authority of ``--acme``."""
    PRIVATE_CA = 2
    """Made by the private CA, so that only clients who trust that CA accept it."""


@dataclass(frozen=True, slots=True)
class PemContents:
    """What was read from PEM text.

    Attributes:
        certificates: In the order of the text.
        key: The private key, or None if there is none.
    """

    certificates: tuple[x509.Certificate, ...]
    key: ServerKey | None


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate that can be served, with its key.

    Attributes:
        where: The file it came from, for sentences.
        chain: The certificate itself, then what leads to its issuer.
        names: The DNS names (lower case) and then the addresses that it is for.
        origin: Where it comes from.
        key: Its private key; not compared, since the certificate determines it.
    """

    where: str
    chain: tuple[x509.Certificate, ...]
    names: tuple[str, ...]
    origin: CertificateOrigin
    key: ServerKey = field(compare=False, repr=False)

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate itself."""
        return self.chain[0]

    @property
    def expires(self) -> datetime:
        """The last moment at which it is valid, UTC."""
        return self.leaf.not_valid_after_utc

    @property
    def private(self) -> bool:
        """Whether the private CA issued it."""
        return self.origin is CertificateOrigin.PRIVATE_CA

    @property
    def key_type(self) -> str:
        """The kind of signature it makes; a context holds one certificate of each."""
        match self.key:
            case ec.EllipticCurvePrivateKey():
                return "ECDSA"
            case rsa.RSAPrivateKey():
                return "RSA"
            case _:
                return "EdDSA"


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


def assemble(
    where: str,
    contents: PemContents,
    ca: x509.Certificate | None = None,
    origin: CertificateOrigin = CertificateOrigin.OPERATOR,
) -> ServerCertificate:
    """Put a certificate and its key together.

    Args:
        where: The file, for sentences.
        contents: The contents of that file (and of the file beside it that holds its key).
        ca: The private CA, if there is one.
        origin: Where the certificate comes from if that CA did not issue it.

    Raises:
        UnusableCertificate: One of the two is missing, they do not match, or no client could accept them.
    """
    if not contents.certificates:
        raise UnusableCertificate(
            where,
            "holds no certificate: put certificate and key into one file, or name them fullchain.pem and privkey.pem.",
        )
    if contents.key is None:
        raise UnusableCertificate(
            where,
            "has no private key: put the key into the same file, or name them fullchain.pem and privkey.pem.",
        )
    _refuse_weak(where, contents.key)
    public = contents.key.public_key()
    leaf = next((each for each in contents.certificates if _public_key(each) == public), None)
    if leaf is None:
        raise UnusableCertificate(
            where, "and its private key do not belong together: install the key made for it."
        )
    names = _names(where, leaf)
    if not names:
        raise UnusableCertificate(
            where,
            "names no host as a subject alternative name, so no client accepts it: have it issued anew.",
        )
    chain = (leaf, *(each for each in contents.certificates if each != leaf))
    is_private = ca is not None and is_issued_by(leaf, ca)
    return ServerCertificate(
        where, chain, names, CertificateOrigin.PRIVATE_CA if is_private else origin, contents.key
    )


def is_issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    """Tell whether ``ca`` signed ``certificate``."""
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def refuse_invalid_now(certificate: ServerCertificate, now: datetime) -> None:
    """Refuse a certificate that is not valid at ``now``.

    Raises:
        UnusableCertificate: It is expired or not valid yet.
    """
    if now > certificate.expires:
        raise UnusableCertificate(
            certificate.where, f"expired on {certificate.expires:%Y-%m-%d}: renew it, or remove it."
        )
    if now < certificate.leaf.not_valid_before_utc:
        start = certificate.leaf.not_valid_before_utc
        raise UnusableCertificate(
            certificate.where,
            f"is not valid before {start:%Y-%m-%d %H:%M} UTC: is this machine's clock right?",
        )


def expiry_warnings(certificates: Iterable[ServerCertificate], now: datetime) -> tuple[str, ...]:
    """Return a sentence for each certificate that ends soon (:func:`warn_before`), or has ended."""
    return tuple(
        f"{each.where} {'expires' if now <= each.expires else 'expired'} on {each.expires:%Y-%m-%d}: renew it."
        for each in certificates
        if each.expires - now <= warn_before(each)
    )


def warn_before(certificate: ServerCertificate) -> timedelta:
    """Return from how long before its end a certificate is warned of.

    One of the ACME authority is renewed when a third of its lifetime is left, so that a sixth means trouble, also where the
    lifetime is six days.
    """
    if certificate.origin is not CertificateOrigin.AUTHORITY:
        return WARN_BEFORE
    return min(WARN_BEFORE, (certificate.expires - certificate.leaf.not_valid_before_utc) / 6)


def covers(certificate: ServerCertificate, host: str) -> bool:
    """Tell whether a client that asked for ``host``, a DNS name or an address, accepts the certificate (RFC 9525)."""
    try:
        if _is_address(host):
            verify_certificate_ip_address(certificate.leaf, host)
        else:
            verify_certificate_hostname(certificate.leaf, host)
    except (VerificationError, CertificateError):
        return False
    return True


def choose(certificates: Sequence[ServerCertificate], host: str) -> tuple[ServerCertificate, ...]:
    """Choose what answers to ``host``: one certificate of each key type, ECDSA first; nothing if none is for it.

    The operator's certificates go before those of the ACME authority, and these before those of the private CA, whatever they
    match by: the operator decides, and more clients trust a public authority. Among these an exact name goes before a wildcard, which stands for one label (RFC 9525 section 6.3); then the one
    that expires last wins.
    """
    for origin in CertificateOrigin:
        for name in (host, wildcard_for(host)):
            best: dict[str, ServerCertificate] = {}
            for each in certificates:
                if each.origin is origin and name in each.names:
                    best[each.key_type] = max(
                        best.get(each.key_type, each), each, key=lambda one: one.expires
                    )
            if best:
                return tuple(best[key_type] for key_type in sorted(best))
    return ()


def canonical(host: str) -> str:
    """Return the one spelling by which hosts are compared: lower case, no final dot; addresses as RFC 5952 writes them."""
    try:
        return str(ip_address(host))
    except ValueError:
        return host.lower().rstrip(".")


def wildcard_for(host: str) -> str:
    """Return the wildcard name that covers ``host``."""
    return f"*.{host.partition('.')[2]}"


def _load_certificate(where: str, block: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(block)
    except ValueError as error:
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


def _refuse_weak(where: str, key: ServerKey) -> None:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < MINIMUM_RSA_BITS:
        raise UnusableCertificate(
            where, f"has an RSA key of {key.key_size} bits: use at least {MINIMUM_RSA_BITS}, or ECDSA P-256."
        )
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in _CURVES:
        raise UnusableCertificate(
            where, f"has a key on the curve {key.curve.name}, which TLS 1.3 lacks: use P-256."
        )


def _public_key(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _names(where: str, leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    except ValueError as error:
        raise UnusableCertificate(
            where, "holds a certificate that cannot be parsed: have it issued anew."
        ) from error
    hosts = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return (*(name.lower() for name in hosts), *(str(address) for address in addresses))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class UnusableCertificate(SimpleIndexError):
    """A certificate or its key that cannot be served.

    Attributes:
        where: The file.
        reason: What is wrong and what to do, as a sentence without its subject.
    """

    template = "{where} {reason}"
    where: str
    reason: str
