"""Signed URLs of object stores, which expire after minutes: Amazon's S3 and CloudFront, Google Cloud Storage, and Azure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIGNATURE: Final = re.compile(r"(?:x-(?:amz|goog)-)?sig(?:nature)?=", re.IGNORECASE)
_SIGNED: Final = re.compile(
    r"(?:x-(?:amz|goog)-[a-z-]+|awsaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id"
    r"|sig|se|sp|st|sv|sr|spr|skoid|sktid|skt|ske|sks|skv)=",
    re.IGNORECASE,
)
"""The parameters of signed URLs. A shared access signature of Azure has the short ones."""

_SECONDS: Final = re.compile(r"\d{1,12}", re.ASCII)


def unsigned(url: str) -> str:
    """Return a URL without its signature, which differs each time."""
    before, _, query = url.partition("?")
    parts = query.split("&")
    if not any(_SIGNATURE.match(part) for part in parts):
        return url
    unsigned_parts = [part for part in parts if not _SIGNED.match(part)]
    return f"{before}?{'&'.join(unsigned_parts)}" if unsigned_parts else before


def expiry(url: str) -> float | None:
    """Return when a URL's signature expires, in seconds since 1970; None if it has none, or does not say."""
    if "?" not in url:
        return None
    fields = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    if not {"x-amz-signature", "x-goog-signature", "signature", "sig"} & fields.keys():
        return None
    for vendor in ("amz", "goog"):
        signed_at = _time(fields.get(f"x-{vendor}-date", ""))
        lifetime = fields.get(f"x-{vendor}-expires", "")
        if signed_at is not None and _SECONDS.fullmatch(lifetime):
            return signed_at + int(lifetime)
    if _SECONDS.fullmatch(fields.get("expires", "")):
        return float(fields["expires"])
    return _time(fields.get("se", ""))


def seconds_left(urls: Iterable[str | None], now: float) -> float | None:
    """Return how long a page with these links is fresh: half of the time until the first signature expires.

    Args:
        urls: The URLs of its files.
        now: Seconds since 1970.

    Returns:
        Seconds; None if no URL is signed.
    """
    ends = [end for url in urls if url is not None and (end := expiry(url)) is not None]
    return max(0.0, (min(ends) - now) / 2) if ends else None


def shorter(one: float | None, other: float | None) -> float | None:
    """Return the shorter of two times; None for one that is not limited."""
    return min((time for time in (one, other) if time is not None), default=None)


def _time(text: str) -> float | None:
    """Read a time of ISO 8601, with or without its separators; UTC where it names no zone."""
    if len(text) > 40:
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
