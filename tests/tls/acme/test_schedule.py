"""When certificates are renewed and failed requests tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.tls.acme.schedule import (
    LONGEST_REQUESTED,
    Lifetime,
    Plan,
    RenewalStep,
    earliest_try,
    next_step,
    renewal_time,
    wait_after_failure,
)
from tests.fixtures.tables import for_each

NOW = datetime(2026, 11, 28, tzinfo=UTC)
DAY = timedelta(days=1)
NOTHING = Plan(None, None, None)


@pytest.mark.parametrize(
    ("days", "earliest", "latest"),
    [(90, 55.5, 60), (64, 39.466667, 42.666667), (47, 28.983333, 31.333333), (45, 27.75, 30), (6, 3.7, 4)],
)
def test_without_advice_two_thirds_of_the_lifetime_pass_or_a_little_less(
    days: int, earliest: float, latest: float
) -> None:
    lifetime = Lifetime(NOW, NOW + days * DAY)
    assert abs(renewal_time(lifetime, None, 0.0) - (NOW + latest * DAY)) < timedelta(seconds=1)
    assert abs(renewal_time(lifetime, None, 1.0) - (NOW + earliest * DAY)) < timedelta(seconds=1)


def test_the_authoritys_advice_is_followed_even_into_the_past_but_not_up_to_the_end() -> None:
    """At the end itself there is no time for a second try."""
    lifetime = Lifetime(NOW, NOW + 90 * DAY)
    assert renewal_time(lifetime, NOW - DAY, 0.5) == NOW - DAY
    assert renewal_time(lifetime, NOW + 80 * DAY, 0.5) == NOW + 80 * DAY
    assert renewal_time(lifetime, NOW + 100 * DAY, 0.5) == NOW + 81 * DAY


LIFETIME = Lifetime(NOW - DAY, NOW + 89 * DAY)


@for_each(
    ("lifetime", "plan", "step"),
    [
        (None, NOTHING, RenewalStep.OBTAIN),
        (None, Plan(None, None, NOW + DAY), RenewalStep.WAIT),
        (None, Plan(None, None, NOW), RenewalStep.OBTAIN),
        (LIFETIME, Plan(NOW + DAY, None, None), RenewalStep.FETCH_ADVICE),
        (LIFETIME, Plan(NOW + DAY, NOW, None), RenewalStep.FETCH_ADVICE),
        (LIFETIME, Plan(NOW + DAY, NOW + DAY, None), RenewalStep.WAIT),
        (LIFETIME, Plan(NOW, NOW + DAY, None), RenewalStep.OBTAIN),
        (LIFETIME, Plan(NOW, NOW + DAY, NOW + DAY), RenewalStep.WAIT),
        (LIFETIME, NOTHING, RenewalStep.OBTAIN),
        (Lifetime(NOW - 90 * DAY, NOW), Plan(NOW + DAY, NOW + DAY, None), RenewalStep.OBTAIN),
    ],
)
def test_the_next_step(lifetime: Lifetime | None, plan: Plan, step: RenewalStep) -> None:
    assert next_step(lifetime, plan, NOW)[0] is step


def test_times_that_a_wrong_clock_remembered_do_not_hold_anything_up() -> None:
    far = NOW + 3650 * DAY
    assert next_step(None, Plan(None, None, far), NOW)[0] is RenewalStep.OBTAIN
    assert next_step(LIFETIME, Plan(far, far, None), NOW)[0] is RenewalStep.FETCH_ADVICE


moments = st.none() | st.integers(-400, 400).map(lambda hours: NOW + timedelta(hours=hours))


@given(st.booleans(), st.builds(Plan, moments, moments, moments))
def test_a_wait_always_ends_within_an_hour(has_certificate: bool, plan: Plan) -> None:
    step, when = next_step(LIFETIME if has_certificate else None, plan, NOW)
    assert NOW <= when <= NOW + timedelta(hours=1)
    assert (step is RenewalStep.WAIT) is (when > NOW)


@given(
    st.integers(1, 10_000),
    st.integers(1, 2),
    st.floats(0, 1),
    st.none() | st.integers(0, 10**7).map(lambda seconds: timedelta(seconds=seconds)),
    st.none() | st.integers(-(10**6), 10**7).map(lambda seconds: timedelta(seconds=seconds)),
)
def test_waits_are_bounded_and_what_the_authority_requests_is_kept(
    failures: int, validations: int, jitter: float, requested: timedelta | None, left: timedelta | None
) -> None:
    wait = wait_after_failure(failures, validations, jitter, requested=requested, left=left)
    assert timedelta(minutes=2) <= wait <= max(timedelta(hours=15), LONGEST_REQUESTED)
    if requested is not None:
        assert wait >= min(requested, LONGEST_REQUESTED)


def test_waits_double_up_to_half_a_day_and_are_shorter_near_the_end() -> None:
    waits = [wait_after_failure(count, 1, 0, requested=None, left=None) for count in range(1, 12)]
    assert waits[:4] == [timedelta(minutes=minutes) for minutes in (2, 4, 8, 16)]
    assert waits[-1] == timedelta(hours=12)
    assert wait_after_failure(11, 1, 0, requested=None, left=timedelta(hours=8)) == timedelta(hours=2)


@given(
    st.integers(1, 2),
    st.lists(st.booleans(), max_size=60),
    st.none() | st.integers(1, 100).map(lambda hours: timedelta(hours=hours)),
)
def test_no_failures_exceed_the_limit_of_lets_encrypt(
    validations: int, by_operator: list[bool], left: timedelta | None
) -> None:
    """Five failed validations of a name at once, and one more every twelve minutes; also where the operator tries as soon as that is possible."""
    allowed, now = 5.0, NOW
    end = None if left is None else now + left
    for failures, is_by_operator in enumerate(by_operator, 1):
        allowed -= validations
        assert allowed >= 0
        next_try = now + wait_after_failure(
            failures, validations, 0, requested=None, left=None if end is None else end - now
        )
        then = earliest_try(next_try, now, validations) if is_by_operator else next_try
        allowed = min(5.0, allowed + (then - now) / timedelta(minutes=12))
        now = then
