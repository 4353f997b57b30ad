"""Counts the work of a call without a clock: byte code instructions, and what functions of C are given.

A method of C of a text, such as ``partition``, may look at all of it in one instruction: so it counts as many units as the
text has characters. What patterns do is counted by :mod:`tests.regex_steps`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


_BRIEF = frozenset({"startswith", "endswith", "find", "index"})
"""Methods that begin at a position and end soon."""


def work_of(call: Callable[[], object], *, errors: tuple[type[Exception], ...] = ()) -> int:
    """Return how many units of work a call does.

    Args:
        call: What is counted.
        errors: Those that it may end with.
    """
    units = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal units
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        units += event == "opcode"
        return trace

    def profile(_: FrameType, event: str, function: Any) -> None:
        nonlocal units
        if event == "c_call":
            owner = getattr(function, "__self__", None)
            units += 1
            if isinstance(owner, (str, bytes, bytearray)) and function.__name__ not in _BRIEF:
                units += len(owner)

    tracer, profiler = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        call()
    except errors:
        pass
    finally:
        sys.setprofile(profiler)
        sys.settrace(tracer)
    return units
