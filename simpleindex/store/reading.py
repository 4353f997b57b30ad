"""Reading a project: from what lies there to what can be served of it. Blocking; runs in threads.

:func:`read_project` is the whole way of one change, "directory -> facts -> project", and its result is frozen: a
:class:`Shelf` is swapped whole.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field, replace
from io import FileIO
from threading import Event
from typing import TYPE_CHECKING, Final

from simpleindex.core.catalogue import Found, assemble
from simpleindex.core.errors import BrokenArchive, Changed, InvalidFilename, InvalidProjectFile
from simpleindex.core.files import PackedFiles
from simpleindex.core.model import File, Project, Status, Withheld
from simpleindex.core.names import (
    PROJECT_FILE,
    PROVENANCE_SUFFIX,
    SIDE_FILE_SUFFIXES,
    SIGNATURE_SUFFIXES,
    WHEEL_SUFFIX,
    Kind,
    parse_distribution_name,
)
from simpleindex.core.project_file import NO_PROJECT_FILE, ProjectFile, parse_project_file
from simpleindex.core.views import LOCAL
from simpleindex.store import resting
from simpleindex.store.archives import Facts, examine, examine_side_file
from simpleindex.store.directory import Stamp, is_young, printable
from simpleindex.store.known import NOTHING_KNOWN, Known, KnownFiles
from simpleindex.store.system_errors import raise_if_short

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.store.digests import Digests
    from simpleindex.store.directory import Directory, Entry, Look


# What only a change of the file mends, which shows in its ctime. Too many open files or a network's error pass by.
_LASTING: Final = frozenset({errno.EACCES, errno.EPERM})


@dataclass(frozen=True, slots=True)
class Shelf:
    """Everything that can be said and served of one project; never changed, only replaced.

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
    """

    project: Project | None = None
    trouble: str | None = None
    known: KnownFiles = field(default_factory=lambda: NOTHING_KNOWN)
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    project_file: ProjectFile = NO_PROJECT_FILE
    pending: bool = False
    unverified: bool = False
    young: bool = False
    partial: bool = False
    doubtful: bool = False

    @property
    def chosen(self) -> Mapping[str, str]:
        """The path of each listed file, by file name."""
        return self.known.chosen


NO_SHELF: Final = Shelf()

_HOLDING: Final = frozenset({Status.QUARANTINED, Status.ARCHIVED})

_MOST_WHOLE: Final = 1000
"""States that are known to be whole."""

_TOLD_BY_THEIR_END: Final = (".whl", ".zip")
"""Archives whose end says at once whether they are whole; all others must be read through for that."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Where projects are read from, and how patiently.

    Attributes:
        directory: The root.
        digests: The memory of facts.
        now_ns: The time, nanoseconds since 1970.
        source: What the root is called among the sources.
        patient: An unfinished sdist that still grows is left alone until it rests for one look. Where there are no
            events, every sweep would otherwise read all of a large file that is just arriving.
        stopping: Set when the service stops, which must not wait for the end of a large file.
        whole: States of project files, and of directories that lost theirs, which we left ourselves: nobody is writing there.
    """

    directory: Directory
    digests: Digests
    now_ns: Callable[[], int]
    source: str = LOCAL
    patient: bool = False
    stopping: Event = field(default_factory=Event)
    whole: set[Stamp] = field(default_factory=set)

    def read_project(
        self,
        name: ProjectName,
        directories: tuple[str, ...],
        loose: tuple[str, ...],
        previous: Shelf,
        *,
        budget: int,
        generation: int,
        verify: bool = False,
    ) -> Shelf:
        """Look at a project and read what is new there.

        Args:
            name: The project.
            directories: Raw names of its directories, the normalized one first.
            loose: Names of its files directly in the root.
            previous: What was known of it.
            budget: Bytes to read at most, though at least one file is read; the rest is left pending.
            generation: The number of this change.
            verify: Whether to read again what is only unverified.

        Raises:
            OSError: This process is short of descriptors or memory, so that nothing is known of the project now.
        """
        look = self.directory.look(directories, loose)
        if look.trouble:
            # Young, because nothing tells when it can be read again: no change of the directory need go with it.
            return Shelf(
                trouble=look.trouble, known=previous.known, project_file=previous.project_file, young=True
            )
        state = resting.state_of(look, self.source) if len(directories) == 1 and not loose else None
        is_first = not previous.known and previous.project_file is NO_PROJECT_FILE
        if state is not None and is_first and (known := resting.recall(self.digests, directories[0], state)):
            project = Project(name, known.files, generation=generation)
            stamps = dict(look.stamps or {})
            return Shelf(project, known=known, stamps=stamps, young=self._any_young(stamps))
        shelf = self._put_together(
            name, directories, look, previous, budget=budget, generation=generation, verify=verify
        )
        is_new = shelf.project is not previous.project or not _rests(previous)
        if state is not None and is_new and shelf.project is not None and _rests(shelf):
            resting.keep(self.digests, directories[0], state, shelf.known)
        return shelf

    def _put_together(
        self,
        name: ProjectName,
        directories: tuple[str, ...],
        look: Look,
        previous: Shelf,
        *,
        budget: int,
        generation: int,
        verify: bool,
    ) -> Shelf:
        known, pending, unverified, doubtful = self._know(name, look, previous, budget, verify)
        stamps = dict(look.stamps or {})
        now = self.now_ns()
        project_file, trouble, reason = _project_file(look, previous)
        if self._may_be_half(directories, stamps, now) and _loses_rules(previous.project_file, project_file):
            project_file = previous.project_file
        young = any(item.young for item in known.values()) or self._any_young(stamps)
        is_nothing = not look.entries and project_file is NO_PROJECT_FILE and not look.has_ledger
        if is_nothing and not trouble and reason is None:
            return Shelf(known=KnownFiles(known, {}), stamps=stamps, young=young)
        found = _found(look, known)
        project, chosen = assemble(name, found, project_file, generation)
        if self.source != LOCAL:
            project = _called(project, self.source)
        if reason:
            project = _with(
                project,
                Withheld(
                    PROJECT_FILE,
                    f"{printable(directories[0])}/{PROJECT_FILE} {reason}.",
                    "project-file",
                    self.source,
                ),
            )
        if project == previous.project and previous.project is not None:
            # The same answer is the same object, so that pages made from it stay good.
            project = previous.project
        partial = pending and (previous.project is None or previous.partial)
        return Shelf(
            *(project, trouble, KnownFiles(known, chosen, project.files), stamps, project_file),
            *(pending, unverified, young, partial, doubtful),
        )

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

    def _know(
        self, name: ProjectName, look: Look, previous: Shelf, budget: int, verify: bool
    ) -> tuple[dict[str, Known], bool, bool, bool]:
        entries = (*look.entries, *(look.side_files or {}).values())
        remembered = self._remembered(entries, previous)
        known: dict[str, Known] = {}
        pending, unverified, doubtful, left = False, False, False, budget
        for entry in entries:
            before = remembered.get(entry.path)
            item = self._without_reading(entry, before)
            if item is None:
                assert entry.stamp is not None  # judged in _without_reading
                is_beyond = left < entry.stamp.size and left < budget
                if before is not None and _stays_listed(entry.stamp, before) and (is_beyond or not verify):
                    item, unverified = before, True
                    assert before.stamp is not None  # judged in _stays_listed
                    doubtful = doubtful or not entry.stamp.may_be(before.stamp)
                elif is_beyond:
                    pending = True
                    continue
                else:
                    left -= entry.stamp.size
                    item = self._read(name, entry)
            known[entry.path] = item
        self._remember(known, remembered)
        return known, pending, unverified, doubtful

    def _remember(self, known: Mapping[str, Known], remembered: Mapping[str, Known]) -> None:
        learnt = [
            (path, item.stamp, item.outcome)
            for path, item in known.items()
            if isinstance(item.outcome, Facts)
            and item.stamp
            and not item.young
            and remembered.get(path) is not item
        ]
        if learnt:
            self.digests.remember(learnt)

    def _remembered(self, entries: tuple[Entry, ...], previous: Shelf) -> Mapping[str, Known]:
        if (known := previous.known.unpacked()) or not entries:
            return known
        by_directory: dict[str, list[Entry]] = {}
        for entry in entries:
            by_directory.setdefault(os.path.dirname(entry.path), []).append(entry)
        return {
            path: Known(stamp, facts)
            for directory, those in by_directory.items()
            for path, (stamp, facts) in self.digests.recall(directory, those).items()
        }

    def _without_reading(self, entry: Entry, before: Known | None) -> Known | None:
        """What is known of a file without reading it, or None if it must be read."""
        if entry.trouble or entry.stamp is None:
            reason = f"{printable(entry.path)} is not served: {entry.trouble}."
            return Known(entry.stamp, Withheld(printable(entry.filename), reason, "file"))
        if before is None:
            return None
        if before.stamp == entry.stamp and before.left_alone:
            return None
        if before.stamp == entry.stamp:
            # What was read while young is read again once the same stamp can no longer hide a change.
            return before if not before.young or is_young(entry.stamp, self.now_ns()) else None
        if self.patient and before.unfinished and not entry.filename.endswith(_TOLD_BY_THEIR_END):
            return Known(entry.stamp, before.outcome, young=True, unfinished=True, left_alone=True)
        return None

    def _read(self, name: ProjectName, entry: Entry) -> Known:
        assert entry.stamp is not None  # judged in _without_reading
        try:
            distribution = None
            if (suffix := _side_suffix(entry.filename)) is None:
                distribution = parse_distribution_name(entry.filename, name)
            descriptor = self.directory.open_file(entry.path, entry.stamp)
            with Interruptible(descriptor, self.stopping) as file:
                outcome = (
                    examine_side_file(file, suffix or "")
                    if distribution is None
                    else examine(file, distribution)
                )
                after = Stamp.of(os.fstat(descriptor))
        except InvalidFilename as error:
            return self._withheld(entry, error.reason, "name")
        except BrokenArchive as error:
            return self._withheld(entry, str(error), "archive", unfinished=error.perhaps_unfinished)
        except Changed:
            return self._withheld(entry, "it changed while it was being looked at", "file", unfinished=True)
        except OSError as error:
            raise_if_short(error)
            return self._withheld(
                entry, f"it cannot be read: {error.strerror}", "file", passing=error.errno not in _LASTING
            )
        if not after.same_bytes_as(entry.stamp):
            return self._withheld(entry, "it changed while it was being read", "file", unfinished=True)
        # Where it may have been written to while it was read, the state before keeps that in doubt.
        stamp = after if after.may_be(entry.stamp) else entry.stamp
        return Known(stamp, outcome, young=is_young(after, self.now_ns()))

    def _withheld(
        self, entry: Entry, reason: str, rule: str, *, unfinished: bool = False, passing: bool = False
    ) -> Known:
        sentence = f"{printable(entry.path)} is not served: {reason.rstrip('.')}."
        young = passing or (entry.stamp is not None and is_young(entry.stamp, self.now_ns()))
        return Known(entry.stamp, Withheld(printable(entry.filename), sentence, rule), young, unfinished)


class Interruptible(FileIO):
    """An open file whose reading ends when the service does."""

    def __init__(self, descriptor: int, stopping: Event) -> None:
        super().__init__(descriptor, "rb")
        self._stopping = stopping

    def read(self, size: int | None = -1, /) -> bytes:
        if self._stopping.is_set():
            raise InterruptedError(errno.EINTR, "the service is stopping")
        return super().read(size) or b""


def _rests(shelf: Shelf) -> bool:
    """Whether there is nothing about a project that is to be read, judged or said again."""
    is_in_flux = shelf.pending or shelf.unverified or shelf.young or shelf.partial or shelf.trouble
    withheld = shelf.known.withheld or (shelf.project and shelf.project.withheld)
    return not (is_in_flux or withheld) and shelf.project_file is NO_PROJECT_FILE


def _stays_listed(stamp: Stamp, before: Known) -> bool:
    """Whether a file stays as it is until it is read again: nothing but ctime or links changed, as backups do it.

    What is withheld is read at once instead: it may have become readable.
    """
    return (
        not isinstance(before.outcome, Withheld)
        and before.stamp is not None
        and stamp.same_bytes_as(before.stamp)
    )


def _found(look: Look, known: Mapping[str, Known]) -> list[Found]:
    found = []
    for entry in look.entries:
        item = known.get(entry.path)
        if item is None:
            continue
        if isinstance(item.outcome, Withheld):
            found.append(Found(entry.path, entry.rank, item.outcome))
            continue
        assert isinstance(item.outcome, Facts)  # digests alone are of side files
        assert item.stamp is not None  # read in that state
        file = _file(entry, item.stamp, item.outcome, known)
        found.append(Found(entry.path, entry.rank, file))
    found += [
        Found(path, 0, item.outcome)
        for path, item in known.items()
        if path in (look.side_files or {}) and isinstance(item.outcome, Withheld)
    ]
    return found


def _file(entry: Entry, stamp: Stamp, facts: Facts, known: Mapping[str, Known]) -> File:
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


def _project_file(look: Look, previous: Shelf) -> tuple[ProjectFile, str | None, str | None]:
    """The project file in force, and why the project cannot be answered for, or else what is wrong with the file."""
    reason = look.project_file_trouble
    if reason is None and look.project_file is not None:
        try:
            return parse_project_file(look.project_file), None, None
        except InvalidProjectFile as error:
            reason = error.reason
    if reason is None:
        return NO_PROJECT_FILE, None, None
    if previous.project_file is not NO_PROJECT_FILE:
        return previous.project_file, None, f"{reason}; what it said before stays in force"
    return NO_PROJECT_FILE, f"The project's {PROJECT_FILE} {reason}.", None


def _loses_rules(before: ProjectFile, now: ProjectFile) -> bool:
    """Whether something that was yanked, quarantined or archived no longer is."""
    if now.status is Status.QUARANTINED:
        return False  # Nothing is stricter, and it must not wait.
    is_status_lost = before.status in _HOLDING and before.status is not now.status
    return is_status_lost or not before.yanked.keys() <= now.yanked.keys()


def _side_suffix(filename: str) -> str | None:
    return next((suffix for suffix in SIDE_FILE_SUFFIXES if filename.endswith(suffix)), None)


def _called(project: Project, source: str) -> Project:
    """A project of another source than the one that all values say by default."""
    files = PackedFiles(replace(file, source=source) for file in project.files)
    withheld = tuple(replace(item, source=source) for item in project.withheld)
    return replace(project, files=files, withheld=withheld)


def _with(project: Project, withheld: Withheld) -> Project:
    return replace(project, withheld=(*project.withheld, withheld))
