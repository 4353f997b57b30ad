"""Fields of e-mail addresses."""

from __future__ import annotations

import pytest

from simpleindex.core.parsing.address_texts import parse_addresses


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("Ann <a@x.org>, b@x.org", [("Ann", "a@x.org"), ("", "b@x.org")]),
        ("b@x.org (Bob)", [("Bob", "b@x.org")]),
        ("(" * 2_000, [("(" * 2_000, "")]),
        ("(a@x.org" * 400, [("(a@x.org" * 400, "")]),
    ],
)
def test_addresses(text: str, parsed: list[tuple[str, str]]) -> None:
    """As many comments in comments as the standard library cannot go down into are no address."""
    assert parse_addresses(text) == parsed
