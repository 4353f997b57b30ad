"""A worker's end of the connection to its supervisor: its log, its state, and changes that all workers must know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.logger import ILogObserver, LogLevel, eventAsText
from twisted.protocols.basic import LineReceiver
from zope.interface import implementer

from simpleindex.core.errors import InvalidProjectName, SimpleIndexError
from simpleindex.core.names import parse_project_name
from simpleindex.service.log_lines import is_noise, is_of_twisted
from simpleindex.service.workers.messages import MOST_BYTES, Message, decode, encode
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import LogEvent
    from twisted.python.failure import Failure

    from simpleindex.core.names import ProjectName
    from simpleindex.service.workers.messages import WorkerDescription
    from simpleindex.service.workers.supervised_serials import SupervisedSerials
    from simpleindex.service.workers.supervised_watch import SupervisedWatch

_log = logger(__name__)

SEEN_SECONDS: Final = 5.0
"""How long a change waits until all workers list it; then its answer goes out, and a worker that hangs lists it later."""


COLLECT_SECONDS: Final = 3.0
"""How long an answer waits for the reports of other workers; Prometheus waits 10 s."""


class SupervisorLink(LineReceiver):
    """The connection to the supervisor.

    Args:
        description: The worker.
        clock: For deadlines.
        ended: Called when the supervisor is gone.

    Attributes:
        description: See above.
        reports: Return what this worker reports about a subject, as text; set where the index is composed.
        clock: See above.
        serials: By a directory's name, what takes the serials of its projects; set where the index is composed.
        watches: By a directory's name, what takes the supervisor's reports of it; set where the index is composed.
        changed: Makes this worker list a project's present state, by the directory's name; set where the index is composed.
    """

    delimiter = b"\n"
    MAX_LENGTH = MOST_BYTES

    def __init__(
        self, description: WorkerDescription, clock: IReactorTime, ended: Callable[[], None]
    ) -> None:
        self.description = description
        self.changed: Callable[[str, ProjectName], Coroutine[Any, Any, None]] | None = None
        self.reports: dict[str, Callable[[], Coroutine[Any, Any, str]]] = {}
        self.serials: dict[str, SupervisedSerials] = {}
        self.watches: dict[str, SupervisedWatch] = {}
        self._received: dict[int, dict[int, str]] = {}
        self.clock = clock
        self._ended = ended
        self._early: list[Message] | None = []
        self._waiting: dict[int, Deferred[None]] = {}
        self._number = 0

    def connectionMade(self) -> None:
        early, self._early = self._early, None
        for message in early or ():
            self.send(message)

    def send(self, message: Message) -> None:
        """Send a message: before the connection with it, after its end not at all."""
        if self._early is not None:
            self._early.append(message)
        elif self.transport is not None:
            self.transport.write(encode(message))

    def lineReceived(self, line: bytes) -> None:
        message = decode(line)
        if message is None:
            return
        match message.kind:
            case "ping":
                self.send(Message("alive"))
            case "serials" if (serials := self.serials.get(message.detail)) is not None:
                serials.received(message)
            case "watching" | "unwatched" | "events" | "reported" if (
                watch := self.watches.get(message.detail)
            ) is not None:
                watch.received(message)
            case "seen" if (waiting := self._waiting.pop(message.number, None)) is not None:
                waiting.callback(None)
            case "collect":
                report = Deferred.fromCoroutine(self._report(message.text, message.number))
                report.addErrback(lambda failure: _log.failure("", failure))
            case "report" if message.number in self._received:
                self._received[message.number][int(message.detail)] = message.text
            case "collected" if (waiting := self._waiting.pop(message.number, None)) is not None:
                waiting.callback(None)
            case "changed":
                look = Deferred.fromCoroutine(self._look(message))
                look.addErrback(lambda failure: _log.failure("", failure))
                look.addBoth(lambda _: self.send(Message("seen", number=message.number)))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002 (Twisted's signature)
        self.transport = None
        self._ended()

    def complete(self) -> None:
        """Report that everything was read for the first time, and can be read from the cache now."""
        self.send(Message("state", "complete"))

    async def announce(self, directory: str, project: ProjectName) -> None:
        """Return when every worker lists a project's present state, or after :data:`SEEN_SECONDS`.

        Args:
            directory: The name of its directory.
            project: What changed.
        """
        if self.description.count == 1 or self.transport is None:
            return
        self._number += 1
        number = self._number
        waiting: Deferred[None] = Deferred()
        self._waiting[number] = waiting
        self.send(Message("changed", project, directory, number))
        waiting.addTimeout(SEEN_SECONDS, self.clock, onTimeoutCancel=lambda *_: None)
        await waiting
        self._waiting.pop(number, None)

    async def collect(self, subject: str) -> tuple[int, dict[int, str]]:
        """Return the number of this worker, and the reports of the others that have sent them within :data:`COLLECT_SECONDS`.

        Args:
            subject: What they are about: metrics, the status, or that they serve a new certificate.
        """
        if self.description.count == 1 or self.transport is None:
            return self.description.number, {}
        self._number += 1
        number = self._number
        waiting: Deferred[None] = Deferred()
        self._waiting[number], self._received[number] = waiting, {}
        self.send(Message("collect", subject, number=number))
        waiting.addTimeout(COLLECT_SECONDS, self.clock, onTimeoutCancel=lambda *_: None)
        await waiting
        self._waiting.pop(number, None)
        return self.description.number, self._received.pop(number)

    async def _report(self, subject: str, number: int) -> None:
        # Without an answer the request would wait until its time is over, although nothing is reported about the subject.
        text = await self.reports[subject]() if subject in self.reports else "[]"
        self.send(Message("report", text, number=number))

    async def _look(self, message: Message) -> None:
        try:
            if self.changed is not None:
                await self.changed(message.detail, parse_project_name(message.text))
        except (InvalidProjectName, SimpleIndexError):
            return  # Each request of the project is answered with the reason.


class SupervisorNotifier:
    """Reports the worker's state to the supervisor, as :class:`simpleindex.service.systemd.Notifier` does to systemd."""

    watchdog_interval: float | None = None

    def __init__(self, link: SupervisorLink) -> None:
        self._link = link

    def ready(self) -> None:
        """Report that the start, or a reload, is complete."""
        self._link.send(Message("state", "ready"))

    def reloading(self) -> None:
        """Report that a reload begins."""
        self._link.send(Message("state", "reloading"))

    def stopping(self) -> None:
        """Report that the end begins."""
        self._link.send(Message("state", "stopping"))

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._link.send(Message("status", text))

    def watchdog(self) -> None:
        """Do nothing: the supervisor requests signs of life."""


@implementer(ILogObserver)
class SupervisorLog:
    """Passes the worker's log to the supervisor, which writes one log for all."""

    def __init__(self, link: SupervisorLink) -> None:
        self._link = link

    def __call__(self, event: LogEvent) -> None:
        # Twisted's own lines are the supervisor's: "Received SIGTERM" once.
        if is_noise(event) or is_of_twisted(event):
            return
        text = eventAsText(event, includeTimestamp=False, includeSystem=False).rstrip()
        level = event.get("log_level") or LogLevel.info
        if event.get("isError") and level is LogLevel.info:
            level = LogLevel.critical
        if text:
            self._link.send(Message("log", text, level.name))
