"""Delays after wrong passwords."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.access.logins.backoff import NO_FAILURES, FailureHistory


def failed(*times: float) -> FailureHistory:
    """What is remembered after failures at these times."""
    failures = NO_FAILURES
    for time in times:
        failures = failures.after_another(time)
    return failures


def test_the_first_failures_are_free() -> None:
    """Four wrong ones delay nobody; the fifth does, for a second."""
    assert NO_FAILURES.wait(0) == 0
    assert failed(10, 11, 12, 13).wait(13) == 0
    assert failed(10, 11, 12, 13, 14).wait(14) == 1
    assert failed(10, 11, 12, 13, 14).wait(15) == 0


def test_each_further_one_costs_twice_as_much() -> None:
    """Up to a minute, in whole seconds, rounded up."""
    failures = failed(0, 0, 0, 0)
    now = 0.0
    delays = []
    for _ in range(9):
        failures = failures.after_another(now)
        delays.append(failures.wait(now))
        assert failures.wait(now + 0.5) == delays[-1]
        now += delays[-1]
        assert failures.wait(now) == 0
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_seldom_failures_are_none() -> None:
    """Five within five minutes make the difference."""
    assert failed(0, 80, 160, 240, 301).wait(301) == 0
    assert failed(0, 80, 160, 240, 300).wait(300) == 1


def test_all_is_forgotten_in_five_quiet_minutes() -> None:
    """Then guesses are free again, and delays begin with a second."""
    long_delayed = failed(*[0] * 12)
    assert long_delayed.wait(0) == 60
    assert long_delayed.after_another(301).wait(301) == 0
    assert long_delayed.after_another(300).wait(300) == 60


def test_rounding_adds_no_second() -> None:
    """The sum of a time and a delay may be a little more than both."""
    now = 84.8
    assert (now + 60) - now > 60
    assert failed(*[now] * 12).wait(now) == 60


@given(st.lists(st.floats(0, 10_000), max_size=50))
def test_bounds(steps: list[float]) -> None:
    """Whatever happens, little is remembered and nobody waits for longer than a minute."""
    failures, now = NO_FAILURES, 0.0
    for step in steps:
        now += step
        failures = failures.after_another(now)
        assert 0 <= failures.wait(now) <= 60
        assert len(failures.recent) <= 5
