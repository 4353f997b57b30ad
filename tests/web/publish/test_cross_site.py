"""Whether another site's page sent a request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.web.publish.cross_site import is_cross_site
from tests.fixtures.tables import for_each

OWN = ("index.example", "https://python.example.com/simple/")


@for_each(
    ("fetch_site", "origin", "own", "foreign"),
    [
        # Programs say nothing of it.
        (None, None, OWN, False),
        (None, None, (None, None), False),
        # What browsers say, whatever the page's origin is.
        ("same-origin", None, OWN, False),
        ("none", None, OWN, False),
        (" Same-Origin ", None, OWN, False),
        # Behind a proxy that changes Host, or hides who refers.
        ("same-origin", "https://proxy.example", OWN, False),
        ("same-origin", "null", OWN, False),
        ("none", "https://evil.example", OWN, True),
        ("same-site", "null", OWN, True),
        ("same-site", None, OWN, True),
        ("cross-site", None, OWN, True),
        ("cross-site", "https://index.example", OWN, True),
        ("same-origin, cross-site", None, OWN, True),
        ("", None, OWN, True),
        ("anything", None, OWN, True),
        # Older browsers send an origin alone.
        (None, "https://index.example", OWN, False),
        (None, "HTTPS://Index.Example", OWN, False),
        (None, "https://index.example:443", OWN, False),
        (None, "http://index.example", OWN, False),
        (None, "https://python.example.com", OWN, False),
        (None, "https://index.example:8443", OWN, True),
        (None, "https://index.example.evil.example", OWN, True),
        (None, "https://evil.example", OWN, True),
        (None, "https://sub.index.example", OWN, True),
        (None, "null", OWN, True),
        (None, "", OWN, True),
        (None, "null", ("null", None), False),
        (None, "file://", OWN, True),
        (None, "https://index.example, https://evil.example", OWN, True),
        (None, "https://[::1", OWN, True),
        (None, "https://index.example:port", OWN, True),
        (None, "https://index.example", ("index.example:port", None), True),
        (None, "https://index.example", (None, None), True),
        (None, "https://index.example", ("", None), True),
        # Ports, where they are not those of the scheme.
        (None, "http://index.example:8080", ("index.example:8080", None), False),
        (None, "http://index.example:8080", ("index.example:8081", None), True),
        (None, "https://index.example", ("index.example:443", None), False),
        (None, "http://index.example", ("index.example:80", None), False),
        (None, "https://index.example:80", ("index.example", None), True),
        (None, "http://127.0.0.1:8080", ("127.0.0.1:8080", None), False),
        (None, "http://[::1]:8080", ("[::1]:8080", None), False),
        (None, "http://[::1]:8080", ("[::2]:8080", None), True),
        (None, "https://index.example:8443", ("proxied:80", "https://index.example:8443/x/"), False),
    ],
)
def test_table(
    fetch_site: str | None, origin: str | None, own: tuple[str | None, ...], foreign: bool
) -> None:
    """What a browser says, and the names that we have."""
    assert is_cross_site(fetch_site, origin, own) is foreign


@given(st.text(), st.text(max_size=30))
def test_anything(origin: str, host: str) -> None:
    """No text is an error, and no origin is ours by having nothing in it."""
    assert isinstance(is_cross_site(None, origin, (host,)), bool)
    assert is_cross_site(None, origin, ("", None))
