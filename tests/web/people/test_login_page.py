"""Where a person goes after logging in: to the page before, and never to another host."""

from __future__ import annotations

import pytest

from simpleindex.web.http.response import RequestInfo
from simpleindex.web.people.account.login_page import page_before
from tests.fixtures.tables import for_each


@for_each(
    ("referer", "target"),
    [
        (None, None),
        ("", None),
        ("https://index.example/lib/", "/lib/"),
        ("https://index.example/?q=x&view=y", "/?q=x&view=y"),
        ("http://INDEX.example:80/lib/", "/lib/"),
        ("https://index.example", None),
        ("https://index.example/-/login", None),
        ("https://index.example/?login", None),
        ("https://evil.example/lib/", None),
        ("https://index.example.evil.example/lib/", None),
        ("https://index.example@evil.example/lib/", None),
        ("https://index.example//evil.example/", None),
        ("https://index.example/\\evil.example/", None),
        ("https://index.example/a\r\nSet-Cookie: x", None),
        ("https://index.example/é", None),
        ("https://[::1", None),
        ("javascript:alert(1)", None),
        ("/lib/", None),
    ],
)
def test_the_page_before(referer: str | None, target: str | None) -> None:
    headers = {"referer": referer, "host": "index.example"}
    assert page_before(RequestInfo("GET", b"/?login", headers.get), None) == target


@pytest.mark.parametrize(
    ("referer", "target"),
    [
        ("https://python.example/pypi/lib/", "/pypi/lib/"),
        ("https://python.example/pypi/", "/pypi/"),
        ("https://python.example/wiki/", None),
    ],
)
def test_below_the_prefix_of_a_proxy(referer: str, target: str | None) -> None:
    """What else is on that host is no page of this index."""
    headers = {"referer": referer, "host": "backend"}
    info = RequestInfo("GET", b"/?login", headers.get)
    assert page_before(info, "https://python.example/pypi/") == target
