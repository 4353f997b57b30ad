"""The clocks that code reads; tests pass others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Clocks:
    """Three clocks.

    Attributes:
        seconds: Seconds of a clock that never goes backwards.
        now: Seconds since 1970.
        now_ns: Nanoseconds since 1970, as file systems count them.
    """

    seconds: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    now_ns: Callable[[], int] = time.time_ns


SYSTEM_CLOCKS: Final = Clocks()
"""The clocks of this machine."""


def keep_steady(reactor: Any) -> None:
    """Have a reactor count its timeouts and intervals by a clock that is never set back.

    Twisted's is the machine's. Where that is corrected by two hours after the start (a hardware clock in local time), each call
    that waits would come two hours late: connections would not end, and nothing more would be written to the access log.

    Args:
        reactor: One in which nothing waits yet.
    """
    reactor.seconds = time.monotonic


def wall_clock(clock: Any) -> Callable[[], float]:
    """Return what tells the seconds since 1970, beside a reactor whose own time may count from elsewhere.

    Args:
        clock: The reactor; the clock of a test has one time for both.
    """
    return time.time if clock.seconds == time.monotonic else clock.seconds
