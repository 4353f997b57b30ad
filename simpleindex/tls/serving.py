"""The certificates of a TLS server: strict at the start, taken up anew while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from simpleindex.core import severity
from simpleindex.core.errors import RefusedStart
from simpleindex.tls.certificates import (
    UnusableCertificate,
    canonical,
    covers,
    expiry_warnings,
    refuse_invalid_now,
)
from simpleindex.tls.contexts import certificate_context, new_context, serve
from simpleindex.tls.files import hindrance, is_settled, places, read_place, signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509
    from twisted.protocols.tls import TLSMemoryBIOProtocol

    from simpleindex.tls.certificates import ServerCertificate
    from simpleindex.tls.contexts import Served
    from simpleindex.tls.files import CertificatePlace

TICKET_KEY_LIFETIME: Final = timedelta(days=1)
"""How long session tickets are sealed with one key, which must change for forward secrecy to hold (RFC 9325 section 3.4)."""


@dataclass(frozen=True, slots=True)
class Described:
    """One certificate in use, for the log at start.

    Attributes:
        where: Its file.
        names: The DNS names and addresses that it is for.
        expires: UTC.
        default: Whether a client gets it that asks for no name, or for an unknown one.
    """

    where: str
    names: tuple[str, ...]
    expires: datetime
    default: bool


@implementer(IOpenSSLServerConnectionCreator)
class Certificates:
    """The certificates of ``certs/``, for :class:`twisted.protocols.tls.TLSMemoryBIOFactory`.

    Every connection begins in one long-lived context without certificate, and takes the context of its name when the name
    is known. Tickets are sealed with the key of the first, so that sessions are resumed under every name and after a
    reload; connections that are open keep the context they have.

    Args:
        certs: The directory.
        ca: Our own CA, if it is in use.
        now: Tells the time, UTC.
        log: Takes a sentence for the operator.
    """

    def __init__(
        self,
        certs: Path,
        *,
        ca: x509.Certificate | None,
        now: Callable[[], datetime],
        log: Callable[[str], None],
    ) -> None:
        self.passed_over: frozenset[str] = frozenset()
        self._certs = certs
        self._ca = ca
        self._now = now
        self._log = log
        self._url_host: str | None = None
        self._served: Served | None = None
        self._signature: object = None
        self._told: frozenset[str] = frozenset()
        self._make_entrance()

    def load(
        self, url_host: str | None = None, uid: int | None = None, gid: int | None = None
    ) -> tuple[str, ...]:
        """Read everything, and be strict: for the start.

        Args:
            url_host: The host of ``--url``, if given.
            uid: As whom the service will run, if that is not who it is now.
            gid: That user's group.

        Returns:
            Sentences of warning.

        Raises:
            RefusedStart: There is no certificate, or none for ``url_host``, or one cannot be used now or read by that user.
        """
        url_host = None if url_host is None else canonical(url_host)
        found, _changed = self._look()
        try:
            certificates = [self._read(place) for place in found]
        except UnusableCertificate as error:
            raise RefusedStart(str(error)) from error
        if not certificates:
            raise RefusedStart(f"{self._certs} holds no certificate: put one there.")
        if url_host is not None and not _covered(certificates, url_host):
            raise RefusedStart(
                f"No certificate in {self._certs} is for {url_host}, the host of --url: add one, or correct --url."
            )
        for path in (path for place in found for path in place.files):
            sentence = uid is not None and hindrance(uid, gid, path)
            if sentence:
                raise RefusedStart(sentence)
        self._url_host = url_host
        self._served = serve(certificates, url_host)
        return self.warnings()

    def reload(self, force: bool = False) -> bool:
        """Take up what has changed, and keep what became unusable as it was; cheap enough for every few seconds.

        Args:
            force: Look into the files even if they seem unchanged, and complain again of what was complained of before.

        Returns:
            Whether other certificates are in use now.
        """
        if force:
            self._told = frozenset()
        try:
            found, changed = self._look()
        except RefusedStart as error:
            self._tell([str(error)])
            return False
        if not changed and not force:
            return False
        former = {each.where: each for each in self._loaded.certificates}
        certificates, problems = self._read_or_keep(found, former)
        if not certificates:
            problems.append(f"{self._certs} holds no certificate any more: the former ones stay in use.")
        elif self._url_host is not None and not _covered(certificates, self._url_host):
            problems.append(
                f"No certificate in {self._certs} is for {self._url_host} any more, the host of --url: the former ones stay "
                "in use."
            )
            certificates = []
        self._tell(problems)
        if not certificates or certificates == list(former.values()):
            return False
        self._served = serve(certificates, self._url_host)
        for each in certificates:
            if former.get(each.where) != each:
                self._log(f"{each.where} is in use now; it is good until {each.expires:%Y-%m-%d}.")
        return True

    def serverConnectionForTLS(
        self,
        tlsProtocol: TLSMemoryBIOProtocol,  # noqa: ARG002 - Twisted's interface passes it
    ) -> SSL.Connection:
        if self._now() - self._entrance_made >= TICKET_KEY_LIFETIME:
            self._make_entrance()
        return SSL.Connection(self._entrance, None)

    @property
    def names(self) -> tuple[str, ...]:
        """All names and addresses, the one fit for a URL first: of the default certificate, and no wildcard."""
        served = self._loaded
        names = dict.fromkeys(name for each in (*served.default, *served.certificates) for name in each.names)
        return tuple(sorted(names, key=lambda name: name.startswith("*.")))

    def describe(self) -> tuple[Described, ...]:
        """Return the certificates in use, for the log at start."""
        served = self._loaded
        return tuple(
            Described(each.where, each.names, each.expires, each in served.default)
            for each in served.certificates
        )

    def warnings(self) -> tuple[str, ...]:
        """Return a sentence for each certificate in use that is about to expire."""
        return expiry_warnings(self._loaded.certificates, self._now())

    @property
    def ca_pem(self) -> bytes | None:
        """Our CA's certificate, which clients need; None if all certificates in use are the operator's own."""
        return None if self._ca_in_use is None else self._ca_in_use.public_bytes(Encoding.PEM)

    @property
    def ca_fingerprint(self) -> str | None:
        """SHA-256 of our CA's certificate as browsers and ``openssl x509 -fingerprint`` show it."""
        return None if self._ca_in_use is None else self._ca_in_use.fingerprint(SHA256()).hex(":").upper()

    @property
    def _ca_in_use(self) -> x509.Certificate | None:
        return self._ca if any(each.private for each in self._loaded.certificates) else None

    @property
    def _loaded(self) -> Served:
        assert self._served is not None, "load() comes first"
        return self._served

    def _make_entrance(self) -> None:
        self._entrance = new_context()
        self._entrance.set_tlsext_servername_callback(self._take_context)
        self._entrance_made = self._now()

    def _take_context(self, connection: SSL.Connection) -> None:
        # Called for every greeting, also for one without a name.
        connection.set_context(self._loaded.context_for(connection.get_servername()))

    def _look(self) -> tuple[tuple[CertificatePlace, ...], bool]:
        found = tuple(
            place for place in places(self._certs) if self.passed_over.isdisjoint(map(str, place.files))
        )
        taken = signature(found)
        changed = taken != self._signature
        self._signature = taken if is_settled(taken, self._now()) else None
        return found, changed

    def _read(self, place: CertificatePlace) -> ServerCertificate:
        certificate = read_place(place, self._ca)
        refuse_invalid_now(certificate, self._now())
        certificate_context([certificate])  # OpenSSL has requirements of its own
        return certificate

    def _read_or_keep(
        self, found: Sequence[CertificatePlace], former: Mapping[str, ServerCertificate]
    ) -> tuple[list[ServerCertificate], list[str]]:
        certificates, problems = [], []
        for place in found:
            try:
                certificates.append(self._read(place))
            except UnusableCertificate as error:
                kept = former.get(place.where)
                problems.append(f"{error} The former one stays in use." if kept else str(error))
                if kept:
                    certificates.append(kept)
        return certificates, problems

    def _tell(self, problems: Sequence[str]) -> None:
        for problem in problems:
            if problem not in self._told:
                self._log(severity.error(problem))
        self._told = frozenset(problems)


def _covered(certificates: Iterable[ServerCertificate], host: str) -> bool:
    return any(covers(each, host) for each in certificates)
