"""The certificates that the private CA issues: their lifetime, when they are due for renewal, and what the CA may certify."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from simpleindex.tls.machine_names import MachineIdentity

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

    from simpleindex.tls.machine_names import Address

Network: TypeAlias = IPv4Network | IPv6Network

_CA_NAME: Final = "simpleindex CA"
_SERVER_NAME: Final = "simpleindex server"

CA_LIFETIME: Final = timedelta(days=3650)
"""Ten years: making clients trust another CA is work at every one of them."""

SERVER_LIFETIME: Final = timedelta(days=90)
"""As public CAs have it; some clients refuse more than 398 days (CA/Browser Forum baseline requirements 6.3.2)."""

CLOCK_SKEW: Final = timedelta(hours=1)
"""How far a client's clock may be behind ours."""

PRIVATE_NETWORKS: Final[tuple[Network, ...]] = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "::1/128",
            "fc00::/7",
        ),
    )
)
"""Addresses that are nobody's on the public Internet (RFC 1918, 6598, 1122, 4291, 4193)."""


@dataclass(frozen=True, slots=True)
class Permission:
    """An identity divided by what a CA may certify.

    Attributes:
        allowed: The part that it may.
        left_out: The names and addresses that it may not.
    """

    allowed: MachineIdentity
    left_out: tuple[str, ...]


def name_constraints(identity: MachineIdentity) -> x509.NameConstraints:
    """Return what a CA made for ``identity`` may certify, so that a thief of its key cannot pose as any other site.

    Names and public addresses: exactly this machine's. Private addresses: all, since they change with every network that
    this machine joins, a new CA would have to be brought to every client, and no public site has one.

    A permitted name permits every name below it (RFC 5280 section 4.2.1.10), so a machine called "dev" would get all of
    the top-level domain: what is below a single label is excluded. The leading dot that says so goes beyond the RFC, but
    OpenSSL, webpki (uv), Go, NSS, Apple and Windows read it that way.
    """
    own = (ip_network(address) for address in identity.addresses)
    public = (network for network in own if not any(_within(network, each) for each in PRIVATE_NETWORKS))
    single = [name for name in identity.names if "." not in name and name != "localhost"]
    return x509.NameConstraints(
        permitted_subtrees=[
            *(x509.DNSName(name) for name in identity.names),
            *(x509.IPAddress(network) for network in (*PRIVATE_NETWORKS, *public)),
        ],
        excluded_subtrees=[x509.DNSName(f".{name}") for name in single] or None,
    )


def permitted(ca: x509.Certificate, identity: MachineIdentity) -> Permission:
    """Divide ``identity`` by the name constraints of ``ca``."""
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints).value
    permitted_bases = [each.value for each in constraints.permitted_subtrees or ()]
    excluded = tuple(each.value for each in constraints.excluded_subtrees or ())
    domains = tuple(base for base in permitted_bases if isinstance(base, str))
    networks = [base for base in permitted_bases if not isinstance(base, str)]

    def may_name(name: str) -> bool:
        below = name.endswith(tuple(f".{domain}" for domain in domains))
        return (name in domains or below) and not name.endswith(excluded)

    def may_address(address: Address) -> bool:
        return any(address in network for network in networks)

    return Permission(
        MachineIdentity(
            tuple(filter(may_name, identity.names)), tuple(filter(may_address, identity.addresses))
        ),
        (
            *(name for name in identity.names if not may_name(name)),
            *(str(address) for address in identity.addresses if not may_address(address)),
        ),
    )


def is_due(certificate: x509.Certificate, identity: MachineIdentity, now: datetime) -> bool:
    """Return whether a server certificate must be made anew: nearly over, not valid yet, or something is not in it."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    subject = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        now < start
        or end - now < (end - start) / 3
        or not set(identity.names).issubset(subject.get_values_for_type(x509.DNSName))
        or not set(identity.addresses).issubset(subject.get_values_for_type(x509.IPAddress))
    )


def is_made_here(certificate: x509.Certificate) -> bool:
    """Whether a server's certificate is one that this program made, with whichever private CA."""
    names = (certificate.subject, certificate.issuer)
    subject, issuer = (
        [str(each.value) for each in name.get_attributes_for_oid(NameOID.COMMON_NAME)] for name in names
    )
    return subject == [_SERVER_NAME] and len(issuer) == 1 and issuer[0].startswith(f"{_CA_NAME} ")


def make_ca(key: ec.EllipticCurvePrivateKey, identity: MachineIdentity, now: datetime) -> x509.Certificate:
    """Make the certificate of a CA that may certify ``identity`` and no other site (RFC 5280 sections 4.2 and 6.1)."""
    # The day tells two of them apart in a list of trusted CAs; a common name has at most 64 characters (X.520).
    name = _common_name(f"{_CA_NAME} {now:%Y-%m-%d} {identity.names[0]}"[:64])
    return (
        _begin(name, name, key.public_key(), now, now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(name_constraints(identity), critical=True)
        .sign(key, SHA256())
    )


def make_server_certificate(
    public_key: ec.EllipticCurvePublicKey,
    identity: MachineIdentity,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    """Make a certificate for a TLS server that is called ``identity``; it does not outlive its CA."""
    end = min(now + SERVER_LIFETIME, ca.not_valid_after_utc)
    ca_identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _begin(_common_name(_SERVER_NAME), ca.subject, public_key, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_identifier), critical=False
        )
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    *(x509.DNSName(name) for name in identity.names),
                    *(x509.IPAddress(address) for address in identity.addresses),
                ]
            ),
            critical=False,
        )
        .sign(ca_key, SHA256())
    )


def _begin(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.network_address in outer
