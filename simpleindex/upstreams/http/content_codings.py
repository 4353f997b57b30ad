"""Decode content codings of answers (RFC 9110 section 8.4), a bounded piece at a time.

A body that cannot be decoded to its end is an error: a page that lost its end would list fewer files, or none.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Protocol

from simpleindex.core.text import replace_unprintable
from simpleindex.upstreams.errors import UnusableAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE: Final = 64 * 1024
"""Bytes that zlib decodes at a time, however well they were compressed."""

_SLICE: Final = 256
"""Bytes that a zstd decoder gets at a time; it has no bound of its own. A block of 128 KiB takes at least 4 (RFC 8878)."""

_MEMBER_SLICE: Final = 4096
"""Bytes that a gzip decoder gets at a time: at the end of each member, which has at least 20 bytes, the rest is copied."""

_WINDOW_BITS: Final = 23
"""What a zstd decoder may remember, as a power of two (RFC 9659)."""

_MOST_MEMBERS: Final = 10_000
"""Parts of one gzip or zstd stream; each costs a new decoder. Those that compress in parallel make one of 64 KiB or more."""

_MOST_CODINGS: Final = 5

_NO_CODINGS: Final = frozenset(
    {"identity", "none", "binary", "utf-8", "utf8", "us-ascii", "7bit", "8bit", "aws-chunked"}
)
"""What stands for no coding: the word for it, and what object stores replay that somebody wrote there by mistake."""

_ALIASES: Final = {"x-gzip": "gzip"}  # RFC 9110 section 8.4.1.3


class Decoder(Protocol):
    """Decodes one coding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes, in pieces that are bounded; all are to be taken before the next call.

        Raises:
            UnusableAnswer: They are not coded so.
        """
        ...

    def finish(self) -> None:
        """Check that this is the end.

        Raises:
            UnusableAnswer: It is not.
        """
        ...


def codings(header: str) -> tuple[str, ...]:
    """Read a Content-Encoding field, several joined by commas.

    Returns:
        The codings in the order in which they were applied, in lower case; those that change nothing are left out.
    """
    names = (name.strip().lower() for name in header.split(","))
    return tuple(_ALIASES.get(name, name) for name in names if name and name not in _NO_CODINGS)


def can_decode(coding: str) -> bool:
    """Return whether a coding can be decoded, by the name that :func:`codings` returns."""
    return _maker(coding) is not None


def decoder_of(names: tuple[str, ...], most: int, what: str = "page") -> Decoder:
    """Return a decoder for these codings.

    Args:
        names: As :func:`codings` returns them.
        most: Bytes that may come out of each of them.
        what: What is decoded, for errors.

    Raises:
        UnusableAnswer: One of them is not known here.
    """
    if len(names) > _MOST_CODINGS:
        raise UnusableAnswer(f"its {what} has more than {_MOST_CODINGS} content encodings")
    stages: list[Decoder] = []
    for name in reversed(names):
        make = _maker(name)
        if make is None:
            raise UnusableAnswer(f"its {what} has a content encoding that is not known here ({_shown(name)})")
        stages.append(_Bounded(make(what), most, what))
    return _Chain(stages)


def _shown(name: str) -> str:
    return replace_unprintable(name[:40])


def _maker(coding: str) -> Callable[[str], Decoder] | None:
    match coding:
        case "gzip":
            return _Gzip
        case "deflate":
            return _Deflate
        case "zstd":
            make = _zstd()
            return None if make is None else lambda what: _Zstd(make, what)
        case "br":
            new = _brotli()
            return None if new is None else lambda what: _Brotli(new(), what)
    return None


class _Chain:
    """Decoders behind one another; none gets more than the one before it gives at a time."""

    def __init__(self, stages: list[Decoder]) -> None:
        self._stages = stages

    def feed(self, data: bytes) -> Iterator[bytes]:
        return self._feed(data, 0)

    def _feed(self, data: bytes, stage: int) -> Iterator[bytes]:
        if stage == len(self._stages):
            yield data
            return
        for piece in self._stages[stage].feed(data):
            yield from self._feed(piece, stage + 1)

    def finish(self) -> None:
        for stage in self._stages:
            stage.finish()


class _Bounded:
    """A decoder whose output is bounded."""

    def __init__(self, decoder: Decoder, most: int, what: str) -> None:
        self._decoder = decoder
        self._most = self._left = most
        self._what = what

    def feed(self, data: bytes) -> Iterator[bytes]:
        for piece in self._decoder.feed(data):
            self._left -= len(piece)
            if self._left < 0:
                raise UnusableAnswer(f"its {self._what} is larger than {self._most:,} bytes")
            yield piece

    def finish(self) -> None:
        self._decoder.finish()


class _Members(ABC):
    """A stream of one or several parts, each with an end of its own (RFC 1952 section 2.2, RFC 8878 section 3)."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._current: Any = None
        self._count = 0

    def _next(self) -> Any:
        """Return the decoder of the part that is under way; a new one after the end of the last."""
        if self._current is None:
            self._count += 1
            if self._count > _MOST_MEMBERS:
                raise UnusableAnswer(f"its {self._what} is compressed in more than {_MOST_MEMBERS:,} parts")
            self._current = self._make()
        return self._current

    @abstractmethod
    def _make(self) -> Any:
        """Return a new decoder."""

    def _broken(self) -> UnusableAnswer:
        if self._count > 1:
            return UnusableAnswer(f"its {self._what} has other data behind its end, or is damaged")
        return UnusableAnswer(f"its {self._what} is not compressed as it says")

    def finish(self) -> None:
        if self._current is not None or not self._count:
            raise UnusableAnswer(f"its {self._what} is cut short", is_passing=True)


class _Gzip(_Members):
    """gzip: one member, or several in a row."""

    def _make(self) -> Any:
        return zlib.decompressobj(16 + zlib.MAX_WBITS)

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _MEMBER_SLICE):
            part = data[start : start + _MEMBER_SLICE]
            while part:
                current = self._next()
                try:
                    yield from _inflated(current, part)
                except zlib.error:
                    raise self._broken() from None
                part = current.unused_data
                if current.eof:
                    self._current = None


def _inflated(decoder: Any, data: bytes) -> Iterator[bytes]:
    while True:
        piece = decoder.decompress(data, _PIECE)
        if piece:
            yield piece
        data = decoder.unconsumed_tail
        # A piece of the largest size may not be the last, even if all input was taken.
        if decoder.eof or (not data and len(piece) < _PIECE):
            return


class _Deflate:
    """deflate: a zlib stream (RFC 9110 section 8.4.1.2), or without zlib's frame, as some servers send it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._beginning = b""
        self._decoder: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._decoder is None:
            self._beginning += data
            # The header has two bytes, of which the second completes a multiple of 31 (RFC 1950).
            if len(self._beginning) < 2:
                return
            data, first = self._beginning, int.from_bytes(self._beginning[:2])
            is_framed = first % 31 == 0 and first >> 8 & 15 == 8 and first >> 12 <= 7 and not first & 32
            self._decoder = zlib.decompressobj(zlib.MAX_WBITS if is_framed else -zlib.MAX_WBITS)
        elif self._decoder.eof and data:
            raise UnusableAnswer(f"its {self._what} has other data behind its end")
        try:
            yield from _inflated(self._decoder, data)
        except zlib.error:
            raise UnusableAnswer(f"its {self._what} is not compressed as it says") from None
        if self._decoder.unused_data:
            raise UnusableAnswer(f"its {self._what} has other data behind its end")

    def finish(self) -> None:
        if self._decoder is None or not self._decoder.eof:
            raise UnusableAnswer(f"its {self._what} is cut short", is_passing=True)


class _Zstd(_Members):
    """zstd: frames in a row, some of which may be skippable (RFC 8878 section 3.1.2)."""

    def __init__(self, make: Callable[[], Any], what: str) -> None:
        super().__init__(what)
        self._new = make

    def _make(self) -> Any:
        return self._new()

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _SLICE):
            part = data[start : start + _SLICE]
            while part:
                current = self._next()
                try:
                    piece = current.decompress(part)
                except Exception:  # noqa: BLE001  (each library has an error of its own)
                    raise self._broken() from None
                part = b""
                if current.eof:
                    part, self._current = current.unused_data, None
                if piece:
                    yield piece


class _Brotli:
    """br: one stream (RFC 7932)."""

    def __init__(self, decoder: Any, what: str) -> None:
        self._decoder = decoder
        self._what = what

    def feed(self, data: bytes) -> Iterator[bytes]:
        # More may be ready although it would take more; only an empty piece says that there is none.
        while True:
            try:
                piece = self._decoder.process(data, output_buffer_limit=_PIECE)
            except Exception:  # noqa: BLE001  (the library's error is one of a module that may not be there)
                raise UnusableAnswer(
                    f"its {self._what} is not compressed as it says, or has other data behind its end"
                ) from None
            data = b""
            if piece:
                yield piece
            if self._decoder.is_finished() or not piece:
                return

    def finish(self) -> None:
        if not self._decoder.is_finished():
            raise UnusableAnswer(f"its {self._what} is cut short", is_passing=True)


def _brotli() -> Callable[[], Any] | None:
    """Make decoders of brotli streams, if there is a library that bounds what comes out of them."""
    try:
        import brotli  # noqa: PLC0415  (the extra "brotli")
    except ImportError:
        return None
    version = tuple(int(part) for part in brotli.__version__.split(".")[:2])
    return brotli.Decompressor if version >= (1, 2) else None


def _zstd() -> Callable[[], Any] | None:
    """Make decoders of zstd frames, if there is a library; both have the same methods."""
    try:
        from compression import zstd  # noqa: PLC0415  (Python 3.14 and later)
    except ImportError:
        try:
            import zstandard  # noqa: PLC0415  (the extra "zstd")
        except ImportError:
            return None
        return lambda: zstandard.ZstdDecompressor(max_window_size=1 << _WINDOW_BITS).decompressobj()
    limit = {zstd.DecompressionParameter.window_log_max: _WINDOW_BITS}
    return lambda: zstd.ZstdDecompressor(options=limit)
