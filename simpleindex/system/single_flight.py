"""Do work once for all requests that wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from simpleindex.core.errors import SimpleIndexError
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

_log: Final = logger(__name__)


class SingleFlight:
    """Does one piece of work at a time for each key; it goes on when requests that wait for it leave."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[Deferred[Any]]] = {}

    def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> Deferred[Any]:
        """Wait for the work for a key, which is begun unless it is under way.

        Returns:
            Fires with the value or the error of the work. To cancel it ends this waiting alone.
        """
        is_new = key not in self._waiting
        waiting = self._waiting.setdefault(key, [])
        mine: Deferred[Any] = Deferred(waiting.remove)
        waiting.append(mine)
        if is_new:
            Deferred.fromCoroutine(work()).addBoth(self._done, key)
        return mine

    def is_wanted(self, key: Hashable) -> bool:
        """Tell, in any thread, whether a request still waits for the work for a key."""
        return bool(self._waiting.get(key))

    def _done(self, result: Any, key: Hashable) -> None:
        waiting = self._waiting.pop(key)
        if not waiting and isinstance(result, Failure) and not result.check(SimpleIndexError):
            _log.failure("", result)
        # What one of them does next may cancel another.
        while waiting:
            waiting.pop(0).callback(result)
