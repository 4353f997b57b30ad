"""Writing at once: the very bytes, in order, whatever the kernel takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.testing import StringTransport

from simpleindex.web.transports import write_now

if TYPE_CHECKING:
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

    transport.writeSomeData = write_some  # type: ignore[method-assign]
    return transport, reactor, kernel


def test_all_leaves_at_once() -> None:
    """Nothing is left for the next turn."""
    transport, reactor, kernel = server(100)
    write_now(transport, b"answer")
    assert kernel == [b"answer"]
    assert reactor.writers == []


@pytest.mark.parametrize("takes", [0, 3])
def test_what_the_kernel_does_not_take_waits(takes: int) -> None:
    """It follows in the next turn, in order."""
    transport, reactor, kernel = server(takes)
    write_now(transport, b"answer")
    write_now(transport, b"second")
    assert len(reactor.writers) == 1
    while reactor.writers and takes:
        transport.doWrite()
    assert not takes or b"".join(kernel) == b"answersecond"


def test_a_lost_connection_is_left_to_the_reactor() -> None:
    """The next turn finds it out, as for every write."""
    transport, reactor, _ = server(CONNECTION_LOST)
    write_now(transport, b"answer")
    assert len(reactor.writers) == 1


def test_other_transports_are_written_to() -> None:
    """TLS, Unix sockets and tests."""
    transport = StringTransport()
    write_now(transport, b"answer")
    assert transport.value() == b"answer"


def test_twisted_still_buffers_as_we_believe() -> None:
    """When this fails, a release of Twisted has changed what simpleindex.web.transports relies on."""
    transport, _, _ = server(0)
    assert (transport.dataBuffer, transport._tempDataBuffer) == (b"", [])
    transport.write(b"a")
    assert transport._tempDataBuffer == [b"a"]
    transport.doWrite()
    assert transport.dataBuffer == b"a"
