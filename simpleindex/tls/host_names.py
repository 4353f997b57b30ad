"""Choose the certificate that answers to a name or an address: exact names, wildcards, and who wins (RFC 9525)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

from simpleindex.core.addresses import is_address
from simpleindex.tls.certificates import CertificateOrigin, ServerCertificate

if TYPE_CHECKING:
    from collections.abc import Sequence


def covers(certificate: ServerCertificate, host: str) -> bool:
    """Return whether a client that connects to ``host``, a DNS name or an address, accepts the certificate (RFC 9525)."""
    try:
        if is_address(host):
            verify_certificate_ip_address(certificate.leaf, host)
        else:
            verify_certificate_hostname(certificate.leaf, host)
    except (VerificationError, CertificateError):
        return False
    return True


def choose_certificates(
    certificates: Sequence[ServerCertificate], host: str
) -> tuple[ServerCertificate, ...]:
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
