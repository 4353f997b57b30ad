"""The manual layout on disk: which projects lie there, what a project's directories hold, and opening a file of it.

Everything here blocks and runs in threads, except :meth:`PackageDirectory.open_file`, which is quick on a local file system.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import Changed, InvalidFilename, InvalidProjectName
from simpleindex.core.names import (
    LEDGER,
    OWN_PREFIX,
    PROJECT_FILE,
    SIDE_FILE_SUFFIXES,
    ProjectName,
    distribution_suffix,
    parse_distribution_name,
    parse_project_name,
    spelling_pattern,
)
from simpleindex.core.text import printable
from simpleindex.directory.layout.root_entries import EntryKind, OtherEntries, is_directory, kind_of
from simpleindex.directory.layout.unserved import UnservedCause
from simpleindex.directory.layout.unserved_files import PassedOver
from simpleindex.directory.project_file import MAXIMUM_SIZE
from simpleindex.system.errors import raise_if_short
from simpleindex.system.stamp import YOUNG_NS, Stamp, is_young

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from simpleindex.directory.layout.unserved import Unserved

__all__ = [
    "YOUNG_NS",
    "DirectoryEntry",
    "PackageDirectory",
    "ProjectListing",
    "RootListing",
    "Stamp",
    "is_young",
    "printable",
]

# A FIFO must not block the open, and a descriptor must not leak into a child.
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


_MOST_OTHERS: Final = 1_000
"""Entries of a project's directory that are asked whether they are directories; a project of many has tens of them."""


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A distribution file, or a side file of one, as it lies there.

    Attributes:
        path: Relative to the root, with slashes.
        filename: The bare name.
        rank: Preference among the places of one file name; 0 is the project's normalized directory.
        stamp: Its state, or None where that could not be had.
        trouble: Why it cannot be served, as a sentence; None if nothing speaks against it so far.
    """

    path: str
    filename: str
    rank: int
    stamp: Stamp | None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectListing:
    """A project's places, looked at once.

    Attributes:
        entries: Distribution files.
        side_files: Signatures and provenance, by path.
        project_file: The bytes of ``simpleindex.toml``; None if there is none.
        project_file_trouble: Why it could not be read, as the end of a sentence.
        stamps: State of every directory looked at and of the project's file, by relative path.
        trouble: Why a directory could not be listed, as a sentence; then nothing is known of the project.
        has_ledger: Whether files of it were deleted once, so that its name is not to be had by a stranger.
        has_traces: Whether anything like a distribution lies there, whole or not, also where it is not served.
        unserved: What lies there and is passed over, one item for each cause.
    """

    entries: tuple[DirectoryEntry, ...] = ()
    side_files: Mapping[str, DirectoryEntry] | None = None
    project_file: bytes | None = None
    project_file_trouble: str | None = None
    stamps: Mapping[str, Stamp] | None = None
    trouble: str | None = None
    has_ledger: bool = False
    has_traces: bool = False
    unserved: tuple[Unserved, ...] = ()


@dataclass(frozen=True, slots=True)
class RootListing:
    """The root, looked at once.

    Attributes:
        identity: Device and inode of the root.
        stamp: Its state.
        directories: Raw directory names by project, the normalized one first.
        loose: Names of the distribution files directly in the root, by project.
        strays: File names directly in the root that have a distribution's suffix and do not parse, with the reason.
        reserved: Raw names of entries by the project whose name they take, though nothing of them is served: links that lead
            out of the root or to nothing, and files that are on their way or of other formats.
        traced: The projects of which files directly in the root are like distributions, served or not.
        unserved: What is passed over, one item for each cause.
    """

    identity: tuple[int, int]
    stamp: Stamp
    directories: Mapping[ProjectName, tuple[str, ...]]
    loose: Mapping[ProjectName, tuple[str, ...]]
    strays: Mapping[str, str]
    reserved: Mapping[ProjectName, str] = field(default_factory=dict)
    traced: frozenset[ProjectName] = frozenset()
    unserved: tuple[Unserved, ...] = ()


class PackageDirectory:
    """A root with the manual layout.

    Args:
        root: Absolute path; if it is a link, it is followed anew at each survey.
        excluded: Paths that are never projects wherever they lie: certificates, state, cache, configuration.
    """

    def __init__(self, root: str, excluded: Iterable[str] = ()) -> None:
        self._path = root
        self.root = os.path.realpath(root)
        self._excluded_paths = tuple(excluded)
        self._excluded: frozenset[tuple[int, int]] = frozenset()

    def identity(self) -> tuple[int, int]:
        """Device and inode of the root now.

        Raises:
            OSError: It is not there.
        """
        status = os.stat(self._path)
        return status.st_dev, status.st_ino

    def survey(self) -> RootListing:
        """List the root.

        Raises:
            OSError: It cannot be listed.
        """
        inodes = self._follow()
        status = os.stat(self.root)
        directories: dict[ProjectName, list[str]] = {}
        loose: dict[ProjectName, list[str]] = {}
        strays: dict[str, str] = {}
        others = OtherEntries()
        with os.scandir(self.root) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    others.take_file(entry.name)
                elif distribution_suffix(entry.name) and not is_directory(entry):
                    try:
                        loose.setdefault(parse_distribution_name(entry.name).project, []).append(entry.name)
                    except InvalidFilename as error:
                        strays[printable(entry.name)] = (
                            f"{printable(entry.name)} is not served: {error.reason}."
                        )
                        others.take_file(entry.name)
                elif name := self._project_of(entry, inodes):
                    # One text for both, where they are equal: it is kept for as long as the project is.
                    directories.setdefault(name, []).append(name if entry.name == name else entry.name)
                else:
                    self._take_other(entry, others)
        others.passed_over.look_into(self.root, others.unnamed, UnservedCause.NO_NAME)
        return RootListing(
            identity=(status.st_dev, status.st_ino),
            stamp=Stamp.of(status),
            directories={
                name: tuple(sorted(raw, key=lambda item: (item != name, item)))
                for name, raw in directories.items()
            },
            loose={name: tuple(sorted(raw)) for name, raw in loose.items()},
            strays=strays,
            reserved=others.reserved,
            traced=frozenset({*loose, *others.traced}),
            unserved=others.passed_over.items(),
        )

    def _take_other(self, entry: os.DirEntry[str], others: OtherEntries) -> None:
        """Take note of an entry of the root that is neither a project's directory nor a distribution."""
        what = kind_of(entry)
        if what is EntryKind.OTHER:
            others.take_file(entry.name)
            return
        real = os.path.realpath(os.path.join(self.root, entry.name))
        if self._is_excluded(real):
            return
        try:
            name = parse_project_name(entry.name)
        except InvalidProjectName:
            if what is EntryKind.DIRECTORY:
                others.unnamed.append(entry.name)
            return
        # It leads out of the root, or to nothing, or nobody can tell where it leads.
        others.reserved.setdefault(name, entry.name)
        cause = UnservedCause.LINK if what is EntryKind.DIRECTORY else UnservedCause.DANGLING
        others.passed_over.add(cause, printable(entry.name))
        if what is EntryKind.DIRECTORY:
            behind = PassedOver()
            behind.look_into(self.root, [entry.name], UnservedCause.LINK)
            if behind.has_traces:
                others.traced.add(name)

    def vanished(self, raw_names: Iterable[str]) -> list[str]:
        """Return those names of entries of the root that are not there now, and are none of the service's own paths."""
        own = {os.path.realpath(path) for path in self._excluded_paths}
        paths = [(raw, os.path.join(self.root, raw)) for raw in raw_names]
        return [raw for raw, path in paths if path not in own and not os.path.lexists(path)]

    def _follow(self) -> set[int]:
        """Follow every given path anew; return the file numbers of what is excluded."""
        self.root = os.path.realpath(self._path)
        self._excluded = frozenset(filter(None, map(_identity_of, self._excluded_paths)))
        return {inode for _, inode in self._excluded}

    def places_of(self, project: ProjectName) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Where one project lies now: what :meth:`survey` would say of it, without judging the others' names.

        Returns:
            Raw names of its directories, the normalized one first, and names of its files directly in the root.

        Raises:
            OSError: The root cannot be listed.
        """
        inodes = self._follow()
        spelling = spelling_pattern(project)
        directories, loose = [], []
        with os.scandir(self.root) as entries:
            for entry in entries:
                if not (match := spelling.match(entry.name)):
                    continue
                if distribution_suffix(entry.name) and not is_directory(entry):
                    if _states(entry.name, project):
                        loose.append(entry.name)
                elif match.end() == len(entry.name) and self._project_of(entry, inodes):
                    directories.append(entry.name)
        return tuple(sorted(directories, key=lambda item: (item != project, item))), tuple(sorted(loose))

    def entries_of(
        self, places: tuple[tuple[str, ...], tuple[str, ...]], filename: str
    ) -> list[DirectoryEntry]:
        """Every place in which a project has a file of this name now, the preferred one first.

        Args:
            places: As :meth:`places_of` gives them.
            filename: The bare name.
        """
        directories, loose = places
        paths: dict[str, str] = {}
        for raw in directories:
            # A second spelling that links to the first is the same place.
            paths.setdefault(os.path.realpath(os.path.join(self.root, raw)), f"{raw}/{filename}")
        lying = [*paths.values(), *(name for name in loose if name == filename)]
        entries = (self._entry(path, filename, rank) for rank, path in enumerate(lying))
        return [entry for entry in entries if entry is not None]

    def filenames_of(self, places: tuple[tuple[str, ...], tuple[str, ...]]) -> set[str]:
        """Return the names of all distribution files that lie in a project's places, served or not.

        Args:
            places: As :meth:`places_of` gives them.

        Raises:
            OSError: A directory cannot be listed.
        """
        directories, loose = places
        found = set(loose)
        for raw in directories:
            with suppress(FileNotFoundError, NotADirectoryError):
                found.update(filter(distribution_suffix, os.listdir(os.path.join(self.root, raw))))
        return found

    def refusal(self, project: ProjectName) -> str | None:
        """Why a project's normalized directory is none that may be written into, as a sentence; None if it is one."""
        self._follow()
        real = os.path.realpath(os.path.join(self.root, project))
        if not real.startswith(self.root.rstrip("/") + "/"):
            return f"{project} in the root of the index is a link that leads out of it, so nothing is stored there."
        # Also one that is yet to be made: the state directory, say, before the first start.
        if not self._is_inside(real) or real in map(os.path.realpath, self._excluded_paths):
            return f"The name {project} cannot be a project here: the service uses that directory itself."
        return None

    def _project_of(self, entry: os.DirEntry[str], excluded_inodes: set[int]) -> ProjectName | None:
        try:
            name = parse_project_name(entry.name)
        except InvalidProjectName:
            return None
        if not is_directory(entry):
            return None
        if entry.is_symlink() or entry.inode() in excluded_inodes:
            real = os.path.realpath(os.path.join(self.root, entry.name))
            return name if self._is_inside(real) else None
        return name

    def look(self, directories: Sequence[str], loose: Iterable[str]) -> ProjectListing:
        """List everything of one project.

        Args:
            directories: Raw names of its directories, the normalized one first.
            loose: Names of its files directly in the root.

        Raises:
            OSError: This process is short of descriptors or memory, so that nothing is known of the project now.
        """
        entries: list[DirectoryEntry] = []
        side_files: dict[str, DirectoryEntry] = {}
        stamps: dict[str, Stamp] = {}
        project_files: list[str] = []
        has_ledger = False
        passed_over = PassedOver()
        for rank, directory in enumerate(directories):
            others: list[str] = []
            try:
                names = self._list(directory, stamps)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise_if_short(error)
                return ProjectListing(
                    stamps=stamps, trouble=f"The directory {directory} cannot be read: {error.strerror}."
                )
            for filename in names:
                has_ledger = has_ledger or filename == LEDGER
                if filename == PROJECT_FILE:
                    project_files.append(directory)
                    continue
                path = f"{directory}/{filename}"
                if not filename.startswith(".") and self._sort_in(entries, side_files, path, filename, rank):
                    continue
                is_trace = passed_over.judge(printable(path), filename)
                if not is_trace and not filename.startswith(OWN_PREFIX):
                    others.append(path)
            deeper = [path for path in others[:_MOST_OTHERS] if self._is_deeper(path)]
            passed_over.look_into(self.root, deeper, UnservedCause.DEEPER)
        for directory in passed_over.looked_into:
            if (stamp := self.stamp(directory)) is not None:
                stamps[directory] = stamp
        for filename in loose:
            self._sort_in(entries, side_files, filename, filename, len(directories))
            for suffix in SIDE_FILE_SUFFIXES:
                if os.path.lexists(os.path.join(self.root, filename + suffix)):
                    self._sort_in(entries, side_files, filename + suffix, filename + suffix, len(directories))
        content, trouble = self._project_file(project_files, stamps)
        has_traces = bool(entries or side_files or project_files or has_ledger or passed_over.has_traces)
        return ProjectListing(
            *(tuple(entries), side_files, content, trouble, stamps),
            has_ledger=has_ledger,
            has_traces=has_traces,
            unserved=passed_over.items(),
        )

    def _list(self, directory: str, stamps: dict[str, Stamp]) -> list[str]:
        full = os.path.join(self.root, directory)
        status = os.lstat(full)
        if stat.S_ISLNK(status.st_mode) or (status.st_dev, status.st_ino) in self._excluded:
            if not self._is_inside(os.path.realpath(full)):
                return []
            status = os.stat(full)
        stamp = Stamp.of(status)
        # A second spelling that links to the first is the same directory, not another place of the same files.
        is_listed = stamp in stamps.values()
        # Before the listing: what changes in between shows as a difference to this stamp at the next sweep.
        stamps[directory] = stamp
        return [] if is_listed else os.listdir(full)

    def _is_deeper(self, path: str) -> bool:
        """Whether it is a directory in a project's directory, and no link."""
        try:
            return stat.S_ISDIR(os.lstat(os.path.join(self.root, path)).st_mode)
        except OSError:
            return False

    def _sort_in(
        self,
        entries: list[DirectoryEntry],
        side_files: dict[str, DirectoryEntry],
        path: str,
        filename: str,
        rank: int,
    ) -> bool:
        """Sort in a distribution or a side file; return whether the name is that of one."""
        if distribution_suffix(filename):
            entry = self._entry(path, filename, rank)
            if entry is not None:
                entries.append(entry)
            return True
        if filename.endswith(SIDE_FILE_SUFFIXES):
            entry = self._entry(path, filename, rank)
            if entry is not None:
                side_files[path] = entry
            return True
        return False

    def _entry(self, path: str, filename: str, rank: int) -> DirectoryEntry | None:
        full = os.path.join(self.root, path)
        try:
            status = os.lstat(full)
            if stat.S_ISLNK(status.st_mode):
                if not self._is_inside(os.path.realpath(full)):
                    # The target's state, as stamp() has it, so that the sweep has something equal to compare.
                    return DirectoryEntry(
                        path, filename, rank, self.stamp(path), "it is a link that leads out of the root"
                    )
                status = os.stat(full)
        except FileNotFoundError:
            # Gone since it was listed, or a link to nothing.
            return (
                DirectoryEntry(path, filename, rank, None, "it is a link to nothing")
                if os.path.lexists(full)
                else None
            )
        except OSError as error:
            raise_if_short(error)
            return DirectoryEntry(path, filename, rank, None, f"it cannot be read: {error.strerror}")
        trouble = None
        if not stat.S_ISREG(status.st_mode):
            trouble = "it is not a regular file"
        elif (status.st_dev, status.st_ino) in self._excluded:
            trouble = "it is a file of the service itself"
        return DirectoryEntry(path, filename, rank, Stamp.of(status), trouble)

    def _project_file(
        self, directories: list[str], stamps: dict[str, Stamp]
    ) -> tuple[bytes | None, str | None]:
        if not directories:
            return None, None
        # The normalized directory's comes first; a second one would be a second opinion.
        path = f"{directories[0]}/{PROJECT_FILE}"
        if len(directories) > 1:
            return None, f"lies in {' and '.join(directories)}; keep one of them"
        try:
            descriptor = os.open(os.path.join(self.root, path), _OPEN_FLAGS | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None, None
        except OSError as error:
            raise_if_short(error)
            # A chmod can mend it and leaves the directory's state alone.
            if (stamp := self.stamp(path)) is not None:
                stamps[path] = stamp
            return None, "is a link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        try:
            status = os.fstat(descriptor)
            stamps[path] = Stamp.of(status)
            if not stat.S_ISREG(status.st_mode):
                return None, "is not a regular file"
            content = os.read(descriptor, MAXIMUM_SIZE + 1)
            if len(content) > MAXIMUM_SIZE:
                return None, f"is larger than {MAXIMUM_SIZE // 1024} KiB"
            return content, None
        except OSError as error:
            raise_if_short(error)
            return None, f"cannot be read: {error.strerror}"
        finally:
            os.close(descriptor)

    def stamp(self, path: str) -> Stamp | None:
        """Return the state of a path below the root now, links followed; None if it is missing or cannot be read."""
        try:
            return Stamp.of(os.stat(os.path.join(self.root, path)))
        except OSError:
            return None

    def open_file(self, path: str, stamp: Stamp) -> int:
        """Open a file whose state is known, for reading.

        Returns:
            Its descriptor, which the caller closes.

        Raises:
            Changed: Its bytes are no longer those that were looked at, or it is gone, or it now leads elsewhere.
            OSError: It cannot be opened.
        """
        full = os.path.join(self.root, path)
        try:
            descriptor = os.open(full, _OPEN_FLAGS)
        except FileNotFoundError:
            raise Changed(os.path.basename(path)) from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or not Stamp.of(status).may_be(stamp):
                raise Changed(os.path.basename(path))
            if not self._leads_inside(descriptor, full):
                raise Changed(os.path.basename(path))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _leads_inside(self, descriptor: int, full: str) -> bool:
        # What was opened is asked, not the path again: a link could have been turned in between.
        try:
            real = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            real = os.path.realpath(full)
        return real == full or self._is_inside(real)

    def _is_excluded(self, real: str) -> bool:
        """Whether a resolved path is one of the service's own, or lies in one, wherever that is."""
        while self._excluded and len(real) > 1:
            if _identity_of(real) in self._excluded:
                return True
            real = os.path.dirname(real)
        return False

    def _is_inside(self, real: str) -> bool:
        """Whether a resolved path lies below the root and in nothing that is excluded."""
        if not real.startswith(self.root.rstrip("/") + "/"):
            return False
        while len(real) > len(self.root):
            if self._excluded and _identity_of(real) in self._excluded:
                return False
            real = os.path.dirname(real)
        return True


def _states(filename: str, project: ProjectName) -> bool:
    """Whether a file lying directly in the root is one of this project's."""
    try:
        return parse_distribution_name(filename).project == project
    except InvalidFilename:
        return False


def _identity_of(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError as error:
        raise_if_short(error)
        return None
    return status.st_dev, status.st_ino
