"""The cache of upstream indexes: listings and files in the cache directory. Blocking.

Everything here may be deleted, damaged or unwritable at any time, which costs speed and never truth: whatever is read back
is proven first. A listing carries a checksum.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from simpleindex.core.names import ProjectName
from simpleindex.upstreams.cache.cache_space import CacheSpace, DiskBudget
from simpleindex.upstreams.cache.cached_files import CachedFiles
from simpleindex.upstreams.cache.cached_listings import (
    FORMAT,
    OLDER_FORMAT,
    listing_of_parts,
    parts_of_listing,
)
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey, index_directory
from simpleindex.upstreams.cache.packed_records import pack, read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simpleindex.core.model import File
    from simpleindex.upstreams.cache.cached_listings import CachedListing

_LONGEST_NAME: Final = 200
_SAMPLE: Final = 20


class UpstreamCache:
    """The cache of all upstreams together; usable from any thread.

    Args:
        directory: Where; it is made when something is written.
        log: Takes a sentence for the operator.
        room: How much of the disk may be used.
        now: The time, seconds since 1970.

    Attributes:
        space: The part of the disk that it uses.
        files: Those that are kept.
    """

    def __init__(
        self,
        directory: str,
        log: Callable[[str], None],
        room: DiskBudget | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.space = CacheSpace(os.path.join(directory, "upstream"), log, room or DiskBudget(), now)
        self.files = CachedFiles(self.space)

    @property
    def room(self) -> DiskBudget:
        """How much of the disk may be used."""
        return self.space.room

    def load(self) -> None:
        """See what is there; remove what writers that died left behind, and what is too much."""
        self.space.load()

    # -- listings ---------------------------------------------------------------------------------------------------

    def listing(self, upstream: str, name: ProjectName) -> CachedListing | None:
        """What was kept of a project.

        Args:
            upstream: Which; other text for another index, also where both have one name.
            name: The project.
        """
        path = self._listing_path(upstream, name)
        parts = read_record(path)
        if parts is None or parts[0] not in (FORMAT, OLDER_FORMAT):
            return None
        with suppress(ValueError, TypeError, KeyError, IndexError):
            kept = listing_of_parts(parts)
            if kept.project.name == name and parts[1] == upstream:
                self.space.use(path)
                return kept
        return None

    def keep_listing(self, upstream: str, kept: CachedListing) -> None:
        """Keep this in place of what was kept of the project before."""
        path = self._listing_path(upstream, kept.project.name)
        self.space.write(path, pack((FORMAT, *parts_of_listing(upstream, kept))))

    def drop_listing(self, upstream: str, name: ProjectName) -> None:
        """Forget it."""
        self.space.remove(self._listing_path(upstream, name))

    def keep_metadata(self, index: str, project: ProjectName, file: File, data: bytes) -> bool:
        """Keep the metadata of an index's wheel; returns whether they are there now."""
        return self.files.keep_bytes(data, UpstreamFileKey(index, project, file.filename).metadata(""))

    def kept_names(self, upstream: str) -> tuple[ProjectName, ...]:
        """The projects of which something is kept, sorted."""
        directory = self.listings_of(upstream)
        try:
            return tuple(
                ProjectName(name) for name in sorted(os.listdir(directory)) if not name.startswith(".")
            )
        except OSError:
            return ()

    def lacks_upload_times(self, upstream: str) -> bool:
        """Return whether an upstream stated no upload time for a file that one of some kept listings has."""
        for name in self.kept_names(upstream)[:_SAMPLE]:
            kept = self.listing(upstream, name)
            if kept is not None and any(file.uploaded_ns is None for file in kept.project.files):
                return True
        return False

    def all_listings(self) -> Iterator[CachedListing]:
        """Every listing that is kept, of whichever upstream."""
        for directory, _, names in os.walk(os.path.join(self.space.root, "listings")):
            for name in names:
                parts = read_record(os.path.join(directory, name))
                with suppress(ValueError, TypeError, KeyError, IndexError):
                    if parts is not None and parts[0] in (FORMAT, OLDER_FORMAT):
                        yield listing_of_parts(parts)

    def listings_of(self, upstream: str) -> str:
        """The directory of what is kept of an upstream's listings; its time changes when one comes or goes."""
        return os.path.dirname(self._listing_path(upstream, "x"))

    def _listing_path(self, upstream: str, name: str) -> str:
        if len(name) > _LONGEST_NAME:
            # No project is called like this.
            name = "." + hashlib.sha256(name.encode()).hexdigest()
        return os.path.join(self.space.root, "listings", index_directory(upstream), name)
