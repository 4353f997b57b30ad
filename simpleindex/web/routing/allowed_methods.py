"""Answers about methods: OPTIONS, what other sites' pages may do (CORS), and changes where nothing can be changed."""

from __future__ import annotations

from functools import lru_cache

from simpleindex.core.errors import NotHere
from simpleindex.web.http.response import RequestInfo, Response, sentence
from simpleindex.web.routing.routes import UploadRoute
from simpleindex.web.routing.targets import route

_ALLOW = ("Allow", "GET, HEAD, OPTIONS")


def is_upload(request: RequestInfo) -> bool:
    """Return whether a request is for the URL that takes uploads."""
    try:
        return isinstance(route(request.target), UploadRoute)
    except NotHere:
        return False


def nothing_changes(request: RequestInfo) -> Response:
    """Refuse a change on an index where nothing can be changed."""
    if is_upload(request):
        return upload_refused(("OPTIONS",))
    # "PUT /<file>" is an upload too, and a file's name need not be a project's.
    text = "This index is read-only: uploads are not enabled on it."
    return sentence(405, text, _ALLOW)


def upload_refused(allowed: tuple[str, ...]) -> Response:
    """Refuse a method at the URL that takes uploads, and state the allowed ones."""
    text = "Uploads are not enabled on this index."
    if "POST" in allowed:
        # twine and flit show this where a user configured the one URL for the other (docs/protocol.md, "Answers to an upload").
        text = "This URL takes uploads (POST); what is here to read is at /simple/."
    return sentence(405, text, ("Allow", ", ".join(allowed)))


def preflight(cors: str | None, allow: str = _ALLOW[1]) -> Response:
    """Answer OPTIONS: the allowed methods, and what pages of the origin ``cors`` may send (Fetch, "CORS-preflight request")."""
    headers = [("Allow", allow)]
    if cors is not None:
        headers += [
            ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
            (
                "Access-Control-Allow-Headers",
                "If-None-Match, If-Modified-Since, If-Range, Range, Cache-Control",
            ),
            ("Access-Control-Max-Age", "86400"),
        ]
    return Response(204, tuple(headers))


@lru_cache(maxsize=2)
def cors_headers(cors: str | None) -> tuple[tuple[str, str], ...]:
    """Return the headers that let web pages of this origin read an answer; none for None."""
    if cors is None:
        return ()
    return (
        ("Access-Control-Allow-Origin", cors),
        ("Access-Control-Expose-Headers", "ETag, Content-Length, Content-Range, Accept-Ranges"),
    )
