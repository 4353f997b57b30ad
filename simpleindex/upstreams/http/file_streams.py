"""A file being downloaded from an upstream, decoded where it was encoded on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError

from simpleindex.core.errors import UnusableAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simpleindex.core.errors import UpstreamFailed
    from simpleindex.upstreams.http.body import ResponseBody
    from simpleindex.upstreams.http.content_codings import Decoder


@dataclass(frozen=True, slots=True)
class Extent:
    """What an answer says of a file's bytes.

    Attributes:
        offset: Where in the file the first byte of the body is.
        length: Bytes of the body; None if it does not say.
        size: Bytes of the whole file; None if it does not say.
    """

    offset: int
    length: int | None
    size: int | None


class HttpStream:
    """The bytes of a file; see :class:`simpleindex.upstreams.interface.Stream`.

    Args:
        fault: Makes the error of the upstream, of what went wrong.
        body: Of the answer.
        extent: What its headers say of it.
        validators: What came with it.
        head: What of the body was read already.
        decoder: Undoes the coding that the file has on its way; None where the body is the file.
    """

    def __init__(
        self,
        fault: Callable[[BaseException], UpstreamFailed],
        body: ResponseBody,
        extent: Extent,
        validators: Any,
        *,
        head: bytes = b"",
        decoder: Decoder | None = None,
    ) -> None:
        self._fault = fault
        self._body = body
        self._length = extent.length
        self._decoder = decoder
        self._pieces: Iterator[bytes] = iter(())
        self._head = head
        self.offset = extent.offset
        self.size = extent.size if decoder is None else None
        self.validators = validators

    async def read(self) -> bytes:
        """Return the next bytes."""
        try:
            return await self._next()
        except CancelledError:
            self.close()
            raise
        except Exception as error:  # noqa: BLE001  (what arrives is written by strangers)
            self.close()
            raise self._fault(error) from None

    async def _next(self) -> bytes:
        if self._decoder is None:
            return await self._received()
        while True:
            piece = next(self._pieces, b"")
            if piece:
                return piece
            data = await self._received()
            if not data:
                self._decoder.finish()
                return b""
            self._pieces = self._decoder.feed(data)

    async def _received(self) -> bytes:
        data, self._head = self._head, b""
        if data:
            return data
        data = await self._body.read()
        if self._length is not None:
            if self._body.received > self._length:
                raise UnusableAnswer("it sends more of a file than it said")
            if not data and self._body.received != self._length:
                raise UnusableAnswer("the connection with it broke off", is_passing=True)
        return data

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()
