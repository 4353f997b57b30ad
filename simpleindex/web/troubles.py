"""The server's own troubles: logged for the operator, with place and remedy, and shown by ``/-/status`` while they last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from simpleindex.system.errors import own_trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

LOGGED_AGAIN: Final = 60.0
"""Seconds after which a trouble that goes on is logged once more."""

FORGOTTEN: Final = 3600.0
"""Seconds after which one that did not come again is no longer shown."""

_MOST: Final = 100
"""Troubles that are shown; of more, the oldest are left out."""


@dataclass(frozen=True, slots=True)
class ServerTrouble:
    """A trouble that came once or again and again.

    Attributes:
        sentence: What is wrong, where, and what mends it.
        first: When it came first, seconds since 1970.
        last: When it came last.
        count: How often it came.
    """

    sentence: str
    first: float
    last: float
    count: int = 1


class Troubles:
    """Collects troubles; usable from any thread.

    Args:
        now: The time, seconds since 1970.
        log: Where they are logged.
    """

    def __init__(self, now: Callable[[], float], log: Any = None) -> None:
        self._now = now
        self._log = log or Logger(namespace="simpleindex")
        self._seen: dict[str, ServerTrouble] = {}
        self._logged: dict[str, float] = {}
        self._lock = Lock()

    def failed(self, failure: Failure) -> None:
        """Take note of an exception: a trouble of the server, or what should never happen."""
        trouble = own_trouble(failure.value)
        if trouble is None:
            self._log.failure("This should never happen; please report it.", failure=failure)
        else:
            self.note(trouble.for_operator())

    def note(self, sentence: str) -> None:
        """Take note of a trouble; it is logged now, or not at all where it was within the last minute."""
        with self._lock:
            is_due = self._noted(sentence, self._now())
        if is_due:
            self._log.error("{sentence}", sentence=sentence)

    def remember(self, sentence: str) -> None:
        """Have a trouble shown that is logged elsewhere."""
        with self._lock:
            self._noted(sentence, self._now())

    def _noted(self, sentence: str, now: float) -> bool:
        """Take note, and return whether it is to be logged."""
        known = self._seen.pop(sentence, None)
        self._seen[sentence] = (
            ServerTrouble(sentence, now, now)
            if known is None
            else replace(known, last=now, count=known.count + 1)
        )
        is_due = now - self._logged.get(sentence, now - LOGGED_AGAIN) >= LOGGED_AGAIN
        if is_due:
            self._logged[sentence] = now
        self._forget(now)
        return is_due

    def shown(self) -> tuple[ServerTrouble, ...]:
        """Return those of the last hour, the latest first."""
        with self._lock:
            self._forget(self._now())
            return tuple(reversed(self._seen.values()))

    def _forget(self, now: float) -> None:
        kept = [trouble for trouble in self._seen.values() if now - trouble.last < FORGOTTEN][-_MOST:]
        if len(kept) < len(self._seen):
            self._seen = {trouble.sentence: trouble for trouble in kept}
            self._logged = {
                sentence: when for sentence, when in self._logged.items() if sentence in self._seen
            }
