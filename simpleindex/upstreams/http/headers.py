"""Parse headers of an upstream's answers strictly, with the wait where Retry-After is missing; a malformed field counts as absent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from simpleindex.core.text import http_date

# RFC 9110 sections 8.8.3 and 14.4. None of the numbers takes long to convert.
_ETAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,1000}"')
_DATE: Final = re.compile("[A-Za-z0-9:, +-]{1,60}")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE | re.ASCII)
_DIRECTIVE: Final = re.compile(
    r"(?:\A|(?<=[,\s]))(no-cache|no-store|(?:s-maxage|max-age)=\"?\d{1,9}\"?)(?=[,\s]|\Z)", re.ASCII
)
_SECONDS: Final = re.compile(r"\d{1,9}", re.ASCII)

_FINAL_SERVER_ERRORS: Final = frozenset({501, 505, 506, 508, 510, 511})
"""Server errors that the next answer will be too (RFC 9110 section 15.6, RFC 2295, 5842, 2774 and 6585)."""

USUAL_WAIT: Final = 5
"""Seconds to wait after a passing failure that states no time."""

LONGEST_WAIT: Final = 3600
"""Seconds that an upstream may make us wait before the next request."""


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Which part of a file an answer has.

    Attributes:
        start: Its first byte.
        stop: Behind its last byte.
        size: Bytes of the whole file; None if that is not stated.
    """

    start: int
    stop: int
    size: int | None


def etag(text: str) -> str | None:
    """Return an ETag that can be sent back."""
    text = text.strip()
    return text if _ETAG.fullmatch(text) else None


def date(text: str) -> str | None:
    """Return a Last-Modified that can be sent back; only its server interprets it."""
    text = text.strip()
    return text if _DATE.fullmatch(text) else None


def parse_content_range(text: str) -> ContentRange | None:
    """Read a Content-Range of bytes that is not empty and lies within the file."""
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None:
        return None
    part = ContentRange(int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3]))
    if part.stop <= part.start or (part.size is not None and part.stop > part.size):
        return None
    return part


def fresh_for(cache_control: str, age: str) -> float | None:
    """Return for how many seconds an answer is fresh (RFC 9111 section 4.2.1); None if its headers do not say.

    Args:
        cache_control: The header, several joined by commas.
        age: The Age field: seconds in a cache on the way.
    """
    directives = _DIRECTIVE.findall(cache_control.lower())
    if "no-cache" in directives or "no-store" in directives:
        return 0.0
    ages = dict(each.replace('"', "").split("=") for each in directives)
    # We are a shared cache.
    seconds = ages.get("s-maxage", ages.get("max-age"))
    if seconds is None:
        return None
    spent = int(age) if _SECONDS.fullmatch(age := age.strip()) else 0
    return float(max(0, int(seconds) - spent))


def is_passing(status: int) -> bool:
    """Return whether a status means a failure that passes by itself (RFC 9110 section 15.6, 8470, 6585)."""
    return status in {408, 425, 429} or (status >= 500 and status not in _FINAL_SERVER_ERRORS)


def retry_after(text: str, date: str, now: float) -> int:
    """Read a Retry-After, which has seconds or an HTTP-date (RFC 9110 section 10.2.3).

    Args:
        text: The field.
        date: The answer's Date, by whose clock a time is meant; may be empty.
        now: Our own, in seconds since 1970.

    Returns:
        Seconds to wait, at least one and at most an hour.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return min(max(int(text), 1), LONGEST_WAIT)
    until = http_date(text)
    if until is None:
        # More digits than any number of seconds has.
        return LONGEST_WAIT if text.isascii() and text.isdecimal() else USUAL_WAIT
    since = http_date(date)
    return min(max(until - int(now if since is None else since), 1), LONGEST_WAIT)
