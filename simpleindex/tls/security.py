"""The certificates of ``--https`` put together: the operator's, an ACME authority's, a private CA's; and their lines in the log at the start."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from simpleindex.core.errors import RefusedStart
from simpleindex.system.log import logger
from simpleindex.tls.certificate_files import not_certificates
from simpleindex.tls.machine_names import this_machine
from simpleindex.tls.private_ca import ensure
from simpleindex.tls.serving import Certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from simpleindex.tls.private_ca import Owner, PrivateCA
    from simpleindex.tls.serving import AcmeServing

    Clock = Callable[[], datetime]

_log = logger(__name__)


class Security:
    """The certificates in use and the private CA.

    Args:
        certs: Where certificates lie.
        state: Where the private CA lies.
        url: ``--url``, or None.
        owner: The user and group that the service will become, if it changes them.
        acme: What is done for ``--acme``; None without it.
        now: Returns the time, UTC.

    Raises:
        RefusedStart: There is nothing that can be served.
    """

    def __init__(
        self,
        certs: Path,
        state: Path,
        *,
        url: str | None,
        owner: Owner,
        acme: AcmeServing | None = None,
        now: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._certs = certs
        self._state = state
        self._url_host = urlsplit(url).hostname if url else None
        self._now = now
        self.acme = acme
        ca = self._ensure_ca(owner)
        self._has_ca = ca is not None
        self.certificates = Certificates(certs, ca=ca.certificate if ca else None, now=now, acme=acme)
        self.certificates.passed_over = ca.orphans if ca else frozenset()
        self._warnings: tuple[str, ...] = ()
        if ca is not None and (others := not_certificates(certs)):
            _log.warn(
                "{certs} holds no certificate in a form that is read, but {others}: a private CA is used. Certificates of your own are "
                "fullchain.pem with privkey.pem, or one .pem file with both.",
                certs=certs,
                others=", ".join(others),
            )
        warnings = ca.warnings if ca else ()
        try:
            self._warn((*warnings, *self.certificates.load(self._url_host, *owner)))
        except RefusedStart as error:
            # What the private CA may not certify is the reason, and the warning names the remedy.
            raise RefusedStart(" ".join((str(error), *warnings))) from error

    @property
    def ca_path(self) -> str | None:
        """The file with the private CA's certificate; None if clients do not need it."""
        return None if not self.certificates.clients_need_ca else str(self._state / "ca" / "cert.pem")

    @property
    def ca_fingerprint(self) -> str | None:
        """The fingerprint of the private CA's certificate; None if clients do not need it."""
        return self.certificates.ca_fingerprint if self.certificates.clients_need_ca else None

    def check(self, *, force: bool = False) -> None:
        """Renew the private CA's certificate when it is due, and take up changed files; cheap enough for every minute.

        Args:
            force: Read the files even if they seem unchanged (SIGHUP).
        """
        # Without a CA at the start none is made later: where the operator's certificates are gone for a moment, the
        # former ones stay in use, which clients trust.
        warnings = self._renew() if self._has_ca else ()
        self.certificates.reload(force=force)
        self._warn((*warnings, *self.certificates.warnings()))

    def lines(self) -> Iterator[str]:
        """Return the lines of the start-up log about certificates."""
        for each in self.certificates.describe():
            default = "; the default" if each.default else ""
            yield f"Certificate {each.where} for {', '.join(each.names)}, good until {each.expires:%Y-%m-%d}{default}."

    def _renew(self) -> tuple[str, ...]:
        try:
            ca = self._ensure_ca((None, None))
        except RefusedStart as error:
            return (str(error),)
        self.certificates.passed_over = ca.orphans if ca else frozenset()
        return ca.warnings if ca else ()

    def _ensure_ca(self, owner: Owner) -> PrivateCA | None:
        identity = this_machine(self._url_host)
        return ensure(self._certs, self._state, identity, self._now(), owner, has_acme=self.acme is not None)

    def _warn(self, warnings: tuple[str, ...]) -> None:
        for warning in warnings:
            if warning not in self._warnings:
                _log.error("{warning}", warning=warning)
        self._warnings = warnings
