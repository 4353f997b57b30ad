"""URLs that are signed for some minutes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.upstreams.pages.signed_urls import expiry, unsigned
from tests.fixtures.tables import for_each


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://b.example/a-1.zip", "https://b.example/a-1.zip"),
        ("https://b.example/a-1.zip?id=7", "https://b.example/a-1.zip?id=7"),
        (
            "https://b.example/a-1.zip?X-Amz-Algorithm=A&X-Amz-Date=1&X-Amz-Expires=9&x-amz-signature=ab",
            "https://b.example/a-1.zip",
        ),
        (
            "https://b.example/a-1.zip?id=7&Expires=1&Signature=a%2Fb&Key-Pair-Id=K",
            "https://b.example/a-1.zip?id=7",
        ),
        ("https://b.example/a-1.zip?X-Goog-Credential=c&X-Goog-Signature=ab", "https://b.example/a-1.zip"),
        ("https://b.example/a-1.zip?sv=2&se=1&sr=b&sp=r&sig=x%3D", "https://b.example/a-1.zip"),
        # Without a signature these may be anything.
        ("https://b.example/a-1.zip?se=1&sp=2&policy=3", "https://b.example/a-1.zip?se=1&sp=2&policy=3"),
    ],
)
def test_what_is_signed(url: str, expected: str) -> None:
    """The signatures of four stores are left out; whatever else is in a query may say which file it is."""
    assert unsigned(url) == expected


NOON = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()


@for_each(
    ("query", "seconds"),
    [
        ("X-Amz-Date=20261128T120000Z&X-Amz-Expires=900&X-Amz-Signature=ab", 900),
        ("X-Goog-Date=20261128T115900Z&X-Goog-Expires=120&X-Goog-Signature=ab", 60),
        (f"Expires={int(NOON) + 30}&Signature=ab&Key-Pair-Id=K", 30),
        ("sv=2&se=2026-11-28T12%3A05%3A00Z&sig=ab", 300),
        ("sv=2&se=2026-11-28&sig=ab", -43200),
        *((query, None) for query in ("", "id=7", "Expires=5", "X-Amz-Signature=ab", "sig=ab&se=soon")),
        ("X-Amz-Date=20261128T120000Z&X-Amz-Expires=-1&X-Amz-Signature=ab", None),
        ("Expires=99999999999999999999&Signature=ab", None),
        (f"sv=2&se=2026-11-28T12%3A05%3A00.{'0' * 40}Z&sig=ab", None),
    ],
)
def test_when_a_signature_ends(query: str, seconds: int | None) -> None:
    """As each store says it."""
    found = expiry(f"https://b.example/a-1.zip?{query}")
    assert found == (None if seconds is None else NOON + seconds)


@given(st.text())
def test_any_query_is_read(query: str) -> None:
    """Nothing is raised."""
    for text in (query, f"sig=a&se={query}", f"X-Amz-Signature=a&X-Amz-Date={query}&X-Amz-Expires={query}"):
        url = f"https://b.example/a-1.zip?{text.replace('#', '')}"
        assert expiry(url) is None or isinstance(expiry(url), float)
        assert unsigned(unsigned(url)) == unsigned(url)
