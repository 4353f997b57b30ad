"""A live directory on a real disk in which the test is the clock and the threads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.names import ProjectName
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.live.live_directory import LiveDirectory
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.watch.interface import NoWatch
from simpleindex.system.stamp import Stamp
from tests.examining import ExaminesHere
from tests.fixtures.threads import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from pathlib import Path

    from simpleindex.core.model import Project
    from simpleindex.directory.live.private_names import NameRecord
    from simpleindex.directory.watch.interface import Watch

ACME = ProjectName("acme")
OTHER = ProjectName("other")

# Far from every change made by a test: nothing is young.
LONG_AFTER_NS = 4_000_000_000_000_000_000


class Threads:
    """Calls wait until the test lets them happen, one by one; while ``held`` is False they happen at once."""

    def __init__(self) -> None:
        self.held = False
        self.calls: list[Call] = []

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        call = Call(function, args, kwargs)
        if self.held:
            self.calls.append(call)
        else:
            call.deliver()
        return call.deferred

    def names(self) -> list[str]:
        """What waits."""
        return [call.name for call in self.calls]

    def run(self, index: int = 0) -> None:
        """Let one call happen without its result arriving yet."""
        self.calls[index].run()

    def deliver(self, index: int = 0) -> None:
        """Let one call happen and its result arrive."""
        self.calls.pop(index).deliver()

    def release(self) -> None:
        """Let everything happen, and from now on at once."""
        self.held = False
        while self.calls:
            self.deliver()


class World:
    """A root, its live directory, and everything around it."""

    def __init__(
        self,
        root: Path,
        *,
        watch: Watch | None = None,
        patient: bool = False,
        excluded: Iterable[str] = (),
        record: NameRecord | None = None,
    ) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        self.clock = Clock()
        self.reads = Threads()
        self.long_reads = Threads()
        self.lines: list[str] = []
        self.changes: list[str] = []
        self.failures: list[Failure] = []
        self.now_ns = LONG_AFTER_NS
        self.watch = watch or NoWatch()
        self.directory = PackageDirectory(str(root), excluded)
        self.digests = DigestCache("/nonexistent", str(root), self.lines.append)
        self.live = LiveDirectory(
            Scanner(
                self.directory,
                self.digests,
                lambda: self.now_ns,
                patient=patient,
                examiner=ExaminesHere(),
            ),
            self.clock,
            in_read_thread=self.reads,
            in_digest_thread=self.long_reads,
            log=self._take_line,
            failed=self.failures.append,
            record=record,
        )

    def begin(self) -> World:
        """Read everything for the first time."""
        self.live.begin(self.watch)
        return self

    def _take_line(self, line: str) -> None:
        is_change = line.endswith((" appeared.", " changed.", " vanished."))
        (self.changes if is_change else self.lines).append(line)

    def taken_lines(self) -> list[str]:
        """What was logged since the last time."""
        lines, self.lines[:] = list(self.lines), []
        return lines

    def just_after(self, path: Path) -> None:
        """Make it the moment of this path's last change."""
        self.now_ns = os.stat(path).st_ctime_ns + 1

    def ask(self, name: ProjectName = ACME) -> Deferred[Any]:
        """Ask for a project; the answer is its shelf or None."""
        return Deferred.fromCoroutine(self.live.settled(name))

    def files(self, name: ProjectName = ACME) -> list[str]:
        """The names of a project's files, which must be known at once."""
        return [file.filename for file in self.project(name).files]

    def project(self, name: ProjectName = ACME) -> Project:
        """A project, which must be known at once."""
        shelf = result(self.ask(name))
        assert shelf is not None
        project: Project = shelf.project
        return project

    def names(self) -> list[str]:
        """The root listing, which must be known at once."""
        return list(result(Deferred.fromCoroutine(self.live.project_list())).names)

    def sweep(self, count: int = 1) -> None:
        """Sweep to the end."""
        result(Deferred.fromCoroutine(self.live.sweep(count)))


def result(deferred: Deferred[Any] | Coroutine[Any, Any, Any]) -> Any:
    """What a Deferred has, now; what it failed with is raised."""
    if not isinstance(deferred, Deferred):
        deferred = Deferred.fromCoroutine(deferred)
    got: list[Any] = []
    deferred.addBoth(got.append)
    assert got, "there is no result yet"
    if isinstance(got[0], Failure):
        got[0].raiseException()
    return got[0]


def error(deferred: Deferred[Any] | Coroutine[Any, Any, Any]) -> SimpleIndexError:
    """The error of ours that a Deferred has, now."""
    try:
        got = result(deferred)
    except SimpleIndexError as raised:
        return raised
    raise AssertionError(f"no error, but {got!r}")


def pending(deferred: Deferred[Any]) -> bool:
    """Whether there is no result yet."""
    return not deferred.called


def frozen_stamp(status: os.stat_result) -> Stamp:
    """A stamp from a file system whose ctime is no finer than what the test sets with utime."""
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_mtime_ns, status.st_nlink)
