"""The URL of the index and its certificates: both change with a certificate or the settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from simpleindex.service.announcements import installation_lines
from simpleindex.service.ports.listening import base_url
from simpleindex.system.log import log_each, logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IListeningPort

    from simpleindex.config.settings import Settings
    from simpleindex.service.composition.index import ComposedIndex

_log: Final = logger(__name__)

CERTIFICATE_INTERVAL: Final = 60.0
"""Seconds between looks at the certificates' files."""


@dataclass(frozen=True, slots=True)
class IndexUrl:
    """The URL under which clients reach the index.

    Attributes:
        settings: Returns the settings in force.
        ports: The open ports, each with its option.
    """

    index: ComposedIndex
    settings: Callable[[], Settings]
    ports: Sequence[tuple[str, IListeningPort]]

    def current(self) -> str:
        """Return the URL: that of ``--url``, else of the certificate's first name, else of this machine."""
        settings, security = self.settings(), self.index.security
        if settings.url is not None:
            return settings.url
        return base_url(self.ports, security.certificates.names if security else None)

    def use(self) -> None:
        """Use the URL in pages and redirects; cached pages are dropped."""
        settings, url = self.settings(), self.current()
        self.index.http.redirect.base_url = url
        # Without TLS and --url it is but a guess that clients reach this machine as localhost.
        is_sure = settings.url is not None or self.index.security is not None
        self.index.http.listings.forget(
            base_url=url, files_url=url if is_sure else None, cache_size=settings.page_cache
        )

    def check_certificates(self, *, force: bool = False) -> None:
        """Serve the certificates' files as they are now, and name the index by them."""
        assert self.index.security is not None  # only then is it called
        before = self.current()
        self.index.security.check(force=force)
        if self.current() != before:
            self.use()
        # Another CA's certificates may have come meanwhile, or gone.
        has_private_ca = self.index.security.certificates.clients_need_ca
        listings = self.index.http.listings
        listings.describe(replace(listings.description, has_private_ca=has_private_ca))

    def use_issued_certificate(self) -> None:
        """Serve the certificate that the ACME authority issued, and log how to install now."""
        assert self.index.security is not None  # --acme comes with --https
        before, needed_ca = self.current(), self.index.security.certificates.clients_need_ca
        self.check_certificates(force=True)
        if (url := self.current()) != before or needed_ca != self.index.security.certificates.clients_need_ca:
            log_each(_log, installation_lines(self.index, url))
