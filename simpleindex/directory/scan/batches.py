"""Read a batch of projects in one visit to a thread, which costs more than looking at one small project."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.names import PROJECT_FILE
from simpleindex.directory.scan.resting import PackedSnapshot
from simpleindex.directory.scan.snapshot import ProjectSnapshot, StartedScan
from simpleindex.system.errors import own_trouble
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractContextManager

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.live.private_names import PrivateNames
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
        reads: For short calls.
        digests: For reading whole files.
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
        self, jobs: Sequence[ScanJob], identity: Identity | None, generation: int, *, verify: bool
    ) -> list[ProjectSnapshot | PackedSnapshot] | None:
        """Read projects; None if the root is no longer the one they lay in. Blocking.

        Args:
            jobs: Which.
            identity: Device and inode of the root in which they lay.
            generation: The number of this change.
            verify: Whether to read again what is only unverified.
        """
        snapshots: dict[ProjectName, ProjectSnapshot | PackedSnapshot] = {}
        befores = {job.name: job.before for job in jobs}

        with self.reader.digests.together():
            begun = []
            with self.listing:
                for job in jobs:
                    project = self._begun(job, generation, verify=verify)
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

    def _begun(
        self, job: ScanJob, generation: int, *, verify: bool
    ) -> StartedScan | ProjectSnapshot | PackedSnapshot:
        begun: StartedScan | ProjectSnapshot | PackedSnapshot = self._guarded(
            *(job.name, job.before, self.reader.begin, job),
            budget=_BUDGET,
            generation=generation,
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


def _is_to_be_remembered(job: ScanJob, snapshot: ProjectSnapshot | PackedSnapshot) -> bool:
    """Whether anything like a distribution lies in a project's places, or may have lain there before it was gone."""
    if isinstance(snapshot, PackedSnapshot) or snapshot.has_traces or job.is_traced:
        return True
    if snapshot.trouble is not None:
        return False  # It was not looked at, and will be.
    if job.is_surveyed and any(
        raw not in snapshot.stamps and raw not in job.before.stamps for raw in job.directories
    ):
        # It was gone before anybody could look into it.
        return True
    # No event tells what is put into a directory of a project's directory, so it may have held anything.
    deeper = (path for path in job.before.stamps if "/" in path and not path.endswith(f"/{PROJECT_FILE}"))
    return any(path not in snapshot.stamps for path in deeper)
