"""Answers without a turn of the reactor: the only file that knows how Twisted's TCP transport buffers.

``transport.write`` only takes note: the bytes leave in the reactor's next turn, which costs three system calls besides the
sending itself (epoll_ctl twice, epoll_wait once), and they are copied until then. Where nothing waits to be sent, they can
leave at once. A test fails when a release of Twisted buffers otherwise; any other transport is written to as always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet import tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def write_at_once(transport: Any, data: bytes) -> None:
    """Write, without waiting for the next turn where that is possible.

    Args:
        transport: Whatever the reactor gave, or a layer above that has a ``write_at_once`` itself.
        data: All of an answer, or a part of it.
    """
    if not can_send(transport):
        getattr(transport, "write_at_once", transport.write)(data)
        return
    try:
        sent = transport.socket.send(data)
    except OSError:
        sent = 0  # The kernel has no room now, or the connection is lost: the reactor finds out which.
    if sent < len(data):
        transport.write(data[sent:])


def write_all_at_once(transport: Any, pieces: Sequence[bytes]) -> None:
    """Write these one after another, as :func:`write_at_once` does, without joining them."""
    if not can_send(transport):
        transport.writeSequence(pieces)
        return
    try:
        sent = transport.socket.sendmsg(pieces)
    except OSError:
        sent = 0  # As above.
    for piece in pieces:
        if sent < len(piece):
            transport.write(piece[sent:])
        sent = max(0, sent - len(piece))


def send_file(transport: Any, send: Callable[[int], int | None]) -> int | None:
    """Let the kernel send from a file, and pause the producer until there is room for more.

    Args:
        transport: Whatever the reactor gave.
        send: Has a socket's descriptor sent to; returns how many bytes were taken, or None.

    Returns:
        What that returned; None where the bytes have to be written.
    """
    if not can_send(transport) or transport.producer is None:
        return None
    sent = send(transport.fileno())
    if sent is not None:
        # What FileDescriptor.write does when the buffer is full: as there is nothing in it, only room is waited for.
        transport.producerPaused = True
        transport.producer.pauseProducing()
        transport.startWriting()
    return sent


class FastSending:
    """Send at once where nothing waits to be sent; :class:`simpleindex.web.http.sending.Sending` says what each does."""

    write = staticmethod(write_at_once)
    send_file = staticmethod(send_file)


def can_send(transport: Any) -> bool:
    """Whether it is a plain TCP connection in use with nothing waiting to be sent."""
    return (
        type(transport) is tcp.Server
        and not transport.dataBuffer
        and not transport._tempDataBuffer  # noqa: SLF001
        and transport.connected == 1
        and not transport.disconnecting
        and not transport._aborting  # noqa: SLF001
    )
