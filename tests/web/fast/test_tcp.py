"""Writing at once: the very bytes, in order, whatever the kernel takes."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.testing import StringTransport

from simpleindex.system.bodies import FileBody
from simpleindex.web.fast.tcp import send_file, write_all_at_once, write_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from twisted.internet.error import ConnectionLost


class Reactor:
    """Takes note of who wants to write."""

    def __init__(self) -> None:
        self.writers: list[object] = []

    def addWriter(self, writer: object) -> None:
        if writer not in self.writers:
            self.writers.append(writer)

    def removeWriter(self, writer: object) -> None:
        self.writers.remove(writer)


def server(takes: int | ConnectionLost) -> tuple[tcp.Server, Reactor, list[bytes]]:
    """A real transport without a socket, whose kernel takes so many bytes at a time."""
    reactor, kernel = Reactor(), list[bytes]()
    transport = tcp.Server.__new__(tcp.Server)
    FileDescriptor.__init__(transport, reactor)  # type: ignore[arg-type]  # all of a reactor that it asks
    transport.connected = True

    def write_some(data: bytes) -> int | ConnectionLost:
        if not isinstance(takes, int):
            return takes
        kernel.append(bytes(data[:takes]))
        return min(takes, len(data))

    class Socket:
        def sendmsg(self, pieces: Sequence[bytes]) -> int:
            return self.send(b"".join(pieces))

        def send(self, data: bytes) -> int:
            sent = write_some(data)
            if not isinstance(sent, int) or sent == 0:
                raise BlockingIOError if sent == 0 else ConnectionResetError
            return sent

    transport.writeSomeData = write_some  # type: ignore[method-assign]
    transport.socket = Socket()  # type: ignore[assignment]  # all of a socket that it asks
    return transport, reactor, kernel


def test_all_leaves_at_once() -> None:
    """Nothing is left for the next turn."""
    transport, reactor, kernel = server(100)
    write_at_once(transport, b"answer")
    assert kernel == [b"answer"]
    assert reactor.writers == []


@pytest.mark.parametrize("takes", [0, 3])
def test_what_the_kernel_does_not_take_waits(takes: int) -> None:
    """It follows in the next turn, in order."""
    transport, reactor, kernel = server(takes)
    write_at_once(transport, b"answer")
    write_at_once(transport, b"second")
    assert len(reactor.writers) == 1
    while reactor.writers and takes:
        transport.doWrite()
    assert not takes or b"".join(kernel) == b"answersecond"


def test_a_lost_connection_is_left_to_the_reactor() -> None:
    """The next turn finds it out, as for every write."""
    transport, reactor, _ = server(CONNECTION_LOST)
    write_at_once(transport, b"answer")
    assert len(reactor.writers) == 1


@pytest.mark.parametrize("takes", range(8))
def test_pieces(takes: int) -> None:
    """Wherever the kernel stops, the rest follows in order."""
    transport, reactor, kernel = server(takes)
    write_all_at_once(transport, [b"ab", b"c", b"", b"def"])
    assert kernel == [b"abcdef"[:takes]]
    assert bool(reactor.writers) == (takes < 6)
    write_all_at_once(transport, [b"gh", b"i"])
    while reactor.writers and takes:
        transport.doWrite()
    assert not takes or b"".join(kernel) == b"abcdefghi"


def test_pieces_for_a_lost_connection() -> None:
    """They are left to the reactor too."""
    transport, reactor, _ = server(CONNECTION_LOST)
    write_all_at_once(transport, [b"answer", b"rest"])
    assert len(reactor.writers) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("disconnecting", True), ("connected", False), ("_aborting", True)]
)
def test_nothing_is_sent_after_the_end(name: str, value: bool) -> None:
    """A connection that ends, or has ended, is not written to past Twisted."""
    transport, _, kernel = server(100)
    setattr(transport, name, value)
    write_at_once(transport, b"answer")
    write_all_at_once(transport, [b"answer"])
    assert kernel == []


def test_a_layer_above_writes_itself() -> None:
    """TLS of ours."""
    transport, written = StringTransport(), list[bytes]()
    transport.write_at_once = written.append  # type: ignore[attr-defined]
    write_at_once(transport, b"answer")
    assert (written, transport.value()) == ([b"answer"], b"")


class Producer:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


FILE = bytes(range(251)) * 4178

Pair = tuple[tcp.Server, Reactor, socket.socket, FileBody]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A real transport over a real socket, its other end, and a file of 1 MiB."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    transport, reactor, _ = server(0)
    del transport.writeSomeData
    transport.socket, transport.fileno = ours, ours.fileno
    transport.registerProducer(Producer(), True)
    (tmp_path / "file").write_bytes(FILE)
    body = FileBody(os.open(tmp_path / "file", os.O_RDONLY), "file", "00", None)  # type: ignore[arg-type]
    with ours, theirs:
        yield transport, reactor, theirs, body
    body.close()


def send(pair: Pair, offset: int, length: int) -> int | None:
    """Send a part of the file."""
    transport, _, _, body = pair
    return send_file(transport, lambda socket: body.send_to(socket, offset, length))


def test_the_kernel_sends_a_file(pair: Pair) -> None:
    """As there is room for it; until then the producer is paused, and nothing is held here."""
    transport, reactor, theirs, _ = pair
    producer: Any = transport.producer
    came, offset, was_full = bytearray(), 0, False
    while offset < len(FILE):
        sent = send(pair, offset, len(FILE) - offset)
        assert sent is not None
        assert producer.told.pop() == "pause"
        assert reactor.writers == [transport]
        offset += sent
        was_full |= sent == 0
        while was_full and len(came) < offset:
            came += theirs.recv(65536)
        transport.doWrite()
        assert producer.told.pop() == "resume"
        assert reactor.writers == []
    while len(came) < offset:
        came += theirs.recv(65536)
    assert was_full
    assert came == FILE


def test_the_kernel_finds_nobody(pair: Pair) -> None:
    """A lost connection is left to the reactor."""
    transport, reactor, theirs, _ = pair
    theirs.close()
    assert send(pair, 0, 10) == 0
    assert reactor.writers == [transport]
    assert isinstance(transport.doWrite(), Exception)


def test_what_cannot_be_sent_pauses_nobody(pair: Pair) -> None:
    """It is written next."""
    transport, reactor, _, _ = pair
    producer: Any = transport.producer
    assert send(pair, len(FILE), 10) is None
    assert (reactor.writers, producer.told) == ([], [])


def test_no_file_past_what_waits(pair: Pair) -> None:
    """Nor through any other transport, nor where nobody could be paused."""
    transport, _, _, _ = pair
    assert send_file(StringTransport(), lambda _: 10) is None
    transport.write(b"before")
    assert send(pair, 0, 10) is None
    transport._tempDataBuffer.clear()
    transport.producer = None
    assert send(pair, 0, 10) is None


def test_other_transports_are_written_to() -> None:
    """TLS, Unix sockets and tests."""
    transport = StringTransport()
    write_at_once(transport, b"answer")
    write_all_at_once(transport, [b"an", b"swer"])
    assert transport.value() == b"answeranswer"


def test_twisted_still_buffers_as_we_believe() -> None:
    """When this fails, a release of Twisted has changed what simpleindex.web.fast.tcp relies on."""
    transport, _, _ = server(0)
    assert (transport.dataBuffer, transport._tempDataBuffer) == (b"", [])
    assert (transport.connected, transport.disconnecting, transport._aborting) == (True, False, False)
    transport.write(b"a")
    assert transport._tempDataBuffer == [b"a"]
    transport.doWrite()
    assert transport.dataBuffer == b"a"
