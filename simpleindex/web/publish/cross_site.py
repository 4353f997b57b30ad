"""Whether a request that changes something was made by another site's page (Fetch Metadata; RFC 6454).

A browser attaches the password that it stores for this index to any form that another site's page sends here.
"""

from __future__ import annotations

from urllib.parse import urlsplit


def is_cross_site(fetch_site: str | None, origin: str | None, hosts: tuple[str | None, ...]) -> bool:
    """Return whether a browser sent a request for another site's page; other clients send neither header.

    Args:
        fetch_site: The header ``Sec-Fetch-Site``.
        origin: The header ``Origin``, for browsers without the other one; "null" comes from a page without an origin, and counts
            as another site.
        hosts: Hosts with their ports, and URLs, of this index: the Host header, which no page can choose, and the
            configured URL.
    """
    site = "none" if fetch_site is None else fetch_site.strip().lower()
    if site != "none":
        # The browser has compared the origins itself. What it sends as Origin is "null" under a Referrer-Policy "no-referrer", which
        # proxies add, and may differ from a Host that a proxy has changed (Fetch, "append a request Origin header").
        return site != "same-origin"
    if origin is None:
        return False
    host = _authority(origin)
    return not host or host not in {_authority(each) for each in hosts if each}


def _authority(text: str) -> str:
    """Return the host and port of an origin, a URL or a Host header; without the port that follows from the scheme."""
    scheme, separator, rest = text.strip().lower().partition("://")
    if not separator:
        scheme, rest = "", text.strip().lower()
    try:
        split = urlsplit(f"//{rest}")
        host, port = split.hostname or "", split.port
    except ValueError:
        return ""
    default = {"http": 80, "https": 443}.get(scheme)
    if port is None or port == default or (not scheme and port in {80, 443}):
        return host
    return f"{host}:{port}"
