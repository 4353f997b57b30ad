"""What lies in ``certs/``: its three forms, reading them, noticing a change, and who may read them later."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from simpleindex.core.errors import RefusedStart
from simpleindex.system.path_steps import PathStep, blocking_step
from simpleindex.tls.certificates import CertificateOrigin, ServerCertificate, assemble_certificate
from simpleindex.tls.pem import UnusableCertificate, read_pem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

ACME_DIRECTORY: Final = "simpleindex-acme"
"""The sub-directory with the certificate of ``--acme``: the only place there that ACME writes to."""

ACME_FILE: Final = "certificate.pem"
"""Key and certificate of ``--acme`` in one file, so that one rename replaces both."""

CHAIN: Final = "fullchain.pem"
KEY: Final = "privkey.pem"
_BESIDE_A_PAIR: Final = frozenset({"cert.pem", "chain.pem"})
"""What certbot puts beside :data:`CHAIN`, which holds both."""

_CERTIFICATE_SUFFIXES: Final = (".crt", ".cer")
"""Of certificates whose key is in a file of its own, which ends in ``.key``."""

_LARGEST: Final = 1 << 20
"""Bytes; a chain with an RSA key is about 8 KiB."""

_SETTLING_NS: Final = 2_000_000_000
"""Nanoseconds within which a second change can have the same timestamps as the first."""

Signature: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class CertificatePlace:
    """Where one certificate and its key lie.

    Attributes:
        where: The file to name in sentences.
        files: All files that are read.
        is_from_acme: Whether ``--acme`` writes it; what else lies in its directory is the operator's.
    """

    where: str
    files: tuple[Path, ...]
    is_from_acme: bool = False


def places(certs: Path) -> tuple[CertificatePlace, ...]:
    """Find the certificates: first those directly in ``certs``, then those of its sub-directories, each by name.

    A directory that does not exist holds none. Links are followed; dot-files are passed over, and of what does not end in
    ``.pem`` only a certificate with its key beside it.

    Raises:
        RefusedStart: The directory cannot be read.
    """
    try:
        entries = sorted(entry.name for entry in os.scandir(certs) if not entry.name.startswith("."))
        directories = [certs / name for name in entries if (certs / name).is_dir()]
        found = [place for directory in (certs, *directories) for place in _places_directly_in(directory)]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise RefusedStart(
            f"{error.filename} cannot be read ({error.strerror}): let the service read it, or point --certs elsewhere."
        ) from error
    acme = (certs / ACME_DIRECTORY / ACME_FILE,)
    return tuple(replace(place, is_from_acme=place.files == acme) for place in found)


def read_place(place: CertificatePlace, ca: x509.Certificate | None = None) -> ServerCertificate:
    """Read the certificate and the key at ``place``; ``ca`` is our own CA, if there is one.

    Raises:
        UnusableCertificate: They cannot be read or served.
    """
    data = b"\n".join(read_certificate_file(path) for path in place.files)
    origin = CertificateOrigin.AUTHORITY if place.is_from_acme else CertificateOrigin.OPERATOR
    return assemble_certificate(place.where, read_pem(place.where, data), ca, origin)


def read_certificate_file(path: Path) -> bytes:
    """Read a file that may be anything: a link to nowhere, a FIFO, something huge.

    Raises:
        UnusableCertificate: It cannot be read, or is no file of a PEM file's size.
    """
    try:
        # O_NONBLOCK: opening a FIFO must not wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnusableCertificate(
            str(path), f"cannot be read ({error.strerror}): let the service read it, or remove it."
        ) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise UnusableCertificate(str(path), "is no PEM file: remove it.")
        return os.read(descriptor, _LARGEST)
    finally:
        os.close(descriptor)


def signature(found: Iterable[CertificatePlace]) -> Signature:
    """Return a value that changes when any of the files does; replacing the target of a link changes it too."""
    return tuple((str(path), _file_signature(path)) for place in found for path in place.files)


def is_change_visible(taken: Signature, now: datetime) -> bool:
    """Return whether a change made from ``now`` on must show in the signature, even if the clock is a coarse one."""
    changed = max((numbers[-1] for _path, numbers in taken if numbers), default=0)
    return changed < now.timestamp() * 1e9 - _SETTLING_NS


def why_unreadable(uid: int, gid: int | None, path: Path, *, write: bool = False) -> str | None:
    """Return what will keep the user ``uid`` of group ``gid`` from reading ``path``, as a sentence; None if nothing will.

    Looked up without becoming that user, who could not come back. With ``write``, ``path`` is a directory in which files
    are to be replaced.
    """
    return judge_permission(tuple(steps_to(path)), uid, groups_of(uid, gid), write=write)


def judge_permission(
    steps: Sequence[PathStep], uid: int, groups: frozenset[int], *, write: bool = False
) -> str | None:
    """Judge the way to a file as :func:`blocking_step` does; return a sentence, or None if nothing is in the way."""
    blocked = blocking_step(steps, uid, groups, write=write)
    if blocked is None:
        return None
    step, verb = blocked
    return f"{step.path} cannot be {verb} by user id {uid}, as whom the service will run: change its owner, group or mode."


def _places_directly_in(directory: Path) -> Iterator[CertificatePlace]:
    names = _certificate_files(directory)
    pair = [name for name in (CHAIN, KEY) if name in names]
    if pair:
        # Named by the chain even while that is missing: certbot unlinks each of the two links before it makes it again.
        yield CertificatePlace(str(directory / CHAIN), tuple(directory / name for name in pair))
    keys = _keys_beside(names)
    for name in names:
        if name in pair or (pair and name in _BESIDE_A_PAIR):
            continue
        if name in keys:
            yield CertificatePlace(str(directory / name), (directory / name, directory / keys[name]))
        elif name.endswith(".pem"):
            yield CertificatePlace(str(directory / name), (directory / name,))


def _certificate_files(directory: Path) -> list[str]:
    return sorted(
        entry.name
        for entry in os.scandir(directory)
        if entry.name.endswith((".pem", ".key", *_CERTIFICATE_SUFFIXES))
        and not entry.name.startswith(".")
        and not entry.is_dir()
    )


def _keys_beside(names: Sequence[str]) -> dict[str, str]:
    """Return the file of the key by the file of its certificate, where they are two: ``NAME.key`` beside ``NAME.crt``.

    So are Kubernetes' secrets (``tls.crt``, ``tls.key``), and what nginx and Apache are given. acme.sh puts
    ``fullchain.cer`` beside ``NAME.cer``, which alone lacks what leads to its issuer.
    """
    found = {}
    keys = [name for name in names if name.endswith(".key")]
    for key in keys:
        stem = key.removesuffix(".key")
        chains = ["fullchain.cer", "fullchain.crt"] if len(keys) == 1 else []
        candidates = (*chains, *(stem + suffix for suffix in (*_CERTIFICATE_SUFFIXES, ".pem")))
        certificate = next((name for name in candidates if name in names), None)
        if certificate is not None:
            found[certificate] = key
    return found


def groups_of(uid: int, gid: int | None) -> frozenset[int]:
    """Return the groups of a user."""
    # As twistd does it (twisted.python.util.switchUID): the groups that the system's tables give to the user.
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return frozenset() if gid is None else frozenset({gid})
    return frozenset(os.getgrouplist(user.pw_name, user.pw_gid if gid is None else gid))


def _file_signature(path: Path) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def steps_to(path: Path) -> Iterator[PathStep]:
    """Go through the directories on the way to a path, and to where it leads; it comes last itself.

    Raises:
        OSError: It does not exist, or cannot be seen.
    """
    # A link is read by walking to it, and then to where it points: certbot's live/ and archive/ differ in owner and mode.
    for place in dict.fromkeys((os.path.abspath(path), os.path.realpath(path))):
        real = os.path.realpath(os.path.dirname(place))
        parts = real.split("/")
        for depth in range(1, len(parts) + 1):
            yield _step("/".join(parts[:depth]) or "/")
    yield _step(os.path.realpath(path))


def _step(path: str) -> PathStep:
    status = os.stat(path)
    try:
        has_acl = "system.posix_acl_access" in os.listxattr(path)
    except (OSError, AttributeError):
        has_acl = False
    return PathStep(path, status.st_mode, status.st_uid, status.st_gid, has_acl)


def not_certificates(certs: Path) -> list[str]:
    """Return files in ``certs`` that look like certificates and are not read; a README is none."""
    known = {".pem", ".md", ".txt", ""}
    read = {os.path.basename(path) for place in _places_directly_in(certs) for path in place.files}
    return sorted(
        entry.name
        for entry in os.scandir(certs)
        if entry.is_file()
        and not entry.name.startswith(".")
        and entry.name not in read
        and os.path.splitext(entry.name)[1] not in known
    )
