"""The supervisor with processes that exist in memory only."""

from __future__ import annotations

import os
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from zope.interface import implementer

from simpleindex.core.errors import RefusedStart
from simpleindex.records.state_lock import StateLock
from simpleindex.service.process import ServiceProcess, as_daemon
from simpleindex.service.systemd import Notifier
from simpleindex.service.workers import shared_watch
from simpleindex.service.workers import supervisor as module
from simpleindex.service.workers.messages import (
    Message,
    WorkerDescription,
    decode,
    decode_description,
    encode,
)
from simpleindex.service.workers.restart_pauses import AGAIN_SECONDS, MOST_AGAIN_SECONDS, STEADY_SECONDS
from simpleindex.service.workers.supervisor import (
    ALIVE_SECONDS,
    OTHERS_SECONDS,
    WorkerSupervisor,
)
from simpleindex.service.workers.worker_process import WorkerProcess
from simpleindex.system.threads import core_count
from simpleindex.tap import Options, makeService
from tests.fixtures.service import Reactor, ServiceFixture, at_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Process:
    """A worker's process, as the supervisor's connection to it shows it."""

    disconnecting = False

    def __init__(self, worker: Any, pid: int) -> None:
        self.pid: int | None = pid
        self.worker = worker
        self.lines: list[bytes] = []
        worker.makeConnection(self)
        self.report("started", number=pid)

    @property
    def description(self) -> WorkerDescription:
        return decode_description(self.lines[0], range(9))

    def write(self, data: bytes) -> None:
        self.lines += data.splitlines(keepends=True)

    def taken(self) -> list[Message | None]:
        """What was sent since the last time."""
        taken, self.lines[1:] = self.lines[1:], []
        return [decode(line) for line in taken]

    def report(self, kind: str, text: str = "", detail: str = "", number: int = 0) -> None:
        self.worker.dataReceived(encode(Message(kind, text, detail, number)))

    def end(self, how: str = "status 0") -> None:
        """End, and have the fork server report it."""
        self.pid = None
        self.worker.connectionLost()
        if not self.worker.fork_server.has_ended:
            self.worker.fork_server.report_end(self.worker.number, how)


class MemoryForkServer:
    """A fork server that starts no processes."""

    def __init__(self, report_end: Any, ended: Any) -> None:
        self.report_end = report_end
        self.has_ended = False
        self.is_closed = False
        self.environment: dict[str, str] = {}
        self.forked: list[int] = []
        self._ended = ended

    def spawn(self, reactor: WorkerReactor, environment: dict[str, str]) -> None:
        reactor.fork_servers.append(self)

    def fork(self, worker: int, descriptors: list[int]) -> None:
        assert all(os.fstat(each) for each in descriptors)
        self.forked.append(worker)

    def kill(self) -> None:
        self.has_ended = True
        self._ended(self, "signal SIGKILL")

    def close(self) -> None:
        self.is_closed = self.has_ended = True
        self._ended(self, "status 0")


class WorkerReactor(Reactor):
    """One that starts no processes."""

    def __init__(self) -> None:
        super().__init__()
        self.fork_servers: list[MemoryForkServer] = []
        self.spawned: list[Process] = []
        self.forks = True
        self.unforked: list[Any] = []
        self.was_stopped = False
        self.at_the_end: list[tuple[Any, ...]] = []

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Any) -> None:
        worker = factory.buildProtocol(None)
        if self.forks:
            self.spawned.append(Process(worker, 1000 + len(self.spawned)))
        else:
            self.unforked.append(worker)

    def getThreadPool(self) -> None:
        """There is none."""

    def stop(self) -> None:
        if self.was_stopped:
            raise ReactorNotRunning
        self.was_stopped = True

    def addSystemEventTrigger(self, *arguments: Any, **_: Any) -> None:
        self.at_the_end.append(arguments)


class World:
    """A supervisor."""

    def __init__(self, place: Path, workers: int = 3) -> None:
        self.index = ServiceFixture(place)
        self.index.give(http=("tcp:0:interface=127.0.0.1",), workers=str(workers))
        self.reactor = WorkerReactor()
        self.forced = 0
        self.supervisor = WorkerSupervisor(
            self.index.resolve(),
            (self.index.command_line, str(place)),
            self.index.resolve,
            self.reactor,
            (None, None),
            ServiceProcess(as_daemon, self._force),
        )
        self.signals: list[tuple[int, int]] = []
        self.log: list[str] = []

    def _force(self) -> None:
        self.forced += 1

    @property
    def workers(self) -> list[Process]:
        """The processes that run, by their numbers."""
        running = [each for each in self.reactor.spawned if each.pid is not None]
        return sorted(running, key=lambda each: each.description.number)

    def start(self) -> None:
        self.supervisor.privilegedStartService()
        self.supervisor.startService()

    def start_all(self) -> None:
        """Start, until every worker serves."""
        self.start()
        (first,) = self.workers
        first.report("state", "ready")
        first.report("state", "complete")
        for each in self.workers[1:]:
            each.report("state", "ready")

    def listening(self) -> list[bool]:
        """Whether the socket of each worker gets connections."""
        (shared,) = self.supervisor._sockets.values()
        sockets = [shared.of(number, listens=False) for number in (1, 2, 3)]
        return [each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0 for each in sockets]

    def kill(self, pid: int, number: int) -> None:
        self.signals.append((pid, number))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """One with three workers; what systemd is told comes into its log."""
    former = signal.getsignal(signal.SIGHUP)
    made = World(tmp_path)
    monkeypatch.setattr(
        module,
        "WorkerProcess",
        partial(
            WorkerProcess,
            kill=lambda pid, number: made.kill(pid, number),  # noqa: PLW0108  (a test replaces it)
        ),
    )

    class SystemdNotifier(Notifier):
        def _send(self, *assignments: str) -> None:
            made.log.append(assignments[0])

    monkeypatch.setattr(module, "Notifier", SystemdNotifier)
    monkeypatch.setattr(module, "ForkServerProcess", MemoryForkServer)
    monkeypatch.setattr(shared_watch, "deferToThreadPool", at_once)

    @implementer(ILogObserver)
    def note(event: Any) -> None:
        made.log.append(formatEvent(event))

    globalLogPublisher.addObserver(note)
    yield made
    globalLogPublisher.removeObserver(note)
    if made.supervisor.running:
        stop(made)
    signal.signal(signal.SIGHUP, former)


def stop(world: World) -> list[str]:
    """Stop it; a word comes into the list once it has ended."""
    outcome: list[str] = []
    ended = world.supervisor.stopService()
    ended.addCallback(lambda _: outcome.append("ended"))
    return outcome


def test_beside_another_server(world: World) -> None:
    """It is refused before a worker starts, and may start once the other one ends."""
    (world.index.place / "state").mkdir(exist_ok=True)
    other = StateLock(str(world.index.place / "state"))
    other.claim()
    world.supervisor.privilegedStartService()
    with pytest.raises(RefusedStart, match="Another server is running"):
        world.supervisor.startService()
    assert not world.workers
    other.release()
    world.supervisor.startService()
    with pytest.raises(RefusedStart, match="Another server is running"):
        other.claim()


def test_the_first_reads_before_the_others_start(world: World) -> None:
    """They find in the cache what it read; systemd hears of a server that serves."""
    world.start()
    (first,) = world.workers
    assert first.description.number == 1
    assert not first.description.is_waiting
    assert first.description.given["path"] == str(world.index.root)
    first.report("state", "ready")
    assert world.log == ["READY=1"]
    first.report("state", "complete")
    assert [each.description.number for each in world.workers] == [1, 2, 3]
    assert all(each.description.is_waiting for each in world.workers[1:])
    for each in world.workers[1:]:
        each.report("state", "ready")
    assert world.log[-1] == "3 workers serve (processes 1000, 1001, 1002)."
    (fork_server,) = world.reactor.fork_servers
    assert fork_server.forked == [1, 2, 3]


def test_the_others_do_not_wait_for_ever(world: World) -> None:
    """A directory that takes hours to read is read by all."""
    world.start()
    world.workers[0].report("state", "ready")
    world.reactor.advance(OTHERS_SECONDS)
    assert len(world.workers) == 3
    world.workers[0].report("state", "complete")
    assert len(world.workers) == 3


def test_one_log(world: World) -> None:
    """What every worker finds is logged once; what one logs twice is logged twice."""
    world.start_all()
    del world.log[:]
    first, second, _ = world.workers
    for worker in (first, second, first):
        worker.report("log", "Withheld: x", "warn")
    second.report("log", "another", "no level")
    assert world.log == ["Withheld: x", "Withheld: x", "another"]


def test_the_status_is_that_of_the_first(world: World) -> None:
    world.start_all()
    world.workers[1].report("status", "0 projects")
    world.workers[0].report("status", "3 projects")
    assert world.log[-1] == "STATUS=3 projects, 3 workers"


def test_a_worker_that_ends_is_started_again(world: World) -> None:
    """Sooner if it ran for long, later if it ends again and again."""
    world.start_all()
    world.reactor.advance(STEADY_SECONDS)
    world.workers[1].end("signal SIGKILL")
    assert "Worker 2 ended (signal SIGKILL); it is started again." in world.log
    assert len(world.workers) == 2
    pause = AGAIN_SECONDS
    for _ in range(9):
        world.reactor.advance(pause - 0.01)
        assert len(world.workers) == 2
        world.reactor.advance(0.02)
        assert len(world.workers) == 3
        world.workers[1].end("status 3")
        pause = min(2 * pause, MOST_AGAIN_SECONDS)
    assert pause == MOST_AGAIN_SECONDS


def test_connections_while_a_worker_starts(world: World) -> None:
    """Those that serve get them: a new one reads for seconds, and one that ends at each start has long pauses."""
    world.start()
    first = world.workers[0]
    first.report("state", "ready")
    first.report("state", "complete")
    assert world.listening() == [True, False, False]
    (shared,) = world.supervisor._sockets.values()
    for number in (2, 3):
        world.workers[number - 1].report("state", "ready")
        shared.of(number)  # as the worker does once it has read everything
    world.workers[1].end("signal SIGKILL")
    assert world.listening() == [True, False, True]
    world.reactor.advance(AGAIN_SECONDS)
    assert world.listening() == [True, False, True]
    first.end()
    world.workers[-1].end()
    assert world.listening() == [False, False, True]  # the last one's connections wait for it


def test_a_start_that_fails_ends_the_server(world: World) -> None:
    """With status 1; the worker has written why."""
    world.start()
    world.workers[0].end("status 1")
    assert not world.reactor.was_stopped
    world.reactor.advance(0)
    assert world.reactor.was_stopped
    ((phase, event, exit_, *status),) = world.reactor.at_the_end
    assert (phase, event) == ("after", "shutdown")
    assert isinstance(exit_, partial)
    assert (exit_.args, status) == ((1,), [])
    assert "Worker 1 could not start (status 1), so the server ends." in world.log[0]
    assert stop(world) == ["ended"]


def test_the_end_in_the_middle_of_the_first_start(world: World) -> None:
    """A signal to all processes may end a worker before the supervisor begins its own end, which is no failure."""
    world.start()
    world.workers[0].end("signal SIGTERM")
    world.reactor.stop()
    world.reactor.advance(0)
    assert (world.log, world.reactor.at_the_end) == ([], [])
    assert stop(world) == ["ended"]


def test_a_worker_that_hangs_is_ended(world: World) -> None:
    world.start_all()
    world.reactor.advance(ALIVE_SECONDS)
    assert world.workers[0].taken() == [Message("ping")]
    world.workers[0].report("alive")
    world.workers[2].report("alive")
    world.reactor.advance(ALIVE_SECONDS)
    assert world.signals == [(1001, signal.SIGKILL)]


def test_a_look_that_is_late(world: World) -> None:
    """The workers have all their time to answer: none is ended because the supervisor was held up."""
    world.start_all()
    world.reactor.advance(2 * ALIVE_SECONDS - 0.01)
    assert world.workers[0].taken() == [Message("ping")]
    world.reactor.advance(0.02)
    assert world.signals == []


def test_one_that_does_not_serve_yet_may_be_silent(world: World) -> None:
    world.start()
    world.reactor.advance(2 * ALIVE_SECONDS)
    assert world.signals == []


def test_a_change_is_listed_by_all(world: World) -> None:
    world.start_all()
    first, second, third = world.workers
    second.report("changed", "acme", "local", 5)
    assert first.taken() == third.taken() == [Message("changed", "acme", "local", 1)]
    first.report("seen", number=1)
    assert second.taken() == []
    third.end("signal SIGKILL")
    assert second.taken() == [Message("seen", number=5)]


def test_what_is_changed_by_hand_is_heard_of_by_all(world: World) -> None:
    world.start_all()
    world.reactor.advance(0)
    for each in world.workers:
        each.taken()
        each.report("watch", str(world.index.root), "local")
        assert each.taken() == [Message("watching", detail="local")]
        for place in (("/new", "new"), ("/new", "local")):
            each.report("watch", *place)
            (answer,) = each.taken()
            assert answer is not None
            assert answer.kind == "unwatched"
            assert answer.text.startswith("/new is watched after a restart of the server")
    (world.index.root / "acme").mkdir()
    (reader,) = world.reactor.getReaders()
    reader.doRead()
    world.reactor.advance(0)
    for each in world.workers:
        message, reported = each.taken()
        assert message is not None
        assert message.kind == "events"
        assert reported == Message("reported", detail="local", number=1)
        each.report("heard", "", "local", message.number)
        each.report("catch-up", "", "local")
        assert each.taken() == [Message("reported", "requested", "local", 1)]
        # This one and the two descriptors of a queue, behind those of the ports.
        assert len(each.description.queues["local"]) == 2
    world.workers[0].end()
    world.reactor.advance(2 * ALIVE_SECONDS)
    stop(world)
    assert world.reactor.getReaders() == []


def test_a_change_of_the_only_worker(world: World) -> None:
    world.start()
    world.workers[0].report("state", "ready")
    world.workers[0].report("changed", "acme", "local", 5)
    assert world.workers[0].taken() == [Message("seen", number=5)]
    world.workers[0].worker.dataReceived(b"x" * (2 << 20))
    world.workers[0].worker.dataReceived(b"no\n")


def test_metrics_of_all_workers(world: World) -> None:
    """The one that is scraped gets the reports of the others, and the end; nobody waits for one that ended."""
    world.start_all()
    first, second, third = world.workers
    second.report("collect", "status", number=7)
    assert first.taken() == third.taken() == [Message("collect", "status", number=1)]
    first.report("report", "[]", number=1)
    assert second.taken() == [Message("report", "[]", "1", 7)]
    third.end("signal SIGKILL")
    assert second.taken() == [Message("collected", number=7)]
    first.report("report", "[]", number=1)
    assert second.taken() == []


def test_metrics_of_the_only_worker(world: World) -> None:
    world.start()
    world.workers[0].report("state", "ready")
    world.workers[0].report("collect", number=7)
    assert world.workers[0].taken() == [Message("collected", number=7)]


def test_reload(world: World) -> None:
    """Ready again once every worker is; a worker that ended meanwhile is not waited for."""
    world.start_all()
    del world.log[:]
    world.index.give(workers="2")
    signal.raise_signal(signal.SIGHUP)
    world.reactor.advance(0)
    assert world.signals == [(pid, signal.SIGHUP) for pid in (1000, 1001, 1002)]
    assert world.log == ["RELOADING=1", "--workers needs a restart."]
    for each in world.workers[:2]:
        each.report("state", "ready")
    assert "READY=1" not in world.log
    world.workers[2].report("state", "ready")
    assert "READY=1" in world.log


def test_reload_with_a_mistake(world: World) -> None:
    """Each worker keeps what it had, and one of them logs why."""
    world.start_all()
    world.index.give(watch="no")
    world.supervisor.reload()
    assert len(world.signals) == 3


def test_the_end(world: World) -> None:
    """It waits for the workers, and starts none again."""
    world.start_all()
    outcome = stop(world)
    assert world.forced == 1
    assert [number for _, number in world.signals] == [signal.SIGTERM] * 3
    for each in world.workers:
        assert outcome == []
        each.end()
    assert outcome == ["ended"]
    assert world.reactor.fork_servers[0].is_closed
    world.reactor.advance(STEADY_SECONDS)
    assert world.workers == []


def test_the_end_of_workers_that_hang(world: World) -> None:
    world.start_all()
    outcome = stop(world)
    world.reactor.advance(20)
    assert [number for _, number in world.signals] == [signal.SIGTERM] * 3 + [signal.SIGKILL] * 3
    assert outcome == ["ended"]


def test_the_end_while_a_worker_waits_to_be_started(world: World) -> None:
    world.start_all()
    world.workers[1].end("status 1")
    stop(world)
    world.reactor.advance(STEADY_SECONDS)
    assert len(world.workers) == 2
    world.supervisor.workers[1].send(Message("ping"))


def test_signals_and_messages_to_one_that_just_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are dropped."""
    world.start_all()

    def gone(*_: object) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(world, "kill", gone)
    world.supervisor.workers[1].signal(signal.SIGHUP)
    world.workers[0].end("signal SIGKILL")
    world.supervisor.workers[1].signal(signal.SIGHUP)
    world.supervisor.workers[1].send(Message("ping"))


def test_a_fork_server_that_ends(world: World) -> None:
    """Its workers stay, though nobody reports how they end; another fork server forks the next one."""
    world.start_all()
    world.reactor.fork_servers[0].kill()
    assert (
        "The process that starts workers ended (signal SIGKILL); it is started again when needed."
        in world.log
    )
    assert len(world.workers) == 3
    world.workers[1].end()
    assert "Worker 2 ended (its status is not known); it is started again." in world.log
    world.reactor.advance(AGAIN_SECONDS)
    assert world.reactor.fork_servers[1].forked == [2]
    world.reactor.fork_servers[0].report_end(9, "status 0")


def test_a_fork_server_that_hangs(world: World) -> None:
    """It is ended, and what it was to start is started by another one."""
    world.start_all()
    world.reactor.forks = False
    world.workers[1].end("status 1")
    world.reactor.advance(AGAIN_SECONDS)
    for _ in range(2):
        assert len(world.reactor.fork_servers) == 1
        for each in world.workers:
            each.report("alive")
        world.reactor.advance(ALIVE_SECONDS)
    (unforked,) = world.reactor.unforked
    assert world.reactor.fork_servers[0].has_ended
    world.reactor.forks = True
    unforked.connectionLost()
    unforked.connectionLost()
    world.reactor.advance(MOST_AGAIN_SECONDS)
    assert world.reactor.fork_servers[1].forked == [2]


def test_the_end_before_a_worker_is_forked(world: World) -> None:
    """Its fork server is ended; a worker that was forked all the same gets the signal."""
    world.reactor.forks = False
    world.start()
    outcome = stop(world)
    assert world.reactor.fork_servers[0].has_ended
    (worker,) = world.reactor.unforked
    process = Process(worker, 77)
    assert world.signals == [(77, signal.SIGTERM)]
    process.end()
    assert outcome == ["ended"]


def test_a_port_in_use(tmp_path: Path, world: World) -> None:
    world.start()
    port = next(iter(world.supervisor._sockets.values())).of(1).getsockname()[1]
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    other.index.give(http=(f"tcp:{port}:interface=127.0.0.1",))
    second = WorkerSupervisor(
        other.index.resolve(),
        ({}, "/"),
        other.index.resolve,
        other.reactor,
        (None, None),
        ServiceProcess(as_daemon),
    )
    with pytest.raises(RefusedStart, match="cannot be listened on"):
        second.privilegedStartService()


@pytest.mark.parametrize(("number", "expected"), [("2", 2), ("auto", core_count())])
def test_twistd_gets_a_supervisor(number: str, expected: int, tmp_path: Path) -> None:
    """Only with more than one worker."""
    former = signal.getsignal(signal.SIGHUP)
    options = Options()
    options.parseOptions(["--path", str(tmp_path), "--workers", number, "--cache", str(tmp_path / "c")])
    made = makeService(options)
    signal.signal(signal.SIGHUP, former)
    assert isinstance(made, WorkerSupervisor) == (expected > 1)
    assert expected in (1, made.settings.workers)  # type: ignore[attr-defined]
