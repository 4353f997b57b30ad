"""Python's collector of cyclic garbage, while very much is made."""

from __future__ import annotations

import gc
from contextlib import ExitStack
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


def test_pauses_of_several_threads() -> None:
    """It works again when the last of them ends, in whichever order they do."""
    one, other = ExitStack(), ExitStack()
    one.enter_context(collector_paused())
    other.enter_context(collector_paused())
    one.close()
    assert not gc.isenabled()
    other.close()
    assert gc.isenabled()


def test_what_is_made_in_a_pause_can_be_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the collector visits it for the first time."""
    was_enabled: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: was_enabled.append(gc.isenabled()))
    with collector_paused(freezes=True):
        pass
    assert was_enabled == [False]


def test_freezing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time and again, not with each object."""
    times: list[None] = []
    monkeypatch.setattr(collector, "_OBJECTS", 10)
    monkeypatch.setattr(gc, "freeze", lambda: times.append(None))
    freezing = Freezing()
    for _ in range(35):
        freezing.note_object()
    assert len(times) == 3
