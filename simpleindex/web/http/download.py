"""Send a body no faster than the client takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.web.http import Request

    from simpleindex.web.http.response import Content

CHUNK_SIZE: Final = 128 * 1024
"""Bytes read at a time: what a socket is given at most in one call (FileDescriptor.SEND_LIMIT). With half of it a file over
TLS cost 40 % more processor time, and every slow reader holds one."""

KERNEL_SIZE: Final = 2 * 1024 * 1024
"""Bytes that the kernel sends at a time, half a millisecond of work; nginx's sendfile_max_chunk too."""


@implementer(IPushProducer)
class Download:
    """Writes a range of a body to a request, chunk by chunk, pausing when the transport is full.

    A push producer, since over TLS a pull producer reaches a quarter of its speed (docs/measurements.md, "Speed").

    Args:
        request: Where to.
        content: What; closed by the caller.
        begin: Sets the response's head. The first bytes are read before that, so that an early failure can still be
            answered in words.
    """

    def __init__(self, request: Request, content: Content, begin: Callable[[], None]) -> None:
        self._request = request
        self._content = content
        self._begin = begin
        self._chunk_size = CHUNK_SIZE
        self._paused = False
        self._stopped = False
        self._resumed: Deferred[None] | None = None

    async def run(self) -> bool:
        """Send everything.

        Returns:
            Whether all of it was sent; otherwise the client has left.

        Raises:
            Changed: The bytes are no longer those that were promised; the connection must be broken.
        """
        content = self._content
        chunk = await self._next(content.start)
        self._begin()
        if content.start + len(chunk) == content.stop:
            self._request.write(chunk)
            return True
        self._request.registerProducer(self, True)
        try:
            offset = content.start
            while not self._stopped:
                offset += len(chunk)
                self._request.write(chunk)
                chunk = b""  # What the transport holds is not held here too while it is full.
                offset = await self._by_kernel(offset)
                if offset >= content.stop:
                    return True
                chunk = await self._next(offset)
            return False
        finally:
            if not self._stopped:
                self._request.unregisterProducer()

    async def _by_kernel(self, offset: int) -> int:
        """Send as much as the kernel can from the file itself; return where it ends."""
        send_file = getattr(self._request.channel, "send_file", None) if self._content.by_kernel else None
        while send_file is not None and offset < self._content.stop:
            await self._until_resumed()
            length = min(KERNEL_SIZE, self._content.stop - offset)
            sent = None if self._stopped else send_file(self._content.body, offset, length)
            if sent is None:
                break
            self._request.sentLength += sent
            offset += sent
        return offset

    async def _until_resumed(self) -> None:
        if self._paused:
            self._resumed = Deferred()
            await self._resumed

    async def _next(self, offset: int) -> bytes:
        await self._until_resumed()
        length = 0 if self._stopped else min(self._chunk_size, self._content.stop - offset)
        return await self._content.body.read(offset, length) if length else b""

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._go_on()

    def stopProducing(self) -> None:
        self._stopped = True
        self._go_on()

    def _go_on(self) -> None:
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.callback(None)
