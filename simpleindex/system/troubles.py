"""The machine's troubles, and what else an operator must mend, as ``/-/status`` shows them while they last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Final

from twisted.logger import ILogObserver, LogLevel, eventAsText
from zope.interface import implementer

from simpleindex.system.log import trouble_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.logger import LogEvent

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


@implementer(ILogObserver)
class Troubles:
    """Collects the sentences of severity error from the log, and the machine's troubles; usable from any thread.

    Args:
        now: Tells the time, seconds since 1970.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._seen: dict[str, ServerTrouble] = {}
        self._lock = Lock()

    def __call__(self, event: LogEvent) -> None:
        sentence = trouble_in(event)
        if sentence is None and event.get("log_level") is LogLevel.error:
            sentence = eventAsText(event, includeTimestamp=False, includeSystem=False)
        if sentence:
            with self._lock:
                self._remember(sentence, self._now())

    def shown(self) -> tuple[ServerTrouble, ...]:
        """Return those of the last hour, the latest first."""
        with self._lock:
            self._forget(self._now())
            return tuple(reversed(self._seen.values()))

    def _remember(self, sentence: str, now: float) -> None:
        earlier = self._seen.pop(sentence, None)
        self._seen[sentence] = (
            ServerTrouble(sentence, now, now)
            if earlier is None
            else replace(earlier, last=now, count=earlier.count + 1)
        )
        self._forget(now)

    def _forget(self, now: float) -> None:
        recent = [trouble for trouble in self._seen.values() if now - trouble.last < FORGOTTEN][-_MOST:]
        if len(recent) < len(self._seen):
            self._seen = {trouble.sentence: trouble for trouble in recent}
