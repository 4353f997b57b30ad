"""The clocks that code reads; tests pass others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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
