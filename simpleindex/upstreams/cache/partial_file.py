"""A file that is read while it is still being written: what comes from an upstream is on its way to clients at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from simpleindex.core.errors import Changed
from simpleindex.system.bodies import read_fully, read_if_in_memory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class PartialFile:
    """A file of which a part is there; its last byte counts as missing until the whole has been proven right.

    Attributes:
        descriptor: Open for reading; closed when nobody holds the file any more, of whom its maker is the first.
        size: Bytes of the whole, as soon as they are known.
        is_whole: Whether all of it is there, and is what it should be.
        error: Why it never will be.
    """

    def __init__(self) -> None:
        self.descriptor = -1
        self.size: int | None = None
        self.is_whole = False
        self.error: Exception | None = None
        self._begun = False
        self._there = 0
        self._holders = 1
        self._waiting: list[tuple[int | None, Deferred[None]]] = []

    def place(self, descriptor: int) -> None:
        """Note where it is written to."""
        self.descriptor = descriptor

    def begin(self, size: int | None) -> None:
        """Note that it is coming, and how large it will be, if that is known."""
        self._begun = True
        self.size = size
        self._wake()

    def advance(self, there: int) -> None:
        """Note that so many bytes are there."""
        self._there = there
        self._wake()

    def complete(self, size: int) -> None:
        """Note that it is whole and right."""
        self.size = self._there = size
        self.is_whole = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Note that it never will be."""
        self.error = error
        self._wake()

    async def until_begun(self) -> int:
        """Wait until it is coming, and its size is known; return that.

        Raises:
            SimpleIndexError: It is not coming.
        """
        await self._until(None)
        assert self.size is not None
        return self.size

    async def until(self, end: int) -> None:
        """Wait until this many bytes can be given.

        Raises:
            SimpleIndexError: They never can.
        """
        await self._until(end)

    def hold(self) -> None:
        """Keep the descriptor open."""
        self._holders += 1

    def release(self) -> None:
        """Take that back."""
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
                # Whoever leaves is not waited with any more.
                if entry in self._waiting:
                    self._waiting.remove(entry)

    def _has(self, end: int | None) -> bool:
        if self.is_whole:
            return True
        if not self._begun or self.size is None:
            return False
        return end is None or (end <= self._there and end < self.size)

    def _wake(self) -> None:
        ready = [entry for entry in self._waiting if self.error is not None or self._has(entry[0])]
        self._waiting = [entry for entry in self._waiting if entry not in ready]
        for _, waiting in ready:
            waiting.callback(None)


class PartialFileBody:
    """One reader of such a file.

    Args:
        growing: The file, whose size is known.
        filename: For the error.
        sha256: The digest that the whole has to have; None if nobody has stated it.
        modified_ns: When it was uploaded, nanoseconds since 1970.
        in_thread: Calls a blocking function in a thread.
    """

    def __init__(
        self,
        growing: PartialFile,
        filename: str,
        sha256: str | None,
        modified_ns: int | None,
        in_thread: Callable[..., Awaitable[bytes]],
    ) -> None:
        self._growing = growing
        self._filename = filename
        self._in_thread = in_thread
        self._closed = False
        self.size: int | None = growing.size
        self.sha256: str | None = sha256
        self.modified_ns: int | None = modified_ns
        self.accepts_ranges = growing.is_whole
        growing.hold()

    async def read(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes, as soon as they are there.

        Raises:
            UpstreamFailed: They never will be, or are not what was listed.
            Changed: The file was cut, or the body is closed.
        """
        if self._closed:
            raise Changed(self._filename)
        growing = self._growing
        growing.hold()
        try:
            await growing.until(offset + length)
            data = read_if_in_memory(growing.descriptor, offset, length)
            if len(data) < length:
                data += await self._in_thread(
                    read_fully, growing.descriptor, offset + len(data), length - len(data)
                )
        finally:
            growing.release()
        if len(data) < length:
            raise Changed(self._filename)
        return data

    def send_to(self, socket: int, offset: int, length: int) -> int | None:  # noqa: ARG002
        """None."""
        return None

    def close(self) -> None:
        """Let go of it; the file goes on growing."""
        if not self._closed:
            self._closed = True
            self._growing.release()
