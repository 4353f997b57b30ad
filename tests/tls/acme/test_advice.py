"""An authority's advice when to renew, and the waits that its answers request, whatever it sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from josepy import errors as josepy_errors

from simpleindex.tls.acme.advice import Advice, parse_advice, requested_wait, shown_time
from tests.fixtures.tables import for_each

START, END = datetime(2027, 1, 2, 3, tzinfo=UTC), datetime(2027, 1, 2, 5, tzinfo=UTC)
WINDOW = {"start": "2027-01-02T03:00:00Z", "end": "2027-01-02T05:00:00Z"}
DATE = "Sat, 02 Jan 2027 03:00:00 GMT"


def test_a_time_within_the_window_with_its_explanation() -> None:
    """RFC 9773 section 4.2."""
    wait, page = timedelta(hours=6), "https://ca.example.org/why?incident=7"
    for share, renew_at in ((0.0, START), (0.5, START + timedelta(hours=1)), (1.0, END)):
        assert parse_advice({"suggestedWindow": WINDOW}, wait, share) == Advice(renew_at, wait)
    content = {"suggestedWindow": WINDOW, "explanationURL": page}
    assert parse_advice(content, None, 0.0) == Advice(START, None, page)


def test_a_time_in_another_zone_is_utc() -> None:
    window = {"start": "2027-01-02T13:00:00+10:00", "end": "2027-01-02T15:00:00+10:00"}
    renew_at = parse_advice({"suggestedWindow": window}, None, 0.0).renew_at
    assert renew_at == START
    assert renew_at.tzinfo is UTC


@pytest.mark.parametrize(
    "page", [None, 7, "", "javascript:alert(1)", "https://a b", "https://a\n", "https://" + "a" * 600]
)
def test_an_explanation_that_is_no_page_is_left_out(page: object) -> None:
    """It is the operator's terminal that shows it."""
    assert parse_advice({"suggestedWindow": WINDOW, "explanationURL": page}, None, 0.0) == Advice(START)


@pytest.mark.parametrize(
    "content",
    [
        {"suggestedWindow": {"start": WINDOW["end"], "end": WINDOW["start"]}},
        {"suggestedWindow": {"start": WINDOW["start"], "end": WINDOW["start"]}},
        {"suggestedWindow": {"start": WINDOW["start"]}},
        {"suggestedWindow": {}},
        {"suggestedWindow": {"start": "soon", "end": "later"}},
        {},
        [],
        None,
    ],
)
def test_what_is_no_advice_is_as_good_as_no_answer(content: Any) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError, josepy_errors.Error)):
        parse_advice(content, None, 0.0)


@for_each(
    ("text", "wait"),
    [
        ("3600", timedelta(hours=1)),
        (" 0 ", timedelta()),
        ("Sat, 02 Jan 2027 05:00:00 GMT", timedelta(hours=2)),
        ("Saturday, 02-Jan-27 05:00:00 GMT", timedelta(hours=2)),
        ("Sat Jan  2 05:00:00 2027", timedelta(hours=2)),
        ("Sat, 02 Jan 2027 01:00:00 GMT", timedelta()),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("\u0665", None),
        ("99999999999999", None),
    ],
)
def test_a_wait_is_seconds_or_a_date_by_the_authoritys_clock(text: str, wait: timedelta | None) -> None:
    assert requested_wait({"Retry-After": text, "Date": DATE}) == wait
    assert requested_wait({"Date": DATE}) is None


@pytest.mark.usefixtures("zone")
def test_a_date_is_gmt_wherever_this_machine_is() -> None:
    """The library's own wait was eight hours longer in California, and none at all in Japan."""
    assert requested_wait({"Retry-After": "Sat, 02 Jan 2027 05:00:00 GMT", "Date": DATE}) == timedelta(
        hours=2
    )
    wait = requested_wait({"Retry-After": "Fri, 02 Jan 2099 05:00:00 GMT"})
    assert wait is not None
    assert abs(datetime.now(UTC) + wait - datetime(2099, 1, 2, 5, tzinfo=UTC)) < timedelta(minutes=1)
    assert shown_time({"Date": DATE}) == START
    assert shown_time({}) is shown_time({"Date": "now"}) is None


@given(st.text(max_size=40) | st.integers().map(str))
def test_any_text_is_a_wait_or_none(text: str) -> None:
    wait = requested_wait({"Retry-After": text})
    assert wait is None or timedelta() <= wait
