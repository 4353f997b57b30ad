"""A run of ``simpleindex import``: projects and files several at a time, with a progress bar, until the end or ^C."""

from __future__ import annotations

import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
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
    from collections.abc import Callable, Iterable, Iterator, Sequence
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
        imported: Files that came, in the order of the plans.
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
        for _ in self._each(lambda each: self._tried(self._importer.check, *each), _files(plans), "files"):
            """Wait for each."""
        refused = {(each.project, each.filename) for each in self.refused}
        return [_without(plan, refused) for plan in plans]

    def bring(self, plans: Sequence[ProjectPlan]) -> None:
        """Fetch the files of plans."""
        marked = self._each(self._mark, plans, "projects")
        batches = _batches([plan for plan in marked if plan is not None])
        work = self._each(lambda each: self._brought(*each), batches, "files", lambda each: len(each[1]))
        for outcomes in work:
            for each in outcomes:
                if isinstance(each, RefusedFile):
                    self.refused.append(each)
                    continue
                self.imported.append(each)
                if each.created:
                    self._record(each)

    def _brought(self, name: ProjectName, files: Sequence[File]) -> list[ImportedFile | RefusedFile]:
        """Bring files of a project; if none of them can be written because of the project, all of them are refused."""
        try:
            return self._importer.bring(name, files)
        except CannotStore as error:
            if error.fault not in _OF_ONE_PROJECT:
                raise
            return [RefusedFile(name, file.filename, error.for_operator().rstrip(".")) for file in files]

    def _mark(self, plan: ProjectPlan) -> ProjectPlan | None:
        """Set the status of a project; return its plan if it may come."""
        try:
            self._importer.mark(plan.project)
        except NotImported as error:
            self.refused.append(RefusedFile(plan.project.name, "", error.reason))
            return None
        return plan

    def _tried(
        self, work: Callable[[ProjectName, File], Value], name: ProjectName, file: File
    ) -> Value | None:
        """Do work for a file; note a refusal."""
        try:
            return work(name, file)
        except NotImported as error:
            self.refused.append(RefusedFile(name, file.filename, error.reason))
        except CannotStore as error:
            if error.fault not in _OF_ONE_PROJECT:
                raise
            self.refused.append(RefusedFile(name, file.filename, error.for_operator().rstrip(".")))
        return None

    def _record(self, file: ImportedFile) -> None:
        facts = {"project": file.project, "filename": file.filename, "digest": file.sha256}
        self._audit.record(AuditEntry("import", who=self._who, detail=f"to {self._to}", **facts))

    def _each(
        self,
        work: Callable[[Item], Value],
        items: Iterable[Item],
        unit: str,
        count: Callable[[Item], int] = lambda _: 1,
    ) -> Iterator[Value]:
        """Do work for several items at a time; yield the results in order until the end, ^C, a full disk or a lost server."""
        items = list(items)
        try:
            with Progress(sys.stderr, unit, sum(map(count, items))) as progress:
                for item, value in self._done(work, items):
                    progress.advance(count(item))
                    yield value
        except KeyboardInterrupt:
            self.stopped_with = INTERRUPTED
            self.notes.append("It was stopped; the same command goes on where it was.")
        except (CannotStore, SourceLost) as error:
            self.stopped_with = 1
            sentence = error.for_operator() if isinstance(error, CannotStore) else str(error)
            self.notes.append(f"It was stopped: {sentence} The same command goes on when that is mended.")

    def _done(self, work: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[tuple[Item, Value]]:
        """Yield items with their values in order; after an error those that were done meanwhile too, because files of them are here."""
        pool = ThreadPoolExecutor(_AT_ONCE)
        futures = deque((item, pool.submit(work, item)) for item in items)
        try:
            while futures:
                value = futures[0][1].result()
                yield futures.popleft()[0], value
        except BaseException as error:
            self._stopping.set()
            pool.shutdown(cancel_futures=True)
            if not isinstance(error, GeneratorExit):
                for item, future in futures:
                    if not future.cancelled() and future.exception() is None:
                        yield item, future.result()
            raise
        pool.shutdown()


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
