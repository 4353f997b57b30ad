"""Conditional requests and ranges: whether a client has a representation already, and which part of it the client wants (RFC 9110 sections 13, 14).

RFC 9110 13.2.2 fixes the order of the questions: :func:`precondition_failed` (412), then :func:`not_modified` (304, for
GET and HEAD), then for a GET :func:`parse_range`, unless there is an If-Range and :func:`if_range_matches` denies.

An ETag of ours is given as it is sent, with its quotes; a time is whole seconds since 1970 UTC, None if there is none.
Headers that cannot be read are as good as absent, wherever that errs on the side of sending the whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from simpleindex.core.text import http_date


@dataclass(frozen=True, slots=True)
class WholeFile:
    """Send all of it: 200."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Send the bytes from ``start`` up to, not including, ``stop``: 206. Never empty, never outside the file."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class UnsatisfiableRange:
    """There are no such bytes: 416."""


_WHITESPACE: Final = " \t"

# RFC 9110 8.8.3; an entity tag may hold commas, and a backslash in it escapes nothing. An attempt begins after a comma, ends
# soon after the second quote and gives nothing back, so no text is read more than twice.
_ETAG: Final = re.compile(r'(?:\A|(?<=,))[ \t]*+(W/)?("[^"]*+")[ \t]*+(?=,|\Z)')

# RFC 9110 14.1.1. Units are case-insensitive; a list of one may have empty members, but no spaces inside the one.
_BYTE_RANGE: Final = re.compile(r"(?i:bytes)=[ \t,]*+([0-9]*+)-([0-9]*+)[ \t,]*+")

_BEYOND_ANY_FILE: Final = 10**19
"""Bytes; files end below 2**63. Longer numbers are not converted: that is quadratic, and an error from 4,301 digits."""


def precondition_failed(
    if_match: str | None, if_unmodified_since: str | None, etag: str, modified: int | None
) -> bool:
    """Say whether the client's precondition forbids the answer: 412 (RFC 9110 13.1.1 and 13.1.4).

    If-Match compares strongly and, where present, leaves If-Unmodified-Since unread.
    """
    if if_match is not None:
        return not (_is_any(if_match) or (_is_strong(etag) and (True, etag) in _etags(if_match)))
    limit = http_date(if_unmodified_since)
    return limit is not None and modified is not None and modified > limit


def not_modified(
    if_none_match: str | None, if_modified_since: str | None, etag: str, modified: int | None
) -> bool:
    """Say whether the client has it already: 304 (RFC 9110 13.1.2 and 13.1.3).

    If-None-Match compares weakly and, where present, leaves If-Modified-Since unread.
    """
    if if_none_match is not None:
        opaque = etag.removeprefix("W/")
        return _is_any(if_none_match) or any(tag == opaque for _, tag in _etags(if_none_match))
    if modified is None:
        return False
    since = http_date(if_modified_since)
    return since is not None and modified <= since


def if_range_matches(if_range: str, etag: str, modified: int | None) -> bool:
    """Say whether a part still fits what the client has; if not, it gets the whole (RFC 9110 13.1.5).

    Without this pip, resuming a download of a file that was replaced, would splice two files together.

    Args:
        if_range: The header: one strong ETag, or a date, which must be the very date that we sent.
        etag: Our present ETag.
        modified: Our present Last-Modified.
    """
    text = if_range.strip(_WHITESPACE)
    if '"' in text:
        return text == etag and _is_strong(etag)
    return modified is not None and http_date(text) == modified


def parse_range(header: str | None, size: int) -> WholeFile | ByteRange | UnsatisfiableRange:
    """Read a Range header against a file of ``size`` bytes (RFC 9110 14.1.2 and 14.2).

    Several ranges, another unit and whatever is malformed get the whole, as the RFC allows. A suffix longer than the
    file gets all of it as a part: poetry begins with ``bytes=-10000``. Of an empty file it gets the whole, since no
    Content-Range can state an empty part.
    """
    match = _BYTE_RANGE.fullmatch((header or "").strip(_WHITESPACE))
    if match is None or match[1] == match[2] == "":
        return WholeFile()
    first, last = _number(match[1]), _number(match[2])
    if first is None:
        return _suffix(last or 0, size)
    if last is not None and last < first:
        return WholeFile()
    if first >= size:
        return UnsatisfiableRange()
    return ByteRange(first, size if last is None else min(last + 1, size))


def wants_rest(header: str | None) -> bool:
    """Tell whether a Range header is for all bytes from a first one on (``bytes=1000-``)."""
    match = _BYTE_RANGE.fullmatch((header or "").strip(_WHITESPACE))
    return match is not None and bool(match[1]) and not match[2]


def content_range(selected: ByteRange | UnsatisfiableRange, size: int) -> str:
    """Return the Content-Range of a 206 or a 416 (RFC 9110 14.4)."""
    if isinstance(selected, UnsatisfiableRange):
        return f"bytes */{size}"
    return f"bytes {selected.start}-{selected.stop - 1}/{size}"


def _suffix(length: int, size: int) -> WholeFile | ByteRange | UnsatisfiableRange:
    if length == 0:
        return UnsatisfiableRange()
    return ByteRange(max(size - length, 0), size) if size else WholeFile()


def _number(digits: str) -> int | None:
    digits = digits.lstrip("0") or digits[:1]
    return min(int(digits[:20]), _BEYOND_ANY_FILE) if digits else None


def _is_any(header: str) -> bool:
    return header.strip(_WHITESPACE) == "*"


def _is_strong(etag: str) -> bool:
    return not etag.startswith("W/")


def _etags(header: str) -> set[tuple[bool, str]]:
    """Return each listed entity tag, with its quotes, and whether it is strong."""
    return {(weak is None, tag) for weak, tag in (match.groups() for match in _ETAG.finditer(header))}
