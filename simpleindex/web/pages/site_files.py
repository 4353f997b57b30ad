"""``/robots.txt`` and ``/favicon.ico``."""

from __future__ import annotations

from typing import Final

from simpleindex.web.http.response import Response

ROBOTS: Final = b"User-agent: *\nDisallow: /\n"
"""Nobody crawls: every page of an upstream's projects would be fetched for it (RFC 9309)."""

ICON: Final = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#0a58b5" d="M16 2 29 9v14L16 30 3 23V9z"/>'
    b'<path fill="none" stroke="#fff" stroke-width="2" d="m4 10 12 6 12-6M16 16v13"/></svg>\n'
)
"""A parcel. Browsers go by the type, not by the name's end."""

_FILES: Final = {
    "robots.txt": ("text/plain; charset=utf-8", ROBOTS),
    "favicon.ico": ("image/svg+xml", ICON),
}


def site_file(name: str) -> Response:
    """Answer with one of them; whoever may read nothing else may have it."""
    content_type, body = _FILES[name]
    headers = (
        ("Content-Type", content_type),
        ("Cache-Control", "public, max-age=86400"),
        ("X-Content-Type-Options", "nosniff"),
    )
    return Response(200, headers, body)
