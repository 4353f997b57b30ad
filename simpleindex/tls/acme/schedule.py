"""When a certificate is renewed, when its advice is fetched, and when a failed request is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

_SHARE_OF_LIFETIME: Final = 2 / 3
"""Without advice from the authority: 90 days after 60, 6 days after 4 (letsencrypt.org/docs/integration-guide)."""

_LATEST_SHARE: Final = 9 / 10
"""Of the lifetime: when to renew at the latest, whatever the authority advises; 9 days, or 14 hours of 6 days, are left for failures."""

_JITTER: Final = 0.05
"""Share of the lifetime by which renewals are spread, so that many servers do not order at once."""

_FIRST_WAITS: Final = (timedelta(minutes=2), timedelta(minutes=6))
"""After the first failure, where a try costs one failed validation, and where it costs two: by TLS, and then by plain HTTP."""

LONGEST_WAIT: Final = timedelta(hours=12)
"""At most between two tries: a certificate of 6 days that is renewed after 4 has four tries left then.

Also after the first one, if a certificate was issued that cannot be used: Let's Encrypt issues five for the same names in a week.
"""

_SHARE_LEFT: Final = 1 / 4
"""Of the remaining lifetime: how long to wait at most between two tries while a certificate is still valid."""

_PER_VALIDATION: Final = timedelta(minutes=15)
"""Between two tries for each failed validation that one costs, where the operator or the end of a certificate shortens the wait.

Let's Encrypt permits five failed validations of a name, and one more every twelve minutes (letsencrypt.org/docs/rate-limits).
"""

LONGEST_REQUESTED: Final = timedelta(days=7)
"""The longest wait that an authority is followed in: Let's Encrypt's longest limit is per week."""

CHECK_INTERVAL: Final = timedelta(hours=1)
"""How often the files are checked: another server may have renewed, and a clock may have been set."""


_USUAL_ADVICE_WAIT: Final = timedelta(hours=6)
"""Until the authority's advice is fetched again where it does not say when, or did not answer (RFC 9773 section 4.3.3)."""

_SHORTEST_ADVICE_WAIT: Final = timedelta(minutes=1)
_LONGEST_ADVICE_WAIT: Final = timedelta(days=1)
"""Bounds of what it says: less than a minute is taken as a minute, and more than a day as a day (RFC 9773 section 4.3.2)."""


class RenewalStep(Enum):
    """What is done next about a certificate."""

    OBTAIN = "obtain"
    FETCH_ADVICE = "fetch advice"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a certificate is valid.

    Attributes:
        start: Its first moment, UTC.
        end: Its last moment, UTC.
    """

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """The times that are remembered for a certificate, each UTC.

    Attributes:
        renew_at: When it is renewed.
        advice_at: When advice is fetched from the authority (RFC 9773 section 4.3); None before the first time.
        next_try: Before this nothing is requested; None if the last try succeeded.
    """

    renew_at: datetime | None
    advice_at: datetime | None
    next_try: datetime | None


def earliest_try(next_try: datetime, tried_at: datetime, validations: int) -> datetime:
    """Return when a request that failed may be tried again because the operator starts the server or sends SIGHUP.

    Args:
        next_try: When it is tried again otherwise, UTC; the authority did not request this.
        tried_at: When it failed, UTC.
        validations: How many failed validations of a name a try costs: 1 or 2.
    """
    return min(next_try, tried_at + _PER_VALIDATION * validations)


def renewal_time(lifetime: Lifetime, advised: datetime | None, jitter: float) -> datetime:
    """Return when to renew a certificate.

    Args:
        lifetime: When it is valid.
        advised: A time within the window that the authority suggests (RFC 9773 section 4.2); None without one.
        jitter: A number from 0 to 1, drawn once for this certificate.

    Returns:
        UTC; always before the certificate's end.
    """
    length = lifetime.end - lifetime.start
    if advised is not None:
        return min(advised, lifetime.start + length * _LATEST_SHARE)
    return lifetime.start + length * (_SHARE_OF_LIFETIME - _JITTER * jitter)


def advice_wait(requested: timedelta | None) -> timedelta:
    """Return how long to wait until the authority's advice is fetched again.

    Args:
        requested: What it requested (``Retry-After``), or None.
    """
    if requested is None:
        return _USUAL_ADVICE_WAIT
    return min(max(requested, _SHORTEST_ADVICE_WAIT), _LONGEST_ADVICE_WAIT)


def next_step(lifetime: Lifetime | None, plan: Plan, now: datetime) -> tuple[RenewalStep, datetime]:
    """Return what to do next about a certificate, and when to check again if that is to wait.

    Args:
        lifetime: Of the certificate that is there and has the right names; None if there is none.
        plan: What is remembered.
        now: The time, UTC.
    """
    # Later times were remembered while this machine's clock was wrong.
    is_blocked = plan.next_try is not None and now < plan.next_try <= now + LONGEST_REQUESTED
    is_due = lifetime is None or now >= lifetime.end or plan.renew_at is None or now >= plan.renew_at
    next_check = now + CHECK_INTERVAL
    if is_due:
        if is_blocked and plan.next_try is not None:
            return RenewalStep.WAIT, min(plan.next_try, next_check)
        return RenewalStep.OBTAIN, now
    if plan.advice_at is None or now >= plan.advice_at or plan.advice_at > now + _LONGEST_ADVICE_WAIT:
        return RenewalStep.FETCH_ADVICE, now
    return RenewalStep.WAIT, min(next_check, plan.advice_at, plan.renew_at or next_check)


def wait_after_failure(
    failures: int, validations: int, jitter: float, *, requested: timedelta | None, left: timedelta | None
) -> timedelta:
    """Return how long to wait before the next try: twice as long each time, within bounds.

    Args:
        failures: Failed tries in a row; at least 1.
        validations: How many failed validations of a name a try costs: 1 or 2.
        jitter: A number from 0 to 1.
        requested: The wait that the authority requests (``Retry-After``), or None.
        left: How long the certificate in use is still valid; None if there is none.

    Returns:
        Not shorter than what the authority requests, up to :data:`LONGEST_REQUESTED`.
    """
    wait = min(_FIRST_WAITS[validations - 1] * (1 << min(failures - 1, 16)), LONGEST_WAIT)
    if left is not None and left > timedelta(0):
        wait = min(wait, max(left * _SHARE_LEFT, _PER_VALIDATION * validations))
    wait *= 1 + jitter / 4
    return wait if requested is None else max(wait, min(requested, LONGEST_REQUESTED))
