"""One try to get a certificate, without network: which challenge, what is taken, and where it is written."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from simpleindex.config.acme_values import Identifier
from simpleindex.tls.acme import issuing
from simpleindex.tls.acme.errors import AcmeFailed, ChallengeFailed
from simpleindex.tls.acme.issuing import check_issued, names_of, read_certificate, write_certificate
from simpleindex.tls.acme.settings import AcmeSettings
from tests.fixtures.certificates import NOW, Issued, issue, new_key
from tests.fixtures.faults import Faults

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from simpleindex.tls.pem import ServerKey
    from tests.fixtures.log import CapturedLog


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


def test_a_name_that_the_dns_does_not_know_is_not_tried_by_plain_http() -> None:
    """It would be another failed validation, of which authorities permit few."""

    class Unknown(Session):
        def issue(self, kind: str, *_: object) -> str:
            self.tried.append(kind)
            raise ChallengeFailed("a.example.org", kind, "NXDOMAIN.", is_name_unknown=True)

    session = Unknown()
    with pytest.raises(ChallengeFailed, match="NXDOMAIN"):
        requested(session, may_use_http=True)
    assert session.tried == ["tls-alpn-01"]


NAMES = frozenset({"a.example.org"})


def checked(issued: Issued, *, now: datetime = NOW, key: ServerKey | None = None) -> bytes:
    """Check what an authority answered for a key, by default the certificate's."""
    key = key or issued.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return check_issued(issued.chain_pem.decode(), key, NAMES, now)


def test_what_clients_accept_is_written_with_its_key() -> None:
    for names in (("a.example.org",), ("www.a.example.org", "A.example.org")):
        issued = issue(*names)
        assert checked(issued) == issued.combined
    root = issue(ca=True)
    chained = issue("a.example.org", by=issue(by=root, ca=True))
    assert checked(chained) == chained.combined


@pytest.mark.parametrize(
    ("issued", "sentence"),
    [
        (issue("b.example.org"), "that is not for a.example.org"),
        (issue("*.example.org"), "that is not for a.example.org"),
        (issue(), "names no host"),
        (issue("a.example.org", ca=True), "of an authority instead of a server's"),
        (issue("a.example.org", end=timedelta(minutes=10)), "that ends at .* already"),
        (issue("a.example.org", end=timedelta(hours=-1)), "set the clock right"),
        (issue("a.example.org", start=timedelta(hours=1)), "set the clock right"),
        (
            replace(issue("a.example.org"), issuers=tuple(issue(ca=True).certificate for _ in range(12))),
            "with 12 issuers, more than clients take",
        ),
    ],
)
def test_what_no_client_accepts_is_not_taken(issued: Issued, sentence: str) -> None:
    """It would replace a certificate that is good still, and be requested again at once."""
    with pytest.raises(AcmeFailed, match=sentence):
        checked(issued)


def test_a_limit_is_no_reason_to_try_the_other_challenge() -> None:
    """It would be refused too, and count against the limit."""

    class Limited(Session):
        def issue(self, kind: str, *_: object) -> str:
            self.tried.append(kind)
            raise AcmeFailed("Too many.", timedelta(hours=1))

    session = Limited()
    with pytest.raises(AcmeFailed, match="Too many"):
        requested(session, may_use_http=True)
    assert session.tried == ["tls-alpn-01"]


def test_only_a_certificate_for_the_key_and_for_now_is_taken() -> None:
    issued = issue("a.example.org")
    with pytest.raises(AcmeFailed, match="no certificate for this server's key"):
        checked(issued, key=new_key())
    with pytest.raises(AcmeFailed, match="set the clock right"):
        checked(issued, now=NOW + timedelta(days=400))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", "holds no certificate"),
        ("", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be parsed"),
        ("-----BEGIN CERTIFICATE-----\n", "cut short"),
    ],
)
def test_only_certificates_are_taken(text: str, sentence: str) -> None:
    """Also where the server's is followed by something else; what lies between them is not written."""
    issued = issue("a.example.org")
    assert isinstance(issued.key, ec.EllipticCurvePrivateKey)
    with pytest.raises(AcmeFailed, match=sentence):
        check_issued(text, issued.key, NAMES, NOW)
    pem = f"\x1b[31m{issued.chain_pem.decode()}{text}"
    if text.startswith("-"):
        with pytest.raises(AcmeFailed, match=sentence):
            check_issued(pem, issued.key, NAMES, NOW)
    else:
        assert check_issued(pem, issued.key, NAMES, NOW) == issued.combined


@pytest.mark.parametrize("kind", ["file", "link", "link to nowhere"])
def test_a_file_of_somebody_elses_is_kept(tmp_path: Path, log: CapturedLog, kind: str) -> None:
    """Our own ones are replaced, also after ``--state`` was lost."""
    path = issuing.certificate_path(tmp_path / "certs")
    theirs = issue("a.example.org").put(tmp_path / "theirs.pem")
    path.parent.mkdir(parents=True)
    if kind == "file":
        theirs.rename(path)
    else:
        path.symlink_to(theirs if kind == "link" else tmp_path / "gone")
    before = path.lstat()
    for _ in range(2):
        ours = issue("a.example.org")
        write_certificate(path, ours.combined)
        assert read_certificate(tmp_path / "certs") == ours.certificate
    kept = path.with_name("certificate.pem.kept-1")
    assert os.path.samestat(kept.lstat(), before)
    (line,) = log.lines
    assert line.startswith(
        f"{path} may be yours, because it does not begin as --acme writes it: it is kept as {kept}, "
    )
    assert line.endswith(f" To have it served, move it to {tmp_path}/certs/NAME.pem.")
    assert sorted(each.name for each in path.parent.iterdir()) == ["certificate.pem", kept.name]
    path.write_bytes(ours.combined)
    write_certificate(path, ours.combined)
    assert path.with_name("certificate.pem.kept-2").read_bytes() == ours.combined


@pytest.mark.parametrize("is_link", [False, True])
def test_what_is_put_there_again_and_again_is_kept_once(tmp_path: Path, is_link: bool) -> None:
    """As a program does that manages the machine's files: no disk is filled."""
    path = issuing.certificate_path(tmp_path / "certs")
    path.parent.mkdir(parents=True)
    first, second, ours = (issue("a.example.org").combined for _ in range(3))
    places = [tmp_path / "one.pem", tmp_path / "gone.pem"]
    places[0].write_bytes(first)
    for _ in range(3):
        for data, place in zip((first, second), places, strict=True):
            path.unlink(missing_ok=True)
            if is_link:
                path.symlink_to(place)
            else:
                path.write_bytes(data)
            write_certificate(path, ours)
    kept = [path.with_name(f"certificate.pem.kept-{number}") for number in (1, 2)]
    assert sorted(path.parent.iterdir()) == [path, *kept]
    if is_link:
        assert [each.readlink() for each in kept] == places
    else:
        assert [each.read_bytes() for each in kept] == [first, second]


def test_a_file_of_somebody_elses_stays_where_ours_cannot_be_written(tmp_path: Path) -> None:
    path = issuing.certificate_path(tmp_path)
    theirs = issue("a.example.org")
    theirs.put(path)
    with Faults(1, errno.ENOSPC, for_ever=True).between(), pytest.raises(OSError, match="No space"):
        write_certificate(path, issue("a.example.org").combined)
    assert path.read_bytes() == theirs.combined


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
