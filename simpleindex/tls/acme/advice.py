"""An authority's advice when to renew (RFC 9773), and the waits that its answers request (RFC 9110)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from acme import messages

from simpleindex.core.text import http_date

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = re.compile(r"[0-9]{1,9}\Z")

_LONGEST_EXPLANATION: Final = 500
"""Characters of a URL."""


@dataclass(frozen=True, slots=True)
class Advice:
    """When the authority suggests to renew.

    Attributes:
        renew_at: A time within the suggested window, UTC; None if it suggests none.
        wait: Until its advice is fetched again; None if it does not say.
        explanation: The URL of a page that says why (RFC 9773 section 4.2); empty without one.
    """

    renew_at: datetime | None
    wait: timedelta | None = None
    explanation: str = ""


def parse_advice(content: Any, wait: timedelta | None, share: float) -> Advice:
    """Return the advice in an authority's answer.

    Args:
        content: The answer's JSON.
        wait: The wait that it requests.
        share: Of the suggested window, from 0 to 1: where in it the renewal is.

    Raises:
        ValueError: The window does not end after it begins, which is as good as no answer (RFC 9773 section 4.2).
        josepy.errors.Error: It is no such answer.
    """
    window = messages.RenewalInfo.from_json(content).suggested_window
    length = window.end - window.start
    if length <= timedelta(0):
        raise ValueError("a window that does not end after it begins")
    return Advice((window.start + length * share).astimezone(UTC), wait, _page(content.get("explanationURL")))


def requested_wait(headers: Mapping[str, str]) -> timedelta | None:
    """Return the wait that an answer requests (RFC 9110 section 10.2.3); None if it requests none.

    A date is meant by the authority's clock, which the answer shows. The library takes it for local time: in California it waits
    eight hours longer.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.match(text):
        return timedelta(seconds=int(text))
    until = http_date(text)
    if until is None:
        return None
    since = shown_time(headers) or datetime.now(UTC)
    return max(datetime.fromtimestamp(until, UTC) - since, timedelta(0))


def shown_time(headers: Mapping[str, str]) -> datetime | None:
    """Return the time by an authority's clock, UTC; None if its answer does not show it."""
    seconds = http_date(headers.get("Date"))
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _page(url: Any) -> str:
    """Return a URL of a page that an operator can be shown; empty if it is none."""
    if not isinstance(url, str) or len(url) > _LONGEST_EXPLANATION or not url.isprintable() or " " in url:
        return ""
    return url if url.startswith(("https://", "http://")) else ""
