"""Record in the audit which files came and went by hand: changes of a directory that no upload and no command recorded."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.text import plural
from simpleindex.core.views import LOCAL
from simpleindex.directory.live.listing_changes import FileChanges
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from twisted.python.failure import Failure

    from simpleindex.core.names import ProjectName
    from simpleindex.records.audit.audit import Audit
    from simpleindex.records.audit.audit_sharing import AuditSharing
    from simpleindex.system.threads import Threads

WAIT_SECONDS: Final = 10.0
"""How long after a change its entry by an upload or a command may come."""

_BEFORE_SECONDS: Final = 120.0
"""How long before a change is seen its entry may have come: on network file systems directories are polled."""

_RECORDED: Final = frozenset({"upload", "upload-again", "copy", "import", "delete", "undelete"})
"""Events that explain why a file came or went."""

_BY_HAND: Final = frozenset({"file-added", "file-changed", "file-removed"})
_GONE: Final = frozenset({"delete", "file-removed"})

_MOST_WAITING: Final = 10_000
"""Projects with changes that are in memory; some 10 MB."""

_MOST_ENTRIES: Final = 20
"""Entries of one kind for a project; more files than that are one entry with their number."""

MadeByNodes: TypeAlias = "Callable[[ProjectName, FileChanges], Collection[tuple[bool, str]]]"
"""Returns whether it went, and the name, of each changed file of a project that a node has uploaded or deleted; blocking."""

_log: Final = logger(__name__)


@dataclass(frozen=True, slots=True)
class SeenChange:
    """Changes of a project's files that were seen.

    Attributes:
        directory: The directory's name among the sources.
        files: What changed.
        time: When it was seen, on the reactor's clock.
        made_by_nodes: Which of them other nodes made; None if no other one can.
    """

    directory: str
    project: ProjectName
    files: FileChanges
    time: float
    made_by_nodes: MadeByNodes | None


class HandChanges:
    """Waits until uploads and commands have recorded what they did, and records the rest.

    Args:
        audit: The audit.
        clock: The reactor.
        threads: Threads for writing.
        now: The time, seconds since 1970.
        sharing: The audit of all nodes, each of which sees every change: the first records it. None without other nodes.
    """

    def __init__(
        self,
        audit: Audit,
        clock: Any,
        threads: Threads,
        now: Callable[[], float] = time.time,
        sharing: AuditSharing | None = None,
    ) -> None:
        self._sharing = sharing
        self._audit = audit
        self._clock = clock
        self._threads = threads
        self._now = now
        self._waiting: list[SeenChange] = []
        self._waking: Any = None
        self._left_out = 0

    def note(
        self,
        directory: str,
        project: ProjectName,
        files: FileChanges,
        *,
        made_by_nodes: MadeByNodes | None = None,
    ) -> None:
        """Take note of a change; it is recorded later.

        Args:
            directory: The directory's name among the sources.
            project: The project.
            files: What changed.
            made_by_nodes: Which of them other nodes made; None if no other one can.
        """
        if len(self._waiting) >= _MOST_WAITING:
            self._left_out += 1
            return
        self._waiting.append(SeenChange(directory, project, files, self._clock.seconds(), made_by_nodes))
        if self._waking is None:
            self._waking = self._clock.callLater(WAIT_SECONDS, self._wake)

    def stop(self) -> None:
        """Record no more: whether an upload or a command made a change is not clear at once."""
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None
        self._waiting.clear()

    def _wake(self) -> None:
        self._waking = None
        due = self._clock.seconds() - WAIT_SECONDS
        changes = [change for change in self._waiting if change.time <= due]
        self._waiting = [change for change in self._waiting if change.time > due]
        if self._waiting:
            self._waking = self._clock.callLater(self._waiting[0].time - due, self._wake)
        left_out, self._left_out = self._left_out, 0
        oldest = min((change.time for change in changes), default=due)
        since = self._now() - (self._clock.seconds() - oldest) - _BEFORE_SECONDS
        recording = self._threads.run(self._record_all, changes, left_out, since)
        recording.addErrback(self._record_later, changes, left_out)
        recording.addErrback(lambda failure: _log.failure("", failure))

    def _record_later(self, failure: Failure, changes: list[SeenChange], left_out: int) -> None:
        """Try again: without the audit of all nodes, or the store, it is not known what others have made."""
        failure.trap(OSError)
        self._left_out += left_out
        self._waiting[:0] = changes
        if self._waking is None:
            self._waking = self._clock.callLater(WAIT_SECONDS, self._wake)

    def _record_all(self, changes: list[SeenChange], left_out: int, since: float) -> None:
        """Record what nothing else has recorded since. Blocking."""
        from simpleindex.records.audit.audit_questions import AuditQuestion, matching_entries  # noqa: PLC0415  (with a change)
        from simpleindex.records.audit.audit_reading import latest_entries  # noqa: PLC0415  (the same)

        if self._sharing is None:
            self._record(changes, left_out, latest_entries(self._audit.path, since, _RECORDED))
            return
        question = AuditQuestion(since=since, events=_RECORDED | _BY_HAND)
        with self._sharing.alone():
            lines = self._sharing.shared.lines(question)
            self._record(changes, left_out, matching_entries(lines, question))

    def _record(self, changes: list[SeenChange], left_out: int, entries: Iterable[Mapping[str, Any]]) -> None:
        recorded = {
            (entry["event"] in _GONE, entry.get("project", ""), entry.get("filename", ""))
            for entry in entries
        }
        # All before the first one is recorded: where the store fails, all are tried again.
        by_hand = [_entries_of(change, recorded | _by_nodes(change, recorded)) for change in changes]
        for entry in chain.from_iterable(by_hand):
            self._audit.record(entry)
        if left_out:
            self._audit.record(
                AuditEntry(
                    "file-added", detail=f"changes of {plural(left_out, 'project')} more have no entries"
                )
            )


def _by_nodes(change: SeenChange, recorded: set[tuple[bool, str, str]]) -> set[tuple[bool, str, str]]:
    """Return what other nodes have made, as far as it is not recorded here; arguments as for :func:`_entries_of`. Blocking.

    Raises:
        OSError: That is not known now.
    """
    if change.made_by_nodes is None:
        return set()
    files = FileChanges(
        *(
            tuple(each for each in names if (is_gone, change.project, each) not in recorded)
            for is_gone, names in (
                (True, change.files.vanished),
                (False, change.files.changed),
                (False, change.files.appeared),
            )
        )
    )
    return {(is_gone, change.project, each) for is_gone, each in change.made_by_nodes(change.project, files)}


def _entries_of(change: SeenChange, recorded: set[tuple[bool, str, str]]) -> list[AuditEntry]:
    """Return the entries of a change.

    Args:
        change: The change.
        recorded: Whether it went, project and name of each file that an upload or a command has recorded.
    """
    kinds: Mapping[str, tuple[str, ...]] = {
        "file-removed": change.files.vanished,
        "file-changed": change.files.changed,
        "file-added": change.files.appeared,
    }
    entries = []
    for event, filenames in kinds.items():
        is_gone = event == "file-removed"
        by_hand = [each for each in filenames if (is_gone, change.project, each) not in recorded]
        where = None if change.directory == LOCAL else f"in {change.directory}"
        if (is_gone, change.project, "") in recorded:
            continue
        if len(by_hand) > _MOST_ENTRIES:
            detail = ", ".join(filter(None, (plural(len(by_hand), "file"), where)))
            entries.append(AuditEntry(event, project=change.project, detail=detail))
        else:
            entries += [
                AuditEntry(event, project=change.project, filename=each, detail=where) for each in by_hand
            ]
    return entries
