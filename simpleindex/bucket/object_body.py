"""The bytes of an object on their way to a client: read in pieces, one ahead, no faster than the client takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from simpleindex.core.errors import Changed, Unavailable
from simpleindex.core.source import LOCAL_ORIGIN, FileOrigin

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.bucket.file_cache import BucketFileCache, ObjectCopy
    from simpleindex.bucket.package_bucket import PackageBucket
    from simpleindex.system.stamp import Stamp
    from simpleindex.system.threads import Threads

PIECE_BYTES: Final = 2 * 1024 * 1024
"""Of one request to the store. Two are in memory for each download: the one that is sent, and the next."""


class ObjectBody:
    """An object that is being downloaded; closing it costs at most one piece that is on its way.

    Attributes:
        key: Of the object, below the prefix.

    Args:
        bucket: Where it is.
        path: Its path.
        stamp: Its state as it is listed.
        sha256: Its digest as it is listed.
        threads: Call the store.
        cache: Keeps what is read from beginning to end; None to keep nothing.
    """

    def __init__(
        self,
        bucket: PackageBucket,
        path: str,
        stamp: Stamp,
        sha256: str,
        threads: Threads,
        cache: BucketFileCache | None,
    ) -> None:
        self._bucket = bucket
        self._path = path
        self._stamp = stamp
        self._threads = threads
        self._cache = cache
        self._copy: ObjectCopy | None = None
        self._pieces: dict[int, Deferred[bytes]] = {}
        self._is_closed = False
        self.key = path
        self.sha256: str | None = sha256
        self.size: int | None = stamp.size
        self.modified_ns: int | None = stamp.mtime_ns
        self.accepts_ranges = True
        self.is_immutable = False
        self.origin: FileOrigin = LOCAL_ORIGIN

    async def read(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes.

        Raises:
            Changed: It is another object by now, or the body is closed.
            Unavailable: The store cannot be used now.
        """
        parts = []
        while length > 0:
            start = offset - offset % PIECE_BYTES
            data = await self._piece(start)
            part = data[offset - start : offset - start + length]
            if not part:
                raise Changed(self._path)
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def send_to(self, socket: int, offset: int, length: int) -> int | None:  # noqa: ARG002
        """None: the bytes are not of this machine."""
        return None

    def close(self) -> None:
        """Read nothing more."""
        self._is_closed = True
        self._pieces.clear()
        if self._copy is not None:
            self._threads.run(self._copy.close).addErrback(_kept)
            self._copy = None

    async def _piece(self, start: int) -> bytes:
        if self._is_closed:
            raise Changed(self._path)
        assert self.size is not None  # of a listing
        piece = self._requested(start)
        ahead = start + PIECE_BYTES
        self._pieces = {at: each for at, each in self._pieces.items() if at in (start, ahead)}
        if ahead < self.size:
            self._requested(ahead)
        try:
            return await _shared(piece)
        except OSError as error:
            self._pieces.pop(start, None)
            raise Unavailable(
                "The store of this index does not answer now; try again later.", retry_after=5
            ) from error

    def _requested(self, start: int) -> Deferred[bytes]:
        piece = self._pieces.get(start)
        if piece is None:
            assert self.size is not None  # of a listing
            length = min(PIECE_BYTES, self.size - start)
            if start == 0 and self._cache is not None and self._copy is None:
                assert self.sha256 is not None  # of a listing
                self._copy = self._cache.copy(self._path, self.size, self.sha256)
            piece = self._threads.run(self._read_piece, self._copy, start, length)
            # One that nobody waits for any more may fail unheard.
            piece.addErrback(_kept)
            self._pieces[start] = piece
        return piece

    def _read_piece(self, copy: ObjectCopy | None, start: int, length: int) -> bytes:
        data = self._bucket.read_span(self._path, self._stamp, start, length)
        if copy is not None:
            copy.add(start, data)
        return data


class _Failed:
    """A failure as a result, so that it is not reported as unhandled while nobody waits for it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _kept(failure: object) -> object:
    return _Failed(failure.value)  # type: ignore[attr-defined]


async def _shared(piece: Deferred[bytes]) -> bytes:
    """Wait for a result that others may wait for too."""
    waiting: Deferred[bytes | _Failed] = Deferred()

    def hand_on(result: bytes | _Failed) -> bytes | _Failed:
        waiting.callback(result)
        return result

    callback: Callable[..., object] = hand_on
    piece.addCallback(callback)
    result = await waiting
    if isinstance(result, _Failed):
        raise result.error
    return result
