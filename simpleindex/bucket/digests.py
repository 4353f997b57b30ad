"""The digest cache of a bucket: what it lacks comes from other nodes, or from the metadata of objects, before any is downloaded."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.bucket.facts import FACTS, facts_in, facts_text
from simpleindex.core.names import SIDE_FILE_SUFFIXES
from simpleindex.directory.scan.digest_cache import DigestCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simpleindex.archives.archive_info import ArchiveInfo
    from simpleindex.bucket.package_bucket import PackageBucket
    from simpleindex.directory.layout.directory_listings import DirectoryEntry
    from simpleindex.system.stamp import Stamp


SHARED_AT_ONCE: Final = 1000
"""Rows that a start shares by one statement."""


class SharedFacts(Protocol):
    """Facts about objects that nodes share, by path: their state, and the facts as text. Blocking."""

    def all(self) -> Mapping[str, tuple[str, str]]:
        """Return the facts about every object."""
        ...

    def of(self, paths: Iterable[str]) -> Mapping[str, tuple[str, str]]:
        """Return the facts about some objects."""
        ...

    def remember(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Keep path, state and facts of objects."""
        ...

    def forget(self, paths: Iterable[str]) -> None:
        """Delete the facts about objects that are gone."""
        ...

    def save(self) -> None:
        """Write what was remembered since, unless that is done at once."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class BucketDigests(DigestCache):
    """The digest cache of a bucket; usable from any thread.

    Args:
        cache: The cache directory.
        bucket: The bucket.
        shared: What other nodes have found; None where nothing is shared.
    """

    has_facts_about_new_files = True

    def __init__(self, cache: str, bucket: PackageBucket, shared: SharedFacts | None) -> None:
        super().__init__(cache, bucket.root)
        self._bucket = bucket
        self._shared = shared
        self._is_starting = True
        self._every: Mapping[str, tuple[str, str]] | None = None
        self._loading = threading.Lock()
        self._unshared: list[tuple[str, str, str]] = []

    def recall(
        self, directory: str, entries: Iterable[DirectoryEntry]
    ) -> Mapping[str, tuple[Stamp, ArchiveInfo]]:
        entries = [*entries]
        recalled = dict(super().recall(directory, entries))
        unknown = {
            entry.path: entry.stamp
            for entry in entries
            if entry.stamp is not None
            and not entry.filename.endswith(SIDE_FILE_SUFFIXES)
            and recalled.get(entry.path, (None,))[0] != entry.stamp
        }
        if not unknown:
            return recalled
        shared = self._recall_shared(unknown)
        DigestCache.remember(self, [(path, unknown[path], info) for path, info in shared.items()])
        missing = [path for path in unknown if path not in shared]
        in_metadata = {
            path: info
            for path, metadata in self._bucket.metadata_of(missing).items()
            if (info := facts_in(metadata)) is not None
        }
        self.remember([(path, unknown[path], info) for path, info in in_metadata.items()])
        return recalled | {path: (unknown[path], info) for path, info in (shared | in_metadata).items()}

    def remember(self, found: Iterable[tuple[str, Stamp, ArchiveInfo]]) -> None:
        found = [*found]
        super().remember(found)
        if self._shared is None or not found:
            return
        rows = [(path, state_of(stamp), facts_text(info)) for path, stamp, info in found]
        if rows := self._due(rows):
            self._shared.remember(rows)

    def _due(self, rows: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Return the rows to share now: a start finds out about project after project, and shares many by one statement."""
        with self._loading:
            self._unshared += rows
            if self._is_starting and len(self._unshared) < SHARED_AT_ONCE:
                return []
            due, self._unshared = self._unshared, []
            return due

    def end_start(self) -> None:
        """Share what was found, and forget what was loaded for the first reading of the bucket; blocking."""
        with self._loading:
            self._is_starting, self._every = False, None
        if self._shared is None:
            return
        if rows := self._due([]):
            self._shared.remember(rows)
        self._shared.save()

    def remembers_anything(self) -> bool:
        # Requested to tell an emptied disk from a new one; a bucket that is listed is there.
        return False

    def close(self) -> None:
        super().close()
        if self._shared is not None:
            self._shared.close()

    def _recall_shared(self, unknown: Mapping[str, Stamp]) -> dict[str, ArchiveInfo]:
        if self._shared is None:
            return {}
        rows = self._load_every(self._shared) if self._is_starting else self._shared.of(unknown)
        recalled = {}
        for path, stamp in unknown.items():
            state, facts = rows.get(path, ("", ""))
            if state == state_of(stamp) and (info := facts_in({FACTS: facts})) is not None:
                recalled[path] = info
        return recalled

    def _load_every(self, shared: SharedFacts) -> Mapping[str, tuple[str, str]]:
        """Return the facts about every object, by one query for all projects of a start."""
        with self._loading:
            if self._every is None:
                self._every = shared.all()
                if gone := [path for path in self._every if self._bucket.tree.file(path) is None]:
                    shared.forget(gone)
            return self._every


def state_of(stamp: Stamp) -> str:
    """Return the state of an object as text; the same on every node."""
    return f"{stamp.inode} {stamp.size} {stamp.mtime_ns}"
