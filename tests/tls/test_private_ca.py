"""The private CA's files: made once, renewed in time, never in the way of the operator's own."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from simpleindex.core.errors import RefusedStart
from simpleindex.tls import private_ca
from simpleindex.tls.certificates import is_issued_by
from simpleindex.tls.machine_names import MachineIdentity
from simpleindex.tls.private_ca import PrivateCA, ensure
from tests.fixtures.certificates import NOW, issue, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator

BOX = MachineIdentity(("box.example.com", "localhost"), (ip_address("127.0.0.1"),))


@pytest.fixture(autouse=True)
def daemon_umask() -> Iterator[None]:
    """Work under the umask of twistd's daemon mode, the strictest there is."""
    former = os.umask(0o077)
    yield
    os.umask(former)


class Place:
    """A certs and a state directory, and ``ensure`` on them."""

    def __init__(self, root: Path) -> None:
        self.certs = root / "deep/certs"
        self.state = root / "state"
        self.server = self.certs / "simpleindex.pem"
        self.ca_file = self.state / "ca/cert.pem"
        self.key_file = self.state / "ca/key.pem"

    def ensure(
        self, days: float = 0, identity: MachineIdentity = BOX, owner: private_ca.Owner = (None, None)
    ) -> PrivateCA | None:
        return ensure(self.certs, self.state, identity, NOW + timedelta(days=days), owner)

    def must(self, days: float = 0, identity: MachineIdentity = BOX) -> PrivateCA:
        ca = self.ensure(days, identity)
        assert ca is not None
        return ca

    def refusal(self, days: float = 0) -> str:
        with pytest.raises(RefusedStart) as caught:
            self.ensure(days)
        return str(caught.value)

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.server.read_bytes())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Neither directory exists yet."""
    return Place(tmp_path)


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_made_from_nothing(place: Place) -> None:
    """Keys are for the service alone, the CA's certificate for everyone; key and certificate share one file."""
    ca = place.must()
    assert ca.warnings == ()
    assert x509.load_pem_x509_certificate(place.ca_file.read_bytes()) == ca.certificate
    place.leaf.verify_directly_issued_by(ca.certificate)
    key = load_pem_private_key(place.server.read_bytes(), None)
    assert key.public_key() == place.leaf.public_key()
    assert (mode(place.key_file), mode(place.ca_file), mode(place.server)) == (0o600, 0o644, 0o600)
    assert (mode(place.state), mode(place.state / "ca"), mode(place.certs)) == (0o700, 0o755, 0o700)
    assert sorted(os.listdir(place.certs)) == ["simpleindex.pem"]
    assert sorted(os.listdir(place.state / "ca")) == ["cert.pem", "key.pem"]


def test_again_changes_nothing(place: Place) -> None:
    """While the certificate is good, calling again writes no byte."""
    first = place.must()
    before = place.server.stat()
    assert place.must(days=59).certificate == first.certificate
    assert place.server.stat() == before


@pytest.mark.parametrize("further", [False, True])
def test_renewal_keeps_the_ca(place: Place, further: bool) -> None:
    """In the last third of its lifetime the certificate is replaced, also beside the operator's own; the CA stays."""
    ca, old = place.must(), place.leaf
    if further:
        issue("python.example.com").put(place.certs / "own.pem")
    assert place.must(days=61).certificate == ca.certificate
    assert place.leaf != old
    assert place.leaf.not_valid_after_utc == NOW + timedelta(days=151)
    assert place.leaf.public_key() != old.public_key()


def test_a_new_private_address_gets_a_certificate(place: Place) -> None:
    """After a move to another network the same CA certifies the new address at once."""
    ca = place.must()
    moved = MachineIdentity(BOX.names, (*BOX.addresses, ip_address("192.168.3.4")))
    assert place.must(identity=moved) == ca
    subject = place.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ip_address("192.168.3.4") in subject.get_values_for_type(x509.IPAddress)


def test_a_new_name_needs_a_new_ca(place: Place) -> None:
    """What the CA may not certify is left out, said with the way to have it, and does not cause endless renewal."""
    place.must()
    before = place.server.read_bytes()
    (warning,) = place.must(identity=MachineIdentity(("new.example.com", *BOX.names), BOX.addresses)).warnings
    assert "may not certify new.example.com" in warning
    assert f"remove {place.state / 'ca'} and {place.server}" in warning
    assert place.server.read_bytes() == before


@pytest.mark.parametrize("name", ["own.pem", "simpleindex.pem", "host/fullchain.pem"])
def test_the_operators_own_is_left_alone(place: Place, name: str) -> None:
    """Where a certificate lies already nothing is made, whatever the file is called."""
    path = issue("python.example.com").put(place.certs / name)
    before = path.read_bytes()
    assert place.ensure() is None
    assert path.read_bytes() == before
    assert not place.state.exists()


@pytest.mark.parametrize("junk", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_broken_file_is_not_ours(place: Place, junk: bytes) -> None:
    """A file that says nothing of its issuer is the operator's, and is judged when it is loaded."""
    place.certs.mkdir(parents=True)
    place.server.write_bytes(junk)
    assert place.ensure() is None
    assert place.server.read_bytes() == junk


def test_a_foreign_simpleindex_pem_stays_after_a_ca_was_made(place: Place) -> None:
    """A certificate that the operator puts in place of ours is left alone, even when it nearly ends."""
    place.must()
    issue("box.example.com").put(place.server)
    assert place.ensure(days=59) is None


@pytest.mark.parametrize("days", [0, 400], ids=["still valid", "ended"])
def test_a_certificate_of_a_lost_ca(place: Place, days: int) -> None:
    """It is recognised: the start warns, and a new CA makes another beside it, which is not taken for the operator's."""
    former = place.must()
    before = place.server.read_bytes()
    for path in (place.ca_file, place.key_file):
        path.unlink()
    now = place.must(days)
    second = place.certs / "simpleindex-2.pem"
    assert now.certificate != former.certificate
    assert now.orphans == {str(place.server)}
    assert now.warnings[0].startswith(
        f"{place.server} was made by a private CA that is not in {place.state / 'ca'} any more"
    )
    assert place.server.read_bytes() == before
    assert is_issued_by(x509.load_pem_x509_certificate(second.read_bytes()), now.certificate)
    again = place.must(days)
    assert (again.certificate, again.orphans) == (now.certificate, now.orphans)


def test_a_lost_ca_that_is_back(place: Place) -> None:
    """From a backup: its certificate is in use again, and what was made meanwhile is passed over."""
    former = place.must()
    kept = {path: path.read_bytes() for path in (place.ca_file, place.key_file)}
    for path in kept:
        path.unlink()
    place.must()
    for path, data in kept.items():
        path.write_bytes(data)
    back = place.must()
    assert back.certificate == former.certificate
    assert back.orphans == {str(place.certs / "simpleindex-2.pem")}


def test_a_certificate_of_another_server_is_no_reason_to_doubt_ours(place: Place) -> None:
    """A server with another state put it there: the older CA is the one that clients trust."""
    ours = place.must()
    other = Place(place.certs.parent.parent)
    other.state = place.state.with_name("other-state")
    assert other.must(days=1).orphans == {str(place.server)}
    now = place.must(days=1)
    second = place.certs / "simpleindex-2.pem"
    assert (now.certificate, now.orphans) == (ours.certificate, frozenset({str(second)}))
    (warning,) = now.warnings
    assert warning.startswith(
        f"{second} was made by another private CA, later than that in {place.state / 'ca'}"
    )
    assert "remove it" in warning


def test_a_certificate_of_a_lost_ca_beside_the_operators(place: Place) -> None:
    """Where there is another to serve none is made: it stays as it is."""
    place.must()
    for path in (place.ca_file, place.key_file):
        path.unlink()
    issue("box.example.com").put(place.certs / "mine.pem")
    assert place.ensure() is None


def test_lost_certs_are_made_by_the_same_ca(place: Place) -> None:
    """The clients trust the CA; emptying certs/ costs them nothing."""
    ca = place.must()
    place.server.unlink()
    assert place.must(days=200) == ca
    place.leaf.verify_directly_issued_by(ca.certificate)


def test_a_crash_between_key_and_certificate(place: Place) -> None:
    """A key without its certificate, and files left aside, are no CA yet: it is made."""
    (place.state / "ca").mkdir(parents=True)
    place.key_file.write_bytes(b"half")
    (place.state / "ca/.simpleindex-key.pem").write_bytes(b"half")
    place.must()
    assert sorted(os.listdir(place.state / "ca")) == ["cert.pem", "key.pem"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "missing or broken"),
        (b"junk", "missing or broken"),
        (issue("a").encrypted_key_pem, "missing or broken"),
        (issue("a").key_pem, "is not the key of the CA"),
        (issue("a", key=new_key("ed")).key_pem, "is not the key of the CA"),
    ],
)
def test_a_lost_ca_key(place: Place, data: bytes | None, words: str) -> None:
    """The good certificate serves on with a warning; when none is left the sentence stops the start."""
    ca = place.must()
    if data is None:
        place.key_file.unlink()
    else:
        place.key_file.write_bytes(data)
    assert place.must(days=1) == ca
    (warning,) = place.must(days=61).warnings
    assert "cannot be renewed, and ends on" in warning
    assert words in warning
    assert words in place.refusal(days=91)


def test_a_broken_ca_certificate_is_never_replaced(place: Place) -> None:
    """Clients trust it; so it is restored by a person or made anew by one."""
    place.must()
    place.ca_file.write_bytes(b"junk")
    assert f"{place.ca_file} is broken: restore it" in place.refusal()


@pytest.mark.parametrize("days", [-100, 3651])
def test_a_wrong_clock(place: Place, days: int) -> None:
    """Outside the CA's years nothing is issued: the clock is wrong, or it is time for another CA."""
    place.must()
    place.server.unlink()
    assert "set this machine's clock right, or remove" in place.refusal(days)


@pytest.mark.parametrize("year_1970", [True, False])
def test_far_off_clocks_make_certificates_too(place: Place, year_1970: bool) -> None:
    """A machine without clock starts in 1970, another one in 2106; neither is an accident."""
    days = (-NOW.timestamp() if year_1970 else 4_300_000_000 - NOW.timestamp()) / 86400
    place.must(days)


def test_a_directory_that_cannot_be_made(place: Place) -> None:
    """What the file system refuses becomes one sentence that offers the other way."""
    place.state.write_bytes(b"a file")
    sentence = place.refusal()
    assert f"{place.state} cannot be read or written (File exists): " in sentence
    assert f"certificate of your own into {place.certs}." in sentence


def test_a_renewal_that_cannot_be_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the present certificate is good, a full disk is a warning."""
    place.must()

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device", "/disk")

    monkeypatch.setattr(private_ca, "_write", full)
    (warning,) = place.must(days=61).warnings
    assert "/disk cannot be read or written (No space left on device)" in warning


def test_given_to_the_later_user(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root every new file and directory is given away; ids that are not set stay."""
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        os,
        "fchown",
        lambda fd, uid, gid: given.append((Path(os.readlink(f"/proc/self/fd/{fd}")).name, uid, gid)),
    )
    monkeypatch.setattr(private_ca, "why_unreadable", lambda *_args, **_kwargs: None)
    place.ensure(owner=(7, None))
    assert given == [
        (name, 7, -1)
        for name in ("deep", "certs", "state", "ca", ".simpleindex-key.pem", ".simpleindex-cert.pem", ".simpleindex-simpleindex.pem")
    ]  # fmt: skip


def test_nothing_is_given_away_by_others(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root can give files away; for the periodic renewal the ids are still passed in."""
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    monkeypatch.setattr(os, "fchown", None)
    assert place.ensure(owner=(7, 70)) is not None


def test_what_the_later_user_cannot_do_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key or a directory left from a start as another user will stop renewals, which the start foretells."""
    place.must()
    asked = []

    def told(uid: int, gid: int | None, path: Path, *, write: bool) -> str | None:
        asked.append((uid, gid, path, write))
        return "Alas." if write else None

    monkeypatch.setattr(private_ca, "why_unreadable", told)
    ca = place.ensure(owner=(7, 70))
    assert ca is not None
    assert ca.warnings == (f"{place.server} will be renewed at restarts only: Alas.",)
    assert asked == [(7, 70, place.key_file, False), (7, 70, place.certs, True)]
    place.key_file.unlink()
    place.ensure(owner=(7, 70))
    assert asked[2:] == [(7, 70, place.certs, True)]
