"""One try to get a certificate, without network: which challenge, what is taken, and where it is written."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from simpleindex.config.acme_values import Identifier
from simpleindex.tls.acme import issuing
from simpleindex.tls.acme.errors import AcmeFailed, ChallengeFailed
from simpleindex.tls.acme.issuing import check_issued, names_of, read_certificate
from simpleindex.tls.acme.settings import AcmeSettings
from tests.fixtures.certificates import NOW, issue

if TYPE_CHECKING:
    from pathlib import Path


class Session:
    """A session that validates by some challenges only."""

    def __init__(self, *accepted: str) -> None:
        self.accepted = accepted
        self.tried: list[str] = []

    def issue(self, kind: str, *_: object) -> str:
        self.tried.append(kind)
        if kind not in self.accepted:
            raise ChallengeFailed("a.example.org", kind, "Connection refused.")
        return "PEM"


def requested(session: Any, *, may_use_http: bool) -> str:
    settings = AcmeSettings(
        None, "https://ca.test/", (Identifier("a.example.org"),), may_use_http=may_use_http
    )
    return issuing._issue(session, settings, ec.generate_private_key(ec.SECP256R1()), NOW, None)


def test_by_tls_first_and_by_plain_http_where_that_is_served() -> None:
    session = Session("tls-alpn-01")
    assert requested(session, may_use_http=True) == "PEM"
    assert session.tried == ["tls-alpn-01"]
    session = Session("http-01")
    assert requested(session, may_use_http=True) == "PEM"
    assert session.tried == ["tls-alpn-01", "http-01"]
    with pytest.raises(ChallengeFailed, match="port 443"):
        requested(Session("http-01"), may_use_http=False)
    with pytest.raises(
        AcmeFailed, match=r"by tls-alpn-01: Connection refused\. Nor .* by http-01: .* port 443 or 80 be"
    ):
        requested(Session(), may_use_http=True)


def test_only_a_certificate_for_the_key_and_for_now_is_taken() -> None:
    issued, other = issue("a.example.org"), issue("a.example.org")
    pem = issued.chain_pem.decode()
    assert isinstance(issued.key, ec.EllipticCurvePrivateKey)
    assert isinstance(other.key, ec.EllipticCurvePrivateKey)
    assert check_issued(pem, issued.key, NOW) == issued.certificate
    for text, key in ((pem, other.key), ("nonsense", issued.key)):
        with pytest.raises(AcmeFailed, match="no certificate for this server's key"):
            check_issued(text, key, NOW)
    with pytest.raises(AcmeFailed, match="set the clock right"):
        check_issued(pem, issued.key, NOW + timedelta(days=400))


def test_a_certificate_that_is_missing_or_broken_is_none(tmp_path: Path) -> None:
    assert read_certificate(tmp_path) is None
    path = issuing.certificate_path(tmp_path)
    path.parent.mkdir()
    path.write_text("-----BEGIN CERTIFICATE-----")
    assert read_certificate(tmp_path) is None
    assert names_of(issue().certificate) == frozenset()


def test_a_certificate_that_cannot_be_served_is_none(tmp_path: Path) -> None:
    """Without its key it would be waited for until its time of renewal, while the private CA's is served."""
    issued, other = issue("a.example.org"), issue("a.example.org")
    path = issued.put(issuing.certificate_path(tmp_path))
    assert read_certificate(tmp_path) == issued.certificate
    for data in (
        issued.chain_pem,
        other.key_pem + issued.chain_pem,
        issued.key_pem[:40] + issued.chain_pem,
        issued.encrypted_key_pem + issued.chain_pem,
        issued.key_pem,
    ):
        path.write_bytes(data)
        assert read_certificate(tmp_path) is None
