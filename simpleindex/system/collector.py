"""Python's collector of cyclic garbage, kept from visiting what a large start makes: each visit keeps every thread waiting."""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_OBJECTS: Final = 10_000
"""Objects that are made between two times; a visit to the snapshots of so many projects takes a few milliseconds."""


class Freezing:
    """Keeps the collector, time and again, from visiting what was made: at 500,000 projects each visit took 0.1 s, forty of them in a start.

    What is replaced later is freed all the same, by its reference count.
    """

    def __init__(self) -> None:
        self._made = 0

    def note_object(self) -> None:
        """Take note of a long-lived object, of which there may be very many."""
        self._made += 1
        if self._made % _OBJECTS == 0:
            gc.freeze()


class _Pauses:
    """The number of threads for which the collector is paused now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._was_enabled = True

    def begin(self) -> None:
        """Pause the collector."""
        with self._lock:
            if not self._number:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._number += 1

    def end(self) -> None:
        """Let the collector go on, unless another thread has paused it too."""
        with self._lock:
            self._number -= 1
            if not self._number and self._was_enabled:
                gc.enable()


_PAUSES: Final = _Pauses()


@contextmanager
def collector_paused(*, freezes: bool = False) -> Iterator[None]:
    """Pause the collector while very many objects are made, or lists of them: it takes 40 to 90 ms to visit a list of 700,000 texts.

    Args:
        freezes: Whether what was made stays for long, and is not to be visited afterwards either. What is garbage just then stays with it,
            so this is for what is done seldom.
    """
    _PAUSES.begin()
    try:
        yield
        if freezes:
            gc.freeze()
    finally:
        _PAUSES.end()
