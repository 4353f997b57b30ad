"""Python's collector of cyclic garbage, kept from visiting what a large start makes: each visit keeps every thread waiting."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_OBJECTS: Final = 10_000
"""Objects that are made between two times; a visit to the snapshots of so many projects takes a few milliseconds."""


class Freezing:
    """Takes from the collector, time and again, what was made: at 500,000 projects its visits took 0.1 s each, forty of them in a start.

    What is replaced later is freed all the same, by its reference count.
    """

    def __init__(self) -> None:
        self._made = 0

    def note_object(self) -> None:
        """Take note of a long-lived object, of which there may be very many."""
        self._made += 1
        if self._made % _OBJECTS == 0:
            gc.freeze()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Let the collector rest while very many objects are made; in one thread at a time."""
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()
