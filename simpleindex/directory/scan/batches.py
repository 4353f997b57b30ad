"""Read a batch of projects in one visit to a thread, which costs more than looking at one small project."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.names import PROJECT_FILE
from simpleindex.directory.scan.snapshot import ProjectSnapshot
from simpleindex.directory.scan.started_scan import StartedScan
from simpleindex.system.errors import own_trouble
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.live.private_names import PrivateNames
    from simpleindex.directory.scan.catalogue import Catalogue, StoredProject
    from simpleindex.directory.scan.scanner import Scanner
    from simpleindex.directory.scan.snapshot import ScanJob

    Identity = tuple[int, int]
    RunInThread = Callable[..., Awaitable[Any]]

_log = logger(__name__)

_BUDGET: Final = 64 * 1024 * 1024
"""Bytes read of one project in one go: small projects appear at once, a large wheel does not hold up its neighbours."""


def _unread(before: ProjectSnapshot, error: OSError | MemoryError) -> ProjectSnapshot:
    """Return the snapshot of a project that could not be read now: the one before, until the next scan."""
    trouble = own_trouble(error)
    if before.project is not None and trouble is not None and trouble.is_passing:
        return replace(before, young=True)
    sentence = "It could not be read; the log says more." if trouble is None else trouble.for_client()
    return ProjectSnapshot(trouble=sentence, known=before.known, project_file=before.project_file, young=True)


@dataclass(frozen=True, slots=True)
class ScanThreads:
    """Functions that make a blocking call in a thread, for each kind of reading.

    Attributes:
        examinations: For waiting until small files are examined.
        lists_at_once: Whether several threads list directories at once, because listing waits for a network. On a local disk
            they would hand the interpreter to each other with each system call, which takes longer than the calls.
    """

    reads: RunInThread
    digests: RunInThread
    examinations: RunInThread
    lists_at_once: bool = False


@dataclass(frozen=True, slots=True)
class BatchReader:
    """Reads projects of one root.

    Args:
        reader: Reads one.
        private_names: Remembers the names of what is found, before anybody hears of it.
        listing: Held while directories are listed; see :class:`ScanThreads`.
    """

    reader: Scanner
    private_names: PrivateNames
    listing: AbstractContextManager[object]

    def read(
        self, jobs: Sequence[ScanJob], identity: Identity | None, *, verify: bool
    ) -> list[ProjectSnapshot] | None:
        """Read projects; None if the root is no longer the one they lay in. Blocking.

        Args:
            jobs: Which.
            identity: Device and inode of the root in which they lay.
            verify: Whether to read again what is only unverified.
        """
        snapshots: dict[ProjectName, ProjectSnapshot] = {}
        befores = {job.name: job.before for job in jobs}

        with self.reader.digests.together():
            begun = []
            with self.listing:
                for job in jobs:
                    project = self._begun(job, verify=verify)
                    if isinstance(project, StartedScan):
                        begun.append(project)
                    else:
                        snapshots[job.name] = project
            for project, read in self.reader.entries.read(begun):
                name = project.name
                snapshots[name] = self._guarded(name, befores[name], self.reader.finish, project, read)
        # An unmounted disk is often an empty directory: a project is only gone if its root is still there.
        if self.identity() != identity:
            return None
        self.private_names.remember(
            job.name for job in jobs if _is_to_be_remembered(job, snapshots[job.name])
        )
        return [snapshots[job.name] for job in jobs]

    def recall(
        self, directories: Mapping[ProjectName, str], catalogue: Catalogue, identity: Identity | None
    ) -> list[StoredProject]:
        """Return the projects that are as the catalogue has them; none if the root is no longer the one they lay in. Blocking.

        Args:
            directories: Projects that lie in one directory each, with its raw name.
            catalogue: Where they may be.
            identity: Device and inode of the root in which they lay.
        """
        now_ns = self.reader.now_ns()
        # By a clock that was set back, anything may have changed within a tick.
        found = filter(None, map(catalogue.project, directories)) if now_ns >= catalogue.written_ns else ()
        stored = [project for project in found if project.paths[0] == directories[project.name]]
        with self.listing:
            unchanged = stored if self._are_unchanged(stored) else [*filter(self._is_unchanged, stored)]
        if self.identity() != identity:
            return []
        self.private_names.remember(project.name for project in unchanged)
        return unchanged

    def _are_unchanged(self, projects: Sequence[StoredProject]) -> bool:
        paths = [path for project in projects for path in project.paths]
        states = [state for project in projects for state in project.states]
        try:
            return self.reader.directory.states(paths) == states
        except OSError:
            return False

    def _is_unchanged(self, project: StoredProject) -> bool:
        return self._are_unchanged([project])

    def _begun(self, job: ScanJob, *, verify: bool) -> StartedScan | ProjectSnapshot:
        begun: StartedScan | ProjectSnapshot = self._guarded(
            *(job.name, job.before, self.reader.begin, job),
            budget=_BUDGET,
            verify=verify,
        )
        return begun

    def _guarded(
        self,
        name: ProjectName,
        before: ProjectSnapshot,
        function: Callable[..., Any],
        *arguments: Any,
        **named: Any,
    ) -> Any:
        """Call a function; if it fails, return the snapshot of the project then."""
        try:
            return function(*arguments, **named)
        except (OSError, MemoryError) as error:
            _log.failure("")
            return _unread(before, error)
        except Exception:  # noqa: BLE001  (one project's surprise must not cost the others)
            _log.failure("")
            trouble = f"The project {name} could not be read; the log says more."
            return ProjectSnapshot(trouble=trouble, project_file=before.project_file, has_traces=True)

    def identity(self) -> Identity | None:
        """Device and inode of the root now; None if it is not there."""
        try:
            return self.reader.directory.identity()
        except OSError:
            return None


def _is_to_be_remembered(job: ScanJob, snapshot: ProjectSnapshot) -> bool:
    """Return whether anything like a distribution is in a project's places, or may have been there."""
    if snapshot.has_traces or job.is_traced:
        return True
    if snapshot.trouble is not None:
        return False  # It was not looked at, and will be.
    if job.is_surveyed and any(
        raw not in snapshot.stamps and raw not in job.before.stamps for raw in job.directories
    ):
        # It was gone before anybody could look into it.
        return True
    # No event reports what is put into a directory of a project's directory, so it may have held anything.
    deeper = (path for path in job.before.stamps if "/" in path and not path.endswith(f"/{PROJECT_FILE}"))
    return any(path not in snapshot.stamps for path in deeper)
