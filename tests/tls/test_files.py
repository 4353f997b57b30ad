"""The forms that certs/ may have, noticing changes, and permissions, on a real directory."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import RefusedStart
from simpleindex.system.path_steps import PathStep
from simpleindex.tls import certificate_files as files
from simpleindex.tls.certificate_files import (
    is_change_visible,
    judge_permission,
    places,
    read_certificate_file,
    read_place,
    signature,
    why_unreadable,
)
from simpleindex.tls.pem import UnusableCertificate
from tests.fixtures.certificates import NOW, issue
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from pathlib import Path

HOST = issue("a.example.com")
OTHER = issue("b.example.com")


def found(certs: Path) -> list[str]:
    """Where certificates are found, as paths within ``certs``."""
    return [os.path.relpath(place.where, certs) for place in places(certs)]


def test_the_three_forms_side_by_side(tmp_path: Path) -> None:
    """Certbot's pair, combined files and sub-directories of either are found, those directly in certs first, by name."""
    HOST.put_pair(tmp_path)
    HOST.put(tmp_path / "b.pem")
    HOST.put(tmp_path / "a.pem")
    HOST.put_pair(tmp_path / "a.example.com")
    HOST.put(tmp_path / "b.example.com/host.pem")
    assert found(tmp_path) == [
        "fullchain.pem", "a.pem", "b.pem", "a.example.com/fullchain.pem", "b.example.com/host.pem",
    ]  # fmt: skip
    assert {read_place(place).leaf for place in places(tmp_path)} == {HOST.certificate}


def test_only_the_file_that_acme_writes_is_from_acme(tmp_path: Path) -> None:
    """What else lies in its directory is the operator's, and so is all of a directory of that name that is ``--certs`` itself."""
    certs = tmp_path / "simpleindex-acme"
    HOST.put(certs / "certificate.pem")
    HOST.put(certs / "simpleindex-acme/other.pem")
    HOST.put_pair(certs / "simpleindex-acme")
    HOST.put(certs / "b/certificate.pem")
    assert not any(place.is_from_acme for place in places(certs))
    written = HOST.put(certs / "simpleindex-acme/certificate.pem")
    assert [place.where for place in places(certs) if place.is_from_acme] == [str(written)]


PAIRS = {
    "kubernetes": (("tls.crt", "tls.key"), ("ca.crt",), "tls.crt"),
    "nginx": (("server.crt", "server.key"), (), "server.crt"),
    "cer": (("host.cer", "host.key"), (), "host.cer"),
    "pem and key": (("host.pem", "host.key"), (), "host.pem"),
    "acme.sh": (("fullchain.cer", "a.example.com.key"), ("a.example.com.cer", "ca.cer"), "fullchain.cer"),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("below", ["", "a.example.com"])
def test_certificates_with_their_key_beside_them(tmp_path: Path, name: str, below: str) -> None:
    """As Kubernetes, nginx, Apache and acme.sh call them; a CA's own certificate beside them is none to serve."""
    (certificate, key), others, expected = PAIRS[name]
    directory = tmp_path / below
    directory.mkdir(exist_ok=True)
    (directory / certificate).write_bytes(HOST.chain_pem)
    (directory / key).write_bytes(HOST.key_pem)
    for other in others:
        (directory / other).write_bytes(OTHER.chain_pem)
    assert found(tmp_path) == [os.path.join(below, expected)]
    (place,) = places(tmp_path)
    assert read_place(place).leaf == HOST.certificate
    assert {os.path.basename(path) for path in place.files} == {certificate, key}


def test_several_pairs_and_a_mounted_secret(tmp_path: Path) -> None:
    """Each certificate has its own key; Kubernetes' files are links into a directory that begins with a dot."""
    for name, host in (("a", HOST), ("b", OTHER)):
        (tmp_path / f"{name}.crt").write_bytes(host.chain_pem)
        (tmp_path / f"{name}.key").write_bytes(host.key_pem)
    hidden = tmp_path / "..2026"
    hidden.mkdir()
    for name, data in (("tls.crt", HOST.chain_pem), ("tls.key", HOST.key_pem)):
        (hidden / name).write_bytes(data)
        (tmp_path / name).symlink_to(f"..2026/{name}")
    assert found(tmp_path) == ["a.crt", "b.crt", "tls.crt"]
    assert [read_place(place).leaf for place in places(tmp_path)] == [
        HOST.certificate, OTHER.certificate, HOST.certificate,
    ]  # fmt: skip


def test_what_is_not_looked_at(tmp_path: Path) -> None:
    """Dot-files, other suffixes, deeper directories and certbot's further files are nobody's certificate."""
    for name in ("README", "host.key", ".hidden.pem", ".hidden/a.pem", "a/b/c.pem"):
        HOST.put(tmp_path / name)
    assert found(tmp_path) == []
    HOST.put_pair(tmp_path / "live")
    (tmp_path / "live/cert.pem").write_bytes(HOST.chain_pem)
    (tmp_path / "live/chain.pem").write_bytes(HOST.chain_pem)
    assert found(tmp_path) == ["live/fullchain.pem"]


def test_cert_pem_alone_is_a_combined_file(tmp_path: Path) -> None:
    """Only beside a pair is cert.pem a mere part of it."""
    HOST.put(tmp_path / "cert.pem")
    assert found(tmp_path) == ["cert.pem"]


def test_no_directory_is_an_empty_one(tmp_path: Path) -> None:
    """certs/ need not exist."""
    assert places(tmp_path / "absent") == ()


def test_a_file_instead_of_the_directory(tmp_path: Path) -> None:
    """What cannot be listed stops the start with a sentence."""
    HOST.put(tmp_path / "certs")
    with pytest.raises(RefusedStart, match=r"certs cannot be read \(Not a directory\): .*--certs"):
        places(tmp_path / "certs")


def test_links_are_followed(tmp_path: Path) -> None:
    """Certbot's live/ holds links to archive/, and certs itself may be a link to live/."""
    HOST.put_pair(tmp_path / "archive")
    (tmp_path / "live/a").mkdir(parents=True)
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / "live/a" / name).symlink_to(tmp_path / "archive" / name)
    (tmp_path / "certs").symlink_to("live")
    (place,) = places(tmp_path / "certs")
    assert read_place(place).leaf == HOST.certificate


@pytest.mark.parametrize(
    ("name", "words"),
    [("fullchain.pem", "holds no certificate"), ("privkey.pem", "has no private key")],
)
def test_half_a_pair_keeps_its_place(tmp_path: Path, name: str, words: str) -> None:
    """While one of the two is away the place is known by the same name, so that what was there is kept."""
    HOST.put_pair(tmp_path)
    (tmp_path / name).unlink()
    (place,) = places(tmp_path)
    assert place.where == str(tmp_path / "fullchain.pem")
    with pytest.raises(UnusableCertificate, match=words):
        read_place(place)


def test_files_that_are_none(tmp_path: Path) -> None:
    """A FIFO does not make us wait, a huge file is not read, a link to nowhere and a directory are told of."""
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(1 << 30)
    (tmp_path / "nowhere").symlink_to("absent")
    for name in ("fifo", "huge", "."):
        with pytest.raises(UnusableCertificate, match="is no PEM file"):
            read_certificate_file(tmp_path / name)
    with pytest.raises(UnusableCertificate, match=r"nowhere cannot be read \(No such file"):
        read_certificate_file(tmp_path / "nowhere")


def test_the_signature_shows_each_change(tmp_path: Path) -> None:
    """New bytes, another target of a link, a new file, a missing one: each changes the signature; reading does not."""
    HOST.put(tmp_path / "archive/1.pem")
    HOST.put(tmp_path / "archive/2.pem")
    certs = tmp_path / "certs"
    certs.mkdir()
    (certs / "a.pem").symlink_to(tmp_path / "archive/1.pem")
    seen = [signature(places(certs))]

    def changed() -> bool:
        seen.append(signature(places(certs)))
        return seen[-1] != seen[-2]

    read_place(places(certs)[0])
    assert not changed()
    (tmp_path / "archive/1.pem").write_bytes(b"")
    assert changed()
    (certs / "aside").symlink_to(tmp_path / "archive/2.pem")
    (certs / "aside").rename(certs / "a.pem")
    assert changed()
    HOST.put(certs / "b.pem")
    assert changed()
    (tmp_path / "archive/2.pem").unlink()
    assert changed()
    assert not changed()


def test_a_signature_settles(tmp_path: Path) -> None:
    """Within two seconds a second change may look like the first, so such a signature is not relied on."""
    HOST.put(tmp_path / "a.pem")
    taken = signature(places(tmp_path))
    now = datetime.fromtimestamp((tmp_path / "a.pem").stat().st_mtime, UTC)
    assert not is_change_visible(taken, now)
    assert is_change_visible(taken, now + timedelta(seconds=3))
    assert is_change_visible((("gone", ()),), NOW)


FILE, DIRECTORY = stat.S_IFREG, stat.S_IFDIR


@for_each(
    ("steps", "write", "blocked"),
    [
        ([(DIRECTORY | 0o755, 0, 0), (FILE | 0o644, 0, 0)], False, None),
        ([(DIRECTORY | 0o700, 0, 0), (FILE | 0o644, 0, 0)], False, "entered"),
        ([(DIRECTORY | 0o711, 0, 0), (FILE | 0o600, 0, 0)], False, "read"),
        ([(DIRECTORY | 0o711, 0, 0), (FILE | 0o400, 7, 0)], False, None),
        ([(DIRECTORY | 0o711, 0, 0), (FILE | 0o640, 0, 70)], False, None),
        ([(DIRECTORY | 0o711, 0, 0), (FILE | 0o604, 0, 70)], False, "read"),
        ([(DIRECTORY | 0o711, 0, 0), (FILE | 0o044, 7, 70)], False, "read"),
        ([(DIRECTORY | 0o755, 0, 0)], True, "written to"),
        ([(DIRECTORY | 0o300, 7, 0)], True, None),
        ([(DIRECTORY | 0o200, 7, 0)], True, "written to"),
    ],
)
def test_permission_bits(steps: list[tuple[int, int, int]], write: bool, blocked: str | None) -> None:
    """Owner, else group, else others: the first class that fits decides, for each step (POSIX 4.7)."""
    way = [PathStep(f"/{number}", *step) for number, step in enumerate(steps)]
    sentence = judge_permission(way, 7, frozenset({70, 71}), write=write)
    assert (sentence is None) == (blocked is None)
    assert sentence is None or f"cannot be {blocked} by user id 7" in sentence
    assert judge_permission(way, 0, frozenset(), write=write) is None


def test_an_access_control_list_may_allow_more() -> None:
    """With a list the mode is not the whole truth, so nobody is refused for it."""
    assert judge_permission([PathStep("/x", FILE | 0o600, 0, 0, has_acl=True)], 7, frozenset()) is None


@pytest.fixture
def open_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everyone pass down to ``tmp_path``, which pytest closes to other users."""
    real = files._step

    def step(path: str) -> PathStep:
        inside = path.startswith(str(tmp_path))
        return real(path) if inside else PathStep(path, DIRECTORY | 0o755, 0, 0)

    monkeypatch.setattr(files, "_step", step)
    tmp_path.chmod(0o755)


@pytest.mark.usefixtures("open_parents")
@pytest.mark.parametrize("uid", [1, 3_999_999_999])
def test_the_way_through_a_link_is_looked_at(tmp_path: Path, uid: int) -> None:
    """A closed directory that only the link's target is in keeps a user out; a user without name is judged too."""
    HOST.put(tmp_path / "archive/a.pem").chmod(0o644)
    (tmp_path / "archive").chmod(0o755)
    (tmp_path / "a.pem").symlink_to("archive/a.pem")
    assert why_unreadable(uid, None, tmp_path / "a.pem") is None
    assert f"{tmp_path} cannot be written to" in str(why_unreadable(uid, 5, tmp_path, write=True))
    (tmp_path / "archive").chmod(0o700)
    assert f"{tmp_path}/archive cannot be entered" in str(why_unreadable(uid, 5, tmp_path / "a.pem"))


@pytest.mark.usefixtures("open_parents")
def test_where_lists_are_unknown_the_mode_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without access control lists is no accident."""
    HOST.put(tmp_path / "a.pem").chmod(0o600)
    monkeypatch.delattr(os, "listxattr")
    assert "a.pem cannot be read" in str(why_unreadable(os.getuid() + 1, None, tmp_path / "a.pem"))


def test_what_may_be_taken_for_a_certificate_is_named(tmp_path: Path) -> None:
    """A key pair under other names would be passed over in silence; notes, dot-files and our own forms are none."""
    for name in (
        "alone.crt",
        "other.key",
        "a.crt",
        "a.key",
        "README",
        "notes.txt",
        ".hidden.crt",
        "host.pem",
    ):
        (tmp_path / name).touch()
    (tmp_path / "directory.d").mkdir()
    assert files.not_certificates(tmp_path) == ["alone.crt", "other.key"]
