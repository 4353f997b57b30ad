"""Answers to TLS-ALPN-01 challenges: the certificate, and the handshakes of validators and of everybody else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from simpleindex.config.acme_values import Identifier
from simpleindex.tls.acme.challenge_certificates import make_challenge_certificates
from tests.fixtures.certificates import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY_AUTHORIZATION = "token.thumbprint"


def certificates_in(pem: bytes) -> Iterator[x509.Certificate]:
    return iter(x509.load_pem_x509_certificates(pem))


@pytest.mark.parametrize("value", ["packages.example.org", "127.0.0.1", "2001:db8::1"])
def test_each_certificate_is_as_rfc_8737_wants_it(value: str) -> None:
    pem = make_challenge_certificates(Identifier(value), KEY_AUTHORIZATION, NOW)
    found = list(certificates_in(pem))
    kinds = [type(each.public_key()) for each in found]
    assert len(found) == 3
    assert issubclass(kinds[0], ec.EllipticCurvePublicKey)
    assert issubclass(kinds[1], rsa.RSAPublicKey)
    assert issubclass(kinds[2], ed25519.Ed25519PublicKey)
    for certificate in found:
        certificate.verify_directly_issued_by(certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(name.value) for name in names] == [value]
        identifier = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
        assert identifier.critical
        assert isinstance(identifier.value, x509.UnrecognizedExtension)
        assert identifier.value.value == b"\x04\x20" + hashlib.sha256(KEY_AUTHORIZATION.encode()).digest()
        assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
