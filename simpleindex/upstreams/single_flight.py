"""Work that several want at a time, done once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable


class SingleFlight:
    """Work that is done once for all who want it at a time, and not given up when some of them leave.

    Args:
        failed: Told of what should never happen, where nobody is left to hear of it.
    """

    def __init__(self, failed: Callable[[Failure], None]) -> None:
        self._failed = failed
        self._waiting: dict[Hashable, list[Deferred[Any]]] = {}

    async def do(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Return what the work returns, of which there is one at a time for each key."""
        mine: Deferred[Any] = Deferred()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(mine)
        else:
            self._waiting[key] = [mine]
            Deferred.fromCoroutine(work()).addBoth(self._done, key)
        return await mine

    def _done(self, result: Any, key: Hashable) -> None:
        waiting = [one for one in self._waiting.pop(key) if not one.called]
        if not waiting and isinstance(result, Failure) and not result.check(SimpleIndexError):
            self._failed(result)
        for one in waiting:
            one.callback(result)
