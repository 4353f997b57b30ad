"""Tell a person who navigates with a browser from a tool, by the method and the headers of a request; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.web.pages.negotiation import media_weights

if TYPE_CHECKING:
    from collections.abc import Callable

VARYING: Final = "Sec-Fetch-Dest, Sec-Fetch-Site"
"""The fields beside Accept and Sec-Fetch-Mode by which :func:`is_navigation` decides, for Vary."""

_XHTML: Final = "application/xhtml+xml"
_FETCH_FIELDS: Final = ("sec-fetch-mode", "sec-fetch-site")


def is_navigation(method: str, header: Callable[[str], str | None]) -> bool:
    """Tell whether a request is a browser's that shows the answer to a person: of a page, or of a form that was sent.

    Browsers send Sec-Fetch fields where the connection is trustworthy: over TLS and to localhost (Fetch Metadata, section
    2). Over plain HTTP only the Accept header tells: every browser names XHTML in it, and no installer does.

    Args:
        method: The request's method.
        header: Returns a field's value by its name in lower case, or None.
    """
    if method not in {"GET", "POST"}:
        return False
    destination = header("sec-fetch-dest")
    if destination is not None:
        return destination.strip().lower() == "document"
    accept = header("accept")
    return (
        accept is not None
        and _XHTML in accept.lower()
        and media_weights(accept).get(_XHTML, 0) > 0
        and all(header(name) is None for name in _FETCH_FIELDS)
    )
