"""Reading and judging PEM text, and choosing by name."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.tls.acme.issuing import names_of, parse_certificate
from simpleindex.tls.certificates import (
    CertificateOrigin,
    ServerCertificate,
    assemble_certificate,
    expiry_warnings,
    is_issued_by,
    refuse_invalid_now,
)
from simpleindex.tls.host_names import canonical, choose_certificates, covers
from simpleindex.tls.pem import UnusableCertificate, read_pem
from tests.fixtures.certificates import NOW, Issued, issue, new_key
from tests.fixtures.tables import for_each

ROOT = issue(ca=True)
MIDDLE = issue(by=ROOT, ca=True)
HOST = issue("Python.Example.com", "192.0.2.7", "2001:db8::7", by=MIDDLE)


def read(issued: Issued, where: str = "host.pem", ca: Issued | None = None) -> ServerCertificate:
    """The certificate as it comes out of a combined file."""
    return assemble_certificate(
        where, read_pem(where, issued.combined), None if ca is None else ca.certificate
    )


def problem(data: bytes) -> str:
    """The sentence with which a file of ``data`` is refused."""
    with pytest.raises(UnusableCertificate) as caught:
        assemble_certificate("host.pem", read_pem("host.pem", data))
    return str(caught.value)


def test_a_combined_file_is_certificate_chain_and_key() -> None:
    """What a combined file says of itself is known: names in one spelling, chain, end."""
    got = read(HOST)
    assert got.chain == (HOST.certificate, MIDDLE.certificate)
    assert got.names == ("python.example.com", "192.0.2.7", "2001:db8::7")
    assert got.expires == NOW + timedelta(days=60)
    assert got.key_type == "ECDSA"
    assert not got.private


@pytest.mark.parametrize(("kind", "key_type"), [("ec", "ECDSA"), ("rsa", "RSA"), ("ed", "EdDSA")])
def test_key_types(kind: str, key_type: str) -> None:
    """Each kind of key that TLS can use is known by its signature."""
    assert read(issue("a", key=kind)).key_type == key_type


def test_the_order_of_blocks_does_not_matter() -> None:
    """The certificate is the one that the key was made for, wherever it stands; other blocks and prose are passed over."""
    prose = (
        b"Subject: CN = me\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    )
    shuffled = MIDDLE.chain_pem + prose + HOST.certificate.public_bytes(Encoding.PEM) + HOST.key_pem
    assert assemble_certificate("x", read_pem("x", shuffled)).chain == (HOST.certificate, MIDDLE.certificate)


def test_a_traditional_key_is_read() -> None:
    """The older spelling of EC and RSA keys, as openssl ecparam writes it, is a key too."""
    key = HOST.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert b"BEGIN EC PRIVATE KEY" in key
    assert read_pem("x", key).key is not None


def test_private_is_what_our_ca_signed() -> None:
    """Ours is known by its signature, not by a name that anyone can choose."""
    ours, namesake = issue("a", by=ROOT), issue(ca=True)
    assert read(ours, ca=ROOT).private
    assert not read(ours, ca=namesake).private
    forged = issue("a", by=Issued(ROOT.certificate, namesake.key))
    assert not is_issued_by(forged.certificate, ROOT.certificate)


DSA_KEY = dsa.generate_private_key(1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
LABELS = [
    *(
        b"X9.42 DH PARAMETERS",
        b"DH PARAMETERS",
        b"EC PARAMETERS",
        b"CERTIFICATE REQUEST",
        b"X509 CRL",
        b"PUBLIC KEY",
    ),
    *(
        b"OPENSSH PRIVATE KEY",
        b"SSH2 PUBLIC KEY",
        b"CMS",
        b"PKCS7",
        b"a-b",
        b"!\"#$%&'()*+,./:;<=>?@[\\]^_`{|}~",
        b"A  B",
        b"",
    ),
]


@for_each("label", LABELS)
@for_each("end", [b"\n", b"\r\n"])
def test_blocks_of_any_label_are_passed_over(label: bytes, end: bytes) -> None:
    """Any printable characters, and hyphens between them (RFC 7468 section 3), before, between and behind what is read."""
    block = b"-----BEGIN %s-----\nAAAA\n-----END %s-----\n" % (label, label)
    data = block + HOST.key_pem + block + HOST.chain_pem + block
    contents = read_pem("x.pem", data.replace(b"\n", end))
    assert contents.certificates == read_pem("x.pem", HOST.combined).certificates
    assert contents.key is not None
    with pytest.raises(UnusableCertificate, match="cut short"):
        read_pem("x.pem", data + block[:-9])


@pytest.mark.parametrize("label", [b"X509 CERTIFICATE", b"X.509 CERTIFICATE"])
def test_older_labels_of_certificates(label: bytes) -> None:
    """They mean the same (RFC 7468 section 5.1)."""
    data = HOST.combined.replace(b" CERTIFICATE--", b" " + label + b"--")
    assert read_pem("x.pem", data).certificates == read_pem("x.pem", HOST.combined).certificates


GARBLED = b"-----BEGIN %s-----\nAAAA\n-----END %s-----\n"


@for_each(
    ("data", "words"),
    [
        (b"", "holds no certificate"),
        (HOST.key_pem, "holds no certificate"),
        (HOST.chain_pem, "has no private key"),
        (HOST.combined[:-40], "is cut short"),
        (HOST.key_pem + HOST.combined, "more than one private key"),
        (HOST.encrypted_key_pem + HOST.chain_pem, "encrypted private key"),
        (issue("a").key_pem + HOST.chain_pem, "do not belong together"),
        (GARBLED % (b"CERTIFICATE", b"CERTIFICATE"), "certificate that cannot be parsed"),
        (GARBLED % (b"PRIVATE KEY", b"PRIVATE KEY"), "private key that cannot be parsed"),
        (DSA_KEY, "of a kind that TLS cannot use"),
        (issue("a", key="rsa1024").combined, "RSA key of 1024 bits"),
        (issue("a", key="k1").combined, "curve secp256k1"),
        (issue().combined, "names no host"),
    ],
)
def test_refusals_say_what_is_wrong_and_what_to_do(data: bytes, words: str) -> None:
    """Each unusable file is refused with one sentence that begins with its name."""
    sentence = problem(data)
    assert sentence.startswith("host.pem ")
    assert words in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_broken_extension_is_refused() -> None:
    """A certificate that parses only until its names are asked for is refused like any other."""
    key = new_key()
    name = x509.Name([])
    broken = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"junk"), critical=False)
    )
    from cryptography.hazmat.primitives.hashes import SHA256

    assert "cannot be parsed" in problem(Issued(broken.sign(key, SHA256()), key).combined)


def test_an_issuer_with_a_key_of_an_unknown_kind_is_no_match() -> None:
    """A certificate whose key this library does not know is only not ours."""
    der = ROOT.certificate.public_bytes(Encoding.DER)
    oid = bytes.fromhex("06072a8648ce3d0201")  # id-ecPublicKey
    assert oid in der
    import base64

    alien = base64.encodebytes(der.replace(oid, oid[:-1] + b"\x09"))
    pem = b"-----BEGIN CERTIFICATE-----\n" + alien + b"-----END CERTIFICATE-----\n"
    assert assemble_certificate("x", read_pem("x", pem + HOST.combined)).leaf == HOST.certificate


@given(st.binary(max_size=300), st.integers(0, len(HOST.combined)))
def test_no_bytes_are_too_strange(junk: bytes, at: int) -> None:
    """Whatever a file holds, it is read or refused, never an accident."""
    for data in (junk, HOST.combined[:at] + junk + HOST.combined[at:], HOST.combined[:at]):
        with suppress(UnusableCertificate):
            assert assemble_certificate("x", read_pem("x", data)).names


@pytest.mark.parametrize(
    ("days", "words"),
    [(-2, "is not valid before"), (-1, None), (0, None), (60, None), (60.1, "expired on")],
)
def test_valid_now(days: float, words: str | None) -> None:
    """A certificate is usable from its first to its last moment."""
    certificate, now = read(HOST), NOW + timedelta(days=days)
    if words is None:
        refuse_invalid_now(certificate, now)
    else:
        with pytest.raises(UnusableCertificate, match=words):
            refuse_invalid_now(certificate, now)


@pytest.mark.parametrize(("days", "words"), [(45, None), (46, "expires on"), (61, "expired on")])
def test_warning_of_the_end(days: int, words: str | None) -> None:
    """From fourteen days before the end there is a sentence about it."""
    warnings = expiry_warnings([read(HOST)], NOW + timedelta(days=days))
    assert [words in warning for warning in warnings if words] == ([True] if words else [])
    assert bool(warnings) == bool(words)


@for_each(
    ("host", "covered"),
    [
        ("python.example.com", True),
        ("PYTHON.example.com", True),
        ("a.wild.example.com", True),
        ("a.b.wild.example.com", False),
        ("wild.example.com", False),
        ("example.com", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8:0::7", True),
    ],
)
def test_covers_as_clients_see_it(host: str, covered: bool) -> None:
    """Names, one-label wildcards and addresses are compared as RFC 9525 has it."""
    certificate = read(issue("python.example.com", "*.wild.example.com", "192.0.2.7", "2001:db8::7"))
    assert covers(certificate, host) is covered


def test_a_name_no_client_understands_covers_nothing() -> None:
    """A wildcard where none may be is no accident, and no match."""
    assert not covers(read(issue("a*b.*.example.com")), "x.example.com")


@pytest.mark.parametrize(
    ("host", "spelling"),
    [("A.Example.", "a.example"), ("2001:DB8:0::1", "2001:db8::1"), ("127.0.0.1", "127.0.0.1"), ("", "")],
)
def test_canonical(host: str, spelling: str) -> None:
    """Each host has one spelling."""
    assert canonical(host) == spelling
    assert canonical(spelling) == spelling


RSA_KEY = new_key("rsa")
EC = read(issue("a.example.com", "b.example.com"), "ec")
RSA = read(issue("a.example.com", "c.example.com", key=RSA_KEY), "rsa")
LATER = replace(read(issue("a.example.com", end=timedelta(days=70))), where="later")
WILD = read(issue("*.example.com"), "wild")
OURS = replace(read(issue("x.example.com", "localhost")), where="ours", origin=CertificateOrigin.PRIVATE_CA)


@for_each(
    ("host", "chosen"),
    [
        ("a.example.com", ["later", "rsa"]),
        ("b.example.com", ["ec"]),
        ("c.example.com", ["rsa"]),
        ("d.example.com", ["wild"]),
        ("x.example.com", ["wild"]),
        ("localhost", ["ours"]),
        ("a.b.example.com", []),
        ("example.com", []),
        ("", []),
    ],
)
def test_choice_by_name(host: str, chosen: list[str]) -> None:
    """One of each key type, ECDSA first, the longest lived; exact before wildcard; the operator's before ours."""
    for order in ([EC, RSA, LATER, WILD, OURS], [OURS, WILD, LATER, RSA, EC]):
        assert [each.where for each in choose_certificates(order, host)] == chosen


def der_with(issued: Issued, old: bytes, new: bytes) -> bytes:
    """PEM text of a certificate in which one part was replaced, with its key; nobody looks at the signature."""
    der = issued.certificate.public_bytes(Encoding.DER)
    assert der.count(old) == 1
    changed = b64encode(der.replace(old, new))
    return b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n" % changed + issued.key_pem


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"),  # a version that there is not
        (b"\x06\x03\x55\x1d\x13", b"\x06\x03\x55\x1d\x11"),  # two extensions of one kind
        (
            b"\x82\x12python.example.com",
            b"\x83\x12python.example.com",
        ),  # a kind of name that is not supported
        (b"\x82\x12python.example.com", b"\x82\x12python.example.\xff\xff\xff"),
    ],
)
def test_a_certificate_that_only_its_details_make_unreadable(old: bytes, new: bytes) -> None:
    """The library has an exception of its own for each."""
    host = issue("python.example.com")
    assert "holds a certificate that cannot be parsed" in problem(der_with(host, old, new))
    assert names_of(x509.load_pem_x509_certificate(host.chain_pem)) == {"python.example.com"}
    changed = parse_certificate(der_with(host, old, new))
    assert changed is None or names_of(changed) == frozenset()
