"""A file that clients read while it is still being fetched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from simpleindex.core.errors import Changed
from simpleindex.system.bodies import read_fully, read_if_in_memory, send_if_in_memory

if TYPE_CHECKING:
    from simpleindex.core.source import FileOrigin
    from simpleindex.system.threads import Threads


class PartialFile:
    """A file of which a part has arrived; its last byte is withheld until the whole has been verified.

    Attributes:
        descriptor: Open for reading; closed when the last holder releases the file. Its maker is the first holder.
        size: Bytes of the whole file, as soon as they are known.
        is_whole: Whether all of it has arrived and is right.
        error: Why it will never be complete.
    """

    def __init__(self) -> None:
        self.descriptor = -1
        self.size: int | None = None
        self.is_whole = False
        self.error: Exception | None = None
        self._begun = False
        self._arrived = 0
        self._holders = 1
        self._waiting: list[tuple[int | None, Deferred[None]]] = []

    def place(self, descriptor: int) -> None:
        """Set the descriptor that it is written to."""
        self.descriptor = descriptor

    def begin(self, size: int | None) -> None:
        """Begin it, with its size if that is known."""
        self._begun = True
        self.size = size
        self._wake()

    def advance(self, arrived: int) -> None:
        """Note how many bytes have arrived."""
        self._arrived = arrived
        self._wake()

    def complete(self, size: int) -> None:
        """Note that all of it has arrived and is right."""
        self.size = self._arrived = size
        self.is_whole = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Note why it will never be complete."""
        self.error = error
        self._wake()

    @property
    def sendable(self) -> int:
        """The bytes that may be sent now: none of a file that failed, and never the last one before the whole is verified."""
        if self.is_whole:
            return self._arrived
        if self.error is not None or self.size is None:
            return 0
        return min(self._arrived, self.size - 1)

    async def until_begun(self) -> int:
        """Wait until it has begun and its size is known; return the size.

        Raises:
            SimpleIndexError: It cannot be fetched.
        """
        await self._until(None)
        assert self.size is not None
        return self.size

    async def until(self, end: int) -> None:
        """Wait until this many bytes can be sent.

        Raises:
            SimpleIndexError: They will never arrive.
        """
        await self._until(end)

    def hold(self) -> None:
        """Keep the descriptor open."""
        self._holders += 1

    def release(self) -> None:
        """Close the descriptor unless others hold it open."""
        self._holders -= 1
        if not self._holders and self.descriptor >= 0:
            os.close(self.descriptor)

    async def _until(self, end: int | None) -> None:
        while not self.is_whole:
            if self.error is not None:
                raise self.error
            if self._has(end):
                return
            waiting: Deferred[None] = Deferred()
            entry = end, waiting
            self._waiting.append(entry)
            try:
                await waiting
            finally:
                # A request that leaves waits no longer.
                if entry in self._waiting:
                    self._waiting.remove(entry)

    def _has(self, end: int | None) -> bool:
        if self.is_whole:
            return True
        if not self._begun or self.size is None:
            return False
        return end is None or end <= self.sendable

    def _wake(self) -> None:
        ready = [entry for entry in self._waiting if self.error is not None or self._has(entry[0])]
        self._waiting = [entry for entry in self._waiting if entry not in ready]
        for _, waiting in ready:
            waiting.callback(None)


class PartialFileBody:
    """The body of a partial file for one client.

    Args:
        partial: The file, whose size is known.
        filename: Its name, for errors.
        sha256: The digest that is listed; None if none is.
        modified_ns: When it was uploaded, nanoseconds since 1970.
        threads: For calls that block.
    """

    origin: FileOrigin

    def __init__(
        self,
        partial: PartialFile,
        filename: str,
        sha256: str | None,
        modified_ns: int | None,
        threads: Threads,
    ) -> None:
        self._partial = partial
        self._filename = filename
        self._threads = threads
        self._closed = False
        self.size: int | None = partial.size
        self.sha256: str | None = sha256
        self.modified_ns: int | None = modified_ns
        self.accepts_ranges = partial.is_whole
        self.is_immutable = True  # What has arrived stays as it is.
        partial.hold()

    async def read(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes as soon as they have arrived.

        Raises:
            UpstreamFailed: They will never arrive, or the file is not the listed one.
            Changed: The file was truncated, or the body is closed.
        """
        if self._closed:
            raise Changed(self._filename)
        partial = self._partial
        partial.hold()
        try:
            await partial.until(offset + length)
            data = read_if_in_memory(partial.descriptor, offset, length)
            if len(data) < length:
                data += await self._threads.run(
                    read_fully, partial.descriptor, offset + len(data), length - len(data)
                )
        finally:
            partial.release()
        if len(data) < length:
            raise Changed(self._filename)
        return data

    def send_to(self, socket: int, offset: int, length: int) -> int | None:
        """Have the kernel send what has arrived of these bytes, if it is in memory."""
        length = min(length, self._partial.sendable - offset)
        if self._closed or length <= 0:
            return None
        return send_if_in_memory(self._partial.descriptor, socket, offset, length)

    def close(self) -> None:
        """Release the file; its fetch goes on."""
        if not self._closed:
            self._closed = True
            self._partial.release()
