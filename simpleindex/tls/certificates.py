"""Certificates of the server: whether one can be served with its key, until when, and when its end is warned of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from simpleindex.tls.pem import UNPARSABLE, PemContents, ServerKey, UnusableCertificate

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


WARN_BEFORE: Final = timedelta(days=14)
"""From how long before its end a certificate is warned of: a weekend and a week to act in."""

MINIMUM_RSA_BITS: Final = 2048
"""RFC 9325 (BCP 195) section 4.5."""

_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
"""The curves that TLS 1.3 has signatures for (RFC 8446 section 4.2.3)."""


class CertificateOrigin(IntEnum):
    """Where a certificate comes from; of two for one name, the one with the lower value is served."""

    OPERATOR = 0
    """Put into ``--certs`` by the operator."""
    AUTHORITY = 1
    """Issued by the ACME authority of ``--acme``."""
    PRIVATE_CA = 2
    """Made by the private CA, so that only clients who trust that CA accept it."""


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


def assemble_certificate(
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
    """Return whether ``ca`` signed ``certificate``."""
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
    except UNPARSABLE:
        return None


def _names(where: str, leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    except UNPARSABLE as error:
        raise UnusableCertificate(
            where, "holds a certificate that cannot be parsed: have it issued anew."
        ) from error
    hosts = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return (*(name.lower() for name in hosts), *(str(address) for address in addresses))
