"""Run the first step of a coroutine at once: it may have a result by then; otherwise the rest is continued where waiting is possible."""

from __future__ import annotations

from types import coroutine
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

Value = TypeVar("Value")


class Suspended(Generic[Value]):
    """A coroutine after its first step, when it is not finished.

    Args:
        work: The coroutine.
        waits_for: What its first step waits for.
    """

    __slots__ = ("_waits_for", "_work")

    def __init__(self, work: Coroutine[Any, Any, Value], waits_for: Any) -> None:
        self._work = work
        self._waits_for = waits_for

    async def rest(self) -> Value:
        """Continue from what the first step waits for, and return the coroutine's value."""
        value: Value = await _continue(self._work, self._waits_for)
        return value

    def drop(self) -> None:
        """End the coroutine; what it waits for goes on for others, and its failure is ignored."""
        self._work.close()
        add_errback = getattr(self._waits_for, "addErrback", None)
        if add_errback is not None:
            add_errback(_ignore)


class Started(Generic[Value]):
    """A coroutine whose first step is done.

    Args:
        work: The coroutine, not begun.

    Attributes:
        is_finished: Whether that was all.
        value: What it returned, if that was all; else None.

    Raises:
        BaseException: Whatever the first step raised.
    """

    __slots__ = ("_suspended", "is_finished", "value")

    def __init__(self, work: Coroutine[Any, Any, Value]) -> None:
        self.value: Value = None  # type: ignore[assignment]  # it is read only where it was returned
        try:
            waits_for = work.send(None)
        except StopIteration as end:
            self.is_finished = True
            self.value = end.value
        else:
            self.is_finished = False
            self._suspended = Suspended(work, waits_for)

    async def rest(self) -> Value:
        """Continue from what the first step waits for, and return the coroutine's value."""
        if self.is_finished:
            return self.value
        return await self._suspended.rest()

    def drop(self) -> None:
        """End a coroutine that nobody continues, if it is not finished."""
        if not self.is_finished:
            self._suspended.drop()


@coroutine
def _continue(work: Coroutine[Any, Any, Value], waits_for: Any) -> Generator[Any, Any, Value]:
    while True:
        try:
            result = yield waits_for
        except BaseException as error:  # noqa: BLE001  (it is the coroutine's to judge, cancellation too)
            step: Callable[[Any], Any] = work.throw
            argument: Any = error
        else:
            step, argument = work.send, result
        try:
            waits_for = step(argument)
        except StopIteration as end:
            value: Value = end.value
            return value


def _ignore(_: object) -> None:
    return None
