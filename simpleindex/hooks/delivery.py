"""Deliver events to one hook, in their order, from the audit: what it was not notified of yet, with bounded retries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from simpleindex.core.text import duration, plural, printable
from simpleindex.hooks.notification import is_for, notification_of
from simpleindex.records.audit.audit_questions import read_entry
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.hooks.notification import Notification
    from simpleindex.hooks.positions import Positions
    from simpleindex.hooks.settings import HookSettings
    from simpleindex.system.threads import Threads

LOOK_SECONDS: Final = 1.0
"""Between two looks for new entries."""

DELAYS: Final = (2.0, 10.0, 30.0, 120.0, 300.0)
"""Seconds before each further try; then the event is given up."""

OLDEST_SECONDS: Final = 86_400.0
"""Events that are older are passed over: after an outage of days nobody waits for them."""

_PIECE: Final = 16 * 1024
"""Bytes of the audit that are in memory at once; the rest waits in the file."""

_log: Final = logger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """The outcome of one try to deliver an event.

    Attributes:
        trouble: Why the hook was not notified, as a clause; None if it was.
        is_passing: Whether another try may succeed.
    """

    trouble: str | None = None
    is_passing: bool = False


class HookTarget(Protocol):
    """What a hook notifies."""

    async def notify(self, notification: Notification) -> DeliveryOutcome:
        """Send it, once, within the time of the hook; whatever fails is the outcome, and no error."""
        ...

    def close(self) -> None:
        """End the delivery that is under way."""
        ...


@dataclass(frozen=True)
class HookContext:
    """What the hooks of a server share.

    Attributes:
        threads: Threads for short blocking calls.
        now: The time, seconds since 1970.
        positions: How far each hook has read the audit.
        index_url: Returns the URL of the index; None if it is not certain.
    """

    threads: Threads
    clock: Any
    now: Callable[[], float]
    positions: Positions
    index_url: Callable[[], str | None]


class HookDelivery:
    """Reads the audit at the speed of one hook; a slow one delays neither answers nor other hooks, and needs no memory."""

    def __init__(self, hook: HookSettings, target: HookTarget, context: HookContext) -> None:
        self.hook = hook
        self._target = target
        self._context = context
        self._tail = context.positions.tail(hook.name)
        self._is_failing = False
        self._is_unreadable = False
        self._running: Deferred[None] | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Begin."""
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(lambda failure: _log.failure("", failure))

    def stop(self) -> None:
        """End; an event whose delivery is under way is delivered again after the next start."""
        self._is_stopped = True
        assert self._running is not None, "start() comes first"
        self._running.cancel()
        self._target.close()

    async def _run(self) -> None:
        try:
            while True:
                if not await self._deliver_new():
                    await deferLater(self._context.clock, LOOK_SECONDS)
        except CancelledError:
            return
        finally:
            self._tail.close()

    async def _deliver_new(self) -> bool:
        """Deliver a piece of what is new; return whether there was any."""
        threads, positions = self._context.threads, self._context.positions
        try:
            lines = await threads.run(self._tail.read, _PIECE)
            self._is_unreadable = False
        except OSError as error:
            self._complain_unreadable(error)
            return False
        old = 0
        for line in lines:
            entry = read_entry(line.text)
            if entry is None or not is_for(self.hook, entry):
                continue
            if self._context.now() - _time_of(entry) > OLDEST_SECONDS:
                old += 1
                continue
            await self._deliver(notification_of(entry, self._context.index_url()))
            await threads.run(positions.save, self.hook.name, line.end)
        if old:
            _log.warn(
                "The hook {name} is not notified of {events}, which are more than {age} old.",
                name=self.hook.name,
                events=plural(old, "event"),
                age=duration(OLDEST_SECONDS),
            )
        if lines:
            await threads.run(positions.save, self.hook.name, lines[-1].end)
        return bool(lines)

    async def _deliver(self, notification: Notification) -> None:
        delays = iter(DELAYS)
        while True:
            outcome = await self._target.notify(notification)
            if self._is_stopped:
                # A request that is cancelled may fail with any error.
                raise CancelledError
            if outcome.trouble is None:
                self._recover()
                return
            delay = next(delays, None) if outcome.is_passing else None
            if delay is None:
                self._give_up(notification, outcome.trouble)
                return
            self._complain(outcome.trouble)
            await deferLater(self._context.clock, delay)

    def _give_up(self, notification: Notification, reason: str) -> None:
        self._is_failing = True
        _log.error(
            "The hook {name} was not notified of an event ({event}, delivery {delivery}): {reason}.",
            name=self.hook.name,
            event=notification.event,
            delivery=notification.delivery,
            reason=reason,
        )

    def _complain(self, reason: str) -> None:
        if not self._is_failing:
            self._is_failing = True
            _log.warn(
                "The hook {name} cannot be notified: {reason}. It is tried again for {time}.",
                name=self.hook.name,
                reason=reason,
                time=duration(sum(DELAYS) // 60 * 60),
            )

    def _recover(self) -> None:
        if self._is_failing:
            self._is_failing = False
            _log.info("The hook {name} is notified again.", name=self.hook.name)

    def _complain_unreadable(self, error: OSError) -> None:
        if not self._is_unreadable:
            self._is_unreadable = True
            _log.error(
                "The hook {name} is not notified, because the audit cannot be read ({cause}).",
                name=self.hook.name,
                cause=printable(error.strerror or str(error)),
            )


def _time_of(entry: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(entry["time"]).timestamp()
    except ValueError:
        return 0.0
