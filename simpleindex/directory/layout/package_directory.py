"""The manual layout on disk: which projects lie in the root, and what a project's directories hold.

Everything here blocks and runs in threads.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import InvalidFilename, InvalidProjectName
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
from simpleindex.directory.layout.directory_listings import DirectoryEntry, ProjectListing, RootListing
from simpleindex.directory.layout.project_file_bytes import read_project_file
from simpleindex.directory.layout.root_entries import (
    EntryKind,
    OtherEntries,
    is_directory,
    is_of_project,
    kind_of,
)
from simpleindex.directory.layout.served_root import ServedRoot
from simpleindex.directory.layout.unserved import UnservedCause
from simpleindex.directory.layout.unserved_files import PassedOver
from simpleindex.system.errors import raise_if_short
from simpleindex.system.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_MOST_OTHERS: Final = 1_000
"""Entries of a project's directory that are checked for being directories; a project of many has tens of them."""


@dataclass(slots=True)
class _Contents:
    """What has been listed of one project so far; see :class:`ProjectListing`."""

    entries: list[DirectoryEntry] = field(default_factory=list)
    side_files: dict[str, DirectoryEntry] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    project_files: list[str] = field(default_factory=list)
    has_ledger: bool = False
    passed_over: PassedOver = field(default_factory=PassedOver)


class PackageDirectory(ServedRoot):
    """A root with the manual layout.

    Args:
        root: Absolute path; if it is a link, it is followed again at each survey.
        excluded: Paths that are never projects wherever they lie: certificates, state, cache, configuration.
    """

    def survey(self) -> RootListing:
        """List the root.

        Raises:
            OSError: It cannot be listed.
        """
        inodes = self.follow()
        status = os.stat(self.root)
        directories: dict[ProjectName, tuple[str, ...]] = {}
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
                    raw = name if entry.name == name else entry.name
                    directories[name] = (*directories.get(name, ()), raw)
                else:
                    self._take_other(entry, others)
        for name, several in directories.items():
            if len(several) > 1:
                directories[name] = _normalized_first(name, several)
        others.passed_over.look_into(self.root, others.unnamed, UnservedCause.NO_NAME)
        return RootListing(
            identity=(status.st_dev, status.st_ino),
            stamp=Stamp.of(status),
            directories=directories,
            loose={name: tuple(sorted(raw)) for name, raw in loose.items()},
            strays=strays,
            reserved=others.reserved,
            traced=frozenset({*loose, *others.traced}),
            unserved=others.passed_over.items(),
        )

    def _take_other(self, entry: os.DirEntry[str], others: OtherEntries) -> None:
        """Note an entry of the root that is neither a project's directory nor a distribution."""
        what = kind_of(entry)
        if what is EntryKind.OTHER:
            others.take_file(entry.name)
            return
        real = os.path.realpath(os.path.join(self.root, entry.name))
        if self.is_excluded(real):
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
        own = {os.path.realpath(path) for path in self.excluded_paths}
        paths = [(raw, os.path.join(self.root, raw)) for raw in raw_names]
        return [raw for raw, path in paths if path not in own and not os.path.lexists(path)]

    def places_of(self, project: ProjectName) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the places of one project now, as :meth:`survey` would, without judging the names of others.

        Returns:
            Raw names of its directories, the normalized one first, and names of its files directly in the root.

        Raises:
            OSError: The root cannot be listed.
        """
        inodes = self.follow()
        spelling = spelling_pattern(project)
        directories, loose = [], []
        with os.scandir(self.root) as entries:
            for entry in entries:
                if not (match := spelling.match(entry.name)):
                    continue
                if distribution_suffix(entry.name) and not is_directory(entry):
                    if is_of_project(entry.name, project):
                        loose.append(entry.name)
                elif match.end() == len(entry.name) and self._project_of(entry, inodes):
                    directories.append(entry.name)
        return _normalized_first(project, directories), tuple(sorted(loose))

    def entries_of(
        self, places: tuple[tuple[str, ...], tuple[str, ...]], filename: str
    ) -> list[DirectoryEntry]:
        """Return every place where a project has a file of this name now, the preferred one first.

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
        """Return why a project's normalized directory must not be written into, as a sentence; None if it may."""
        self.follow()
        real = os.path.realpath(os.path.join(self.root, project))
        if not real.startswith(self.root.rstrip("/") + "/"):
            return f"{project} in the root of the index is a link that leads out of it, so nothing is stored there."
        # Also one that is yet to be made: the state directory, say, before the first start.
        if not self.is_inside(real) or real in map(os.path.realpath, self.excluded_paths):
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
            return name if self.is_inside(real) else None
        return name

    def look(self, directories: Sequence[str], loose: Iterable[str]) -> ProjectListing:
        """List everything of one project.

        Args:
            directories: Raw names of its directories, the normalized one first.
            loose: Names of its files directly in the root.

        Raises:
            OSError: This process is short of descriptors or memory, so that nothing is known of the project now.
        """
        contents = _Contents()
        for rank, directory in enumerate(directories):
            if trouble := self._read_directory(directory, rank, contents):
                return ProjectListing(stamps=contents.stamps, trouble=trouble)
        entries, stamps, passed_over = contents.entries, contents.stamps, contents.passed_over
        for directory in passed_over.looked_into:
            if (stamp := self.stamp(directory)) is not None:
                stamps[directory] = stamp
        for filename in loose:
            self._sort_in(contents, filename, filename, len(directories))
            for suffix in SIDE_FILE_SUFFIXES:
                if os.path.lexists(os.path.join(self.root, filename + suffix)):
                    self._sort_in(contents, filename + suffix, filename + suffix, len(directories))
        content, trouble = read_project_file(self, contents.project_files, stamps)
        has_files = bool(entries or contents.side_files or contents.project_files)
        return ProjectListing(
            *(tuple(entries), contents.side_files, content, trouble, stamps),
            has_ledger=contents.has_ledger,
            has_traces=has_files or contents.has_ledger or passed_over.has_traces,
            unserved=passed_over.items(),
        )

    def _read_directory(self, directory: str, rank: int, contents: _Contents) -> str | None:
        """Add the entries of one directory; return why it cannot be read, as a sentence, or None."""
        try:
            names = self._list(directory, contents.stamps)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise_if_short(error)
            return f"The directory {directory} cannot be read: {error.strerror}."
        others: list[str] = []
        for filename in names:
            contents.has_ledger = contents.has_ledger or filename == LEDGER
            if filename == PROJECT_FILE:
                contents.project_files.append(directory)
                continue
            path = f"{directory}/{filename}"
            if not filename.startswith(".") and self._sort_in(contents, path, filename, rank):
                continue
            is_trace = contents.passed_over.judge(printable(path), filename)
            if not is_trace and not filename.startswith(OWN_PREFIX):
                others.append(path)
        deeper = [path for path in others[:_MOST_OTHERS] if self._is_deeper(path)]
        contents.passed_over.look_into(self.root, deeper, UnservedCause.DEEPER)
        return None

    def _list(self, directory: str, stamps: dict[str, Stamp]) -> list[str]:
        full = f"{self.root}/{directory}"  # As in _entry.
        status = os.lstat(full)
        if stat.S_ISLNK(status.st_mode) or (status.st_dev, status.st_ino) in self.excluded:
            if not self.is_inside(os.path.realpath(full)):
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

    def _sort_in(self, contents: _Contents, path: str, filename: str, rank: int) -> bool:
        """Add a distribution or a side file; return whether the name is that of one."""
        if distribution_suffix(filename):
            entry = self._entry(path, filename, rank)
            if entry is not None:
                contents.entries.append(entry)
            return True
        if filename.endswith(SIDE_FILE_SUFFIXES):
            entry = self._entry(path, filename, rank)
            if entry is not None:
                contents.side_files[path] = entry
            return True
        return False

    def _entry(self, path: str, filename: str, rank: int) -> DirectoryEntry | None:
        # For each file of the index: os.path.join takes longer than the system call.
        full = f"{self.root}/{path}"
        try:
            status = os.lstat(full)
            if stat.S_ISLNK(status.st_mode):
                if not self.is_inside(os.path.realpath(full)):
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
        elif (status.st_dev, status.st_ino) in self.excluded:
            trouble = "it is a file of the service itself"
        return DirectoryEntry(path, filename, rank, Stamp.of(status), trouble)


def _normalized_first(project: ProjectName, directories: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(directories, key=lambda raw: (raw != project, raw)))
