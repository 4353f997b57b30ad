"""Forms whose lines end in a line feed alone, as ``distutils`` of Python 2.7.8 and older writes them.

RFC 2046 wants CR LF, and the parser of forms knows nothing else. CentOS 7 has Python 2.7.5, whose ``setup.py upload`` sends such
forms. Only what frames the parts is rewritten; their data stay as they are.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

_LF: Final = b"\n"
_CR_LF: Final = b"\r\n"
_CLOSING: Final = b"--"

_LONGEST_START: Final = 1024
"""Bytes before the end of the first line; a boundary has at most 70 (RFC 2046 section 5.1.1)."""


class _State(Enum):
    UNDECIDED = auto()
    UNCHANGED = auto()
    HEADERS = auto()
    DATA = auto()
    OVER = auto()


class LineFeedForm:
    """Rewrites a form whose first delimiter ends in LF into one with CR LF; every other form passes unchanged."""

    def __init__(self, boundary: bytes) -> None:
        self._boundary = _CLOSING + boundary
        self._delimiter = _LF + self._boundary
        self._state = _State.UNDECIDED
        self._rest = b""
        self._at = 0

    def feed(self, data: bytes) -> bytes:
        """Take the next piece, and return what of the form is certain by now."""
        if self._state is _State.UNCHANGED:
            return data
        self._rest += data
        if self._state is _State.UNDECIDED:
            self._decide()
        written: list[bytes] = []
        while piece := self._next():
            written.append(piece)
        # Once for each piece: a form of nothing but line ends must not be copied at every one.
        self._rest, self._at = self._rest[self._at :], 0
        return b"".join(written)

    def _decide(self) -> None:
        start = self._rest.lstrip(_CR_LF)
        line, end, _ = start.partition(_LF)
        if end and line == self._boundary:
            # The first delimiter, as if it ended the data of a part before it.
            self._state, self._rest = _State.DATA, _LF + start
        elif end or len(start) > _LONGEST_START:
            self._state = _State.UNCHANGED

    def _next(self) -> bytes:
        """Take a piece from the rest, rewritten; empty if more of the form is needed for that."""
        match self._state:
            case _State.UNDECIDED:
                return b""
            case _State.HEADERS:
                return self._next_header()
            case _State.DATA:
                return self._next_data()
            case _State.UNCHANGED:
                return self._take(len(self._rest))
            case _State.OVER:
                # What follows the last delimiter has no meaning.
                self._take(len(self._rest))
                return b""

    def _take(self, end: int) -> bytes:
        piece, self._at = self._rest[self._at : end], end
        return piece

    def _next_header(self) -> bytes:
        end = self._rest.find(_LF, self._at)
        if end < 0:
            # So that the parser's bound for headers holds; a line feed alone among them is an error to it.
            is_long = len(self._rest) - self._at > _LONGEST_START
            return self._take(len(self._rest)) if is_long else b""
        line = self._take(end).removesuffix(b"\r")
        self._at = end + 1
        if not line:
            self._state = _State.DATA
        return line + _CR_LF

    def _next_data(self) -> bytes:
        start = self._rest.find(self._delimiter, self._at)
        if start < 0:
            # The delimiter may have come in part.
            return self._take(max(self._at, len(self._rest) - len(self._delimiter) + 1))
        if start > self._at:
            return self._take(start)
        end = start + len(self._delimiter)
        after = self._rest[end : end + 2]
        if after.startswith(_LF) or after == _CR_LF:
            self._state, self._at = _State.HEADERS, self._rest.index(_LF, end) + 1
            return _CR_LF + self._boundary + _CR_LF
        if after == _CLOSING:
            self._state, self._at = _State.OVER, end
            return _CR_LF + self._boundary + _CLOSING + _CR_LF
        # If it is whole, it is not a delimiter, but a line that begins like one.
        return self._take(end) if len(after) == 2 else b""
