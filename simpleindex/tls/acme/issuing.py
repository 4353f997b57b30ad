"""One try to get a certificate, by one challenge and then the other, written whole or not at all; its caller holds the lock."""

from __future__ import annotations

import errno
import filecmp
import itertools
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from simpleindex.system.log import logger
from simpleindex.tls.acme.alpn_challenge import NAME as TLS_ALPN_01
from simpleindex.tls.acme.client import HTTP_01, AcmeSession, private_pem
from simpleindex.tls.acme.errors import AcmeFailed, ChallengeFailed, IssuedUnusable, cannot_write
from simpleindex.tls.acme.state_files import put_in_place, write_aside
from simpleindex.tls.certificate_files import ACME_DIRECTORY, ACME_FILE
from simpleindex.tls.certificates import assemble_certificate
from simpleindex.tls.contexts import certificate_context
from simpleindex.tls.pem import UNPARSABLE, PemContents, UnusableCertificate, read_pem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from simpleindex.tls.acme.advice import Advice
    from simpleindex.tls.acme.settings import AcmeSettings
    from simpleindex.tls.acme.store import AcmeStore
    from simpleindex.tls.certificates import ServerCertificate

_log = logger(__name__)

_SHORTEST: Final = timedelta(minutes=15)
"""What must be left of a new certificate: with less, another one would be requested within minutes, again and again."""

_LONGEST_CHAIN: Final = 11
"""A certificate and its issuers; OpenSSL's clients take 100 of them (SSL_CTX_set_verify_depth(3)), but 100 kB at most."""

_MARK: Final = b"# Written by simpleindex --acme"
"""How the file begins: one that begins otherwise is somebody's own, whatever became of --state."""

_HEADING: Final = _MARK + b", which replaces it. Certificates of your own belong elsewhere below --certs.\n"

_ROOM: Final = 1 << 14
"""Bytes that must be free on the disk before an order; key and chain have about 6 KiB."""

_LEEWAY: Final = timedelta(minutes=2)
"""By how much the authority's clock may be ahead of ours; Let's Encrypt dates certificates back by an hour."""


def certificate_path(certs: Path) -> Path:
    """Return where the certificate of ACME lies below ``--certs``."""
    return certs / ACME_DIRECTORY / ACME_FILE


def read_certificate(certs: Path) -> x509.Certificate | None:
    """Return the certificate of ACME that is there; None if there is none that can be served with its key."""
    try:
        return parse_certificate(certificate_path(certs).read_bytes())
    except OSError:
        return None


def parse_certificate(data: bytes) -> x509.Certificate | None:
    """Return the certificate in the text of a key and its certificate; None if one of them is not there, or broken."""
    try:
        certificate = x509.load_pem_x509_certificate(data[data.index(b"-----BEGIN CERTIFICATE-----") :])
        key = load_pem_private_key(data, None)
        return certificate if key.public_key() == certificate.public_key() else None
    except (TypeError, *UNPARSABLE):
        return None


def take_shared_certificate(store: AcmeStore, certs: Path, names: frozenset[str]) -> x509.Certificate | None:
    """Write the certificate that another node obtained below ``--certs``; return it, or None if it is there or there is none.

    Raises:
        OSError: The store cannot be read, or the file cannot be written.
    """
    data = store.read_certificate()
    certificate = None if data is None else parse_certificate(data)
    if data is None or certificate is None or not names_of(certificate) >= names:
        return None
    if certificate == read_certificate(certs):
        return None
    path = certificate_path(certs)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_certificate(path, data)
    return certificate


def write_certificate(path: Path, data: bytes) -> None:
    """Write key and certificate; a file that somebody else put there is kept under a name that is not served.

    Raises:
        OSError: It cannot be written, or the other file cannot be moved.
    """
    aside = write_aside(path, _HEADING + data)
    if os.path.lexists(path) and not _is_own(path):
        # What a program puts there again and again is kept once.
        kept = next(
            each for each in _names_to_keep(path) if not os.path.lexists(each) or _are_alike(path, each)
        )
        os.rename(path, kept)
        _log.warn(
            "{path} may be yours, because it does not begin as --acme writes it: it is kept as {kept}, and is not served any more. To have it "
            "served, move it to {place}.",
            path=path,
            kept=kept,
            place=path.parent.parent / "NAME.pem",
        )
    put_in_place(aside, path)


def _is_own(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False  # perhaps a link to what is mounted at times


def _are_alike(path: Path, kept: Path) -> bool:
    """Return whether two files have the same content, or are links to the same place."""
    try:
        if path.is_symlink() or kept.is_symlink():
            return path.readlink() == kept.readlink()
        filecmp.clear_cache()  # which goes by sizes and times
        return filecmp.cmp(path, kept, shallow=False)
    except OSError:
        return False


def _names_to_keep(path: Path) -> Iterator[Path]:
    return (path.with_name(f"{path.name}.kept-{number}") for number in itertools.count(1))


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Return the names and addresses that a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *UNPARSABLE):
        return frozenset()
    hosts = (name.lower() for name in names.get_values_for_type(x509.DNSName))
    return frozenset((*hosts, *map(str, names.get_values_for_type(x509.IPAddress))))


class AcmeAuthority:
    """The certificate authority of ``--acme-directory``, for one set of names.

    Args:
        settings: What the operator decided.
        state: The files of ACME.
        certs: The directory of certificates.
        clock: Returns the time, UTC.
    """

    def __init__(
        self, settings: AcmeSettings, state: AcmeStore, certs: Path, clock: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._state = state
        self._certs = certs
        self._clock = clock

    @property
    def directory(self) -> str:
        """The URL of its directory."""
        return self._settings.directory

    @property
    def names(self) -> frozenset[str]:
        """The names and addresses that the certificate is to be for."""
        return frozenset(identifier.value for identifier in self._settings.identifiers)

    @property
    def validations(self) -> int:
        """How many failed validations of a name a try can cost: by TLS, and by plain HTTP where that is served."""
        return 2 if self._settings.may_use_http else 1

    def obtain(self) -> x509.Certificate:
        """Get a certificate and write it below ``--certs``. Blocks for seconds or minutes; hold the lock.

        Returns:
            The new certificate.

        Raises:
            IssuedUnusable: A certificate was issued that cannot be used; what was there before is unchanged.
            AcmeFailed: None was issued; the same.
        """
        present = read_certificate(self._certs)
        path = certificate_path(self._certs)
        key = ec.generate_private_key(ec.SECP256R1())
        # Before the order: authorities limit how many certificates they issue that nobody can use then.
        _write(path, private_pem(key).ljust(_ROOM), _write_aside)
        session = AcmeSession(self._settings, self._state)
        try:
            self._state.close_challenges()  # left by a process that was killed
            session.ensure_account()
            replaced = None if present is None else present.public_bytes(Encoding.PEM)
            pem = _issue(session, self._settings, key, self._clock(), replaced)
        finally:
            session.close()
        try:
            whole = check_issued(pem, key, self.names, self._clock())
            self._state.write_certificate(whole)
            _write(path, whole, write_certificate)
        except AcmeFailed as failed:
            raise IssuedUnusable(str(failed)) from failed
        certificate = parse_certificate(whole)
        assert certificate is not None, "it was checked"
        return certificate

    def advise(self, certificate: x509.Certificate) -> Advice:
        """Return when the authority suggests to renew a certificate (RFC 9773). Blocks.

        Raises:
            AcmeFailed: It cannot be read now.
        """
        session = AcmeSession(self._settings, self._state)
        try:
            return session.advice(certificate.public_bytes(Encoding.PEM))
        finally:
            session.close()


def _issue(
    session: AcmeSession,
    settings: AcmeSettings,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    replaced: bytes | None,
) -> str:
    """Answer by TLS, on the port that is there anyway; by plain HTTP where that fails and ``--http`` serves."""
    try:
        return session.issue(TLS_ALPN_01, key, now, replaced)
    except ChallengeFailed as failed:
        # Without an address nothing is reached on the other port either, and it would be another failed validation.
        if not settings.may_use_http or failed.is_name_unknown:
            raise
        try:
            return session.issue(HTTP_01, key, now, replaced)
        except ChallengeFailed as second:
            raise AcmeFailed(
                f"The authority could not validate {failed.found} Nor {second.found} "
                "Let each name lead to this server, and port 443 or 80 be open from outside."
            ) from second


def check_issued(pem: str, key: ec.EllipticCurvePrivateKey, names: frozenset[str], now: datetime) -> bytes:
    """Return key and certificate as they are written, if clients accept what an authority answered; it replaces what is good still.

    Raises:
        AcmeFailed: They do not, or this machine's clock is wrong.
    """
    try:
        found = read_pem("", pem.encode()).certificates
        if not found or found[0].public_key() != key.public_key():
            raise UnusableCertificate("", "holds no certificate for this server's key")
        issued = assemble_certificate("", PemContents(found, key))
        certificate_context([issued])  # OpenSSL has requirements of its own
    except UnusableCertificate as error:
        # What is to be done about a file is nothing that can be done about an answer.
        reason = error.reason.partition(":")[0]
        raise AcmeFailed(f"The authority's answer {reason}; it is tried again.") from error
    except UNPARSABLE as error:
        raise AcmeFailed("The authority's answer cannot be parsed; it is tried again.") from error
    start, end = issued.leaf.not_valid_before_utc, issued.expires
    if not start - _LEEWAY <= now <= end:
        raise AcmeFailed(
            f"The new certificate is valid from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC, and this machine's clock shows "
            f"{now:%Y-%m-%d %H:%M}: set the clock right."
        )
    problem = _why_useless(issued, names, now)
    if problem:
        raise AcmeFailed(
            f"The authority issued a certificate {problem}: it is not used, nor is another one requested at once."
        )
    return private_pem(key) + b"".join(each.public_bytes(Encoding.PEM) for each in issued.chain)


def _why_useless(issued: ServerCertificate, names: frozenset[str], now: datetime) -> str:
    """Return what is wrong with a certificate that is valid now; empty if nothing is."""
    missing = names - names_of(issued.leaf)
    if missing:
        return f"that is not for {', '.join(sorted(missing))}"
    if _is_authority(issued.leaf):
        return "of an authority instead of a server's"
    if len(issued.chain) > _LONGEST_CHAIN:
        return f"with {len(issued.chain) - 1} issuers, more than clients take"
    if issued.expires - now < _SHORTEST:
        return f"that ends at {issued.expires:%Y-%m-%d %H:%M} UTC already"
    return ""


def _write_aside(path: Path, data: bytes) -> None:
    """Write the file beside the one that it is to replace, which may be what no file can replace."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    write_aside(path, data)


def _is_authority(certificate: x509.Certificate) -> bool:
    """Return whether a certificate may issue others; browsers refuse it as a server's."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _write(path: Path, data: bytes, write: Callable[[Path, bytes], object]) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(path, data)
    except OSError as error:
        raise AcmeFailed(cannot_write(error, path.parent)) from error
