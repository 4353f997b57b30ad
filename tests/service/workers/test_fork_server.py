"""The fork server, in this process and without a fork; and as its supervisor sees it."""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import socket
import sys
import types
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.python.failure import Failure

from simpleindex.service.workers import fork_server as module
from simpleindex.service.workers.fork_requests import (
    REPORTS,
    REQUESTS,
    SIGNALS_TO_ALL,
    ForkRequest,
    receive_request,
    send_request,
)
from simpleindex.service.workers.fork_server import ForkServer, import_modules, main
from simpleindex.service.workers.fork_server_process import (
    _OF_WORKERS,
    _OF_WORKERS_ALONE,
    ForkServerProcess,
    importable,
)
from simpleindex.service.workers.messages import Message, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


@pytest.fixture
def _signals() -> Iterator[None]:
    """Leave the tests' own as they were; and nothing frozen."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    former = [signal.getsignal(number) for number in numbers]
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in zip(numbers, former, strict=True):
        signal.signal(number, handler)
    gc.unfreeze()


def test_a_request_comes_with_its_descriptors(sockets: tuple[socket.socket, socket.socket]) -> None:
    """Each with its own, even if several wait; none is inherited by programs."""
    near, far = sockets
    reading, writing = os.pipe()
    send_request(near, ForkRequest(1, ["json"] * 10_000), [writing])
    send_request(near, ForkRequest(2), [writing, reading])
    first, second = receive_request(far), receive_request(far)
    assert first is not None
    assert second is not None
    assert (first[0], second[0]) == (ForkRequest(1, ["json"] * 10_000), ForkRequest(2, []))
    assert (len(first[1]), len(second[1])) == (1, 2)
    assert not any(os.get_inheritable(each) for each in (*first[1], *second[1]))
    os.write(first[1][0], b"x")
    assert os.read(second[1][1], 9) == b"x"
    for each in (reading, writing, *first[1], *second[1]):
        os.close(each)
    near.sendall(b"\0\0\0\5half")
    near.close()
    assert receive_request(far) is None
    assert receive_request(far) is None


def test_a_request_that_comes_in_pieces(sockets: tuple[socket.socket, socket.socket]) -> None:
    """A signal, as of a worker that ends, cuts a call short, and is not taken for the end of the supervisor."""

    class CutShort(socket.socket):
        def recv(self, size: int, flags: int = 0) -> bytes:
            return super().recv(min(size, 7), flags)

    near, far = sockets
    send_request(near, ForkRequest(1, ["json"]), [far.fileno()])
    with CutShort(fileno=far.detach()) as reading:
        received = receive_request(reading)
    assert received is not None
    request, descriptors = received
    assert request == ForkRequest(1, ["json"])
    os.close(descriptors[0])


@pytest.mark.usefixtures("_signals")
def test_the_fork_server_reports_ends(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps no descriptor of a worker, and ends with its supervisor."""
    near, far = sockets
    reading, writing = os.pipe()
    listening = os.open(os.devnull, os.O_RDONLY)
    ends = [(4321, signal.SIGKILL), (0, 0)]

    def waitpid(*_: object) -> tuple[int, int]:
        if len(ends) == 1:
            near.close()
        return ends.pop(0)

    monkeypatch.setattr(os, "waitpid", waitpid)
    numbers = iter((4321, 4322))

    def fork() -> int:
        number = next(numbers)
        if number == 4322:
            signal.raise_signal(signal.SIGCHLD)
        return number

    monkeypatch.setattr(os, "fork", fork)
    for number in (1, 2):
        send_request(near, ForkRequest(number), [listening])
    # Descriptors of other tests go now, not while they are counted.
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    fork_server = ForkServer(far, writing)
    assert fork_server.run() is None
    assert len(os.listdir("/proc/self/fd")) == before + 2 - 1  # its pipe; `near` is closed
    assert decode(os.read(reading, 99)) == Message("ended", "-9", number=1)
    for each in (reading, writing, listening, fork_server._awake, fork_server._wake):
        os.close(each)


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize("status", [0, 1])
def test_in_a_worker(
    status: int, sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the fork server is left, and signals end it until it has dispositions of its own."""
    near, far = sockets
    reading, writing = os.pipe()
    send_request(near, ForkRequest(1), [reading])
    served: list[int] = []

    def serve(descriptors: list[int]) -> int:
        served.extend(descriptors)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
        assert gc.isenabled()
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            os.fstat(writing)
        return status

    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(module, "serve", serve)
    monkeypatch.setattr(module, "REQUESTS", far.detach())
    monkeypatch.setattr(module, "REPORTS", writing)
    assert main() == status
    for each in (reading, *served):
        os.close(each)


@pytest.mark.usefixtures("_signals")
def test_modules_are_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that cannot be are left out."""
    monkeypatch.delitem(sys.modules, "json.tool", raising=False)
    import_modules(["json.tool", "simpleindex.there_is_no_such_module"])
    assert "json.tool" in sys.modules
    assert gc.get_freeze_count() > 0


def test_modules_of_workers_alone_exist() -> None:
    """The fork server leaves out in silence what it cannot import. The folder of the fast lane can be deleted."""
    names = [name for name in _OF_WORKERS_ALONE if ".fast." not in name]
    assert [name for name in names if find_spec(name) is None] == []


def test_what_another_process_can_import() -> None:
    """Not the reactor, which each worker makes for itself."""
    plain = types.ModuleType("plain")
    modules = {"json": json, "__main__": os, "twisted.internet.reactor": os, "plain": plain}
    assert importable(modules) == ["json"]


class MemoryReactor:
    """One that starts no process, but takes note of it."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.environment: dict[str, str] = {}
        self.requests: socket.socket | None = None
        self.blocked: set[int] = set()

    def spawnProcess(
        self, protocol: Any, executable: str, args: list[str], env: dict[str, str], childFDs: dict[int, Any]
    ) -> None:
        self.words, self.environment = args, env
        self.blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.requests = socket.socket(fileno=os.dup(childFDs[REQUESTS]))
        protocol.makeConnection(mock.Mock(pid=99))


@pytest.mark.usefixtures("_signals")
def test_a_signal_to_all_processes_does_not_end_the_fork_server_while_it_starts(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    """It would be gone before it ignores them: its program is started while they are blocked, and those that came are dropped."""
    reactor = MemoryReactor()
    fork_server = ForkServerProcess(mock.Mock(), mock.Mock(), mock.Mock())
    fork_server.spawn(reactor, {})
    assert reactor.blocked == set(SIGNALS_TO_ALL)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS_TO_ALL) == set()
    for number in SIGNALS_TO_ALL:
        signal.raise_signal(number)
    sockets[0].close()
    reading, writing = os.pipe()
    started = ForkServer(sockets[1], writing)
    assert started.run() is None
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    fork_server.close()
    assert reactor.requests is not None
    reactor.requests.close()
    for each in (reading, writing, started._awake, started._wake):
        os.close(each)


def test_the_fork_server_of_a_supervisor() -> None:
    """It knows nothing of systemd, whose variables are about the supervisor's process."""
    ends: list[object] = []
    fork_server = ForkServerProcess(
        lambda *each: ends.append(each), lambda _, how: ends.append(how), mock.Mock()
    )
    reactor = MemoryReactor()
    fork_server.spawn(reactor, {"NOTIFY_SOCKET": "/x", "SIMPLEINDEX_TITLE": "Ours"})
    assert reactor.environment.keys() - _OF_WORKERS.keys() == {"SIMPLEINDEX_TITLE"}
    assert reactor.words[-3:] == ["-P", "-m", "simpleindex.service.workers.fork_server"]
    reading, writing = os.pipe()
    fork_server.fork(3, [reading])
    assert reactor.requests is not None
    received = receive_request(reactor.requests)
    assert received is not None
    assert received[0].worker == 3
    assert "simpleindex.service.workers.messages" in received[0].modules
    assert {*_OF_WORKERS_ALONE} <= {*received[0].modules}
    fork_server.fork(4, [])
    assert receive_request(reactor.requests) == (ForkRequest(4, []), [])
    report = encode(Message("ended", "-9", number=3))
    for data in (report[:5], report[5:], b"no report\n"):
        fork_server.childDataReceived(REPORTS, data)
    fork_server.childDataReceived(1, b"text\n")
    assert ends == [(3, "signal SIGKILL")]
    fork_server.processEnded(Failure(ProcessTerminated(None, signal.SIGSEGV)))
    assert fork_server.has_ended
    assert ends[1:] == ["signal SIGSEGV"]
    for each in (reading, writing, *received[1]):
        os.close(each)
    reactor.requests.close()


def test_a_fork_server_that_cannot_be_reached() -> None:
    """It is ended, unless it has ended already."""
    kill = mock.Mock(side_effect=ProcessLookupError)
    ends: list[str] = []
    fork_server = ForkServerProcess(lambda *_: None, lambda _, how: ends.append(how), kill)
    fork_server.kill()
    reactor = MemoryReactor()
    fork_server.spawn(reactor, {})
    assert reactor.requests is not None
    reactor.requests.close()
    fork_server.fork(1, [0])
    kill.assert_called_once_with(99, signal.SIGKILL)
    fork_server.processEnded(Failure(ProcessDone(0)))
    assert ends == ["status 0"]
    fork_server.close()
