"""Durations and failures of operations that wait for something else: a database, an object store, an upstream."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOUNDS: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)
"""Upper bounds of the buckets in which durations are counted, in seconds."""


@dataclass(slots=True)
class Durations:
    """Durations of one operation.

    Attributes:
        counts: How many are in each bucket and not in the one before; the last is for those above all bounds.
        total: The sum of all of them, in seconds.
        failures: How many of them ended with an error.
        succeeded: When one ended without, seconds since 1970; 0 before.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0
    failures: int = 0
    succeeded: float = 0.0


class OperationTimes:
    """Durations by operation; usable from any thread.

    Args:
        now: The time, seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._durations: dict[str, Durations] = {}

    @property
    def durations(self) -> dict[str, Durations]:
        """The durations by the names of operations; further operations come into a later one only."""
        with self._lock:
            return dict(self._durations)

    def add(self, operation: str, seconds: float, *, failed: bool) -> None:
        """Count an operation that has ended."""
        with self._lock:
            durations = self._durations.setdefault(operation, Durations())
            durations.counts[bisect_left(BOUNDS, seconds)] += 1
            durations.total += seconds
            if failed:
                durations.failures += 1
            else:
                durations.succeeded = self._now()

    @contextmanager
    def measuring(self, operation: str) -> Iterator[None]:
        """Count what runs within; an error that leaves it is a failure."""
        begun = time.perf_counter()
        try:
            yield
        except BaseException:
            self.add(operation, time.perf_counter() - begun, failed=True)
            raise
        self.add(operation, time.perf_counter() - begun, failed=False)
