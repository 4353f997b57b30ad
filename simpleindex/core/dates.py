"""Times as people and machines read them; always UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from simpleindex.core import bounds

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()


def day_and_time(seconds: float) -> str:
    """A moment for people, to the minute, rounded up: at the minute that is said, it has come.

    Args:
        seconds: Since 1970.
    """
    return f"{_moment(-(-seconds // 60) * 60):%Y-%m-%d %H:%M} UTC"


def timestamp(seconds: float) -> str:
    """A moment for machines (RFC 3339), to the second, rounded up."""
    return f"{_moment(-(-seconds // 1)):%Y-%m-%dT%H:%M:%SZ}"


def _moment(seconds: float) -> datetime:
    return _EPOCH + timedelta(seconds=min(max(seconds, 0.0), _LAST))


def http_date(date: str | None) -> int | None:
    """Read an HTTP-date in any of its three forms (RFC 9110 5.6.7), or return None."""
    if bounds.HTTP_DATE.excess(len(date or "")):
        return None
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    # asctime's form names no zone; HTTP's dates are all UTC.
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
