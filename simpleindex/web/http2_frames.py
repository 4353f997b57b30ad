"""What an HTTP/2 client may cost: frames counted as they come, before anything is done for them.

A request is paid for by its answer. What brings nothing on is not: pings, settings, priorities, empty frames, windows opened
by a byte, requests that are reset at once (CVE-2019-9511 to 9518, CVE-2023-44487). So every frame has a price, whatever
moves earns, and whoever has nothing left is a flood. The library would tell of most frames, but not of all.
"""

from __future__ import annotations

from simpleindex.web.http import limits

_PREFACE_BYTES = 24
_HEAD_BYTES = 9
_HEADERS, _CONTINUATION = 1, 9
_END_HEADERS = 4


class FrameMeter:
    """Finds the frames in what a client sends (RFC 9113 section 4.1), without understanding them.

    Attributes:
        block_bytes: Of the header block that is coming or came last, compressed.
        in_block: Whether such a block has begun and is not whole.
    """

    def __init__(self) -> None:
        self._skip = _PREFACE_BYTES
        self._head = b""
        self._ends = False
        self.block_bytes = 0
        self.in_block = False

    def count(self, data: bytes) -> int:
        """Tell how many frames begin in further bytes."""
        frames, position, size = 0, 0, len(data)
        while position < size:
            if self._skip:
                step = min(self._skip, size - position)
                self._skip -= step
            else:
                step = min(_HEAD_BYTES - len(self._head), size - position)
                self._head += data[position : position + step]
                if len(self._head) == _HEAD_BYTES:
                    frames += 1
                    self._begin(int.from_bytes(self._head[:3], "big"), self._head[3], self._head[4])
                    self._head = b""
            position += step
            if not self._skip and self._ends and not self._head:
                self.in_block = self._ends = False
        return frames

    def _begin(self, length: int, kind: int, flags: int) -> None:
        self._skip = length
        if kind in (_HEADERS, _CONTINUATION):
            self.block_bytes = length + (self.block_bytes if kind == _CONTINUATION else 0)
            self.in_block = True
            self._ends = bool(flags & _END_HEADERS)


class Allowance:
    """What one connection may still spend; an unspent rest is kept up to a bound.

    Args:
        now: The time.
    """

    def __init__(self, now: float) -> None:
        self._left = limits.FRAME_ALLOWANCE
        self._then = now

    def spend(self, frames: float, now: float) -> bool:
        """Pay for so many frames; tells whether there was enough."""
        # A clock may be set back.
        self.earn(max(0.0, now - self._then) * limits.FRAMES_PER_SECOND)
        self._then = now
        self._left -= frames
        return self._left >= 0

    def earn(self, frames: float) -> None:
        """Be paid for something that was brought on."""
        self._left = min(limits.FRAME_ALLOWANCE, self._left + frames)
