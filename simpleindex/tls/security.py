"""HTTPS of its own, put together: the operator's certificates or a private CA's, kept fresh while the service runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from simpleindex.core import severity
from simpleindex.core.errors import RefusedStart
from simpleindex.tls.files import not_certificates
from simpleindex.tls.machine import this_machine
from simpleindex.tls.private_ca import ensure
from simpleindex.tls.serving import Certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from simpleindex.tls.private_ca import Owner

    Clock = Callable[[], datetime]


class Security:
    """The certificates in use and the CA behind them.

    Args:
        certs: Where certificates lie.
        state: Where the private CA lies.
        url: ``--url``, or None.
        owner: The user and group that the service will become, where it will.
        log: Takes a sentence for the operator.
        now: Tells the time, UTC.

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
        log: Callable[[str], None],
        now: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._certs = certs
        self._state = state
        self._url_host = urlsplit(url).hostname if url else None
        self._log = log
        self._now = now
        ca = ensure(certs, state, this_machine(self._url_host), now(), owner)
        self._has_ca = ca is not None
        self.certificates = Certificates(
            certs,
            ca=ca.certificate if ca else None,
            now=now,
            log=log,
        )
        self.certificates.passed_over = ca.orphans if ca else frozenset()
        self._warnings: tuple[str, ...] = ()
        if ca is not None and (others := not_certificates(certs)):
            log(
                severity.warning(
                    f"{certs} holds no certificate in a form that is read, but {', '.join(others)}: a private CA is used. Certificates of "
                    "your own are fullchain.pem with privkey.pem, or one .pem file with both."
                )
            )
        warnings = ca.warnings if ca else ()
        # Said at once: where the next line refuses the start, they may say how to mend it.
        self._warn(warnings)
        self._warn((*warnings, *self.certificates.load(self._url_host, *owner)))

    @property
    def ca_path(self) -> str | None:
        """The file with the private CA's certificate; None if all certificates are the operator's own."""
        return None if self.certificates.ca_pem is None else str(self._state / "ca" / "cert.pem")

    def check(self, *, force: bool = False) -> None:
        """Renew our own certificate when it is due, and take up what has changed; cheap enough for every minute.

        Args:
            force: Look into the files even if they seem unchanged (SIGHUP).
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
            ca = ensure(self._certs, self._state, this_machine(self._url_host), self._now())
        except RefusedStart as error:
            return (str(error),)
        self.certificates.passed_over = ca.orphans if ca else frozenset()
        return ca.warnings if ca else ()

    def _warn(self, warnings: tuple[str, ...]) -> None:
        for warning in warnings:
            if warning not in self._warnings:
                self._log(severity.error(warning))
        self._warnings = warnings
