"""Work that several requests wait for: it is done once for all that ask meanwhile, and not begun where all of them have left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Hashable
    from typing import Any

    from twisted.python.failure import Failure

Value = TypeVar("Value")


class SharedWork(Generic[Value]):
    """What is being done, by what it is about."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[Deferred[Value]]] = {}

    def wait(
        self, key: Hashable, work: Callable[[Callable[[], bool]], Coroutine[Any, Any, Value]]
    ) -> Awaitable[Value]:
        """Wait for work, which is begun if none with this key is under way.

        Args:
            key: What it is about.
            work: Does it. It is given a function that tells, in any thread, whether somebody still waits.

        Returns:
            The value or the error of the work. To cancel it ends this waiting alone.
        """
        under_way = self._waiting.get(key)
        waiting = self._waiting.setdefault(key, [])
        mine: Deferred[Value] = Deferred(waiting.remove)
        waiting.append(mine)
        if under_way is None:
            Deferred.fromCoroutine(work(lambda: bool(waiting))).addBoth(self._end, key)
        return mine

    def _end(self, result: Value | Failure, key: Hashable) -> None:
        for each in self._waiting.pop(key):
            each.callback(result)
