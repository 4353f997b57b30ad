"""Reading a project: from what lies there to what can be served of it. Blocking; runs in threads.

:func:`read_project` is the whole way of one change, "directory -> facts -> project", and its result is frozen: a
:class:`ProjectSnapshot` is swapped whole.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING, Final, NamedTuple

from simpleindex.archives.inspect import ArchiveInfo
from simpleindex.core.files import File
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import (
    PROJECT_FILE,
    PROVENANCE_SUFFIX,
    SIDE_FILE_SUFFIXES,
    SIGNATURE_SUFFIXES,
    WHEEL_SUFFIX,
    Kind,
)
from simpleindex.core.text import printable
from simpleindex.core.views import LOCAL
from simpleindex.directory.layout.unserved import Unserved, UnservedCause
from simpleindex.directory.ledger_files import used_names_of
from simpleindex.directory.project_file import (
    NO_PROJECT_FILE,
    InvalidProjectFile,
    ProjectFile,
    idle_yanks,
    parse_project_file,
)
from simpleindex.directory.scan import project_cache
from simpleindex.directory.scan.assemble import FileInPlace, assemble
from simpleindex.directory.scan.file_reader import EntryReader
from simpleindex.directory.scan.scanned_files import NOTHING_KNOWN, ScannedFile, ScannedFiles
from simpleindex.system.stamp import Stamp, is_young

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from simpleindex.archives.examination.requests import Examiner
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.package_directory import (
        DirectoryEntry,
        PackageDirectory,
        ProjectListing,
    )
    from simpleindex.directory.scan.digest_cache import DigestCache


@dataclass(frozen=True, slots=True)
class ProjectSnapshot:
    """What is listed and served of one project at one moment; never changed, only replaced.

    Attributes:
        project: What is listed; None if there is no such project.
        trouble: Why nothing can be said of it now, as a sentence; None normally.
        known: What is known of every file, by path.
        stamps: State of the directories and of ``simpleindex.toml``, by path.
        project_file: The last good one.
        pending: Whether files are there that have not been read yet.
        unverified: Whether files are listed that must be read again: their ctime or link count changed since, or they
            were young then.
        young: Whether something changed so recently that another look is due in 2 s.
        partial: Whether it has never been read completely.
        doubtful: Whether one of the unverified may well have other bytes: a write in place whose mtime was set back changes
            nothing but the ctime.
        has_traces: Whether anything like a distribution lies there, whole or not, or may do.
        unserved: What lies there and is passed over, one item for each cause.
        is_file_broken: Whether the trouble is the project's own file, which cannot be obeyed.
    """

    project: Project | None = None
    trouble: str | None = None
    known: ScannedFiles = field(default_factory=lambda: NOTHING_KNOWN)
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    project_file: ProjectFile = NO_PROJECT_FILE
    pending: bool = False
    unverified: bool = False
    young: bool = False
    partial: bool = False
    doubtful: bool = False
    has_traces: bool = False
    unserved: tuple[Unserved, ...] = ()
    is_file_broken: bool = False

    @property
    def chosen(self) -> Mapping[str, str]:
        """The path of each listed file, by file name."""
        return self.known.chosen


NO_SNAPSHOT: Final = ProjectSnapshot()


class ScanJob(NamedTuple):
    """One project to be read.

    Attributes:
        name: Which.
        directories: Raw names of its directories, the normalized one first.
        loose: Names of its files directly in the root.
        before: What was known of it.
        is_surveyed: Whether a survey has seen these directories and files.
        is_traced: Whether an event told of something like a distribution there.
    """

    name: ProjectName
    directories: tuple[str, ...]
    loose: tuple[str, ...]
    before: ProjectSnapshot
    is_surveyed: bool = True
    is_traced: bool = False


@dataclass(slots=True)
class StartedScan:
    """A project that has been looked at, and of which files are yet to be read.

    Attributes:
        name: Which.
        directories: Raw names of its directories, the normalized one first.
        look: What lies there.
        previous: What was known of it.
        generation: The number of this change.
        state: As :mod:`simpleindex.directory.scan.project_cache` has it.
        unread: Files to be read.
        known: What is known of every file without that, by path; None of those to be read.
        remembered: What was known of them before.
        pending: As :class:`ProjectSnapshot` has it; so are the other two.
        unverified: See there.
        doubtful: See there.
    """

    name: ProjectName
    directories: tuple[str, ...]
    look: ProjectListing
    previous: ProjectSnapshot
    generation: int
    state: bytes | None
    unread: list[DirectoryEntry] = field(default_factory=list)
    known: dict[str, ScannedFile | None] = field(default_factory=dict)
    remembered: Mapping[str, ScannedFile] = field(default_factory=dict)
    pending: bool = False
    unverified: bool = False
    doubtful: bool = False


_HOLDING: Final = frozenset({Status.QUARANTINED, Status.ARCHIVED})

_MOST_WHOLE: Final = 1000
"""States that are known to be whole."""

_TOLD_BY_THEIR_END: Final = (".whl", ".zip")
"""Archives whose end says at once whether they are whole; all others must be read through for that."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """Where projects are read from, and how patiently.

    Attributes:
        directory: The root.
        digests: The memory of facts.
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

    def read_project(
        self, job: ScanJob, *, budget: int, generation: int, verify: bool = False
    ) -> ProjectSnapshot:
        """Look at a project and read what is new there.

        Args:
            job: The project and where it lies.
            budget: Bytes to read at most, though at least one file is read; the rest is left pending.
            generation: The number of this change.
            verify: Whether to read again what is only unverified.

        Raises:
            OSError: This process is short of descriptors or memory, so that nothing is known of the project now.
        """
        begun = self.begin(job, budget=budget, generation=generation, verify=verify)
        if isinstance(begun, ProjectSnapshot):
            return begun
        ((_, read),) = self.entries.read([begun])
        return self.finish(begun, read)

    def begin(
        self, job: ScanJob, *, budget: int, generation: int, verify: bool
    ) -> StartedScan | ProjectSnapshot:
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
        state = project_cache.state_of(look, self.source) if len(directories) == 1 and not loose else None
        is_first = not previous.known and previous.project_file is NO_PROJECT_FILE
        if (
            state is not None
            and is_first
            and (known := project_cache.recall(self.digests, directories[0], state))
        ):
            project = Project(name, known.files, generation=generation)
            stamps = dict(look.stamps or {})
            snapshot = ProjectSnapshot(project, known=known, stamps=stamps, young=self._any_young(stamps))
            return self._with_what_is_passed_over(snapshot, name, look)
        begun = StartedScan(name, directories, look, previous, generation, state)
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
        is_new = snapshot.project is not begun.previous.project or not _rests(begun.previous)
        if begun.state is not None and is_new and snapshot.project is not None and _rests(snapshot):
            project_cache.keep(self.digests, begun.directories[0], begun.state, snapshot.known)
        return self._with_what_is_passed_over(snapshot, begun.name, begun.look)

    def _put_together(self, begun: StartedScan, known: Mapping[str, ScannedFile]) -> ProjectSnapshot:
        name, directories, look, previous = begun.name, begun.directories, begun.look, begun.previous
        stamps = dict(look.stamps or {})
        now = self.now_ns()
        project_file, trouble, reason = _project_file(look, previous, directories)
        if self._may_be_half(directories, stamps, now) and _loses_rules(previous.project_file, project_file):
            project_file = previous.project_file
        young = any(item.young for item in known.values()) or self._any_young(stamps)
        is_nothing = not look.entries and project_file is NO_PROJECT_FILE and not look.has_ledger
        if is_nothing and not trouble and reason is None:
            return ProjectSnapshot(known=ScannedFiles(known, {}), stamps=stamps, young=young)
        found = _found(look, known)
        project, chosen = assemble(name, found, project_file, begun.generation)
        if self.source != LOCAL:
            project = _called(project, self.source)
        if reason:
            project = _with(
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
            *(project, trouble, ScannedFiles(known, chosen, project.files), stamps, project_file),
            *(begun.pending, begun.unverified, young, partial, begun.doubtful),
            is_file_broken=trouble is not None,
        )

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
        """Yield yanks that match no file, neither a present nor a deleted one."""
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
        """Whether the project file may be half-written, or gone only until its successor is there.

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
        entries = (*begun.look.entries, *(begun.look.side_files or {}).values())
        begun.remembered = self._remembered(entries, begun.previous)
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
                    begun.doubtful = begun.doubtful or not entry.stamp.may_be(before.stamp)
                elif is_beyond:
                    begun.pending = True
                    continue
                else:
                    left -= entry.stamp.size
                    begun.unread.append(entry)
            # Those that are read keep their places.
            begun.known[entry.path] = item

    def _remember(self, known: Mapping[str, ScannedFile], remembered: Mapping[str, ScannedFile]) -> None:
        learnt = [
            (path, item.stamp, item.outcome)
            for path, item in known.items()
            if isinstance(item.outcome, ArchiveInfo)
            and item.stamp
            and not item.young
            and remembered.get(path) is not item
        ]
        if learnt:
            self.digests.remember(learnt)

    def _remembered(
        self, entries: tuple[DirectoryEntry, ...], previous: ProjectSnapshot
    ) -> Mapping[str, ScannedFile]:
        if (known := previous.known.unpacked()) or not entries:
            return known
        by_directory: dict[str, list[DirectoryEntry]] = {}
        for entry in entries:
            by_directory.setdefault(os.path.dirname(entry.path), []).append(entry)
        return {
            path: ScannedFile(stamp, facts)
            for directory, those in by_directory.items()
            for path, (stamp, facts) in self.digests.recall(directory, those).items()
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


def _rests(snapshot: ProjectSnapshot) -> bool:
    """Whether there is nothing about a project that is to be read, judged or said again."""
    is_in_flux = (
        snapshot.pending or snapshot.unverified or snapshot.young or snapshot.partial or snapshot.trouble
    )
    withheld = snapshot.known.withheld or (snapshot.project and snapshot.project.withheld)
    return not (is_in_flux or withheld) and snapshot.project_file is NO_PROJECT_FILE


def _stays_listed(stamp: Stamp, before: ScannedFile) -> bool:
    """Whether a file stays as it is until it is read again: nothing but ctime or links changed, as backups do it.

    What is withheld is read at once instead: it may have become readable.
    """
    return (
        not isinstance(before.outcome, Withheld)
        and before.stamp is not None
        and stamp.same_bytes_as(before.stamp)
    )


def _found(look: ProjectListing, known: Mapping[str, ScannedFile]) -> list[FileInPlace]:
    found = []
    for entry in look.entries:
        item = known.get(entry.path)
        if item is None:
            continue
        if isinstance(item.outcome, Withheld):
            found.append(FileInPlace(entry.path, entry.rank, item.outcome))
            continue
        assert isinstance(item.outcome, ArchiveInfo)  # digests alone are of side files
        assert item.stamp is not None  # read in that state
        file = _file(entry, item.stamp, item.outcome, known)
        found.append(FileInPlace(entry.path, entry.rank, file))
    found += [
        FileInPlace(path, 0, item.outcome)
        for path, item in known.items()
        if path in (look.side_files or {}) and isinstance(item.outcome, Withheld)
    ]
    return found


def _file(entry: DirectoryEntry, stamp: Stamp, facts: ArchiveInfo, known: Mapping[str, ScannedFile]) -> File:
    beside = {
        suffix
        for suffix in SIDE_FILE_SUFFIXES
        if (item := known.get(entry.path + suffix)) is not None and isinstance(item.outcome, str)
    }
    return File(
        filename=entry.filename,
        version=facts.version,
        kind=Kind.WHEEL if entry.filename.endswith(WHEEL_SUFFIX) else Kind.SDIST,
        size=stamp.size,
        sha256=facts.sha256,
        uploaded_ns=stamp.mtime_ns,
        requires_python=facts.requires_python,
        metadata=facts.sidecar,
        signatures=tuple(suffix for suffix in SIGNATURE_SUFFIXES if suffix in beside) if beside else (),
        provenance=PROVENANCE_SUFFIX in beside,
    )


def _project_file(
    look: ProjectListing, previous: ProjectSnapshot, directories: Sequence[str]
) -> tuple[ProjectFile, str | None, str | None]:
    """Return the project file in force, and the sentence why the project cannot be answered for, or else what is wrong."""
    reason = look.project_file_trouble
    if reason is None and look.project_file is not None:
        try:
            return parse_project_file(look.project_file), None, None
        except InvalidProjectFile as error:
            reason = error.reason
    if reason is None:
        return NO_PROJECT_FILE, None, None
    where = _place_of_project_file(look, directories)
    if previous.project_file is not NO_PROJECT_FILE:
        return previous.project_file, None, f"{where} {reason}; what it said before stays in force."
    return NO_PROJECT_FILE, f"{where} {reason}.", None


def _place_of_project_file(look: ProjectListing, directories: Sequence[str]) -> str:
    """Return where it lies below the root; the first directory's, where there are several."""
    of_first = f"{directories[0]}/{PROJECT_FILE}"
    found = [path for path in look.stamps or {} if path.endswith(f"/{PROJECT_FILE}")]
    return printable(found[0] if found else of_first)


def _loses_rules(before: ProjectFile, now: ProjectFile) -> bool:
    """Whether something that was yanked, quarantined or archived no longer is."""
    if now.status is Status.QUARANTINED:
        return False  # Nothing is stricter, and it must not wait.
    is_status_lost = before.status in _HOLDING and before.status is not now.status
    return is_status_lost or not before.yanked.keys() <= now.yanked.keys()


def _called(project: Project, source: str) -> Project:
    """Return a project with another source's name than the default."""
    files = [replace(file, source=source) for file in project.files]
    withheld = tuple(replace(item, source=source) for item in project.withheld)
    return replace(project, files=files, withheld=withheld)


def _with(project: Project, withheld: Withheld) -> Project:
    return replace(project, withheld=(*project.withheld, withheld))
