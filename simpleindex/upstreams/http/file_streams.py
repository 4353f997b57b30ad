"""Stream a file from an upstream, decoded if it was encoded for the transfer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError

from simpleindex.upstreams.errors import UnusableAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simpleindex.upstreams.errors import UpstreamFailed
    from simpleindex.upstreams.http.body import ResponseBody
    from simpleindex.upstreams.http.content_codings import Decoder


@dataclass(frozen=True, slots=True)
class Extent:
    """Which bytes of a file an answer has.

    Attributes:
        offset: Where in the file the body begins.
        length: Bytes of the body; None if that is not stated.
        size: Bytes of the whole file; None if that is not stated.
    """

    offset: int
    length: int | None
    size: int | None


class HttpStream:
    """The bytes of a file; see :class:`simpleindex.upstreams.interface.Stream`.

    Args:
        fault: Returns the upstream's error for an exception.
        body: The body of the answer.
        extent: Which bytes of the file it has.
        validators: Those of the answer.
        head: The part of the body that was read already.
        decoder: Decodes the body; None if it is not encoded.
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
                raise UnusableAnswer("it sends more of a file than its headers state")
            if not data and self._body.received != self._length:
                raise UnusableAnswer("the connection with it broke off", is_passing=True)
        return data

    def close(self) -> None:
        """Close the connection."""
        self._body.close()
