"""What is due about the certificate of an ACME authority: it is requested, or advice about it is fetched; what came of that is remembered."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.tls.acme.advice import Advice
from simpleindex.tls.acme.errors import AcmeFailed, IssuedUnusable
from simpleindex.tls.acme.issuing import names_of, read_certificate, take_shared_certificate
from simpleindex.tls.acme.schedule import (
    LONGEST_WAIT,
    Lifetime,
    Plan,
    RenewalStep,
    advice_wait,
    earliest_try,
    next_step,
    renewal_time,
    wait_after_failure,
)
from simpleindex.tls.acme.status import (
    CertificateStatus,
    FailedTries,
    RenewalStatus,
    failure_sentence,
    request_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from simpleindex.tls.acme.store import AcmeStore

_CLOCKS_APART: Final = timedelta(minutes=5)
"""By how much the clocks of two nodes may differ."""

AFTER_TROUBLE: Final = timedelta(minutes=10)
"""Until the next check after a trouble of this machine, such as a full disk."""


class Authority(Protocol):
    """What a certificate authority does for this server; both calls block."""

    @property
    def directory(self) -> str:
        """The URL of its directory."""

    @property
    def names(self) -> frozenset[str]:
        """The names and addresses that the certificate is to be for."""

    @property
    def validations(self) -> int:
        """How many failed validations of a name a try can cost."""

    def obtain(self) -> x509.Certificate:
        """Get a certificate and write it below ``--certs``, or raise :class:`AcmeFailed`."""

    def advise(self, certificate: x509.Certificate) -> Advice:
        """Return when to renew a certificate, or raise :class:`AcmeFailed`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check came to.

    Attributes:
        next_check: When to check again, UTC.
        certificate: The certificate that was obtained; None if none was.
        error: The sentence about a failure; empty without one.
        is_urgent: Whether there is no valid certificate of the authority.
        explained: What is remembered now of a certificate whose renewal the authority explains; None without a new explanation.
    """

    next_check: datetime
    certificate: x509.Certificate | None = None
    error: str = ""
    is_urgent: bool = False
    explained: CertificateStatus | None = None


class CertificateRequests:
    """The blocking half: check the files, and request from the authority what is due.

    Args:
        authority: Issues certificates.
        state: The files of ACME.
        certs: The directory of certificates.
        clock: Returns the time, UTC.
        draw: Returns a random number from 0 to 1.
    """

    def __init__(
        self,
        authority: Authority,
        state: AcmeStore,
        certs: Path,
        clock: Callable[[], datetime],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._authority = authority
        self._state = state
        self._certs = certs
        self.clock = clock
        self._draw = draw

    def check(self, *, is_for_operator: bool = False) -> Outcome:
        """Do what is due. Blocks for seconds or minutes while a certificate is requested.

        Args:
            is_for_operator: Whether the operator started the server or sent SIGHUP, perhaps to try again after a failure.
        """
        try:
            return self._check(is_for_operator)
        except OSError as error:
            return self._hindered(error)

    def _check(self, is_for_operator: bool) -> Outcome:
        self._state.prepare()
        taken = take_shared_certificate(self._state, self._certs, self._authority.names)
        if taken is not None:
            return Outcome(self.clock(), certificate=taken)
        step, when = self._next(is_for_operator)
        if step is RenewalStep.WAIT:
            return self._waiting(when) if is_for_operator else Outcome(when)
        with self._state.locked() as is_held:
            if not is_held:  # another server of this state directory is at it
                return Outcome(self.clock() + timedelta(minutes=1))
            step, when = self._next(is_for_operator)
            if step is RenewalStep.OBTAIN:
                return self._obtain()
            if step is RenewalStep.FETCH_ADVICE:
                return self._fetch_advice()
        return Outcome(when)

    def _waiting(self, when: datetime) -> Outcome:
        """Return the outcome of a start or SIGHUP that comes too early to try again; why nothing is requested would be read nowhere else."""
        failed = self._failed_tries()
        if failed is None or failed.next_try <= self.clock():
            return Outcome(when)
        return Outcome(when, error=_with_next_try(failed), is_urgent=self._is_urgent())

    def _is_urgent(self) -> bool:
        present = self._certificate()
        return present is None or present.not_valid_after_utc <= self.clock()

    def _next(self, is_for_operator: bool) -> tuple[RenewalStep, datetime]:
        certificate = self._certificate()
        failed = self._failed_tries()
        next_try = None if failed is None else failed.next_try
        if failed is not None and is_for_operator and not failed.is_wait_requested:
            next_try = earliest_try(failed.next_try, failed.last, self._authority.validations)
        if certificate is None:
            return next_step(None, Plan(None, None, next_try), self.clock())
        status = self._status_of(certificate)
        return next_step(
            _lifetime(certificate), Plan(status.renew_at, status.advice_at, next_try), self.clock()
        )

    def _certificate(self) -> x509.Certificate | None:
        """Return the certificate that is there, if it is of this authority, and for all names; some authorities add ``www.``."""
        certificate = read_certificate(self._certs)
        if (
            certificate is None
            or not names_of(certificate) >= self._authority.names
            or not self._state.counts(certificate)
        ):
            return None
        is_of_another = self._status_of(certificate).directory not in ("", self._authority.directory)
        return None if is_of_another else certificate

    def _status_of(self, certificate: x509.Certificate) -> CertificateStatus:
        """Return what is remembered of a certificate; where that is nothing, it is renewed as early as any."""
        status = self._state.read_status().certificate
        if status is not None and status.serial == _serial(certificate):
            return status
        return CertificateStatus(
            _serial(certificate), "", renewal_time(_lifetime(certificate), None, 1.0), None
        )

    def _failed_tries(self) -> FailedTries | None:
        """Return the failures of this very request, if no certificate was issued since."""
        status = self._state.read_status()
        if status.failed is None or status.failed.request != self._request:
            return None
        if status.failed.last > self.clock() + _CLOCKS_APART:
            return None  # a wrong clock noted them, which was set right since
        certificate = self._certificate()
        is_issued_since = certificate is not None and (
            status.certificate is None or status.certificate.serial != _serial(certificate)
        )
        return None if is_issued_since else status.failed

    @property
    def _request(self) -> str:
        return request_text(self._authority.directory, self._authority.names)

    def _obtain(self) -> Outcome:
        # Nothing is requested whose failure could not be remembered: it would be requested again too soon.
        self._state.write_status(self._state.read_status())
        try:
            certificate = self._authority.obtain()
        except AcmeFailed as failed:
            return self._failed(failed)
        lifetime, now = _lifetime(certificate), self.clock()
        # An authority that dates back by most of the lifetime would get another order at once.
        renew_at = max(renewal_time(lifetime, None, self._draw()), now + (lifetime.end - now) / 3)
        # Not at once: an authority that always advises to renew would be followed without end.
        advice_at = self.clock() + advice_wait(None)
        status = CertificateStatus(_serial(certificate), self._authority.directory, renew_at, advice_at)
        self._state.write_status(RenewalStatus(status))
        return Outcome(self.clock(), certificate=certificate)

    def _failed(self, failed: AcmeFailed) -> Outcome:
        now = self.clock()
        present = self._certificate()
        left = None if present is None else present.not_valid_after_utc - now
        former = self._failed_tries()
        count = 1 if former is None else max(0, former.count) + 1
        wait = wait_after_failure(
            count, self._authority.validations, self._draw(), requested=failed.retry_after, left=left
        )
        if isinstance(failed, IssuedUnusable):
            wait = max(wait, LONGEST_WAIT)
        sentence, is_requested = failure_sentence(failed, former), bool(failed.retry_after)
        tries = FailedTries(self._request, count, sentence, now, now + wait, is_requested)
        status = self._state.read_status().certificate if present is None else self._status_of(present)
        self._state.write_status(RenewalStatus(status, tries))
        return Outcome(tries.next_try, error=_with_next_try(tries), is_urgent=self._is_urgent())

    def _hindered(self, error: OSError) -> Outcome:
        """Return the outcome of a trouble of this machine, such as a full disk, which may hinder writing a status too."""
        now = self.clock()
        present = read_certificate(self._certs)
        sentence = (
            f"{self._state.sentence_about(error)} The next try is in {AFTER_TROUBLE.seconds // 60} minutes."
        )
        is_urgent = present is None or present.not_valid_after_utc <= now
        return Outcome(now + AFTER_TROUBLE, error=sentence, is_urgent=is_urgent)

    def _fetch_advice(self) -> Outcome:
        certificate = self._certificate()
        assert certificate is not None, "advice is requested for a certificate that is there"
        now = self.clock()
        before, failed = self._status_of(certificate), self._failed_tries()
        try:
            advice = self._authority.advise(certificate)
        except AcmeFailed:
            # Without advice the plan stays as it is (RFC 9773 section 4.3.3).
            advice = Advice(None)
        status = replace(before, advice_at=now + advice_wait(advice.wait))
        if advice.renew_at is not None:
            renew_at = renewal_time(_lifetime(certificate), advice.renew_at, 0)
            status = replace(status, renew_at=renew_at, explanation=advice.explanation)
        self._state.write_status(RenewalStatus(status, failed))
        return Outcome(now, explained=status if status.explanation not in ("", before.explanation) else None)


def _with_next_try(failed: FailedTries) -> str:
    return f"{failed.sentence} The next try is at {failed.next_try:%Y-%m-%d %H:%M} UTC."


def _serial(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:x}"


def _lifetime(certificate: x509.Certificate) -> Lifetime:
    return Lifetime(certificate.not_valid_before_utc, certificate.not_valid_after_utc)
