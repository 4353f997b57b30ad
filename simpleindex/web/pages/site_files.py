"""``/robots.txt`` and ``/favicon.ico``."""

from __future__ import annotations

from typing import Final

from simpleindex.web.http.response import Response
from simpleindex.web.pages.templates import read_static_file

_FILES: Final = {
    # Nobody crawls: every page of an upstream's projects would be fetched for it (RFC 9309).
    "robots.txt": ("text/plain; charset=utf-8", read_static_file("robots.txt")),
    # A parcel. Browsers go by the type, not by the name's end.
    "favicon.ico": ("image/svg+xml", read_static_file("icon.svg")),
}


def site_file(name: str) -> Response:
    """Return ``/robots.txt`` or ``/favicon.ico``, also to clients that may read nothing else."""
    content_type, body = _FILES[name]
    headers = (
        ("Content-Type", content_type),
        ("Cache-Control", "public, max-age=86400"),
        ("X-Content-Type-Options", "nosniff"),
    )
    return Response(200, headers, body)
