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


class WorkInProgress(Generic[Value]):
    """One coroutine after its first step, until it is continued in the same turn of the reactor, or dropped."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: tuple[object, Suspended[Value]] | None = None

    def begin(self, key: object, work: Coroutine[Any, Any, Value]) -> Value | None:
        """Run the first step, and return the coroutine's value if that was all; else None, and the rest is kept.

        Args:
            key: Equal to the one with which it is taken again.
            work: The coroutine, not begun.

        Raises:
            BaseException: Whatever the first step raised.
        """
        try:
            waits_for = work.send(None)
        except StopIteration as end:
            value: Value = end.value
            return value
        self.keep(key, work, waits_for)
        return None

    def keep(self, key: object, work: Coroutine[Any, Any, Value], waits_for: Any) -> None:
        """Keep a coroutine whose first step was done elsewhere; the arguments are those of :meth:`begin` and :class:`Suspended`."""
        self._kept = key, Suspended(work, waits_for)

    def take(self, key: object) -> Suspended[Value] | None:
        """Return the rest that was kept under this key, to be continued; None if there is none."""
        if self._kept is None or self._kept[0] != key:
            return None
        suspended, self._kept = self._kept[1], None
        return suspended

    def drop(self) -> None:
        """End what is kept, if nothing has continued it."""
        if self._kept is not None:
            self._kept[1].drop()
            self._kept = None


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
