"""Sockets that workers share."""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from select import select
from typing import TYPE_CHECKING, Any, Final

import pytest
from twisted.internet.protocol import Factory

from simpleindex.config.values import ListenAddress
from simpleindex.core.errors import RefusedStart
from simpleindex.service.ports.listening import endpoint, listen_now
from simpleindex.service.ports.proxy_protocol import PREFIX
from simpleindex.service.workers.messages import Inherited
from simpleindex.service.workers.sockets import SharedSocket, SharingReactor

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE: Final = 60.0
"""Seconds after which a wait is a failure."""


def share(text: str, workers: int = 2, reactor: Any = None) -> SharedSocket:
    """Listen for workers."""
    sharing = SharingReactor(reactor, workers)
    listen = ListenAddress(text)
    made: Any = listen_now(
        endpoint(sharing, listen, "http", has_ipv6=lambda: False), Factory(), listen, "http"
    )
    assert isinstance(made, SharedSocket)
    return made


def accepted(total: int, *listening: socket.socket) -> list[int]:
    """Accept so many connections; return how many came to each socket."""
    counts = dict.fromkeys(listening, 0)
    while sum(counts.values()) < total:
        # A connection that is made need not have come to the listening end: on a busy machine that takes a moment.
        ready, _, _ = select(listening, [], [], PATIENCE)
        assert ready, counts
        with suppress(BlockingIOError):
            for each in ready:
                each.accept()[0].close()
                counts[each] += 1
    return [*counts.values()]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_connections_are_spread(address: str) -> None:
    """By the kernel, over the workers that serve; the ports are one."""
    shared = share(f"tcp{'6' if ':' in address else ''}:0:interface={address.replace(':', chr(92) + ':')}")
    with closing(shared):
        first = shared.of(1)
        port = first.getsockname()[1]
        early = [socket.create_connection((address, port)) for _ in range(20)]
        assert accepted(20, first) == [20]
        second = shared.of(2)
        assert second.getsockname()[1] == port
        late = [socket.create_connection((address, port)) for _ in range(200)]
        assert min(accepted(200, first, second)) > 50
        for each in (*early, *late):
            each.close()


def test_connections_of_a_worker_that_ended() -> None:
    """The others get them, until it listens again; so it is while it reads, before it listens for the first time."""
    with closing(share("tcp:0:interface=127.0.0.1")) as shared:
        first, second = shared.of(1), shared.of(2, listens=False)
        address = first.getsockname()
        assert (shared.others_listen(1), shared.others_listen(2)) == (False, True)
        shared.of(2)
        for _ in range(2):  # again where it ends before it listens
            shared.leave_out(2)
        waiting = [socket.create_connection(address) for _ in range(50)]
        assert accepted(50, first) == [50]
        shared.of(2)
        again = [socket.create_connection(address) for _ in range(50)]
        taken = list[socket.socket]()
        while len(taken) < 3:
            assert select([second], [], [], PATIENCE)[0]
            taken.append(second.accept()[0])
            taken[-1].sendall(b"served")
        # Each that was taken can be written to: none is ended from the beginning.
        answered = list[socket.socket]()
        while len(answered) < 3:
            came, _, _ = select([each for each in again if each not in answered], [], [], PATIENCE)
            assert [each.recv(10) for each in came] == [b"served"] * len(came) != []
            answered += came
        for each in (*waiting, *again, *taken):
            each.close()


def test_a_port_in_use_is_refused() -> None:
    """Also where it is another server with workers, whose connections this one would take a part of."""
    with closing(share("tcp:0:interface=127.0.0.1")) as shared:
        port = shared.of(1).getsockname()[1]
        with pytest.raises(RefusedStart, match=f"ss -ltnp 'sport = :{port}'"):
            share(f"tcp:{port}:interface=127.0.0.1")


def test_a_bare_port() -> None:
    """All addresses, as without workers."""
    sharing = SharingReactor(None, 3)
    made: Any = endpoint(sharing, ListenAddress("0", 0), "http", has_ipv6=lambda: True)
    outcome: list[Any] = []
    made.listen(Factory()).addCallback(outcome.append)
    with closing(outcome[0]):
        assert outcome[0].of(3).getsockname()[0] in ("::", "0.0.0.0")


class Port:
    """A port of Twisted's."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.is_reading = self.is_open = True

    def stopReading(self) -> None:
        self.is_reading = False

    def stopListening(self) -> None:
        self.is_open = False


class Listener:
    """A reactor that listens on Unix sockets."""

    def __init__(self) -> None:
        self.port = Port()

    def listenUNIX(self, *arguments: object, **named: object) -> Port:
        return self.port


def test_a_unix_socket_is_one_for_all(tmp_path: Path) -> None:
    """The supervisor keeps it, and accepts nothing."""
    listener = Listener()
    shared = share(f"unix:{tmp_path / 'socket'}", reactor=listener)
    assert shared.of(1) is shared.of(2)
    assert not listener.port.is_reading
    assert shared.others_listen(1)
    shared.leave_out(1)
    shared.close()
    assert not listener.port.is_open


def test_other_methods_are_the_reactors() -> None:
    assert SharingReactor("text", 1).upper() == "TEXT"


@pytest.mark.parametrize(("text", "kind"), [("tcp:80", "Adopted"), (f"{PREFIX}tcp:80", "HAProxy")])
def test_a_worker_adopts_the_socket(text: str, kind: str) -> None:
    """With the PROXY header read as everywhere."""
    made = endpoint(
        ReactorWithClock(), ListenAddress(text), "http", has_ipv6=lambda: True, inherited=Inherited(5, 2)
    )
    assert ("Adopted" in type(made).__name__) == (kind == "Adopted")


class ReactorWithClock:
    """As much of one as an endpoint needs."""

    def seconds(self) -> float:
        return 0.0
