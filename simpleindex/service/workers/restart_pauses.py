"""How long a worker that ended waits for its next start: longer each time that it ends soon. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

AGAIN_SECONDS: Final = 0.3
"""From the end of a worker to its next start; twice as long each time that it ends within :data:`STEADY_SECONDS`."""

MOST_AGAIN_SECONDS: Final = 30.0

STEADY_SECONDS: Final = 60.0
"""A worker that ran so long is started again as if for the first time."""


@dataclass
class RestartPauses:
    """The starts of each worker, and its pauses."""

    _started: dict[int, float] = field(default_factory=dict)
    _pauses: dict[int, float] = field(default_factory=dict)

    def started(self, worker: int, now: float) -> None:
        """Take note of a start."""
        self._started[worker] = now

    def after_end(self, worker: int, now: float) -> float:
        """Return the seconds from a worker's end to its next start."""
        is_steady = now - self._started[worker] >= STEADY_SECONDS
        former = self._pauses.get(worker, AGAIN_SECONDS / 2)
        pause = AGAIN_SECONDS if is_steady else min(former * 2, MOST_AGAIN_SECONDS)
        self._pauses[worker] = pause
        return pause
