"""A run of ``simpleindex import``: projects and files several at a time, with a progress bar, until the end or ^C."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from simpleindex.commands.arguments import command_user
from simpleindex.commands.progress import INTERRUPTED, Progress
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import CannotStore
from simpleindex.core.faults import Fault
from simpleindex.migration.errors import NotImported, SourceLost
from simpleindex.migration.plan import RefusedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from threading import Event

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.migration.arrival import ImportedFile
    from simpleindex.migration.importer import Importer
    from simpleindex.migration.plan import ProjectPlan
    from simpleindex.records.audit.audit import Audit

Item = TypeVar("Item")
Value = TypeVar("Value")

_AT_ONCE: Final = 4
"""Files, and pages of projects, that are fetched at the same time."""

_MOST_TOGETHER: Final = 32
"""Files of a project that are written together; while they come each of them is open."""

_LARGEST_BATCH: Final = 8_000_000
"""Bytes of such files; a larger file is written alone."""

_UNKNOWN_SIZE: Final = 1_000_000

_OF_ONE_PROJECT: Final = frozenset({None, Fault.BUSY, Fault.MISPLACED})
"""Faults of a name or a project's directory; after others no file can be written."""


class ImportRun:
    """One run of an import.

    Args:
        importer: Does the work for a project or a file.
        stopping: Set when the run is to end.
        audit: Where imported files are noted.
        to: The name of the directory that takes the files.

    Attributes:
        imported: Files that came, in the order in which they did.
        refused: Files and projects that did not, beside those of the plans.
        notes: Sentences about the run.
        stopped_with: The exit status if it was stopped, else None.
    """

    def __init__(self, importer: Importer, stopping: Event, audit: Audit, to: str) -> None:
        self._importer = importer
        self._stopping = stopping
        self._audit = audit
        self._to = to
        self._who = command_user()
        self.imported: list[ImportedFile] = []
        self.refused: list[RefusedFile] = []
        self.notes: list[str] = []
        self.stopped_with: int | None = None

    def plan(self, names: Sequence[ProjectName]) -> list[ProjectPlan]:
        """Read projects of the source."""
        return [plan for plan in self._each(self._plan, names, "projects") if plan is not None]

    def _plan(self, name: ProjectName) -> ProjectPlan | None:
        try:
            return self._importer.plan(name)
        except NotImported as error:
            self.refused.append(RefusedFile(name, "", error.reason))
            return None

    def check(self, plans: Sequence[ProjectPlan]) -> list[ProjectPlan]:
        """Check the files of plans where they lie, on this machine; return the plans without those that would be refused."""
        self._each(lambda each: self._check(*each), _files(plans), "files")
        refused = {(each.project, each.filename) for each in self.refused}
        return [_without(plan, refused) for plan in plans]

    def bring(self, plans: Sequence[ProjectPlan]) -> None:
        """Fetch the files of plans."""
        marked = self._each(self._mark, plans, "projects")
        if self.stopped_with is None:
            batches = _batches([plan for plan in marked if plan is not None])
            self._each(lambda each: self._bring(*each), batches, "files", lambda each: len(each[1]))

    def _bring(self, name: ProjectName, files: Sequence[File]) -> None:
        """Bring files of a project, and note each; those that cannot be written because of the project are refused."""
        left = [file.filename for file in files]
        try:
            for each in self._importer.bring(name, files):
                left.remove(each.filename)
                if isinstance(each, RefusedFile):
                    self.refused.append(each)
                else:
                    self._note(each)
        except CannotStore as error:
            if error.fault not in _OF_ONE_PROJECT:
                raise
            # Where all of them are here, it is something beside them that could not be written.
            reason = error.for_operator().rstrip(".")
            self.refused.extend(RefusedFile(name, filename, reason) for filename in left or [""])

    def _mark(self, plan: ProjectPlan) -> ProjectPlan | None:
        """Set the status of a project; return its plan if it may come."""
        try:
            self._importer.mark(plan.project)
        except NotImported as error:
            self.refused.append(RefusedFile(plan.project.name, "", error.reason))
            return None
        return plan

    def _check(self, name: ProjectName, file: File) -> None:
        """Check a file; note a refusal."""
        try:
            self._importer.check(name, file)
        except NotImported as error:
            self.refused.append(RefusedFile(name, file.filename, error.reason))

    def _note(self, file: ImportedFile) -> None:
        if file.created:
            facts = {"project": file.project, "filename": file.filename, "digest": file.sha256}
            self._audit.record(AuditEntry("import", who=self._who, detail=f"to {self._to}", **facts))
        self.imported.append(file)

    def _each(
        self,
        work: Callable[[Item], Value],
        items: Sequence[Item],
        unit: str,
        count: Callable[[Item], int] = lambda _: 1,
    ) -> list[Value]:
        """Do work for several items at a time, until the end, ^C, a full disk or a lost server.

        This thread, which ^C interrupts, only waits: what there is to note of an item is noted by the work.

        Returns:
            The values of the items that were done, in order; after an error those of later items too.
        """
        pool = ThreadPoolExecutor(_AT_ONCE)
        futures: list[Future[Value]] = []
        try:
            with Progress(sys.stderr, unit, sum(map(count, items))) as progress, self._ending(pool):

                def do(item: Item) -> Value:
                    value = work(item)
                    progress.advance(count(item))
                    return value

                futures.extend(pool.submit(do, item) for item in items)
                for future in futures:
                    future.result()
        except KeyboardInterrupt:
            self.stopped_with = INTERRUPTED
            self.notes.append("It was stopped; the same command goes on where it was.")
        except (CannotStore, SourceLost) as error:
            self.stopped_with = 1
            self.notes.append(
                f"It was stopped: {error.for_operator()} The same command goes on when that is mended."
            )
        done = (each for each in futures if each.done() and not each.cancelled())
        return [each.result() for each in done if each.exception() is None]

    @contextmanager
    def _ending(self, pool: ThreadPoolExecutor) -> Iterator[None]:
        """Wait for what is being done; after an error have it end, and begin nothing more."""
        try:
            yield
        except BaseException:
            self._stopping.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _files(plans: Sequence[ProjectPlan]) -> list[tuple[ProjectName, File]]:
    return [(plan.project.name, file) for plan in plans for file in plan.fetched]


def _batches(plans: Sequence[ProjectPlan]) -> list[tuple[ProjectName, list[File]]]:
    """Return the files of plans in pieces: small files of a project are written together, large ones come at the same time."""
    batches: list[tuple[ProjectName, list[File]]] = []
    for plan in plans:
        size = _LARGEST_BATCH
        for file in plan.fetched:
            size += file.size or _UNKNOWN_SIZE
            if size > _LARGEST_BATCH or len(batches[-1][1]) == _MOST_TOGETHER:
                batches.append((plan.project.name, []))
                size = file.size or _UNKNOWN_SIZE
            batches[-1][1].append(file)
    return batches


def _without(plan: ProjectPlan, refused: set[tuple[str, str]]) -> ProjectPlan:
    kept = tuple(file for file in plan.fetched if (plan.project.name, file.filename) not in refused)
    return replace(plan, fetched=kept)
