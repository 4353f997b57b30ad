"""Read the files of projects that are new or have changed: opened here, examined by other processes."""

from __future__ import annotations

import errno
import os
import resource
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.archives.examination.protocol import distribution, side_file
from simpleindex.core.errors import Changed, InvalidFilename
from simpleindex.core.model import Withheld
from simpleindex.core.names import SIDE_FILE_SUFFIXES
from simpleindex.core.text import printable
from simpleindex.directory.scan.scanned_files import ScannedFile
from simpleindex.system.errors import raise_if_short
from simpleindex.system.stamp import is_young

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from threading import Event

    from simpleindex.archives.archive_info import ArchiveInfo
    from simpleindex.archives.examination.protocol import Examiner, Request
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.directory_listings import DirectoryEntry
    from simpleindex.directory.layout.package_directory import PackageDirectory

_MOST_AT_ONCE: Final = 32
"""Files that are examined in one go; twice as many are open at the same time, for each thread that reads."""

_SHARE: Final = 32
"""Of all descriptors that this process may have, one in so many at once."""

# What only a change of the file mends, which shows in its ctime. Too many open files or a network's error pass by.
_LASTING: Final = frozenset({errno.EACCES, errno.EPERM})


class ProjectToRead(Protocol):
    """Some files of a project."""

    name: ProjectName
    unread: list[DirectoryEntry]


Files = TypeVar("Files", bound=ProjectToRead)


@dataclass(slots=True)
class _Portion(Generic[Files]):
    """Files that are examined in one go.

    Attributes:
        opened: Those that could be opened, with their projects and descriptors.
        known: What is known of the others, by path.
        ended: The projects that are complete with this portion.
    """

    opened: list[tuple[DirectoryEntry, ProjectName, int]] = field(default_factory=list)
    known: dict[str, ScannedFile | OSError] = field(default_factory=dict)
    ended: list[Files] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.opened) + len(self.known)

    def close(self) -> None:
        for _, _, descriptor in self.opened:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class EntryReader:
    """Reads files of a root.

    Attributes:
        examiner: Examines files.
        now_ns: The time, nanoseconds since 1970.
        stopping: Set when the service stops.
    """

    directory: PackageDirectory
    examiner: Examiner
    now_ns: Callable[[], int]
    stopping: Event

    def read(self, projects: Iterable[Files]) -> Iterator[tuple[Files, dict[str, ScannedFile | OSError]]]:
        """Read files of projects; while some are examined, the next are opened.

        Args:
            projects: Each has files that have a state, and no trouble so far. It is taken from as reading goes on.

        Returns:
            Each project, with the facts about its files by path: an error where this process is short of something,
            so that nothing is known of the file.
        """
        waiting: deque[_Portion[Files]] = deque()

        def requests() -> Iterator[Sequence[Request[ArchiveInfo | str]]]:
            for portion in self._portions(projects):
                waiting.append(portion)
                yield [_request(*each) for each in portion.opened]

        known: dict[str, ScannedFile | OSError] = {}
        try:
            for outcomes in self.examiner.examine_in_turn(requests()):
                portion = waiting[0]
                for (entry, _, descriptor), outcome in zip(portion.opened, outcomes, strict=True):
                    known[entry.path] = self._known(entry, descriptor, outcome)
                waiting.popleft().close()
                known |= portion.known
                for project in portion.ended:
                    yield project, {entry.path: known.pop(entry.path) for entry in project.unread}
        finally:
            for portion in waiting:
                portion.close()

    def _portions(self, projects: Iterable[Files]) -> Iterator[_Portion[Files]]:
        most = _at_once()
        portion: _Portion[Files] = _Portion()
        for project in projects:
            for entry in project.unread:
                if len(portion) >= most:
                    yield portion
                    portion = _Portion()
                self._open(entry, project.name, portion)
            portion.ended.append(project)
        if portion.ended:
            yield portion

    def _open(self, entry: DirectoryEntry, name: ProjectName, portion: _Portion[Files]) -> None:
        assert entry.stamp is not None  # see above
        try:
            if self.stopping.is_set():
                raise InterruptedError(errno.EINTR, "the service is stopping")
            portion.opened.append((entry, name, self.directory.open_file(entry.path, entry.stamp)))
        except (Changed, OSError) as error:
            portion.known[entry.path] = self._failed(entry, error)

    def _known(
        self, entry: DirectoryEntry, descriptor: int, outcome: ArchiveInfo | str | Exception
    ) -> ScannedFile | OSError:
        assert entry.stamp is not None  # see above
        if isinstance(outcome, Exception):
            return self._failed(entry, outcome)
        try:
            after = self.directory.state_of(descriptor, entry.path)
        except OSError as error:
            return self._failed(entry, error)
        if after is None or not after.same_bytes_as(entry.stamp):
            return self._withheld(entry, "it changed while it was being read", "file", unfinished=True)
        # It may have been written to while it was read: then the state before keeps that in doubt.
        return ScannedFile(entry.stamp, outcome, young=is_young(after, self.now_ns()))

    def _failed(self, entry: DirectoryEntry, error: Exception) -> ScannedFile | OSError:
        match error:
            case InvalidFilename():
                return self._withheld(entry, error.reason, "name")
            case BrokenArchive():
                return self._withheld(entry, str(error), "archive", unfinished=error.perhaps_unfinished)
            case Changed():
                return self._withheld(
                    entry, "it changed while it was being looked at", "file", unfinished=True
                )
            case OSError():
                return self._unreadable(entry, error)
            case NotExamined():
                return self._withheld(entry, error.reason, "file", passing=True)
        return self._withheld(entry, str(error), "archive")

    def _unreadable(self, entry: DirectoryEntry, error: OSError) -> ScannedFile | OSError:
        try:
            raise_if_short(error)
        except OSError:
            return error
        reason = f"it cannot be read: {error.strerror}"
        return self._withheld(entry, reason, "file", passing=error.errno not in _LASTING)

    def _withheld(
        self,
        entry: DirectoryEntry,
        reason: str,
        rule: str,
        *,
        unfinished: bool = False,
        passing: bool = False,
    ) -> ScannedFile:
        sentence = f"{printable(entry.path)} is not served: {reason.rstrip('.')}."
        young = passing or (entry.stamp is not None and is_young(entry.stamp, self.now_ns()))
        return ScannedFile(
            entry.stamp, Withheld(printable(entry.filename), sentence, rule), young, unfinished
        )


def _request(entry: DirectoryEntry, name: ProjectName, descriptor: int) -> Request[ArchiveInfo | str]:
    assert entry.stamp is not None  # see above
    size = entry.stamp.size
    suffix = next((each for each in SIDE_FILE_SUFFIXES if entry.filename.endswith(each)), None)
    if suffix is None:
        return distribution(descriptor, size, entry.filename, name)
    return side_file(descriptor, size, suffix)


def _at_once() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_AT_ONCE if soft == resource.RLIM_INFINITY else max(1, min(_MOST_AT_ONCE, soft // _SHARE))
