"""The files of the private CA and of its server certificate: made once where no certificate was given, replaced when one is due.

Its key lies in the state directory and signs nothing but this machine's server certificate.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from simpleindex.core.errors import RefusedStart
from simpleindex.system.atomic import locked_directory
from simpleindex.tls.certificate_files import places, read_certificate_file, why_unreadable
from simpleindex.tls.certificates import is_issued_by
from simpleindex.tls.issuing import is_due, is_made_here, make_ca, make_server_certificate, permitted
from simpleindex.tls.pem import UnusableCertificate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from simpleindex.tls.certificate_files import CertificatePlace
    from simpleindex.tls.machine_names import MachineIdentity

SERVER_FILE: Final = "simpleindex.pem"
"""What we write into ``certs/``: key and certificate of this machine."""

_MOST_FILES: Final = 10
"""Certificates of ours in one directory, one for each CA that was lost."""

Owner: TypeAlias = tuple[int | None, int | None]
"""The user and group id that files are given to; None leaves them as they are."""


@dataclass(frozen=True, slots=True)
class PrivateCA:
    """Our CA, as the rest of the service sees it.

    Attributes:
        certificate: The CA's own certificate, which clients must trust.
        warnings: What the operator should know, as sentences.
        orphans: Certificates that a former CA of ours made, which is gone; they are not served any more.
    """

    certificate: x509.Certificate
    warnings: tuple[str, ...]
    orphans: frozenset[str] = frozenset()


def ensure(
    certs: Path,
    state: Path,
    identity: MachineIdentity,
    now: datetime,
    owner: Owner = (None, None),
    *,
    has_acme: bool = False,
) -> PrivateCA | None:
    """See to it that there is a certificate to serve: at the start, and every few hours for its renewal.

    If ``certs`` holds nothing, a CA (once) and a server certificate are made. The one made earlier is renewed when less
    than a third of its lifetime is left or this machine got a further name or address; also when the operator has put
    certificates of their own beside it, which are used first: clients may still call this machine by a name that only
    ours covers. Nothing else in ``certs`` is ever touched.

    Args:
        certs: The directory of certificates.
        state: The directory for what cannot be rebuilt.
        identity: What clients may call this machine.
        now: The time, UTC.
        owner: To whom new files are given when we are root before the drop of privileges.
        has_acme: Whether certificates of an ACME authority are requested: then theirs alone do not make ours needless, which
            is served until the first one comes.

    Returns:
        The CA, or None if all certificates there are the operator's own.

    Raises:
        RefusedStart: A certificate is needed and cannot be made; at a later renewal its sentence is for the log.
    """
    home = state / "ca"
    try:
        server, orphans = _server_file(certs, home)
        if os.path.lexists(server):
            is_wanted = _is_ours(server, home)
        else:
            is_wanted = not _others(certs, orphans, has_acme=has_acme)
        if not is_wanted:
            return None
        _make_directory(certs, 0o700, owner)
        _make_directory(state, 0o700, owner)
        _make_directory(home, 0o755, owner)
        # Several processes may serve one directory, and be started at once.
        with locked_directory(home):
            made = _ensure_server_certificate(server, home, identity, now, owner)
        lost = tuple(_lost(path, home, server, made.certificate) for path in orphans)
        return replace(made, warnings=(*lost, *made.warnings), orphans=frozenset(map(str, orphans)))
    except OSError as error:
        raise RefusedStart(_cannot(error, certs)) from error


def find_orphans(certs: Path, state: Path) -> frozenset[str]:
    """Return the files with certificates of former CAs of ours, which are not served any more."""
    return frozenset(map(str, _server_file(certs, state / "ca")[1]))


def _server_file(certs: Path, home: Path) -> tuple[Path, list[Path]]:
    """Return the file of our certificate, and those of certificates that former CAs of ours made."""
    paths = [certs / SERVER_FILE]
    paths += [certs / SERVER_FILE.replace(".pem", f"-{number}.pem") for number in range(2, _MOST_FILES)]
    made = {
        path: present
        for path in paths
        if (present := _read_server_certificate(path)) is not None and is_made_here(present)
    }
    ca = _read_ca(home) if made else None
    ours = [path for path, present in made.items() if ca is not None and is_issued_by(present, ca)]
    orphans = [path for path in made if path not in ours]
    return (ours or [path for path in paths if path not in made] or paths)[0], orphans


def _others(certs: Path, orphans: Sequence[Path], *, has_acme: bool) -> list[CertificatePlace]:
    """Return the certificates on account of which none of ours is made; one that was made once is renewed all the same."""
    return [
        place
        for place in places(certs)
        if not {*place.files} & {*orphans} and not (has_acme and place.is_from_acme)
    ]


def _lost(orphan: Path, home: Path, server: Path, ca: x509.Certificate) -> str:
    present = _read_server_certificate(orphan)
    if present is not None and present.not_valid_before_utc > ca.not_valid_before_utc:
        return (
            f"{orphan} was made by another private CA, later than that in {home}, and is not served: remove it, and if another server "
            "made it, give that one a directory of its own with --certs DIR."
        )
    return (
        f"{orphan} was made by a private CA that is not in {home} any more, and is not served: {server} was made by a new CA, which "
        f"clients must be told to trust. If there is a backup of {home}, restore it and remove {server}; else remove {orphan}."
    )


def _ensure_server_certificate(
    server: Path, home: Path, identity: MachineIdentity, now: datetime, owner: Owner
) -> PrivateCA:
    ca = _read_ca(home) or _create_ca(home, identity, now, owner)
    present = _read_server_certificate(server)
    permission = permitted(ca, identity)
    anew = f"remove {home} and {server} to have new ones made, which clients must then be told to trust."
    warnings = [
        f"The private CA may not certify {name}, which this machine was not called when it was made: {anew}"
        for name in permission.left_out
    ]
    if present is None or is_due(present, permission.allowed, now):
        try:
            if not ca.not_valid_before_utc <= now <= ca.not_valid_after_utc:
                raise RefusedStart(
                    f"The private CA in {home} is valid from {ca.not_valid_before_utc:%Y-%m-%d} to "
                    f"{ca.not_valid_after_utc:%Y-%m-%d} only: set this machine's clock right, or {anew}"
                )
            pem = _server_pem(ca, _read_ca_key(home, ca, anew), permission.allowed, now)
            _write(server, pem, 0o600, owner)
        except (RefusedStart, OSError) as error:
            if present is None or now > present.not_valid_after_utc:
                raise
            sentence = _cannot(error, server.parent) if isinstance(error, OSError) else str(error)
            warnings.append(
                f"{server} cannot be renewed, and ends on {present.not_valid_after_utc:%Y-%m-%d}. {sentence}"
            )
    return PrivateCA(ca, (*warnings, *_later_hindrances(server, home, owner)))


def _later_hindrances(server: Path, home: Path, owner: Owner) -> Iterator[str]:
    uid, gid = owner
    if uid is not None:
        for path, write in ((home / "key.pem", False), (server.parent, True)):
            sentence = path.exists() and why_unreadable(uid, gid, path, write=write)
            if sentence:
                yield f"{server} will be renewed at restarts only: {sentence}"


def _create_ca(home: Path, identity: MachineIdentity, now: datetime, owner: Owner) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    ca = make_ca(key, identity, now)
    # The certificate last: without it a key left behind by a crash is not yet a CA, and is replaced.
    _write(home / "key.pem", _key_pem(key), 0o600, owner)
    _write(home / "cert.pem", ca.public_bytes(Encoding.PEM), 0o644, owner)
    return ca


def _server_pem(
    ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, identity: MachineIdentity, now: datetime
) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = make_server_certificate(key.public_key(), identity, ca, ca_key, now)
    return _key_pem(key) + certificate.public_bytes(Encoding.PEM)


def _read_ca_key(home: Path, ca: x509.Certificate, anew: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key((home / "key.pem").read_bytes(), None)
    except (FileNotFoundError, ValueError, TypeError) as error:
        raise RefusedStart(
            f"{home / 'key.pem'} is missing or broken: restore it from a backup, or {anew}"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != ca.public_key():
        raise RefusedStart(
            f"{home / 'key.pem'} is not the key of the CA beside it: restore it from a backup, or {anew}"
        )
    return key


def _is_ours(server: Path, home: Path) -> bool:
    present, ca = _read_server_certificate(server), _read_ca(home)
    return present is not None and ca is not None and is_issued_by(present, ca)


def _read_server_certificate(server: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(read_certificate_file(server))
    except (UnusableCertificate, ValueError):
        return None  # loading it raises the error


def _read_ca(home: Path) -> x509.Certificate | None:
    path = home / "cert.pem"
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RefusedStart(
            f"{path} is broken: restore it from a backup, or remove {home} to have a new CA made, which clients must then "
            "be told to trust."
        ) from error


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _cannot(error: OSError, certs: Path) -> str:
    return (
        f"{error.filename or certs} cannot be read or written ({error.strerror}): let the service do so, or put a "
        f"certificate of your own into {certs}."
    )


def _make_directory(path: Path, mode: int, owner: Owner) -> None:
    if not path.is_dir():
        if not path.parent.is_dir():
            _make_directory(path.parent, 0o755, owner)
        os.mkdir(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _give(descriptor, mode, owner)
        finally:
            os.close(descriptor)


def _write(path: Path, data: bytes, mode: int, owner: Owner) -> None:
    aside = path.with_name(f".simpleindex-{path.name}")
    with suppress(FileNotFoundError):
        os.unlink(aside)  # left by a crash; the lock says that nobody is writing it
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        _give(file.fileno(), mode, owner)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(aside, path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _give(descriptor: int, mode: int, owner: Owner) -> None:
    # By descriptor: a name could meanwhile be another's. Set apart from creation, since twistd's daemon has umask 077.
    os.fchmod(descriptor, mode)
    if os.geteuid() == 0:
        uid, gid = owner
        os.fchown(descriptor, -1 if uid is None else uid, -1 if gid is None else gid)
