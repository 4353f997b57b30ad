"""Headers of upstreams: what is well formed is understood, all else is as if it had not come."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.upstreams.http.headers import (
    ContentRange,
    date,
    etag,
    fresh_for,
    parse_content_range,
    retry_after,
)
from tests.fixtures.tables import for_each


@for_each(
    ("cache_control", "age", "expected"),
    [
        ("", "", None),
        ("public", "5", None),
        ("max-age=600", "", 600.0),
        ("max-age=600, public", "100", 500.0),
        ('Max-Age="600"', "700", 0.0),
        ("max-age=600, s-maxage=60", "", 60.0),
        ("max-age=600, no-cache", "", 0.0),
        ("no-store", "", 0.0),
        ("max-age=-1", "", None),
        ("max-age=99999999999", "", None),
        ("x-max-age=5", "", None),
        ("max-age=600", "soon", 600.0),
        ("max-age=600", "9" * 5000, 600.0),
    ],
)
def test_fresh_for(cache_control: str, age: str, expected: float | None) -> None:
    """Seconds, less the time that a cache on the way had it."""
    assert fresh_for(cache_control, age) == expected


@for_each(
    ("text", "expected"),
    [
        ("bytes 5-9/10", ContentRange(5, 10, 10)),
        ("Bytes 5-9/*", ContentRange(5, 10, None)),
        ("bytes 9-5/10", None),
        ("bytes 5-9/9", None),
        ("bytes */10", None),
        ("bytes 5-9", None),
        ("items 5-9/10", None),
        ("bytes 5-9/10, bytes 5-9/10", None),
        (f"bytes 5-9/{'9' * 5000}", None),
    ],
)
def test_content_range(text: str, expected: ContentRange | None) -> None:
    """A part that is not empty and lies within its file."""
    assert parse_content_range(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a"', '"a"'),
        ('W/"a"', 'W/"a"'),
        ('""', '""'),
        ("a", None),
        ('"a b"', None),
        ('"a"\r\nX: y', None),
        ("", None),
    ],
)
def test_etag(text: str, expected: str | None) -> None:
    """What is none cannot be sent back."""
    assert etag(text) == expected


@given(st.text())
def test_nothing_raises(text: str) -> None:
    """Whatever is written."""
    for found in (etag(text), date(text)):
        assert found is None or (found.isascii() and found.isprintable())
    assert 1 <= retry_after(text, text, 0.0) <= 3600
    fresh_for(text, text)
    parse_content_range(text)


@for_each(
    ("text", "date", "seconds"),
    [
        ("7", "", 7),
        (" 600 ", "", 600),
        ("0", "", 1),
        ("999999", "", 3600),
        ("9" * 5000, "", 3600),
        *((text, "", 5) for text in ("", "soon", "-5", "1.5", "+7", "7, 9", "Sat, 99 Nov 2026 00:00:00 GMT")),
        ("Sat, 28 Nov 2026 12:02:00 GMT", "Sat, 28 Nov 2026 12:00:00 GMT", 120),
        ("Saturday, 28-Nov-26 12:02:00 GMT", "Sat Nov 28 12:00:00 2026", 120),
        ("Sat, 28 Nov 2026 12:02:00 GMT", "", 60),
        ("Sat, 28 Nov 2026 12:02:00 GMT", "yesterday", 60),
        ("Fri, 31 Dec 1999 23:59:59 GMT", "", 1),
        ("Sat, 28 Nov 2099 12:00:00 GMT", "", 3600),
    ],
)
def test_how_long_to_wait(text: str, date: str, seconds: int) -> None:
    """Seconds or a time, by the clock of the server where it says which time it has; one second to an hour."""
    now = datetime(2026, 11, 28, 12, 1, tzinfo=UTC).timestamp()
    assert retry_after(text, date, now) == seconds
