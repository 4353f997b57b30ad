"""Tokens as values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simpleindex.access.identity import Action, TokenLimits
from simpleindex.access.logins.credentials import Token, may_be_secret
from tests.fixtures.tables import for_each

TOKEN = Token("ab12cd34", "alice", frozenset({Action.UPLOAD}), ("acme-*",), 1000, 2000, "ci")


@pytest.mark.parametrize(
    ("token", "now", "refusal"),
    [
        (TOKEN, 1999.9, None),
        (TOKEN, 2000, "expired"),
        (replace(TOKEN, expires=None), 9e12, None),
        (replace(TOKEN, revoked=1500), 1000, "revoked"),
        (replace(TOKEN, revoked=1500), 3000, "revoked"),
    ],
)
def test_refusal(token: Token, now: float, refusal: str | None) -> None:
    """An end is an end from its first second on; revoked is the stronger word, and does not wait."""
    assert token.refusal(now) == refusal


def test_limits() -> None:
    """What rights are decided by."""
    assert TOKEN.limits == TokenLimits("ab12cd34", frozenset({Action.UPLOAD}), ("acme-*",))


@for_each(
    ("text", "expected"),
    [
        ("sidx-" + "A" * 43, True),
        ("sidx-" + "_-09azAZ" * 5 + "abc", True),
        ("sidx-" + "A" * 42, False),
        ("sidx-" + "A" * 44, False),
        ("sidx-" + "A" * 43 + "\n", False),
        ("sidx-" + "A" * 42 + "é", False),
        ("SIDX-" + "A" * 43, False),
        ("pypi-" + "A" * 43, False),
        ("", False),
    ],
)
def test_form_of_secrets(text: str, expected: bool) -> None:
    """Nothing else is looked for in the records."""
    assert may_be_secret(text) is expected
