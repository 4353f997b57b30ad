"""Which Host headers a browser on this machine can be made to send by somebody else's page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.web.http.hosts import is_own_host
from tests.fixtures.tables import for_each

OWN = "https://Index.example:8443/"


@for_each(
    ("host", "own_url", "expected"),
    [
        (None, OWN, True),
        ("localhost", None, True),
        ("LOCALHOST:8443", None, True),
        ("index.localhost.", None, True),
        ("127.0.0.1:8443", None, True),
        ("[::1]:8443", None, True),
        ("192.0.2.7", None, True),
        ("index.example", OWN, True),
        ("INDEX.example.:8443", OWN, True),
        ("index.example", None, False),
        ("evil.example", OWN, False),
        ("evil.example", None, False),
        ("notlocalhost", None, False),
        ("localhost.evil.example", OWN, False),
        ("127.0.0.1.evil.example", OWN, False),
        ("evil.example@127.0.0.1:8443", OWN, True),
        ("[::1", None, False),
        ("", None, False),
        ("evil.example, localhost", OWN, False),
    ],
)
def test_a_name_is_ours_or_nobodys(host: str | None, own_url: str | None, expected: bool) -> None:
    """Addresses, localhost and the index's own name; no other name, however it is written."""
    assert is_own_host(host, own_url) is expected


@given(st.text(), st.none() | st.text())
def test_nothing_is_too_odd(host: str, own_url: str | None) -> None:
    """Whatever a client sends has an answer."""
    assert is_own_host(host, own_url) in (True, False)
