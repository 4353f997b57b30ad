"""Changes that a worker made and all others must list before the change is answered. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class AnnouncedChanges:
    """The changes that are under way, each by the worker that made it and its number there."""

    _next: int = 0
    _waiting: dict[int, tuple[tuple[int, int], set[int]]] = field(default_factory=dict)

    def begin(self, origin: int, number: int, others: set[int]) -> int | None:
        """Count a change, and return its number for the others; None if there are no others that serve."""
        if not others:
            return None
        self._next += 1
        self._waiting[self._next] = (origin, number), set(others)
        return self._next

    def seen(self, number: int, worker: int) -> tuple[int, int] | None:
        """Take note that a worker lists a change; return origin and number there once all do."""
        entry = self._waiting.get(number)
        if entry is None:
            return None
        origin, others = entry
        others.discard(worker)
        if others:
            return None
        del self._waiting[number]
        return origin

    def origin_of(self, number: int) -> tuple[int, int] | None:
        """Return the origin of a change that is under way, and its number there."""
        entry = self._waiting.get(number)
        return None if entry is None else entry[0]

    def ended(self, worker: int) -> list[tuple[int, int]]:
        """Forget a worker whose process ended; return the changes that nobody is waited for any more."""
        complete = []
        for number, (origin, _) in list(self._waiting.items()):
            if origin[0] == worker:
                del self._waiting[number]
            elif (done := self.seen(number, worker)) is not None:
                complete.append(done)
        return complete
