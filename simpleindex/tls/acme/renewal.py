"""Renew the certificate of an ACME authority while the server runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from simpleindex.system.log import logger
from simpleindex.tls.acme.certificate_requests import AFTER_TROUBLE
from simpleindex.tls.acme.issuing import names_of
from simpleindex.tls.acme.schedule import CHECK_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.system.threads import Threads
    from simpleindex.tls.acme.certificate_requests import CertificateRequests, Outcome

_log = logger(__name__)

_SHORTEST_WAIT: Final = timedelta(seconds=5)
"""Between two checks, whatever the plan says."""


class CertificateRenewal:
    """The reactor's half: check at once, then whenever something is due, and let the server take up what is new.

    Args:
        requests: The blocking half.
        threads: Runs it; started and stopped with the renewal.
        reactor: The event loop and the clock.

    Attributes:
        notify_workers: Makes the other workers use the files in ``--certs`` as they are now; set where there are any.
    """

    def __init__(self, requests: CertificateRequests, threads: Threads, reactor: Any) -> None:
        self._requests = requests
        self._threads = threads
        self._reactor = reactor
        self.notify_workers: Callable[[], object] = lambda: None
        self._use_certificate: Callable[[], None] = lambda: None
        self._call: Any = None
        self._is_running = False
        self._is_for_operator = False
        self._is_news = False

    def start(self, use_certificate: Callable[[], None]) -> None:
        """Begin; the first check is made at once.

        Args:
            use_certificate: Makes the server use the files in ``--certs`` as they are now.
        """
        self._use_certificate = use_certificate
        self._is_running = True
        self._threads.start()
        self.check_now()

    def stop(self) -> None:
        """Check no more; a request that is under way ends by itself, and its certificate is used from the next start."""
        self._is_running = False
        self._threads.stop()
        if self._call is not None and self._call.active():
            self._call.cancel()

    def check_now(self) -> None:
        """Check at once, or when the present check is over: the operator started the server or sent SIGHUP."""
        self._is_for_operator = True
        if self._call is None or self._call.active():
            self._schedule(0.0)

    def check_soon(self) -> None:
        """Check at once, or when the present check is over: another node obtained a certificate."""
        self._is_news = True
        if self._call is not None and self._call.active():
            self._schedule(0.0)

    def _schedule(self, seconds: float) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        if self._is_running:
            at_once = self._is_for_operator or self._is_news
            self._call = self._reactor.callLater(0.0 if at_once else seconds, self._check)

    def _check(self) -> None:
        self._is_news = False
        is_for_operator, self._is_for_operator = self._is_for_operator, False
        checking = self._threads.run(self._requests.check, is_for_operator=is_for_operator)
        checking.addCallback(self._checked).addErrback(self._broken)

    def _checked(self, outcome: Outcome) -> None:
        if outcome.certificate is not None:
            _log.info(
                "The certificate authority issued a certificate for {names}, valid until {end:%Y-%m-%d %H:%M} UTC.",
                names=", ".join(sorted(names_of(outcome.certificate))),
                end=outcome.certificate.not_valid_after_utc,
            )
            self._use_certificate()
            self.notify_workers()
        if (explained := outcome.explained) is not None:
            _log.warn(
                "The certificate authority suggests to renew the certificate at {when:%Y-%m-%d %H:%M} UTC, and explains it: {page}",
                when=explained.renew_at,
                page=explained.explanation,
            )
        if outcome.error:
            write = _log.error if outcome.is_urgent else _log.warn
            write("No new certificate: {sentence}", sentence=outcome.error)
        # The reactor's time goes on steadily while the clock may be set right, also during a wait of days.
        wait = min(max(outcome.next_check - self._requests.clock(), _SHORTEST_WAIT), CHECK_INTERVAL)
        self._schedule(wait.total_seconds())

    def _broken(self, failure: Any) -> None:
        _log.failure("The certificate's renewal failed in an unexpected way.", failure)
        self._schedule(AFTER_TROUBLE.total_seconds())
