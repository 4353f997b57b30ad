"""Answers about files, with their headers: conditional, in ranges, never decoded on the way, and never a mixture of two versions."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING

from simpleindex.core.names import METADATA_SUFFIX, PROVENANCE_SUFFIX, distribution_suffix
from simpleindex.core.source import Elsewhere
from simpleindex.web.conditional import (
    ByteRange,
    UnsatisfiableRange,
    content_range,
    if_range_matches,
    not_modified,
    parse_range,
    precondition_failed,
    wants_rest,
)
from simpleindex.web.http.response import Content, OfferedDownload, Response, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body, Source
    from simpleindex.web.http.response import RequestInfo


class FileResponses:
    """The files beside the project pages.

    Args:
        immutable: Whether the content of a file name never changes, so that clients may keep it for ever.
        now: The time, seconds since 1970.
    """

    def __init__(self, *, immutable: bool, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.immutable = immutable

    async def answer(
        self, name: ProjectName, filename: str, request: RequestInfo, source: Source
    ) -> Response:
        """Answer a GET or HEAD for one file of a source."""
        body = await source.file(name, filename)
        if isinstance(body, Elsewhere):
            # A rule or another upstream may send them elsewhere next time, so no client keeps it (docs/protocol.md, "URLs and redirects").
            return sentence(302, f"It is at {body.url}", ("Location", body.url))
        response = None
        try:
            response = _answer(
                body, filename, request, never_changes=self._never_changes(filename), now=self._now()
            )
            if (
                isinstance(response.body, Content)
                and request.record is not None
                and _is_download(filename, request, response.body)
            ):
                length = response.body.stop - response.body.start
                request.record.download = OfferedDownload(name, filename, length, body.origin)
        finally:
            if response is None or not isinstance(response.body, Content):
                body.close()
        return response

    def _never_changes(self, filename: str) -> bool:
        # A provenance file may be amended (docs/protocol.md, "Yanks, status and provenance"), and so may a signature.
        return self.immutable and bool(distribution_suffix(filename.removesuffix(METADATA_SUFFIX)))


def _answer(body: Body, filename: str, request: RequestInfo, *, never_changes: bool, now: float) -> Response:
    size = body.size
    assert size is not None  # every source of this index states it
    # Without a digest there is no tag; an empty one equals none.
    etag = f'"{body.sha256}"' if body.sha256 else ""
    modified = _modified(body, now)
    headers = [("ETag", etag)] if etag else []
    headers.append(("Cache-Control", "public, max-age=365000000, immutable" if never_changes else "no-cache"))
    if modified is not None:
        headers.append(("Last-Modified", _http_date(max(modified, 0))))
    if precondition_failed(request.header("if-match"), request.header("if-unmodified-since"), etag, modified):
        return sentence(412, "The file is not the one that the request names.")
    if not_modified(request.header("if-none-match"), request.header("if-modified-since"), etag, modified):
        return Response(304, tuple(headers))
    headers += [
        ("Content-Type", _content_type(filename)),
        ("Accept-Ranges", "bytes" if body.accepts_ranges else "none"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    by_kernel = body.is_immutable or never_changes
    selected = _selected(request, etag, modified, size) if body.accepts_ranges else None
    if isinstance(selected, UnsatisfiableRange):
        return sentence(
            416,
            f"The file has {size} bytes; the range lies outside.",
            ("Content-Range", content_range(selected, size)),
            ("Accept-Ranges", "bytes"),
        )
    if isinstance(selected, ByteRange):
        headers.append(("Content-Range", content_range(selected, size)))
        return Response(206, tuple(headers), Content(body, selected.start, selected.stop, by_kernel))
    return Response(200, tuple(headers), Content(body, 0, size, by_kernel))


def _is_download(filename: str, request: RequestInfo, content: Content) -> bool:
    """Tell whether a client that gets all of an answer has the whole distribution then.

    It has it too when it resumes a download with the rest of the file (``Range: bytes=N-``), as curl and wget do, and pip. A
    resolver that reads the metadata of a wheel requests its end (``bytes=-N``) or a part with both ends.
    """
    if request.method != "GET" or distribution_suffix(filename) is None:
        return False
    if content.start == 0:
        return content.stop == content.body.size
    return wants_rest(request.header("range"))


@lru_cache(maxsize=1024)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def _modified(body: Body, now: float) -> int | None:
    """Return when the file was uploaded; None for a time in the future, which must not be sent (RFC 9110 section 8.8.2.1)."""
    if body.modified_ns is None or body.modified_ns > now * 1_000_000_000:
        return None
    return body.modified_ns // 1_000_000_000


def _selected(
    request: RequestInfo, etag: str, modified: int | None, size: int
) -> ByteRange | UnsatisfiableRange | None:
    """Return the part that the client wants, or None for the whole (RFC 9110 section 14.2: ranges are for GET)."""
    if request.method != "GET":
        return None
    if_range = request.header("if-range")
    if if_range is not None and not if_range_matches(if_range, etag, modified):
        return None
    selected = parse_range(request.header("range"), size)
    return selected if isinstance(selected, ByteRange | UnsatisfiableRange) else None


def _content_type(filename: str) -> str:
    if filename.endswith((METADATA_SUFFIX, ".asc")):
        return "text/plain; charset=utf-8"
    if filename.endswith(PROVENANCE_SUFFIX):
        return "application/vnd.pypi.integrity.v1+json"
    # docs/protocol.md, "Bytes of files": pip's unpacker believes the type, so every distribution is only bytes.
    return "application/octet-stream"
