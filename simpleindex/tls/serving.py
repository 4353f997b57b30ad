"""The certificates of a TLS server: strict at the start, reloaded while it runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from simpleindex.core.errors import RefusedStart
from simpleindex.system.log import logger
from simpleindex.tls.certificate_files import is_change_visible, places, read_place, signature, why_unreadable
from simpleindex.tls.certificates import CertificateOrigin, expiry_warnings, refuse_invalid_now
from simpleindex.tls.contexts import certificate_context, new_context, prepare_contexts, select_http
from simpleindex.tls.host_names import canonical, covers
from simpleindex.tls.pem import UnusableCertificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509
    from twisted.protocols.tls import TLSMemoryBIOProtocol

    from simpleindex.tls.certificate_files import CertificatePlace
    from simpleindex.tls.certificates import ServerCertificate
    from simpleindex.tls.contexts import SelectProtocol, Served

_log = logger(__name__)

TICKET_KEY_LIFETIME: Final = timedelta(days=1)
"""How long session tickets are sealed with one key, which must change for forward secrecy to hold (RFC 9325 section 3.4)."""


@dataclass(frozen=True, slots=True)
class Described:
    """One certificate in use, for the log at start.

    Attributes:
        names: The DNS names and addresses that it is for.
        expires: UTC.
        default: Whether a client gets it that sends no name, or an unknown one.
    """

    where: str
    names: tuple[str, ...]
    expires: datetime
    default: bool


@dataclass(frozen=True, slots=True)
class AcmeServing:
    """What a server does for certificates of an ACME authority.

    Attributes:
        names: The names and addresses that a certificate is requested for; the start does not need one for them yet.
        select_protocol: Selects a protocol by ALPN, and answers the authority's challenges (RFC 8737).
        key_authorization: Returns the answer to an HTTP-01 challenge by its token, or None (RFC 8555 section 8.3).
    """

    names: frozenset[str]
    select_protocol: SelectProtocol
    key_authorization: Callable[[str], bytes | None]


@implementer(IOpenSSLServerConnectionCreator)
class Certificates:
    """The certificates of ``certs/``, for :class:`twisted.protocols.tls.TLSMemoryBIOFactory`.

    Every connection begins in one long-lived context without certificate, and takes the context of its name when the name
    is known. Tickets are sealed with the key of the first, so that sessions are resumed under every name and after a
    reload; connections that are open keep the context they have.

    Args:
        certs: The directory.
        ca: The private CA, if it is in use.
        now: Returns the time, UTC.
        acme: What is done for ``--acme``; None without it.
    """

    def __init__(
        self,
        certs: Path,
        *,
        ca: x509.Certificate | None,
        now: Callable[[], datetime],
        acme: AcmeServing | None,
    ) -> None:
        self.passed_over: frozenset[str] = frozenset()
        self._certs = certs
        self._ca = ca
        self._now = now
        self._acme = acme
        self._select_protocol = select_http if acme is None else acme.select_protocol
        self._url_host: str | None = None
        self._served: Served | None = None
        self._signature: object = None
        self._logged: frozenset[str] = frozenset()
        self._make_entrance()

    def load(
        self, url_host: str | None = None, uid: int | None = None, gid: int | None = None
    ) -> tuple[str, ...]:
        """Read all certificates at the start, and refuse what cannot be served.

        One of the ACME authority that cannot be served, as after a long time off or without ``--acme``, is passed over. So is
        the private CA's beside it, as after a first start by a clock that was ahead.

        Args:
            url_host: The host of ``--url``, if given.
            uid: The user as which the service will run, if that is not the present one.
            gid: That user's group.

        Returns:
            Sentences of warning.

        Raises:
            RefusedStart: There is no certificate, or none for ``url_host``, or one cannot be used now or read by that user.
        """
        url_host = None if url_host is None else canonical(url_host)
        present, _changed = self._look()
        certificates, passed_over = [], []
        for place in present:
            try:
                certificates.append(self._read(place))
            except UnusableCertificate as error:
                if not self._may_pass_over(place):
                    raise RefusedStart(str(error)) from error
                is_renewed = place.is_from_acme and self._acme is not None
                further = "; a new one is requested when it is due" if is_renewed else ""
                passed_over.append(f"{error} It is not served{further}.")
        if not certificates:
            raise RefusedStart(" ".join(passed_over) or f"{self._certs} holds no certificate: put one there.")
        if url_host is not None and not self._covered(certificates, url_host):
            raise RefusedStart(
                f"No certificate in {self._certs} is for {url_host}, the host of --url: add one, or correct --url."
            )
        for path in (path for place in present for path in place.files):
            sentence = uid is not None and why_unreadable(uid, gid, path)
            if sentence:
                raise RefusedStart(sentence)
        self._url_host = url_host
        self._served = prepare_contexts(certificates, url_host, self._select_protocol)
        return (*passed_over, *self.warnings())

    def reload(self, force: bool = False) -> bool:
        """Take up changed files, and keep the former certificate of a file that became unusable; cheap enough for every few seconds.

        Args:
            force: Read the files even if they seem unchanged, and log problems that were logged before.

        Returns:
            Whether other certificates are in use now.
        """
        if force:
            self._logged = frozenset()
        try:
            present, changed = self._look()
        except RefusedStart as error:
            self._log_problems([str(error)])
            return False
        if not changed and not force:
            return False
        former = {each.where: each for each in self._loaded.certificates}
        certificates, problems = self._read_or_keep(present, former)
        if not certificates:
            problems.append(f"{self._certs} holds no certificate any more: the former ones stay in use.")
        elif self._url_host is not None and not self._covered(certificates, self._url_host):
            problems.append(
                f"No certificate in {self._certs} is for {self._url_host} any more, the host of --url: the former ones stay "
                "in use."
            )
            certificates = []
        self._log_problems(problems)
        if not certificates or certificates == list(former.values()):
            return False
        self._served = prepare_contexts(certificates, self._url_host, self._select_protocol)
        for each in certificates:
            if former.get(each.where) != each:
                _log.info(
                    "{where} is in use now; it is good until {end:%Y-%m-%d}.",
                    where=each.where,
                    end=each.expires,
                )
        return True

    def serverConnectionForTLS(
        self,
        tlsProtocol: TLSMemoryBIOProtocol,  # noqa: ARG002 - Twisted's interface passes it
    ) -> SSL.Connection:
        # Also where the clock was set back meanwhile: by how much, nobody knows.
        if abs(self._now() - self._entrance_made) >= TICKET_KEY_LIFETIME:
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
        """The private CA's certificate; None if none of its certificates is in use."""
        return None if self._ca_in_use is None else self._ca_in_use.public_bytes(Encoding.PEM)

    @property
    def ca_fingerprint(self) -> str | None:
        """SHA-256 of the private CA's certificate as browsers and ``openssl x509 -fingerprint`` show it."""
        return None if self._ca_in_use is None else self._ca_in_use.fingerprint(SHA256()).hex(":").upper()

    @property
    def clients_need_ca(self) -> bool:
        """Whether clients have to trust the private CA; not where the default certificate is the ACME authority's."""
        is_public = any(each.origin is CertificateOrigin.AUTHORITY for each in self._loaded.default)
        return self._ca_in_use is not None and not is_public

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

    def _may_pass_over(self, place: CertificatePlace) -> bool:
        """Return whether the start goes on without a certificate that cannot be served: one of an ACME authority, or the private CA's beside it."""
        if place.is_from_acme:
            return True
        with suppress(UnusableCertificate):
            return self._acme is not None and read_place(place, self._ca).private
        return False

    def _look(self) -> tuple[tuple[CertificatePlace, ...], bool]:
        present = tuple(
            place for place in places(self._certs) if self.passed_over.isdisjoint(map(str, place.files))
        )
        taken = signature(present)
        changed = taken != self._signature
        self._signature = taken if is_change_visible(taken, self._now()) else None
        return present, changed

    def _read(self, place: CertificatePlace) -> ServerCertificate:
        certificate = read_place(place, self._ca)
        try:
            refuse_invalid_now(certificate, self._now())
        except UnusableCertificate:
            self._signature = (
                None  # a clock that is set, or time, makes it usable without a change of the file
            )
            raise
        certificate_context([certificate])  # OpenSSL has requirements of its own
        return certificate

    def _read_or_keep(
        self, present: Sequence[CertificatePlace], former: Mapping[str, ServerCertificate]
    ) -> tuple[list[ServerCertificate], list[str]]:
        certificates, problems = [], []
        for place in present:
            try:
                certificates.append(self._read(place))
            except UnusableCertificate as error:
                kept = former.get(place.where)
                problems.append(f"{error} The former one stays in use." if kept else str(error))
                if kept:
                    certificates.append(kept)
        return certificates, problems

    def _log_problems(self, problems: Sequence[str]) -> None:
        for problem in problems:
            if problem not in self._logged:
                _log.error("{problem}", problem=problem)
        self._logged = frozenset(problems)

    def _covered(self, certificates: Iterable[ServerCertificate], host: str) -> bool:
        requested = frozenset() if self._acme is None else self._acme.names
        return host in requested or any(covers(each, host) for each in certificates)
