"""The manual layout in a bucket, as the scanner and the live directory read one: from the last listing, and objects by request.

Everything here that reads objects or lists blocks and runs in threads; :meth:`PackageBucket.stamp` does not.
"""

from __future__ import annotations

import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from simpleindex.bucket.key_tree import KeyTree, changed_directories, tree_of
from simpleindex.bucket.store_errors import ConditionFailed, MissingObject
from simpleindex.core.errors import Changed, InvalidFilename, InvalidProjectName
from simpleindex.core.faults import Fault, fault_of
from simpleindex.core.names import (
    LEDGER,
    PROJECT_FILE,
    SIDE_FILE_SUFFIXES,
    ProjectName,
    distribution_suffix,
    parse_distribution_name,
    parse_project_name,
)
from simpleindex.core.text import printable
from simpleindex.directory.layout.directory_listings import DirectoryEntry, ProjectListing, RootListing
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.layout.unserved import Unserved, UnservedCause
from simpleindex.directory.layout.unserved_files import PassedOver
from simpleindex.directory.project_file import MAXIMUM_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from simpleindex.bucket.key_tree import ObjectState
    from simpleindex.bucket.object_store import ObjectStore
    from simpleindex.system.stamp import Stamp

_PROJECT_FILES: Final = 10_000
"""Project files in memory, by their state; most are a few hundred bytes, and none has more than 64 KiB."""

METADATA_REQUESTS: Final = 16
"""Requests for metadata of objects at a time, of all projects together."""

_IDENTITY: Final = (0, 0)
"""A bucket does not become another one, as a directory does whose disk was exchanged."""


@dataclass(frozen=True, slots=True)
class ListedChanges:
    """What a listing found.

    Attributes:
        has_root_changed: Whether directories or loose files came or went.
        directories: Raw names of the directories in which something changed.
    """

    has_root_changed: bool
    directories: frozenset[str]


class PackageBucket(PackageDirectory):
    """The packages below a prefix of a bucket.

    Args:
        store: The objects.
        scratch: A local directory for objects while they are examined.
    """

    def __init__(self, store: ObjectStore, scratch: str) -> None:
        super().__init__(str(store.location))
        self.root = str(store.location)
        self.store = store
        self.tree = KeyTree()
        self._survey: RootListing | None = None
        self._scratch = scratch
        self._lock = threading.Lock()
        # Listings are numbered by their beginnings: one that ends late never replaces what a younger one found.
        self._numbers = count(1)
        self._whole_listing = 0
        self._project_listings: dict[str, int] = {}
        self._metadata_threads = ThreadPoolExecutor(METADATA_REQUESTS, "object-metadata")
        self._project_files: LRUCache[tuple[str, str], bytes] = LRUCache(_PROJECT_FILES)

    # -- listing ----------------------------------------------------------------------------------------------------

    def list_all(self) -> ListedChanges:
        """List the bucket, and return what has changed since the last time.

        Raises:
            OSError: The store cannot be used; what is known stays.
        """
        number = next(self._numbers)
        listed = tree_of(self.store.list())
        with self._lock:
            before = self.tree
            if number < self._whole_listing:
                return ListedChanges(has_root_changed=False, directories=frozenset())
            self._whole_listing = number
            self._project_listings = {
                raw: each for raw, each in self._project_listings.items() if each > number
            }
            for raw in self._project_listings:
                files = before.directories.get(raw, {})
                listed = listed.with_directory(raw, files, before.deeper.get(raw, 0))
            self.tree = listed
        return ListedChanges(before.root_stamp != listed.root_stamp, changed_directories(before, listed))

    def list_project(self, project: ProjectName) -> bool:
        """List a project's directories; return whether one of them changed.

        Raises:
            OSError: The store cannot be used; what is known stays.
        """
        has_changed = False
        for raw in {project, *self.places_of(project)[0]}:
            number = next(self._numbers)
            listed = tree_of(self.store.list(f"{raw}/"))
            with self._lock:
                if number < max(self._whole_listing, self._project_listings.get(raw, 0)):
                    continue
                self._project_listings[raw] = number
                files, deeper = listed.directories.get(raw, {}), listed.deeper.get(raw, 0)
                if files != self.tree.directories.get(raw, {}):
                    self.tree = self.tree.with_directory(raw, files, deeper)
                    has_changed = True
        return has_changed

    # -- what a directory of packages answers -----------------------------------------------------------------------

    def identity(self) -> tuple[int, int]:
        return _IDENTITY

    def has(self, path: str) -> bool:
        """Return whether there is something of this path."""
        return self.stamp(path) is not None

    def stamp(self, path: str) -> Stamp | None:
        if path == ".":
            return self.tree.root_stamp
        if "/" not in path and (stamp := self.tree.directory_stamp(path)) is not None:
            return stamp
        file = self.tree.file(path)
        return None if file is None else file.stamp

    def states(self, paths: Sequence[str]) -> list[tuple[int, ...]]:
        return [self.stamp(path) or () for path in paths]

    def state_of(self, descriptor: int, path: str) -> Stamp | None:  # noqa: ARG002  (a copy of an object never changes)
        return self.stamp(path)

    def survey(self) -> RootListing:
        tree, survey = self.tree, self._survey
        if survey is None or survey.stamp != tree.root_stamp:
            survey = self._survey = self._survey_of(tree)
        return survey

    def _survey_of(self, tree: KeyTree) -> RootListing:
        directories: dict[ProjectName, list[str]] = {}
        loose: dict[ProjectName, list[str]] = {}
        strays: dict[str, str] = {}
        unnamed = 0
        for raw in tree.directories:
            try:
                directories.setdefault(parse_project_name(raw), []).append(raw)
            except InvalidProjectName:
                unnamed += 0 if raw.startswith(".") else 1
        for filename in tree.loose:
            if not distribution_suffix(filename) or filename.startswith("."):
                continue
            try:
                loose.setdefault(parse_distribution_name(filename).project, []).append(filename)
            except InvalidFilename as error:
                strays[printable(filename)] = f"{printable(filename)} is not served: {error.reason}."
        return RootListing(
            identity=_IDENTITY,
            stamp=tree.root_stamp,
            directories={
                name: tuple(sorted(raw, key=lambda item: (item != name, item)))
                for name, raw in directories.items()
            },
            loose={name: tuple(sorted(each)) for name, each in loose.items()},
            strays=strays,
            traced=frozenset(loose),
            unserved=(Unserved(UnservedCause.NO_NAME, unnamed, self.root),) if unnamed else (),
        )

    def vanished(self, raw_names: Iterable[str]) -> list[str]:
        tree = self.tree
        return [raw for raw in raw_names if raw not in tree.directories and raw not in tree.loose]

    def places_of(self, project: ProjectName) -> tuple[tuple[str, ...], tuple[str, ...]]:
        survey = self.survey()
        return survey.directories.get(project, ()), survey.loose.get(project, ())

    def look(self, directories: Sequence[str], loose: Iterable[str]) -> ProjectListing:
        tree = self.tree
        entries: list[DirectoryEntry] = []
        side_files: dict[str, DirectoryEntry] = {}
        stamps: dict[str, Stamp] = {}
        passed_over = PassedOver()
        with_project_file: list[ObjectState] = []
        has_ledger = False
        for rank, raw in enumerate(directories):
            if (stamp := tree.directory_stamp(raw)) is not None:
                stamps[raw] = stamp
            for filename, file in tree.directories.get(raw, {}).items():
                has_ledger = has_ledger or filename == LEDGER
                if filename == PROJECT_FILE:
                    with_project_file.append(file)
                elif filename.startswith(".") or not _sort_in(entries, side_files, file, filename, rank):
                    passed_over.judge(printable(file.key), filename)
            if deeper := tree.deeper.get(raw):
                passed_over.add(UnservedCause.DEEPER, f"{printable(raw)}/ ({deeper})")
        for filename in loose:
            for name in (filename, *(filename + suffix for suffix in SIDE_FILE_SUFFIXES)):
                if (lying := tree.loose.get(name)) is not None:
                    _sort_in(entries, side_files, lying, name, len(directories))
        content, trouble = self._read_project_file(with_project_file, stamps)
        return ProjectListing(
            *(tuple(entries), side_files, content, trouble, stamps),
            has_ledger=has_ledger,
            has_traces=bool(
                entries or side_files or with_project_file or has_ledger or passed_over.has_traces
            ),
            unserved=passed_over.items(),
        )

    def open_file(self, path: str, stamp: Stamp) -> int:
        """Download an object whose state is known to a file without a name, and open that for reading.

        Returns:
            Its descriptor, which the caller closes.

        Raises:
            Changed: It is another object by now, or gone.
            OSError: The store cannot be used.
        """
        return self.download(self.listed(path, stamp))

    def download(self, file: ObjectState) -> int:
        """Download any object to a file without a name, also one that is not listed, as in the trash."""
        with tempfile.TemporaryFile(dir=self._scratch) as copy:
            try:
                self.store.download(file.key, file.etag, copy)
            except (ConditionFailed, MissingObject):
                raise Changed(os.path.basename(file.key)) from None
            except OSError as error:
                if fault_of(error.errno) is not Fault.FULL:
                    raise
                # Readers may see the sentence, so without the path.
                where = (
                    f"{error.strerror} in the directory of --cache, where objects are read; make room there"
                )
                raise OSError(error.errno, where, self._scratch) from None
            copy.seek(0)
            return os.dup(copy.fileno())

    def read_span(self, path: str, stamp: Stamp, offset: int, length: int) -> bytes:
        """Return bytes of an object whose state is known.

        Raises:
            Changed: It is another object by now, or gone.
            OSError: The store cannot be used.
        """
        if length == 0:
            return b""
        file = self.listed(path, stamp)
        try:
            data, _ = self.store.read(file.key, file.etag, (offset, length))
        except (ConditionFailed, MissingObject):
            raise Changed(os.path.basename(path)) from None
        return data

    def listed(self, path: str, stamp: Stamp) -> ObjectState:
        """Return the object of a path as it was listed last.

        Raises:
            Changed: It is not in that state.
        """
        file = self.tree.file(path)
        if file is None or file.stamp != stamp:
            raise Changed(os.path.basename(path))
        return file

    def metadata_of(self, paths: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        """Return the metadata of objects by path, as far as they can be read now."""
        found: dict[str, Mapping[str, str]] = {}

        def read(path: str) -> None:
            with suppress(OSError, ConditionFailed):
                state, metadata = self.store.state(path)
                if (listed := self.tree.file(path)) is not None and listed.etag == state.etag:
                    found[path] = metadata

        list(self._metadata_threads.map(read, paths))
        return found

    def _read_project_file(
        self, files: Sequence[ObjectState], stamps: dict[str, Stamp]
    ) -> tuple[bytes | None, str | None]:
        if not files:
            return None, None
        if len(files) > 1:
            return (
                None,
                f"lies in {' and '.join(os.path.dirname(each.key) for each in files)}; keep one of them",
            )
        (file,) = files
        stamps[file.key] = file.stamp
        if file.size > MAXIMUM_SIZE:
            return None, f"is larger than {MAXIMUM_SIZE // 1024} KiB"
        content = self._project_files.get((file.key, file.etag))
        if content is None:
            try:
                content, _ = self.store.read(file.key, file.etag)
            except (OSError, ConditionFailed) as error:
                # So that it is looked at again soon.
                stamps.pop(file.key)
                return None, f"cannot be read: {getattr(error, 'strerror', None) or 'it is changing'}"
            with self._lock:
                self._project_files[file.key, file.etag] = content
        return content, None


def _sort_in(
    entries: list[DirectoryEntry],
    side_files: dict[str, DirectoryEntry],
    file: ObjectState,
    filename: str,
    rank: int,
) -> bool:
    """Add a distribution or a side file; return whether the name is that of one."""
    entry = DirectoryEntry(file.key, filename, rank, file.stamp)
    if distribution_suffix(filename):
        entries.append(entry)
        return True
    if filename.endswith(SIDE_FILE_SUFFIXES):
        side_files[file.key] = entry
        return True
    return False
