"""``/-/docs/`` and ``/-/docs/TOPIC``: the guides that come with the program, as text."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import NotHere
from simpleindex.system.guides import document, list_of_topics
from simpleindex.web.conditional import not_modified
from simpleindex.web.http.response import Response

if TYPE_CHECKING:
    from simpleindex.web.http.response import RequestInfo

DOCS_PREFIX: Final = "docs/"


def document_response(topic: str, request: RequestInfo) -> Response:
    """Answer with a guide, or with the list of guides for the empty topic.

    Args:
        topic: As in the URL; it is only looked up among the topics that there are, never used as a path.
        request: For its ``If-None-Match``.

    Raises:
        NotHere: There is no such guide.
    """
    text = document(topic) if topic else list_of_topics()
    if text is None:
        raise NotHere("page")
    body = text.encode()
    etag = f'"{sha256(body).hexdigest()}"'
    headers = (
        # Browsers show plain text, and download Markdown.
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Cache-Control", "no-cache"),
        ("ETag", etag),
        ("X-Content-Type-Options", "nosniff"),
    )
    if not_modified(request.header("if-none-match"), None, etag, None):
        return Response(304, headers)
    return Response(200, headers, body)
