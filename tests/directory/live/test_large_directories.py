"""What a start costs for each project, in system calls and in memory, so that very large directories stay possible."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from simpleindex.core.names import ProjectName
from simpleindex.directory.live.snapshot_table import SnapshotTable
from simpleindex.directory.scan.name_sets import sorted_in_parts
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import add_sdist, add_wheel
from tests.fixtures.live_directory import LiveDirectoryFixture
from tests.fixtures.snapshots import snapshot_at_rest
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def _started(root: Path, cache: Path) -> LiveDirectoryFixture:
    world = LiveDirectoryFixture(root, cache=str(cache))
    world.digests.open()
    return world.begin()


def test_a_warm_start_looks_at_each_directory_and_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each directory is listed once, each path looked at once, and nothing is opened."""
    root = tmp_path / "root"
    for number in range(10):
        add_wheel(root, f"p{number}")
        add_sdist(root, f"p{number}")
    _started(root, tmp_path / "cache").digests.close()
    calls: Counter[str] = Counter()

    def counted(name: str, call: Any, path: Any, *arguments: Any, **named: Any) -> Any:
        if str(path).startswith(f"{root}/"):
            calls[name] += 1
        return call(path, *arguments, **named)

    for name in ("lstat", "stat", "open", "listdir", "scandir", "readlink"):
        monkeypatch.setattr(os, name, partial(counted, name, getattr(os, name)))
    world = _started(root, tmp_path / "cache")
    assert calls == {"listdir": 10, "lstat": 30}
    assert world.live.snapshots.files == 20
    assert not world.live.snapshots.unpacked


def test_a_project_at_rest_takes_little_memory() -> None:
    """Less than a kilobyte for two files, name and table included; as objects it was three times that."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        table = _table_of(2_000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table) == 2_000
    assert (after - before) / 2_000 < 1_000


def _table_of(projects: int) -> SnapshotTable:
    table = SnapshotTable()
    for number in range(projects):
        name = ProjectName(f"project{number:06}")
        table[name] = snapshot_at_rest(name, number)
    return table


def test_the_list_of_names_is_kept_in_order(tmp_path: Path) -> None:
    """A change of one project puts its name in or takes it out; nothing is sorted again."""
    for name in ("b", "d"):
        add_wheel(tmp_path, name)
    world = LiveDirectoryFixture(tmp_path).begin()
    assert world.names() == ["b", "d"]
    kept = world.live._offered
    for name in ("c", "a", "e"):
        add_wheel(tmp_path, name)
        world.live.root_changed()
    assert world.names() == ["a", "b", "c", "d", "e"]
    for path in (tmp_path / "c").iterdir():
        path.unlink()
    world.live.directories_changed(frozenset({"c"}))
    world.live.directories_changed(frozenset({"e", "nobody"}))
    assert world.names() == ["a", "b", "d", "e"]
    assert world.live._offered is kept


def test_very_many_names_are_gathered_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several requests wait for one thread; what changes meanwhile is in their list, however it changes."""
    monkeypatch.setattr("simpleindex.directory.live.offered_names._MANY", 2)
    for name in ("b", "d", "f"):
        add_wheel(tmp_path, name)
    world = LiveDirectoryFixture(tmp_path).begin()
    world.reads.held = True
    waiting = [Deferred.fromCoroutine(world.live.project_list()) for _ in range(3)]
    assert len(world.reads.calls) == 1
    world.live._offered.note(ProjectName("a"), is_offered=True)
    world.live._offered.note(ProjectName("d"), is_offered=False)
    world.reads.release()
    assert [result(each).names for each in waiting] == 3 * [("a", "b", "f")]
    world.live._names = None
    world.live._offered.forget()
    world.reads.held = True
    again = Deferred.fromCoroutine(world.live.project_list())
    world.live._offered.forget()
    world.reads.release()
    assert result(again).names == ("b", "d", "f")


def test_sorted_in_parts() -> None:
    """Names are in the order of one call of sorted(), however many there are."""
    names = [ProjectName(f"p{number * 7919 % 20_011}") for number in range(20_011)]
    for some in (names, names[:1], []):
        assert sorted_in_parts(some) == sorted(some)


def test_a_survey_while_the_first_reading_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits to be read is not looked at because of it, one by one; all is read once."""
    for number in range(300):
        add_wheel(tmp_path, f"p{number:03}")
    world = LiveDirectoryFixture(tmp_path)
    world.reads.held = True
    world.live.begin(world.watch)
    world.reads.deliver()  # the survey
    before = len(world.live._looks)
    add_wheel(tmp_path, "new")
    world.live.root_changed()
    monkeypatch.setattr(world.live, "_has_seen", None)
    world.reads.deliver(world.reads.names().index("_survey_now"))
    assert len(world.live._looks) == before + 1
    world.reads.release()
    assert world.live.complete
    assert len(world.names()) == 301


class _Turns:
    """A directory of so many projects, before and after turns of the reactor that a survey leads to."""

    def __init__(self, root: Path, projects: int) -> None:
        root.mkdir()
        for number in range(projects):
            (root / f"p{number:05}").mkdir()
        self.world = LiveDirectoryFixture(root)
        self.world.reads.held = True
        self.world.live.begin(self.world.watch)

    def deliver_survey(self) -> None:
        """Let the thread of a survey end, and the reactor take what it found."""
        place = self.world.reads.names().index("_survey_now")
        self.world.reads.start(place)
        call = self.world.reads.calls.pop(place)
        self.cost = _cost_of(call.deliver)

    def survey_again(self) -> None:
        """Have one project more, and a survey because of it."""
        (self.world.root / "new").mkdir()
        self.world.live.root_changed()
        self.deliver_survey()

    def lose_events(self) -> None:
        """Have everything looked at again."""
        self.cost = _cost_of(self.world.live.everything_changed)


def _cost_of(work: Callable[[], object]) -> tuple[int, int]:
    """Return how many lines of Python a turn of the reactor runs, and the most memory that it takes, in bytes."""
    lines = [0]

    def trace(*_: Any) -> Any:
        lines[0] += 1
        return trace

    before = sys.gettrace()
    # The collector would run finalizers of other tests within the turn.
    gc.collect()
    gc.disable()
    tracemalloc.start()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        gc.enable()
    return lines[0], most


@for_each(
    "steps",
    (
        [_Turns.deliver_survey],
        [_Turns.deliver_survey, _Turns.survey_again],
        [_Turns.deliver_survey, _Turns.lose_events],
        [_Turns.deliver_survey, _Turns.lose_events, _Turns.survey_again],
    ),
)
def test_no_turn_of_the_reactor_has_work_for_each_project(
    tmp_path: Path, steps: list[Callable[[_Turns], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn runs less than a line for each project, and takes memory for flags of them only: there is no set or list of all names."""
    monkeypatch.setattr("simpleindex.directory.live.snapshot_updates.RECALLED", 16)
    costs = []
    for projects in (300, 900):
        turns = _Turns(tmp_path / f"{len(list(tmp_path.iterdir()))}", projects)
        for step in steps:
            step(turns)
        costs.append(turns.cost)
    (few_lines, few_bytes), (many_lines, many_bytes) = costs
    assert many_lines < few_lines + 600
    assert many_bytes < few_bytes + 8 * 600


@for_each("polling", (False, True))
def test_a_sweep_asks_for_no_second_survey_while_the_first_goes_on(tmp_path: Path, polling: bool) -> None:
    """The first sweep comes with the start; requests would wait for another survey of very many projects."""
    add_wheel(tmp_path, "a")
    world = LiveDirectoryFixture(tmp_path)
    world.live.polling = polling
    world.reads.held = True
    world.live.begin(world.watch)
    sweeping = Deferred.fromCoroutine(world.live.sweep(0))
    surveys = 0
    while names := world.reads.names():
        surveys += names[0] == "_survey_now"
        world.reads.deliver()
    assert sweeping.called
    assert surveys == 1
    assert world.live.complete
