"""Whatever happens on the disk, in whatever order threads end: no wrong byte at any step, and the truth at the end."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.defer import CancelledError, Deferred

from simpleindex.core.errors import Changed, Unavailable
from simpleindex.core.names import ProjectName, parse_distribution_name
from simpleindex.directory.scan import batches as batch_reading
from simpleindex.directory.scan.project_file_in_force import loses_rules
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT
from simpleindex.directory.source import LocalSource
from simpleindex.directory.watch.interface import NoWatch
from simpleindex.system.stamp import Stamp
from tests.fixtures.deferreds import result
from tests.fixtures.depth import number_of
from tests.fixtures.distributions import add_wheel, wheel_bytes, wheel_name
from tests.fixtures.live_directory import LiveDirectoryFixture, frozen_stamp
from tests.fixtures.threads import PausedThreads

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.core.model import Project

ANCHOR = ProjectName("anchor")
PROJECTS = ("acme", "other-one")
SPELLINGS = {"acme": "acme", "ACME": "acme", "other-one": "other-one", "Other.One": "other-one"}
VERSIONS = ("1.0", "2.0")
# Of different sizes, as an inode is soon given to another file and a tick of the file system's clock is long.
CONTENTS = {
    (project, version, variant): wheel_bytes(project, version, f"Summary: {'x' * 40 * variant}")
    for project in PROJECTS
    for version in VERSIONS
    for variant in range(3)
}
TOMLS = ('status = "archived"\n', 'status = "quarantined"\n', '[yanked]\n"1.0" = "why"\n', "broken\n")
SECOND = 1_000_000_000

spellings = st.sampled_from(sorted(SPELLINGS))
versions = st.sampled_from(VERSIONS)
variants = st.integers(0, 2)
projects = st.sampled_from([ProjectName(name) for name in (*PROJECTS, "anchor", "nobody")])


class Events(NoWatch):
    """Wait until they are drained, and then come one by one."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def drain(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


class LiveMachine(RuleBasedStateMachine):
    """One directory, disturbed."""

    polling = False

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        # The test sets every time itself, so a tick of the file system's clock is as long as it wants.
        self.patch.setattr(Stamp, "of", frozen_stamp)
        self.base = Path(tempfile.mkdtemp())
        self.root = self.base / "root"
        self.tick = 1_700_000_000 * SECOND
        add_wheel(self.root, "anchor")
        self.set_times(self.root, self.root / "anchor", self.root / "anchor" / wheel_name("anchor"))
        self.events = Events()
        self.world = LiveDirectoryFixture(self.root, watch=self.events)
        self.world.now_ns = self.tick + SECOND
        self.source = LocalSource(self.world.live, self.world.directory, PausedThreads())
        self.asked: list[tuple[Deferred[Any], ProjectName, int]] = []
        self.operations = self.rested = 0
        self.written_in_place = False
        self.last = ANCHOR

    @initialize(small_budget=st.booleans(), read_at_once=st.booleans())
    def begin(self, small_budget: bool, read_at_once: bool) -> None:
        if small_budget:
            self.patch.setattr(batch_reading, "_BUDGET", 1)
        self.world.live.polling = self.polling
        self.hold(held=not read_at_once)
        self.world.begin()
        self.hold(held=True)

    def teardown(self) -> None:
        try:
            self.come_to_rest()
        finally:
            self.patch.undo()
            shutil.rmtree(self.base)

    # -- what happens on the disk -----------------------------------------------------------------------------------

    def set_times(self, *paths: Path) -> None:
        for path in paths:
            if path.exists():
                os.utime(path, ns=(self.tick, self.tick))

    def happened(self, *paths: Path) -> None:
        """Give everything that changed its time, and let events of it wait."""
        self.operations += 1
        name = paths[0].relative_to(self.root).parts[0]
        self.last = ProjectName(SPELLINGS.get(name) or parse_distribution_name(name).project)
        parents = [path.parent for path in paths]
        self.set_times(*paths, *parents)
        names = {path.relative_to(self.root).parts[0] for path in paths if path.parent != self.root}
        if not self.world.live.polling:
            if self.root in parents:
                self.events.waiting.append(self.world.live.root_changed)
            names |= {path.name for path in paths if path.parent == self.root and path.name in SPELLINGS}
            self.events.waiting.append(lambda: self.world.live.directories_changed(frozenset(names)))

    def directory(self, spelling: str) -> Path:
        directory = self.root / spelling
        if not directory.is_dir():
            directory.mkdir()
            self.happened(directory)
        return directory

    def place(self, path: Path, data: bytes) -> None:
        aside = self.base / "aside"
        aside.write_bytes(data)
        aside.rename(path)
        self.happened(path)

    def files(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*.whl") if path.parent.name != "anchor")

    @rule(spelling=spellings, version=versions, variant=variants)
    def add_or_replace(self, spelling: str, version: str, variant: int) -> None:
        project = SPELLINGS[spelling]
        path = self.directory(spelling) / wheel_name(project, version)
        self.place(path, CONTENTS[project, version, variant])

    @rule(spelling=spellings, variant=variants)
    def add_or_replace_all(self, spelling: str, variant: int) -> None:
        for version in VERSIONS:
            self.add_or_replace(spelling, version, variant)

    @rule(project=st.sampled_from(PROJECTS), version=versions, variant=variants)
    def add_or_replace_loose(self, project: str, version: str, variant: int) -> None:
        self.place(self.root / wheel_name(project, version), CONTENTS[project, version, variant])

    @rule(spelling=spellings, version=versions)
    def add_foreign(self, spelling: str, version: str) -> None:
        self.place(self.directory(spelling) / wheel_name("foreign", version), CONTENTS["acme", version, 0])

    @precondition(lambda self: self.files())
    @rule(data=st.data(), variant=variants, cut=st.booleans())
    def write_in_place(self, data: st.DataObject, variant: int, cut: bool) -> None:
        path = data.draw(st.sampled_from(self.files()))
        name = parse_distribution_name(path.name)
        content = CONTENTS.get((name.project, name.version, variant), b"foreign")
        # Within one tick a write in place cannot be told from none; docs/measurements.md, "File times" is why it is read again later.
        self.time_passes(3)
        with path.open("r+b") as file:
            file.truncate(0)
            file.write(content[: len(content) // 2] if cut else content)
        self.written_in_place = True
        self.operations += 1
        self.set_times(path)
        if not self.world.live.polling:
            at_root = path.parent == self.root
            names = frozenset((path.parent.name,))
            self.events.waiting.append(
                self.world.live.root_changed
                if at_root
                else lambda: self.world.live.directories_changed(names)
            )

    @precondition(lambda self: self.files())
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(self.files()))
        path.unlink()
        self.happened(path)

    @rule(spelling=spellings)
    def remove_directory(self, spelling: str) -> None:
        if (self.root / spelling).is_dir():
            shutil.rmtree(self.root / spelling)
            self.happened(self.root / spelling)

    @rule(old=spellings, new=spellings)
    def rename_directory(self, old: str, new: str) -> None:
        if (self.root / old).is_dir() and not (self.root / new).exists():
            (self.root / old).rename(self.root / new)
            self.happened(self.root / old, self.root / new)

    @rule(spelling=spellings, content=st.sampled_from((None, *TOMLS)))
    def change_project_file(self, spelling: str, content: str | None) -> None:
        path = self.root / spelling / "simpleindex.toml"
        if content is not None:
            self.place(self.directory(spelling) / path.name, content.encode())
        elif path.exists():
            path.unlink()
            self.happened(path)

    # -- what else happens ------------------------------------------------------------------------------------------

    @rule()
    def tell(self) -> None:
        self.events.drain()

    @rule(seconds=st.sampled_from([0.5, 3]))
    def time_passes(self, seconds: float) -> None:
        self.tick += int(seconds * SECOND)
        self.world.now_ns = self.tick + SECOND

    @rule(seconds=st.sampled_from([2.1, 10]))
    def clock_advances(self, seconds: float) -> None:
        self.world.clock.advance(seconds)
        self.asked.clear()

    @rule(data=st.data(), deliver=st.booleans(), long=st.booleans())
    def thread_goes_on(self, data: st.DataObject, deliver: bool, long: bool) -> None:
        threads = self.world.long_reads if long else self.world.reads
        if threads.calls:
            index = data.draw(st.integers(0, len(threads.calls) - 1))
            (threads.deliver if deliver else threads.run)(index)

    @rule()
    def threads_go_on(self) -> None:
        for threads in (self.world.reads, self.world.long_reads):
            for _ in range(len(threads.calls)):
                threads.deliver()

    @rule(name=st.one_of(st.none(), projects))
    def ask(self, name: ProjectName | None) -> None:
        name = name or self.last
        self.asked.append((self.world.ask(name), name, self.operations))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        question, _, _ = self.asked.pop(data.draw(st.integers(0, len(self.asked) - 1)))
        if not question.called:
            question.cancel()
            with pytest.raises(CancelledError):
                result(question)

    @rule(count=st.sampled_from([1, 10]))
    def sweep(self, count: int) -> None:
        Deferred.fromCoroutine(self.world.live.sweep(count)).addErrback(self.world.failures.append)

    @precondition(lambda self: not self.world.live.polling and self.operations > 15)
    @rule()
    def watch_fails(self) -> None:
        self.events.waiting.clear()
        self.world.live.watch_failed("No more watches.")

    @precondition(lambda self: self.operations > self.rested + 5)
    @rule()
    def rest(self) -> None:
        self.come_to_rest()
        self.rested = self.operations

    def come_to_rest(self) -> None:
        """At rest, everything is as if it had been read for the first time."""
        # What was said before stays in force then, and a first reading does not know what that was.
        for path in self.project_files() if self.is_broken() else ():
            path.unlink()
            self.happened(path)
        self.hold(held=False)
        self.events.drain()
        # Requests that wait are answered, in the very state that all this has led to.
        self.answers_are_no_older_than_questions()
        for _ in range(4):
            if self.world.live.polling:
                self.world.sweep(10)
            self.time_passes(3)
            self.world.clock.advance(2.1)
        assert self.world.live.complete
        fresh = self.fresh()
        assert shown(self.world) == shown(fresh)
        assert self.world.names() == fresh.names()
        assert set(self.world.live.snapshots) == set(fresh.live.snapshots)
        assert self.world.live._guard.existing == fresh.live._guard.existing
        assert not self.world.clock.getDelayedCalls()
        self.asked.clear()
        self.written_in_place = False
        self.hold(held=True)

    # -- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def no_wrong_bytes(self) -> None:
        """A file that a snapshot lists has the listed digest when it is opened, or cannot be opened as that file."""
        for name, snapshot in self.world.live.snapshots.items():
            for file in snapshot.project.files if snapshot.project else ():
                for filename, digest in (
                    (file.filename, file.sha256),
                    (f"{file.filename}.metadata", file.metadata and file.metadata.sha256),
                ):
                    try:
                        body = result(self.source._open(name, filename, snapshot))
                    except Changed:
                        continue
                    assert digest == body.sha256
                    assert hashlib.sha256(result(body.read(0, body.size))).hexdigest() == digest
                    body.close()

    @invariant()
    def nothing_unforeseen(self) -> None:
        assert self.world.failures == []
        assert self.world.live.suspended is None

    @invariant()
    def answers_are_no_older_than_questions(self) -> None:
        """What lay there when it was asked for is in the answer, and the name that is always there is never missing."""
        for asked in list(self.asked):
            question, name, operations = asked
            if not question.called:
                continue
            self.asked.remove(asked)
            try:
                snapshot = result(question)
            except Unavailable:
                continue
            assert snapshot is not None or name != ANCHOR
            # A write in place is found by every tenth sweep only; a broken project file leaves the last good one in force.
            unseen = self.world.live.polling and self.written_in_place
            if operations == self.operations and not unseen and not self.is_broken():
                fresh = self.fresh().live.snapshots.get(name, NO_SNAPSHOT)
                # Rules that were lifted just now stay in force until their file has been at rest for a while.
                if snapshot and snapshot.young and loses_rules(snapshot.project_file, fresh.project_file):
                    continue
                assert (snapshot.project if snapshot else None) == fresh.project

    def project_files(self) -> list[Path]:
        return sorted(self.root.rglob("simpleindex.toml"))

    def is_broken(self) -> bool:
        """Whether some project's file cannot be obeyed, if only because there are two."""
        paths = self.project_files()
        projects = {SPELLINGS[path.parent.name] for path in paths}
        return len(projects) < len(paths) or any(path.read_text() == TOMLS[-1] for path in paths)

    def fresh(self) -> LiveDirectoryFixture:
        world = LiveDirectoryFixture(self.root)
        world.now_ns = self.world.now_ns
        return world.begin()

    def hold(self, *, held: bool) -> None:
        for threads in (self.world.reads, self.world.long_reads):
            if not held:
                threads.release()
            threads.held = held


def shown(world: LiveDirectoryFixture) -> dict[ProjectName, tuple[Project | None, str | None]]:
    """What is shown of every project."""
    return {name: (snapshot.project, snapshot.trouble) for name, snapshot in world.live.snapshots.items()}


class PollingMachine(LiveMachine):
    """The same where nothing reports changes."""

    polling = True


SETTINGS = settings(
    max_examples=number_of(40),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestTold = LiveMachine.TestCase
TestTold.settings = SETTINGS
TestPolled = PollingMachine.TestCase
TestPolled.settings = SETTINGS
