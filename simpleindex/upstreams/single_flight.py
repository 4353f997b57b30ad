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

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Return the result of the work for a key, which is begun unless it is under way."""
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
            _log.failure("", result)
        for one in waiting:
            one.callback(result)
