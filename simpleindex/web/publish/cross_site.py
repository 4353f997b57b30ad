"""Whether a request that changes something was made by another site's page (Fetch Metadata; RFC 6454).

A browser attaches the password that it remembers for us to whatever form a stranger's page sends here.
"""

from __future__ import annotations

from urllib.parse import urlsplit


def is_foreign(fetch_site: str | None, origin: str | None, own: tuple[str | None, ...]) -> bool:
    """Tell whether a browser says that a request comes from elsewhere; programs that are no browsers say nothing.

    Args:
        fetch_site: The header ``Sec-Fetch-Site``.
        origin: The header ``Origin``; "null" comes from a page that has none, and is nobody of ours.
        own: Hosts with their ports, and URLs, under which we are known: the Host header, which no page can choose, and the
            configured URL.
    """
    if fetch_site is not None and fetch_site.strip().lower() not in {"same-origin", "none"}:
        return True
    if origin is None:
        return False
    host = _authority(origin)
    return not host or host not in {_authority(each) for each in own if each}


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
