"""Delay passwords from one address after wrong ones.

Five guesses are free; then each further one is delayed twice as long as the one before it, so that one address makes
some 1,400 guesses a day and a person who mistyped waits seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_FREE: Final = 5
_WINDOW: Final = 300.0
"""Seconds in which so many failures lead to a delay, and after which all is forgotten."""

_SHORTEST_DELAY: Final = 1.0  # seconds
_LONGEST_DELAY: Final = 60.0


@dataclass(frozen=True, slots=True)
class FailureHistory:
    """The recent failures of an address. All times are seconds of one clock.

    Attributes:
        recent: The times of the last failures, at most as many as are free.
        delay: The delay after the last one.
        until: When the delay ends.
    """

    recent: tuple[float, ...] = ()
    delay: float = 0.0
    until: float = 0.0

    def after_another(self, now: float) -> FailureHistory:
        """Return the history after one more failure."""
        before = self if self.recent and now - self.recent[-1] <= _WINDOW else FailureHistory()
        recent = (*before.recent, now)[-_FREE:]
        if len(recent) < _FREE or now - recent[0] > _WINDOW:
            return FailureHistory(recent, before.delay, before.until)
        delay = min(_LONGEST_DELAY, max(_SHORTEST_DELAY, before.delay * 2))
        return FailureHistory(recent, delay, now + delay)

    def wait(self, now: float) -> int:
        """Return for how many whole seconds no password is checked; 0 for none."""
        # The end of the delay may be rounded up by its addition: no longer than the delay itself.
        return max(0, math.ceil(min(self.until - now, self.delay)))


NO_FAILURES: Final = FailureHistory()
