"""Pages of other indexes as documents: their format, API version, and parsed JSON or HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core import bounds
from simpleindex.core.parsing.json_text import load_json
from simpleindex.core.text import shown
from simpleindex.upstreams.errors import InvalidUpstreamPage
from simpleindex.upstreams.pages.html import read_html
from simpleindex.upstreams.pages.urls import absolute_url

if TYPE_CHECKING:
    from simpleindex.upstreams.pages.html import Page

_JSON: Final = frozenset({"application/vnd.pypi.simple.v1+json", "application/json"})
_HTML: Final = frozenset({"application/vnd.pypi.simple.v1+html", "text/html", "application/xhtml+xml"})

# The charsets of pages. Some of Python's other codecs are not for text, or warn.
_CHARSET: Final = re.compile(
    r"charset\s*=\s*\"?(utf-8|us-ascii|iso-8859-(?:[1-9]|1[013-6])|windows-125[0-8])(?![\w-])",
    re.IGNORECASE | re.ASCII,
)


def is_html(content_type: str) -> bool:
    """Return whether a page of this type is HTML, whose end could be lost unnoticed."""
    return content_type.partition(";")[0].strip().lower() in _HTML


def is_json(content_type: str) -> bool:
    """Return whether a page of this type is JSON, not HTML.

    Raises:
        InvalidUpstreamPage: It is neither.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _JSON | _HTML:
        raise InvalidUpstreamPage(
            f"has the type {shown(media_type)}, not one of an index" if media_type else "states no type"
        )
    return media_type in _JSON


def read_json_page(body: bytes) -> dict[str, Any]:
    """Read a page of JSON.

    Raises:
        InvalidUpstreamPage: It is no object, or of another major version.
    """
    try:
        page = load_json(body.decode("utf-8-sig"), bounds.PAGE_VALUES)
    except ValueError as error:
        raise InvalidUpstreamPage(f"is no JSON that can be read ({error})") from None
    if not isinstance(page, dict):
        raise InvalidUpstreamPage("is JSON, but no object")
    meta = page.get("meta")
    _require_version(meta.get("api-version") if isinstance(meta, dict) else None)
    return page


def read_html_page(content_type: str, body: bytes) -> Page:
    """Read a page of HTML in the encoding that its type states.

    Raises:
        InvalidUpstreamPage: It is of another major version.
    """
    charset = _CHARSET.search(content_type)
    page = read_html(body.decode(charset[1] if charset else "utf-8", "replace"))
    _require_version(page.metas.get("repository-version"))
    return page


def base_of(page: Page, url: str) -> str:
    """Return what the links of a page are relative to."""
    return (absolute_url(url, page.base) if page.base else None) or url


def _require_version(version: object) -> None:
    """Refuse a page with an unknown major version, as clients must (PEP 629)."""
    if isinstance(version, str) and re.match(r"\s*\d", version) and not re.match(r"\s*1(\D|\Z)", version):
        raise InvalidUpstreamPage(f"is of version {shown(version)} of the protocol, not 1")
