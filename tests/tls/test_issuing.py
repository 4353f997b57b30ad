"""What our CA certifies, and that verifiers of every kind accept it, and only that."""

from __future__ import annotations

import ssl
from datetime import timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from OpenSSL import SSL

from simpleindex.tls.issuing import is_due, make_ca, make_server_certificate, permitted
from simpleindex.tls.machine_names import MachineIdentity
from tests.fixtures.certificates import NOW, shake, trusting


def identity(names: str, addresses: str = "127.0.0.1 ::1") -> MachineIdentity:
    """An identity from two lists in words."""
    return MachineIdentity(tuple(names.split()), tuple(map(ip_address, addresses.split())))


KEY, OTHER_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
BOX = identity("box.example.com localhost", "127.0.0.1 10.0.0.5 203.0.113.5 ::1 2001:db8::5")
CA = make_ca(KEY, BOX, NOW)
DEV = identity("dev dev.lan dev.local localhost")
DEV_CA = make_ca(KEY, DEV, NOW)


def issued(to: MachineIdentity, ca: x509.Certificate = CA) -> x509.Certificate:
    """A server certificate, whether or not the CA may issue it."""
    return make_server_certificate(OTHER_KEY.public_key(), to, ca, KEY, NOW)


def openssl_accepts(certificate: x509.Certificate, ca: x509.Certificate, host: str) -> bool:
    """Ask the ssl module, with the strictness that is the default since Python 3.13."""
    server = SSL.Context(SSL.TLS_SERVER_METHOD)
    server.use_certificate(certificate)
    server.use_privatekey(OTHER_KEY)
    client = trusting(ca)
    client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        shake(lambda: SSL.Connection(server, None), client, host)
    except ssl.SSLCertVerificationError:
        return False
    return True


def rust_accepts(certificate: x509.Certificate, ca: x509.Certificate, host: str) -> bool:
    """Ask cryptography's verifier, which like webpki (uv) obeys the CA/Browser Forum's requirements."""
    try:
        subject: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    assert isinstance(subject, x509.DNSName | x509.IPAddress)
    verifier = PolicyBuilder().store(Store([ca])).time(NOW).build_server_verifier(subject)
    try:
        verifier.verify(certificate, [])
    except VerificationError:
        return False
    return True


@pytest.mark.parametrize("host", [*BOX.names, *map(str, BOX.addresses)])
def test_strict_verifiers_accept_every_name(host: str) -> None:
    """Each name and address of the machine is accepted by OpenSSL and by a Rust verifier."""
    assert openssl_accepts(issued(BOX), CA, host)
    assert rust_accepts(issued(BOX), CA, host)


@pytest.mark.parametrize(
    "host", ["example.com", "other.example.com", "203.0.113.6", "2001:db8::6", "8.8.8.8"]
)
def test_a_stolen_key_certifies_nobody_else(host: str) -> None:
    """What is not this machine's is refused by clients even with the CA's signature."""
    to = identity("", host) if host[0].isdigit() else identity(host)
    assert not openssl_accepts(issued(to), CA, host)
    assert not rust_accepts(issued(to), CA, host)
    assert permitted(CA, to).left_out[0] == host


@pytest.mark.parametrize("address", ["10.9.9.9", "172.31.0.1", "192.168.1.1", "100.100.1.1", "fd00::9"])
def test_private_addresses_may_change(address: str) -> None:
    """A machine that moves to another network keeps its CA."""
    moved = identity("localhost", address)
    assert permitted(CA, moved).left_out == ()
    assert openssl_accepts(issued(moved), CA, address)
    assert rust_accepts(issued(moved), CA, address)


def test_a_machine_called_like_a_top_level_domain() -> None:
    """A machine "dev" may be "dev", and no site of the domain dev."""
    assert openssl_accepts(issued(DEV, DEV_CA), DEV_CA, "dev")
    assert openssl_accepts(issued(DEV, DEV_CA), DEV_CA, "dev.lan")
    bank = identity("bank.dev")
    assert not openssl_accepts(issued(bank, DEV_CA), DEV_CA, "bank.dev")
    assert permitted(DEV_CA, identity("dev dev.lan x.dev.lan bank.dev box")).left_out == ("bank.dev", "box")


def test_the_ca_says_what_it_is() -> None:
    """Its extensions are those of a CA that signs servers only, for ten years."""
    extensions = CA.extensions
    assert all(
        extensions.get_extension_for_class(kind).critical
        for kind in (x509.BasicConstraints, x509.KeyUsage, x509.NameConstraints)
    )
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    assert CA.not_valid_after_utc == NOW + timedelta(days=3650)
    assert "box.example.com" in CA.subject.rfc4514_string()


def test_a_long_name_is_no_accident() -> None:
    """A common name ends at 64 characters; names are longer."""
    name = "x" * 63 + ".example.com"
    ca = make_ca(KEY, identity(name), NOW)
    assert openssl_accepts(issued(identity(name), ca), ca, name)


def test_a_server_certificate_does_not_outlive_its_ca() -> None:
    """Near the CA's end the lifetime is cut."""
    late = make_server_certificate(OTHER_KEY.public_key(), BOX, CA, KEY, NOW + timedelta(days=3640))
    assert late.not_valid_after_utc == CA.not_valid_after_utc
    assert issued(BOX).not_valid_after_utc == NOW + timedelta(days=90)


@pytest.mark.parametrize(
    ("days", "to", "due"),
    [
        (0, BOX, False),
        (59, BOX, False),
        (61, BOX, True),
        (-1, BOX, True),
        (0, identity("localhost"), False),
        (0, identity("new.example.com"), True),
        (0, identity("localhost", "192.168.7.7"), True),
    ],
)
def test_when_it_is_due(days: int, to: MachineIdentity, due: bool) -> None:
    """In the last third, under a clock set back, and when a name or address is new."""
    assert is_due(issued(BOX), to, NOW + timedelta(days=days)) is due
