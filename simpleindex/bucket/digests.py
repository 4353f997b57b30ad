"""The digest cache of a bucket: what it lacks is taken from the metadata of objects, before they are downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.bucket.facts import facts_in
from simpleindex.core.names import SIDE_FILE_SUFFIXES
from simpleindex.directory.scan.digest_cache import DigestCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simpleindex.archives.inspect import ArchiveInfo
    from simpleindex.bucket.package_bucket import PackageBucket
    from simpleindex.directory.layout.listings import DirectoryEntry
    from simpleindex.system.stamp import Stamp


class BucketDigests(DigestCache):
    """The digest cache of a bucket; usable from any thread.

    Args:
        cache: The cache directory.
        bucket: The bucket.
    """

    def __init__(self, cache: str, bucket: PackageBucket) -> None:
        super().__init__(cache, bucket.root)
        self._bucket = bucket

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
        learnt = [
            (path, unknown[path], info)
            for path, metadata in self._bucket.metadata_of(unknown).items()
            if (info := facts_in(metadata)) is not None
        ]
        self.remember(learnt)
        return recalled | {path: (stamp, info) for path, stamp, info in learnt}

    def remembers_anything(self) -> bool:
        # Asked to tell an emptied disk from a new one; a bucket that is listed is there.
        return False
