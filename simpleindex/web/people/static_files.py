"""Style sheets, scripts and images of people's pages, below ``/-/static/``."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import NotHere
from simpleindex.web.conditional import not_modified
from simpleindex.web.http.response import Response
from simpleindex.web.pages.negotiation import Encoding, choose_encoding
from simpleindex.web.routing.routes import STATIC_PREFIX
from simpleindex.web.routing.targets import split_target

if TYPE_CHECKING:
    from simpleindex.web.http.response import RequestInfo

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of ``static/``.

    Attributes:
        body: Its bytes.
        compressed: The same with gzip.
        digest: Names the content in its URL.
    """

    content_type: str
    body: bytes
    compressed: bytes
    digest: str


@cache
def _files() -> dict[str, StaticFile]:
    read = {}
    for each in files("simpleindex.web.people").joinpath("static").iterdir():
        content_type = _TYPES.get(each.name.rpartition(".")[2])
        if content_type is not None:
            body = each.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:16]
            read[each.name] = StaticFile(content_type, body, gzip.compress(body, mtime=0), digest)
    return read


def static_url(root: str, name: str) -> str:
    """Return the URL of a file of ``static/``; it changes with the content.

    Args:
        root: The URL of the index's root, relative to the page's.
        name: The file's name.
    """
    return f"{root}-/{STATIC_PREFIX}{name}?{_files()[name].digest}"


def static_response(name: str, info: RequestInfo) -> Response:
    """Answer with a file of ``static/``.

    Raises:
        NotHere: There is no such file.
    """
    file = _files().get(name)
    if file is None:
        raise NotHere("page")
    encoding = choose_encoding(info.header("accept-encoding"), (Encoding.GZIP, Encoding.IDENTITY))
    is_named = split_target(info.target)[1].decode("latin-1") == file.digest
    etag = f'"{file.digest}-{encoding.value}"'
    headers: tuple[tuple[str, str], ...] = (
        ("ETag", etag),
        # The URL of one content never has another; without the digest it may be another tomorrow.
        ("Cache-Control", "public, max-age=31536000, immutable" if is_named else "no-cache"),
        ("Vary", "Accept-Encoding"),
    )
    if not_modified(info.header("if-none-match"), None, etag, None):
        return Response(304, headers)
    headers += (("Content-Type", file.content_type), ("X-Content-Type-Options", "nosniff"))
    if encoding is Encoding.IDENTITY:
        return Response(200, headers, file.body)
    return Response(200, (*headers, ("Content-Encoding", encoding.value)), file.compressed)
