"""Remember which upstream answered for a project, for as long as every source would answer as it did."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from simpleindex.core.caches import SizedCache
from simpleindex.core.source import lifetime_of, revision_of
from simpleindex.system.clocks import wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import FreshAnswer, Source

_MOST_BYTES: Final = 32 * 1024 * 1024
"""Of projects; nearly all of them are in the memory of their upstreams too."""

_LOOK_SECONDS: Final = 0.02
"""Seconds between two looks whether rules or pins have changed; a client takes longer to start after a command that changed them."""


class _Uses:
    """How often the answers of one source were used."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class _Standing(NamedTuple):
    answer: tuple[Source, Project]
    until: float
    listings: tuple[FreshAnswer, ...]
    uses: _Uses


class StandingAnswers:
    """Answers of upstreams that stand until a listing is no longer fresh, or something else changes.

    The index's own directories are looked at with each request, as without this: their names are requested from no upstream.

    Args:
        clock: The reactor.
        lacks: Returns whether surely no directory of the index has a project, nor takes its name.
        was_used: As in :class:`simpleindex.views.union.UnionSource`.
    """

    def __init__(
        self, clock: Any, lacks: Callable[[ProjectName], bool], was_used: Callable[[ProjectName], bool]
    ) -> None:
        self._clock = clock
        self._now = wall_clock(clock)
        self._lacks = lacks
        self._was_used = was_used
        self._standing: SizedCache[ProjectName, _Standing] = SizedCache(
            _MOST_BYTES, lambda standing: standing.answer[1].memory
        )
        self._uses: dict[Source, _Uses] = {}
        self._sources: tuple[Source, ...] = ()
        self._revisions: list[object] = []
        self._next_look = 0.0

    def get(self, name: ProjectName) -> tuple[Source, Project] | None:
        """Return the upstream that answers for a project, and its answer; None if the sources have to be requested.

        Raises:
            Unavailable: It is not known now whether the name was ever used here.
        """
        standing = self._standing.get(name)
        if standing is None:
            return None
        answer, until, listings, uses = standing
        now = self._clock.seconds()
        if now >= self._next_look and self._has_changed(now):
            return None
        is_standing = until == math.inf or self._now() < until
        if is_standing and self._lacks(name) and not self._was_used(name):
            for listing in listings:
                if now >= listing.fresh_until:
                    break
            else:
                uses.count += 1
                return answer
        self._standing.pop(name)
        return None

    def keep(self, name: ProjectName, answer: tuple[Source, Project], upstreams: Sequence[Source]) -> None:
        """Keep an answer that came at once.

        Args:
            name: The project.
            answer: The upstream that answered, and its answer.
            upstreams: All upstreams on whose answers this one depends.
        """
        until, listings = math.inf, []
        for source in upstreams:
            lifetime = lifetime_of(source, name)
            if lifetime is None:
                return
            until = min(until, lifetime.until)
            if lifetime.listing is not None:
                listings.append(lifetime.listing)
        now = self._clock.seconds()
        if not set(upstreams) <= set(self._sources):
            self.forget()
            self._sources = tuple({*self._sources, *upstreams})
        if now >= self._next_look:
            self._has_changed(now)
        self._standing.put(name, _Standing(answer, until, tuple(listings), self._uses_of(answer[0])))

    def uses(self, source: Source) -> int:
        """Return how often answers of a source were used again."""
        return self._uses_of(source).count

    def _uses_of(self, source: Source) -> _Uses:
        return self._uses.setdefault(source, _Uses())

    def forget(self) -> None:
        """Forget all answers."""
        self._standing.clear()
        self._next_look = 0.0

    def _has_changed(self, now: float) -> bool:
        self._next_look = now + _LOOK_SECONDS
        revisions = [revision_of(source) for source in self._sources]
        if revisions == self._revisions:
            return False
        self._revisions = revisions
        self._standing.clear()
        return True
