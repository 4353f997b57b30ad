"""What a client sends is counted frame by frame, however it is cut, and paid for."""

from __future__ import annotations

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame, PingFrame
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.web.http import limits
from simpleindex.web.http2_frames import Allowance, FrameMeter

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def wire(*frames: Frame) -> bytes:
    """Frames as bytes, after the preface."""
    return PREFACE + b"".join(frame.serialize() for frame in frames)


FRAMES = {
    "nothing": ((), 0, 0),
    "pings": ((PingFrame(0), PingFrame(0)), 2, 0),
    "empty data": ((DataFrame(1, b""),) * 3, 3, 0),
    "block": ((HeadersFrame(1, b"x" * 50, flags=["END_HEADERS"]), DataFrame(1, b"y" * 99)), 2, 50),
    "block in parts": (
        (
            HeadersFrame(1, b"x" * 50),
            ContinuationFrame(1, b"x" * 7),
            ContinuationFrame(1, b"", flags=["END_HEADERS"]),
        ),
        3,
        57,
    ),
    "two blocks": ((HeadersFrame(1, b"x" * 50, flags=["END_HEADERS"]),) * 2, 2, 50),
}


@pytest.mark.parametrize(("frames", "count", "block"), FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_counted(frames: tuple[Frame, ...], count: int, block: int, size: int) -> None:
    """Every frame counts once, and a header block is measured over all its parts."""
    meter, data = FrameMeter(), wire(*frames)
    assert sum(meter.count(data[start : start + size]) for start in range(0, len(data), size)) == count
    assert (meter.block_bytes, meter.in_block) == (block, False)


def test_a_block_is_open_until_its_last_byte() -> None:
    """From the head of its first frame on; only then does its deadline end."""
    data = wire(HeadersFrame(1, b"x" * 5), ContinuationFrame(1, b"xy", flags=["END_HEADERS"]))
    meter, seen = FrameMeter(), []
    for start in range(len(data)):
        meter.count(data[start : start + 1])
        seen.append(meter.in_block)
    begin = len(PREFACE) + 8
    assert seen == [False] * begin + [True] * (len(data) - begin - 1) + [False]


@given(st.binary(), st.integers(1, 30))
def test_anything_is_taken(data: bytes, size: int) -> None:
    """Nonsense is the library's to refuse; the pieces make no difference."""
    whole, parts = FrameMeter(), FrameMeter()
    count = whole.count(PREFACE + data)
    data = PREFACE + data
    assert sum(parts.count(data[start : start + size]) for start in range(0, len(data), size)) == count
    assert vars(whole) == vars(parts)


def test_allowance() -> None:
    """So much at once, what was earned, and so much a second; never more than the bound, whatever the clock says."""
    allowance = Allowance(100.0)
    assert allowance.spend(limits.FRAME_ALLOWANCE, 100.0)
    assert not allowance.spend(1, 100.0)
    allowance.earn(2)
    assert allowance.spend(1, 100.0)
    assert not allowance.spend(1, 50.0)
    assert allowance.spend(1, 50.0 + 2 / limits.FRAMES_PER_SECOND)
    allowance.earn(1e9)
    assert not allowance.spend(limits.FRAME_ALLOWANCE + 1, 60.0)
