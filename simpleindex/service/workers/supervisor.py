"""The supervisor of ``--workers``: listens, starts the workers, starts those again that ended or hang, and speaks to systemd for all."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from cachetools import TTLCache
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.protocol import Factory
from twisted.logger import LogLevel

from simpleindex.config.settings import changes
from simpleindex.core.errors import RefusedStart
from simpleindex.service.composition.index import compose
from simpleindex.service.ending import SECONDS
from simpleindex.service.log_lines import LoggedService
from simpleindex.service.ports.listening import endpoint, listen_now, machine_has_ipv6
from simpleindex.service.state import claim_state, state_lock
from simpleindex.service.systemd import Notifier, start_watchdog
from simpleindex.service.workers.exchange import WorkerExchange
from simpleindex.service.workers.fork_server_process import ForkServerProcess
from simpleindex.service.workers.messages import Inherited, Message, WorkerDescription
from simpleindex.service.workers.restart_pauses import RestartPauses
from simpleindex.service.workers.shared_watch import shared_watches
from simpleindex.service.workers.sockets import SharedSocket, SharingReactor
from simpleindex.service.workers.worker_process import WorkerProcess, connected
from simpleindex.system.log import logger
from simpleindex.system.troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall
    from twisted.internet.task import LoopingCall

    from simpleindex.config.settings import Settings
    from simpleindex.service.process import ServiceProcess
    from simpleindex.tls.private_ca import Owner

_log: Final = logger(__name__)

ALIVE_SECONDS: Final = 30.0
"""Between two requests for a sign of life; a worker that gave none by the next is ended and started again."""

OTHERS_SECONDS: Final = 120.0
"""The other workers start once the first one has read everything, or after this: each of them would read it too."""

SAME_LINE_SECONDS: Final = 60.0
"""For so long a line that one worker logged is not logged for the others, which all see the same directory."""

_LEVELS: Final = {level.name: level for level in LogLevel.iterconstants()}


class WorkerSupervisor(LoggedService):
    """The service of the process that supervises.

    Args:
        settings: The settings at the start.
        given: The options of the command line, and the working directory, from which each worker decides its settings.
        resolve_again: Decides the settings again, for SIGHUP.
        reactor: The event loop.
        owner: The user and group that twistd becomes, if it changes them.
        process: How this process refuses and ends.

    Attributes:
        workers: The workers' processes, by their numbers.

    Raises:
        RefusedStart: The index cannot start with these settings.
    """

    name = "simpleindex"

    def __init__(
        self,
        settings: Settings,
        given: tuple[dict[str, Any], str],
        resolve_again: Callable[..., Settings],
        reactor: Any,
        owner: Owner,
        process: ServiceProcess,
    ) -> None:
        self.settings = settings
        self.workers: dict[int, WorkerProcess] = {}
        self._given, self._directory = given
        self._resolve_again = resolve_again
        self._reactor = reactor
        self._process = process
        # Refuses what cannot be served, and makes keys and directories while this process may; the workers serve.
        index = compose(settings, lambda: settings, reactor, owner, Troubles(time.time))
        self._state_lock = state_lock(settings)
        self._sockets: dict[str, SharedSocket] = {}
        self._notifier = Notifier({}, os.getpid())
        self._loops: list[LoopingCall] = []
        self._exchange = WorkerExchange(self.workers, shared_watches(index.sources.directories, reactor))
        self._fork_server: ForkServerProcess | None = None
        self._logged: TTLCache[str, int] = TTLCache(1000, SAME_LINE_SECONDS, reactor.seconds)
        self._pauses = RestartPauses()
        self._was_ready = False
        self._others: IDelayedCall | None = None
        self._look: IDelayedCall | None = None
        self._reloading: set[int] = set()
        self._ended: Deferred[None] | None = None

    # The start

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        sharing = SharingReactor(self._reactor, self.settings.workers)
        for option, listens in (("https", self.settings.https), ("http", self.settings.http)):
            for place, listen in enumerate(listens):
                try:
                    made = endpoint(sharing, listen, option, has_ipv6=machine_has_ipv6)
                    shared: Any = listen_now(made, Factory(), listen, option)
                except RefusedStart as error:
                    raise self._process.refusal(error) from None
                self._sockets[f"{option} {place}"] = shared

    def startService(self) -> None:
        super().startService()
        try:
            claim_state(self._state_lock)
        except RefusedStart as error:
            raise self._process.refusal(error) from None
        # Only now, for a daemon has forked meanwhile.
        self._notifier = Notifier(os.environ, os.getpid())
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reload))
        if (beat := start_watchdog(self._notifier, self._reactor)) is not None:
            self._loops.append(beat)
        self._look = self._reactor.callLater(ALIVE_SECONDS, self._end_silent_workers)
        self._exchange.watch_directories()
        self._spawn(1)

    def _spawn_others(self) -> None:
        """Start the other workers, which find in the cache what the first one read."""
        if self._others is not None and self._others.active():
            self._others.cancel()
        for number in range(2, self.settings.workers + 1):
            if self.running and number not in self.workers:
                self._spawn(number)

    def _spawn(self, number: int) -> None:
        is_waiting = self._is_served_without(number)
        shared = {name: each.of(number, listens=not is_waiting) for name, each in self._sockets.items()}
        sockets = {name: Inherited(place, each.family) for place, (name, each) in enumerate(shared.items())}
        passed = [each.fileno() for each in shared.values()]
        queues = {}
        for name, descriptors in self._exchange.queues().items():
            queues[name] = tuple(range(len(passed), len(passed) + len(descriptors)))
            passed += descriptors
        started_with = (number, self.settings.workers, self._given, self._directory)
        description = WorkerDescription(*started_with, sockets, queues, is_waiting=is_waiting)
        fork_server = self._living_fork_server()
        worker = WorkerProcess(description, fork_server, self._received, self._worker_ended)
        self._pauses.started(number, self._reactor.seconds())
        self.workers[number] = worker
        with connected(self._reactor, worker) as other_end:
            fork_server.fork(number, [other_end, *passed])

    def _is_served_without(self, number: int) -> bool:
        """Return whether another worker serves than this one, which is not there now."""
        is_any_ready = any(each.is_ready for each in self.workers.values())
        return is_any_ready and all(each.others_listen(number) for each in self._sockets.values())

    def _living_fork_server(self) -> ForkServerProcess:
        """Return the process that forks workers; where it has ended, a new one."""
        if self._fork_server is None or self._fork_server.has_ended:
            self._fork_server = ForkServerProcess(self._end_reported, self._fork_server_ended)
            self._fork_server.spawn(self._reactor, os.environ)
        return self._fork_server

    # What workers report

    def _received(self, worker: WorkerProcess, message: Message) -> None:
        worker.is_alive = True
        match message.kind:
            case "log":
                self._write_log(worker, message)
            case "state" if message.text == "ready":
                self._ready(worker)
            case "state" if message.text == "complete" and worker.number == 1:
                self._spawn_others()
            case "status" if worker.number == 1:
                self._notifier.status(f"{message.text}, {self.settings.workers} workers")
            case _:
                self._exchange.received(worker, message)

    def _write_log(self, worker: WorkerProcess, message: Message) -> None:
        if self._logged.setdefault(message.text, worker.number) == worker.number:
            _log.emit(_LEVELS.get(message.detail, LogLevel.info), "{line}", line=message.text)

    def _ready(self, worker: WorkerProcess) -> None:
        worker.is_ready = True
        self._reloading.discard(worker.number)
        if not self._was_ready:
            self._was_ready = True
            self._others = self._reactor.callLater(OTHERS_SECONDS, self._spawn_others)
        if all(each.is_ready for each in self.workers.values()) and not self._reloading:
            self._notifier.ready()
            if len(self.workers) == self.settings.workers:
                numbers = ", ".join(str(each.pid) for each in self.workers.values())
                _log.info(
                    "{count} workers serve (processes {numbers}).", count=len(self.workers), numbers=numbers
                )

    # Workers that end

    def _worker_ended(self, worker: WorkerProcess, reason: str) -> None:
        self._exchange.ended(worker)
        self._reloading.discard(worker.number)
        if not self.running:
            self.workers.pop(worker.number, None)
            if not self.workers:
                self._end_fork_server()
            return
        if not self._was_ready:
            # Not before a signal is taken that systemd or a terminal has sent to all processes.
            self._reactor.callLater(0, self._give_up, worker, reason)
            return
        pause = self._pauses.after_end(worker.number, self._reactor.seconds())
        sentence = "Worker {number} ended ({reason}); it is started again."
        _log.error(sentence, number=worker.number, reason=reason)
        for shared in self._sockets.values() if self._is_served_without(worker.number) else ():
            shared.leave_out(worker.number)
        self._reactor.callLater(pause, self._start_again, worker.number)

    def _end_reported(self, number: int, how: str) -> None:
        if number in self.workers:
            self.workers[number].process_ended(how)

    def _fork_server_ended(self, fork_server: ForkServerProcess, how: str) -> None:
        """Go on without the fork server: the workers stay, and the next one to be started is forked from a new one."""
        if self.running:
            _log.error(
                "The process that starts workers ended ({how}); it is started again when needed.", how=how
            )
        for worker in [each for each in self.workers.values() if each.fork_server is fork_server]:
            worker.judge_end()
        if not self.workers:
            self._all_ended()

    def _start_again(self, number: int) -> None:
        if self.running:
            self._spawn(number)

    def _give_up(self, worker: WorkerProcess, reason: str) -> None:
        """End the service, whose first start failed; the worker has written why."""
        self.workers.pop(worker.number, None)
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            return  # By that signal.
        sentence = "Worker {number} could not start ({reason}), so the server ends."
        _log.critical(sentence, number=worker.number, reason=reason)
        self._reactor.addSystemEventTrigger("after", "shutdown", partial(os._exit, 1))

    def _end_silent_workers(self) -> None:
        # Not at fixed times: after a look that is late, as on a machine under load, the workers need theirs to answer.
        self._look = self._reactor.callLater(ALIVE_SECONDS, self._end_silent_workers)
        self._exchange.repeat_lost_reports()
        for worker in self.workers.values():
            if not worker.is_ready:
                self._end_silent_fork_server(worker)
                continue
            if not worker.is_alive:
                sentence = "Worker {number} has given no sign of life for {seconds} s; it is ended."
                _log.error(sentence, number=worker.number, seconds=round(ALIVE_SECONDS))
                worker.signal(signal.SIGKILL)
            worker.is_alive = False
            worker.send(Message("ping"))

    def _end_silent_fork_server(self, worker: WorkerProcess) -> None:
        """End a fork server that has not forked a worker since the last look; another one is started for it."""
        if worker.pid is None and not worker.has_ended:
            if not worker.is_alive:
                worker.fork_server.kill()
            worker.is_alive = False

    # SIGHUP and the end

    def reload(self) -> None:
        """Have every worker take new settings, sources and certificates."""
        self._notifier.reloading()
        try:
            _, restart = changes(self.settings, self._resolve_again(root_may_be_gone=True))
            if "workers" in restart:
                _log.warn("--workers needs a restart.")
        except RefusedStart:
            pass  # Each worker finds the same, and one of them logs it.
        self._reloading = {number for number, each in self.workers.items() if each.is_ready}
        for worker in self.workers.values():
            if worker.is_ready:
                worker.signal(signal.SIGHUP)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._process.end_by_force()
        self._notifier.stopping()
        self._state_lock.end_claim()
        for loop in self._loops:
            loop.stop()
        for call in (self._others, self._look):
            if call is not None and call.active():
                call.cancel()
        for shared in self._sockets.values():
            shared.close()
        self._exchange.close()
        # They wait to be started again.
        for number in [number for number, each in self.workers.items() if each.has_ended]:
            del self.workers[number]
        ended = self._ended = Deferred()
        for worker in self.workers.values():
            worker.signal(signal.SIGTERM)
        if not self.workers:
            self._end_fork_server()
        elif self._fork_server is not None and all(each.pid is None for each in self.workers.values()):
            # It still imports modules for the first one.
            self._fork_server.kill()
        return ended.addTimeout(SECONDS, self._reactor, onTimeoutCancel=lambda *_: self._end_workers())

    def _end_fork_server(self) -> None:
        if self._fork_server is None or self._fork_server.has_ended:
            self._all_ended()
        else:
            self._fork_server.close()

    def _all_ended(self) -> None:
        if self._ended is not None and not self._ended.called:
            self._ended.callback(None)

    def _end_workers(self) -> None:
        for worker in self.workers.values():
            worker.signal(signal.SIGKILL)
