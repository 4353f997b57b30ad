"""The cache of upstream indexes: listings and files in the cache directory. Blocking.

Everything here may be deleted, damaged or unwritable at any time: that costs speed, never correctness. What is read back is
verified first; a listing carries a checksum.
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

    from simpleindex.core.files import File
    from simpleindex.upstreams.cache.cached_listings import CachedListing

_LONGEST_NAME: Final = 200
_SAMPLE: Final = 20


class UpstreamCache:
    """The cache of all upstreams together; usable from any thread.

    Args:
        directory: Its directory; it is created with the first file.
        room: How much of the disk may be used.
        now: The time, seconds since 1970.
        is_cache: Whether an error costs speed only, so that it is logged here; else callers report it.

    Attributes:
        listener: Called with what identifies the index and with the name of each project whose listing is stored, in the thread
            that stores it.
    """

    def __init__(
        self,
        directory: str,
        room: DiskBudget | None = None,
        now: Callable[[], float] = time.time,
        *,
        is_cache: bool = True,
    ) -> None:
        self.space = CacheSpace(
            os.path.join(directory, "upstream"), room or DiskBudget(), now, is_cache=is_cache
        )
        self.files = CachedFiles(self.space)
        self.listener: Callable[[str, ProjectName], object] = lambda *_: None

    @property
    def room(self) -> DiskBudget:
        """How much of the disk may be used."""
        return self.space.room

    def load(self) -> None:
        """Index the directory; remove unfinished files, and what exceeds the budget."""
        self.space.load()

    # -- listings ---------------------------------------------------------------------------------------------------

    def listing(self, upstream: str, name: ProjectName, *, is_use: bool = True) -> CachedListing | None:
        """Return the cached listing of a project.

        Args:
            upstream: What identifies the index; two indexes of one name differ in it.
            name: The project.
            is_use: Whether this counts as a use, by which it stays longer.
        """
        path = self._listing_path(upstream, name)
        parts = read_record(path)
        if parts is None or parts[0] not in (FORMAT, OLDER_FORMAT):
            return None
        with suppress(ValueError, TypeError, KeyError, IndexError):
            listing = listing_of_parts(parts)
            if listing.project.name == name and parts[1] == upstream:
                if is_use:
                    self.space.use(path)
                return listing
        return None

    def store_listing(self, upstream: str, listing: CachedListing) -> None:
        """Store a listing in the place of the project's earlier one."""
        path = self._listing_path(upstream, listing.project.name)
        self.space.write(path, pack((FORMAT, *parts_of_listing(upstream, listing))))
        self.listener(upstream, listing.project.name)

    def remove_listing(self, upstream: str, name: ProjectName) -> None:
        """Remove the listing of a project."""
        self.space.remove(self._listing_path(upstream, name))

    def store_metadata(self, index: str, project: ProjectName, file: File, data: bytes) -> bool:
        """Store the metadata of an index's wheel; return whether they are in the cache now."""
        return self.files.keep_bytes(data, UpstreamFileKey(index, project, file.filename).metadata(""))

    def cached_names(self, upstream: str) -> tuple[ProjectName, ...]:
        """Return the names of the projects with a cached listing, sorted."""
        directory = self.listings_of(upstream)
        try:
            return tuple(
                ProjectName(name) for name in sorted(os.listdir(directory)) if not name.startswith(".")
            )
        except OSError:
            return ()

    def lacks_upload_times(self, upstream: str) -> bool:
        """Return whether a file in a sample of an upstream's cached listings has no upload time."""
        for name in self.cached_names(upstream)[:_SAMPLE]:
            listing = self.listing(upstream, name)
            if listing is not None and any(file.uploaded_ns is None for file in listing.project.files):
                return True
        return False

    def all_listings(self) -> Iterator[CachedListing]:
        """Return every cached listing of every upstream."""
        for directory, _, names in os.walk(os.path.join(self.space.root, "listings")):
            for name in names:
                parts = read_record(os.path.join(directory, name))
                with suppress(ValueError, TypeError, KeyError, IndexError):
                    if parts is not None and parts[0] in (FORMAT, OLDER_FORMAT):
                        yield listing_of_parts(parts)

    def listings_of(self, upstream: str) -> str:
        """Return the directory of an upstream's listings; its modification time changes when one comes or goes."""
        return os.path.dirname(self._listing_path(upstream, "x"))

    def _listing_path(self, upstream: str, name: str) -> str:
        if len(name) > _LONGEST_NAME:
            # No project's name begins with a point.
            name = "." + hashlib.sha256(name.encode()).hexdigest()
        return os.path.join(self.space.root, "listings", index_directory(upstream), name)
