"""Python's collector of cyclic garbage, while very much is made."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from simpleindex.system import collector
from simpleindex.system.collector import Freezing, collector_paused

if TYPE_CHECKING:
    import pytest


def test_pause() -> None:
    """It rests meanwhile, and works again; where it was off it stays off."""
    assert gc.isenabled()
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_freezing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time and again, not with each object."""
    times: list[None] = []
    monkeypatch.setattr(collector, "_OBJECTS", 10)
    monkeypatch.setattr(gc, "freeze", lambda: times.append(None))
    freezing = Freezing()
    for _ in range(35):
        freezing.note_object()
    assert len(times) == 3
