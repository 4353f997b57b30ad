"""Caches of values: within a total size, and for some seconds."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Key = TypeVar("Key")
Value = TypeVar("Value")


class SizedCache(Generic[Key, Value]):
    """Values by key, the least recently used dropped first.

    Pages read several of them. With cachetools' LRUCache a page of an upstream took 102 calls of functions instead of 90, and
    one of a directory 37 instead of 34.

    Args:
        limit: Of all sizes together.
        size_of: Returns the size of a value.
        dropped: Called with each value that is kept no longer.

    Attributes:
        limit: The same.
        size: The sizes of all values together.
    """

    def __init__(
        self, limit: int, size_of: Callable[[Value], int], dropped: Callable[[Value], object] | None = None
    ) -> None:
        self.limit = limit
        self.size = 0
        self._size_of = size_of
        self._dropped = dropped
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        """Return the value of a key, and count that as a use; None if there is none."""
        kept = self._values.get(key)
        if kept is None:
            return None
        self._values.move_to_end(key)
        return kept[0]

    def put(self, key: Key, value: Value) -> None:
        """Keep a value in place of the one before; one that is larger than the limit is not kept."""
        self.pop(key)
        size = self._size_of(value)
        if size > self.limit:
            return
        self._values[key] = value, size
        self.size += size
        while self.size > self.limit:
            self.pop(next(iter(self._values)))

    def pop(self, key: Key) -> Value | None:
        """Drop the value of a key and return it; None if there is none."""
        kept = self._values.pop(key, None)
        if kept is None:
            return None
        self.size -= kept[1]
        if self._dropped is not None:
            self._dropped(kept[0])
        return kept[0]

    def clear(self) -> None:
        """Drop everything."""
        while self._values:
            self.pop(next(iter(self._values)))


class TimedCache(Generic[Key, Value]):
    """Values by key for some seconds, of which the oldest are dropped first.

    A page for people reads two of them. cachetools' TTLCache takes 16 calls of functions for that, and hashes the key three times.

    Args:
        most: The largest number of values.
        seconds: For how long one is kept.
        clock: The time in seconds.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        # In the order in which they were put, which is that of their ends.
        self._values: dict[Key, tuple[float, Value]] = {}

    def get(self, key: Key) -> Value | None:
        """Return the value of a key; None if it is not kept, or not any more."""
        kept = self._values.get(key)
        return kept[1] if kept is not None and self._clock() < kept[0] else None

    def put(self, key: Key, value: Value) -> None:
        """Keep a value in place of the one before, and drop what is over."""
        values, now = self._values, self._clock()
        values.pop(key, None)
        while values:
            oldest = next(iter(values))
            if len(values) < self._most and now < values[oldest][0]:
                break
            del values[oldest]
        values[key] = now + self._seconds, value
