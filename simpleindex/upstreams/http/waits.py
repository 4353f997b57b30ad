"""Remember until when an upstream wants no requests (429 and 503), for each kind of request."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cachetools import FIFOCache

from simpleindex.upstreams.pages.urls import origin

if TYPE_CHECKING:
    from collections.abc import Hashable

_MOST: Final = 1_000
"""URLs and servers that are remembered; the oldest are forgotten first."""

_PAGES_THAT_HOLD: Final = 3
"""Different pages that must answer 503 before the whole server is left alone."""

_LONG: Final = 30
"""Seconds of a Retry-After from which on 503 counts towards that; a server that is down for maintenance names minutes."""

TOO_MANY_REQUESTS: Final = 429
SERVICE_UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True)
class Wait:
    """A time without requests.

    Attributes:
        status: The status of the answer.
        until: When it ends, on the clock of the requests, in seconds.
    """

    status: int
    until: float

    def seconds(self, now: float) -> int:
        """Return how many whole seconds are left; 0 if it is over."""
        return max(0, math.ceil(self.until - now))


class Waits:
    """Remembers until when a server, or one of its URLs, is not to be requested.

    429 is about the client, so it holds for the whole server. 503 with a time may be about one page: another index that is
    itself waiting for a file answers so, as does one of whose projects some are broken. It holds for its URL. It holds for
    the whole server once three different pages have asked for at least 30 s each, those times still run, and no page was
    answered in between.
    """

    def __init__(self) -> None:
        self._waits: FIFOCache[Hashable, Wait] = FIFOCache(_MOST)
        # By server, the pages whose answers show that it is down.
        self._evidence: FIFOCache[Hashable, dict[str, Wait]] = FIFOCache(_MOST)

    def add(self, url: str, wait: Wait, now: float, *, is_page: bool) -> None:
        """Remember that an answer asked to wait.

        Args:
            url: What was requested.
            wait: The wait that the answer states.
            now: The time, in seconds.
            is_page: Whether a page was requested, not a file.
        """
        server = origin(url)
        if wait.status == TOO_MANY_REQUESTS:
            self._put(server, wait)
            return
        if is_page and self._is_down(server, url, wait, now):
            self._put(server, wait)
        self._put(("page" if is_page else "file", url), wait)

    def note_answer(self, url: str) -> None:
        """Remember that a page was answered, so that its server is not down."""
        self._evidence.pop(origin(url), None)

    def find(self, url: str, now: float) -> Wait | None:
        """Return the wait that holds for a URL; None if it can be requested."""
        for key in (origin(url), ("page", url), ("file", url)):
            wait = self._waits.get(key)
            if wait is not None and wait.seconds(now):
                return wait
        return None

    def _is_down(self, server: Hashable, url: str, wait: Wait, now: float) -> bool:
        """Return whether enough pages answered 503, this one included."""
        if wait.seconds(now) < _LONG:
            return False
        before = self._evidence.pop(server, {})
        pages = {page: each for page, each in before.items() if each.seconds(now)} | {url: wait}
        self._evidence[server] = pages
        return len(pages) >= _PAGES_THAT_HOLD

    def _put(self, key: Hashable, wait: Wait) -> None:
        before = self._waits.pop(key, wait)
        self._waits[key] = wait if wait.until >= before.until else before
