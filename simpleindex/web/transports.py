"""The one place that knows how Twisted's TCP transport buffers, to spare simple answers a turn of the reactor.

``transport.write`` only takes note: the bytes leave in the reactor's next turn, which costs three system calls besides the
sending itself (epoll_ctl twice, epoll_wait once). Where nothing waits to be sent, they can leave at once. A test fails when
a release of Twisted buffers otherwise; with any other transport, TLS for one, it is an ordinary write.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp


def write_now(transport: Any, data: bytes) -> None:
    """Write, without waiting for the next turn where that is possible.

    Args:
        transport: Whatever the reactor gave.
        data: All of an answer.
    """
    if type(transport) is not tcp.Server or transport.dataBuffer or transport._tempDataBuffer:  # noqa: SLF001
        transport.write(data)
        return
    sent = transport.writeSomeData(data)
    # Anything but a number says that the connection is lost; the reactor finds that out by itself.
    rest = data[sent:] if isinstance(sent, int) else data
    if rest:
        transport.write(rest)
