"""Opened bytes: what a download reads from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import Changed
from simpleindex.core.source import LOCAL_ORIGIN, FileOrigin
from simpleindex.system.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Linux tells with it whether the bytes are in memory already; elsewhere every read goes to a thread.
_NOWAIT: Final = getattr(os, "RWF_NOWAIT", None)

# What is in memory passes over one desk, in the reactor's thread only: it stays in the processor's cache, and is not cleared
# for each piece.
_desk: Final = bytearray(128 * 1024)

_READAHEAD: Final = 128 * 1024
"""Bytes that Linux reads at a time when a file is read in order (read_ahead_kb)."""


class FileBody:
    """An open file, read without ever waiting for a disk in the reactor's thread.

    A file renamed over keeps its old bytes to the end; one written in place is noticed, since its state is compared
    after every read, and before the bytes are handed out.

    Args:
        descriptor: Open for reading; closed by :meth:`close`.
        filename: For the error.
        sha256: The digest of the whole.
        run_in_thread: Calls a blocking function in a thread.

    Attributes:
        origin: Where the file is.
        is_immutable: Whether nothing writes into the file while it is there.
    """

    origin: FileOrigin = LOCAL_ORIGIN

    def __init__(
        self, descriptor: int, filename: str, sha256: str, run_in_thread: Callable[..., Awaitable[bytes]]
    ) -> None:
        self._descriptor = descriptor
        self._filename = filename
        self._run_in_thread = run_in_thread
        self.stamp = Stamp.of(os.fstat(descriptor))
        self._in_use = False
        self._closed = False
        self.sha256: str | None = sha256
        self.size: int | None = self.stamp.size
        self.modified_ns: int | None = self.stamp.mtime_ns
        self.accepts_ranges = True
        self.is_immutable = False

    @property
    def descriptor(self) -> int:
        """The open file, for another process to read it; it is closed with the body."""
        return self._descriptor

    async def read(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes.

        Raises:
            Changed: The file was written to, or cut, since it was opened; or the body is closed.
        """
        if self._closed:
            # The descriptor's number may be another file's by now.
            raise Changed(self._filename)
        data = read_if_in_memory(self._descriptor, offset, length)
        if len(data) < length:
            # A descriptor closed while a thread reads from it could by then be another file's.
            self._in_use = True
            try:
                data += await self._run_in_thread(
                    read_fully, self._descriptor, offset + len(data), length - len(data)
                )
            finally:
                self._in_use = False
                if self._closed:
                    os.close(self._descriptor)
        if self._closed or len(data) < length or not self._is_unchanged():
            raise Changed(self._filename)
        return data

    def send_to(self, socket: int, offset: int, length: int) -> int | None:
        """Have the kernel send these bytes, or some of them, if they are in memory."""
        if self._closed:
            return None
        if not self._is_unchanged():
            raise Changed(self._filename)
        return send_if_in_memory(self._descriptor, socket, offset, length)

    def close(self) -> None:
        """Close the file, as soon as no thread reads from it."""
        if not self._closed:
            self._closed = True
            if not self._in_use:
                os.close(self._descriptor)

    def _is_unchanged(self) -> bool:
        return Stamp.of(os.fstat(self._descriptor)).may_be(self.stamp)


class BytesBody:
    """Bytes in memory.

    Args:
        data: All of them.
        sha256: Their digest.
        modified_ns: When they were uploaded, nanoseconds since 1970.
    """

    origin: FileOrigin = LOCAL_ORIGIN

    def __init__(self, data: bytes, sha256: str, modified_ns: int | None) -> None:
        self._data = data
        self.sha256: str | None = sha256
        self.size: int | None = len(data)
        self.modified_ns: int | None = modified_ns
        self.accepts_ranges = True
        self.is_immutable = False

    async def read(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes."""
        return self._data[offset : offset + length]

    def send_to(self, socket: int, offset: int, length: int) -> int | None:  # noqa: ARG002
        """None."""
        return None

    def close(self) -> None:
        """Nothing is held."""


def read_if_in_memory(descriptor: int, offset: int, length: int) -> bytes:
    """Read as much of this as is in memory, without waiting for a disk; perhaps nothing. For the reactor's thread only."""
    if _NOWAIT is None:
        return b""
    view = memoryview(_desk)[:length] if length <= len(_desk) else memoryview(bytearray(length))
    try:
        count = os.preadv(descriptor, [view], offset, _NOWAIT)
    except OSError:
        # Not in memory (EAGAIN), or a file system that cannot tell (EOPNOTSUPP).
        return b""
    return bytes(view[:count])


def send_if_in_memory(descriptor: int, socket: int, offset: int, length: int) -> int | None:
    """Have the kernel send a part of a file, if it is in memory.

    Returns:
        How many bytes the socket took, none if it is full or lost; None where the bytes have to be read.
    """
    if not _seems_in_memory(descriptor, offset, length):
        return None
    try:
        # None of them is there any more: reading finds out why.
        return os.sendfile(socket, descriptor, offset, length) or None
    except (BlockingIOError, ConnectionError):
        return 0
    except OSError:
        return None


def _seems_in_memory(descriptor: int, offset: int, length: int) -> bool:
    """Return whether a byte in each stretch that Linux reads at a time is in memory.

    Only where memory was short and just what lies between was dropped, the kernel would wait for the disk.
    """
    if _NOWAIT is None:
        return False
    last = offset + length - 1
    byte = bytearray(1)
    try:
        return all(
            os.preadv(descriptor, [byte], at, _NOWAIT) == 1 for at in (*range(offset, last, _READAHEAD), last)
        )
    except OSError:
        return False


def read_fully(descriptor: int, offset: int, length: int) -> bytes:
    # What follows is left to Linux's own reading ahead: requested by posix_fadvise as well, a cold file took 2.5 times as long.
    """Read all of this, or up to the end of the file; blocking."""
    parts = []
    while length > 0:
        part = os.pread(descriptor, length, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return b"".join(parts)
