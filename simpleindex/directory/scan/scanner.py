"""Reading a project: from what lies there to what can be served of it. Blocking; runs in threads.

:func:`read_project` is the whole way of one change, "directory -> facts -> project", and its result is frozen: a
:class:`ProjectSnapshot` is swapped whole.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING, Final

from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.core.model import Withheld
from simpleindex.core.names import (
    PROJECT_FILE,
)
from simpleindex.core.text import printable
from simpleindex.core.views import LOCAL
from simpleindex.directory.layout.unserved import Unserved, UnservedCause
from simpleindex.directory.ledger_files import used_names_of
from simpleindex.directory.project_file import (
    NO_PROJECT_FILE,
    ProjectFile,
    idle_yanks,
)
from simpleindex.directory.scan.assemble import assemble_project
from simpleindex.directory.scan.few_changes import FewChanges
from simpleindex.directory.scan.file_reader import EntryReader
from simpleindex.directory.scan.listed_files import files_in_place, with_source, with_withheld
from simpleindex.directory.scan.project_file_in_force import loses_rules, project_file_in_force
from simpleindex.directory.scan.scanned_files import ScannedFile, ScannedFiles
from simpleindex.directory.scan.snapshot import ProjectSnapshot, ScanJob
from simpleindex.directory.scan.started_scan import StartedScan
from simpleindex.system.stamp import Stamp, is_young

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from simpleindex.archives.examination.protocol import Examiner
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.directory_listings import DirectoryEntry, ProjectListing
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.directory.scan.digest_cache import DigestCache


_MOST_WHOLE: Final = 1000
"""States that are known to be whole."""

_TOLD_BY_THEIR_END: Final = (".whl", ".zip")
"""Archives whose end says at once whether they are whole; all others must be read through for that."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """Reads the projects of one root.

    Attributes:
        now_ns: The time, nanoseconds since 1970.
        source: What the root is called among the sources.
        patient: An unfinished sdist that still grows is left alone until it rests for one look. Where there are no
            events, every sweep would otherwise read all of a large file that is just arriving.
        stopping: Set when the service stops, which must not wait for the end of a large file.
        examiner: Examines files.
        whole: States of project files, and of directories that lost theirs, which we left ourselves: nobody is writing there.
    """

    directory: PackageDirectory
    digests: DigestCache
    now_ns: Callable[[], int]
    source: str = LOCAL
    patient: bool = False
    stopping: Event = field(default_factory=Event)
    examiner: Examiner = field(kw_only=True)
    whole: set[Stamp] = field(default_factory=set)

    @property
    def entries(self) -> EntryReader:
        """Reads the files."""
        return EntryReader(self.directory, self.examiner, self.now_ns, self.stopping)

    def read_project(self, job: ScanJob, *, budget: int, verify: bool = False) -> ProjectSnapshot:
        """Look at a project and read what is new there.

        Args:
            job: The project and where it lies.
            budget: Bytes to read at most, though at least one file is read; the rest is left pending.
            verify: Whether to read again what is only unverified.

        Raises:
            OSError: This process is short of descriptors or memory, so that nothing is known of the project now.
        """
        begun = self.begin(job, budget=budget, verify=verify)
        if isinstance(begun, ProjectSnapshot):
            return begun
        ((_, read),) = self.entries.read([begun])
        return self.finish(begun, read)

    def begin(self, job: ScanJob, *, budget: int, verify: bool) -> StartedScan | ProjectSnapshot:
        """Look at a project as :meth:`read_project` does, and leave it to the caller to have files read.

        Returns:
            All that there is to say, where no file has to be read for it, or what :meth:`finish` goes on from.
        """
        name, directories, loose, previous = job.name, job.directories, job.loose, job.before
        look = self.directory.look(directories, loose)
        if look.trouble:
            # Young, because nothing tells when it can be read again: no change of the directory need go with it.
            return ProjectSnapshot(
                trouble=look.trouble,
                known=previous.known,
                project_file=previous.project_file,
                young=True,
                has_traces=True,
            )
        begun = StartedScan(name, directories, look, previous)
        # Backups by hard links make no event here. Where there was one, it may be of a write in place.
        begun.trusts_links = not (job.is_reported or previous.doubtful)
        if self.source == LOCAL:
            begun.few = FewChanges.between(job, look)
        self._know(begun, budget, verify=verify)
        return begun if begun.unread else self.finish(begun, {})

    def finish(self, begun: StartedScan, read: Mapping[str, ScannedFile | OSError]) -> ProjectSnapshot:
        """Put a project together.

        Args:
            begun: Of :meth:`begin`.
            read: What was read of each of its unread files, by path.

        Raises:
            OSError: As :meth:`read_project`.
        """
        known = {path: item or _raised_if_short(read[path]) for path, item in begun.known.items()}
        self._remember(known, begun.remembered)
        snapshot = self._put_together(begun, known)
        return self._with_what_is_passed_over(snapshot, begun.name, begun.look)

    def _put_together(self, begun: StartedScan, known: Mapping[str, ScannedFile]) -> ProjectSnapshot:
        directories, look, previous = begun.directories, begun.look, begun.previous
        stamps = dict(look.stamps or {})
        now = self.now_ns()
        project_file, trouble, reason = project_file_in_force(look, previous, directories)
        if self._may_be_half(directories, stamps, now) and loses_rules(previous.project_file, project_file):
            project_file = previous.project_file
        young = any(item.young for item in known.values()) or self._any_young(stamps)
        is_nothing = not look.entries and project_file is NO_PROJECT_FILE and not look.has_ledger
        if is_nothing and not trouble and reason is None:
            return ProjectSnapshot(known=ScannedFiles(known, {}), stamps=stamps, young=young)
        project, scanned = self._assembled(begun, known, project_file)
        if self.source != LOCAL:
            project = with_source(project, self.source)
        if reason:
            project = with_withheld(
                project,
                Withheld(
                    PROJECT_FILE,
                    reason,
                    "project-file",
                    self.source,
                ),
            )
        if project == previous.project and previous.project is not None:
            # The same answer is the same object, so that pages made from it stay good.
            project = previous.project
        partial = begun.pending and (previous.project is None or previous.partial)
        return ProjectSnapshot(
            *(project, trouble, scanned, stamps, project_file),
            *(begun.pending, begun.unverified, young, partial, begun.doubtful),
            is_file_broken=trouble is not None,
        )

    def _assembled(
        self, begun: StartedScan, known: Mapping[str, ScannedFile], project_file: ProjectFile
    ) -> tuple[Project, ScannedFiles]:
        if begun.few is not None:
            changed = begun.few.applied(begun.name, begun.previous, known)
            if changed is not None:
                return changed
            known = {**begun.previous.known.some(begun.few.kept, begun.few.rows), **known}
        found = files_in_place(begun.look, known)
        project, chosen = assemble_project(begun.name, found, project_file)
        return project, ScannedFiles(known, chosen, project.files)

    def _with_what_is_passed_over(
        self, snapshot: ProjectSnapshot, name: ProjectName, look: ProjectListing
    ) -> ProjectSnapshot:
        if not look.has_traces and not look.unserved:
            return snapshot
        unserved = (*look.unserved, *self._idle_yanks(name, look, snapshot.project_file))
        return replace(snapshot, has_traces=look.has_traces, unserved=unserved)

    def _idle_yanks(
        self, name: ProjectName, look: ProjectListing, project_file: ProjectFile
    ) -> Iterator[Unserved]:
        """Yield the yanks that match neither a present nor a deleted file."""
        if not project_file.yanked:
            return
        filenames = {entry.filename for entry in look.entries}
        if not (idle := idle_yanks(project_file.yanked, filenames, name)):
            return
        if look.has_ledger:
            filenames |= used_names_of(self.directory, name)
            idle = idle_yanks(project_file.yanked, filenames, name)
        if idle:
            path = next(
                (path for path in look.stamps or {} if path.endswith(f"/{PROJECT_FILE}")), PROJECT_FILE
            )
            yield Unserved(UnservedCause.YANK, len(idle), f'"{printable(idle[0])}" in {printable(path)}')

    def _any_young(self, stamps: Mapping[str, Stamp]) -> bool:
        now = self.now_ns()
        return any(is_young(stamp, now) for stamp in stamps.values())

    def _may_be_half(self, directories: tuple[str, ...], stamps: Mapping[str, Stamp], now_ns: int) -> bool:
        """Return whether the project file may be half-written, or removed only to be replaced.

        Half a file is often valid TOML, so that it has rules shows nothing of those it is yet to have.
        """
        if not directories:
            return False
        stamp = stamps.get(f"{directories[0]}/{PROJECT_FILE}") or stamps.get(directories[0])
        return stamp is not None and stamp not in self.whole and is_young(stamp, now_ns)

    def note_whole(self, directories: tuple[str, ...]) -> None:
        """Take the project file in these directories as it now lies there for whole, or for gone."""
        if len(self.whole) > _MOST_WHOLE:
            self.whole.clear()  # None of them is young any more, or nearly none.
        for raw in directories:
            for path in (f"{raw}/{PROJECT_FILE}", raw):
                if (stamp := self.directory.stamp(path)) is not None:
                    self.whole.add(stamp)

    def _know(self, begun: StartedScan, budget: int, *, verify: bool) -> None:
        """Note what is known of each file without reading it, and which must be read."""
        if begun.few is None:
            entries = (*begun.look.entries, *(begun.look.side_files or {}).values())
            known = begun.previous.known.unpacked()
        else:
            entries = begun.few.entries
            known = begun.previous.known.some((entry.path for entry in entries), begun.few.rows)
        begun.remembered = self._remembered(entries, known)
        left = budget
        for entry in entries:
            before = begun.remembered.get(entry.path)
            item = self._without_reading(entry, before)
            if item is None:
                assert entry.stamp is not None  # judged in _without_reading
                is_beyond = left < entry.stamp.size and left < budget
                if before is not None and _stays_listed(entry.stamp, before) and (is_beyond or not verify):
                    item, begun.unverified = before, True
                    assert before.stamp is not None  # judged in _stays_listed
                    is_believed = entry.stamp.may_be(before.stamp) and begun.trusts_links
                    begun.doubtful |= not is_believed and entry.stamp != before.stamp
                elif is_beyond:
                    begun.pending = True
                    continue
                else:
                    left -= entry.stamp.size
                    begun.unread.append(entry)
            # Those that are read keep their places.
            begun.known[entry.path] = item

    def _remember(self, known: Mapping[str, ScannedFile], remembered: Mapping[str, ScannedFile]) -> None:
        found = [
            (path, item.stamp, item.outcome)
            for path, item in known.items()
            if isinstance(item.outcome, ArchiveInfo)
            and item.stamp
            and not item.young
            and remembered.get(path) is not item
        ]
        if found:
            self.digests.remember(found)

    def _remembered(
        self, entries: tuple[DirectoryEntry, ...], known: Mapping[str, ScannedFile]
    ) -> Mapping[str, ScannedFile]:
        if known and self.digests.has_facts_about_new_files:
            entries = tuple(entry for entry in entries if not _is_known(entry, known))
        elif known:
            entries = ()
        if not entries:
            return known
        by_directory: dict[str, list[DirectoryEntry]] = {}
        for entry in entries:
            by_directory.setdefault(os.path.dirname(entry.path), []).append(entry)
        return {
            **known,
            **{
                path: ScannedFile(stamp, facts)
                for directory, those in by_directory.items()
                for path, (stamp, facts) in self.digests.recall(directory, those).items()
            },
        }

    def _without_reading(self, entry: DirectoryEntry, before: ScannedFile | None) -> ScannedFile | None:
        """Return what is known of a file without reading it; None if it must be read."""
        if entry.trouble or entry.stamp is None:
            reason = f"{printable(entry.path)} is not served: {entry.trouble}."
            return ScannedFile(entry.stamp, Withheld(printable(entry.filename), reason, "file"))
        if before is None:
            return None
        if before.stamp == entry.stamp and before.left_alone:
            return None
        if before.stamp == entry.stamp:
            # What was read while young is read again once the same stamp can no longer hide a change.
            return before if not before.young or is_young(entry.stamp, self.now_ns()) else None
        if self.patient and before.unfinished and not entry.filename.endswith(_TOLD_BY_THEIR_END):
            return ScannedFile(entry.stamp, before.outcome, young=True, unfinished=True, left_alone=True)
        return None


def _raised_if_short(item: ScannedFile | OSError) -> ScannedFile:
    if isinstance(item, OSError):
        raise item
    return item


def _stays_listed(stamp: Stamp, before: ScannedFile) -> bool:
    """Return whether a file stays listed until it is read again: only its ctime or link count changed, as backups do it.

    What is withheld is read at once instead: it may have become readable.
    """
    return (
        not isinstance(before.outcome, Withheld)
        and before.stamp is not None
        and stamp.same_bytes_as(before.stamp)
    )


def _is_known(entry: DirectoryEntry, known: Mapping[str, ScannedFile]) -> bool:
    file = known.get(entry.path)
    return file is not None and file.stamp == entry.stamp
