"""Pins: files of other indexes that an operator keeps for good, in the state directory. Blocking.

They are records: they are never evicted, and deleting the cache does not touch them.

Their bytes are stored under digests that were computed here when they were pinned, and are found only through the record of the pinned
file: a digest that an index states finds nothing.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.core.errors import Unavailable
from simpleindex.core.files import file_order
from simpleindex.core.metadata import MAXIMUM_SIZE
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import logger
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.upstreams.cache.cache_space import DiskBudget
from simpleindex.upstreams.cache.file_keys import DigestKey, UpstreamFileKey
from simpleindex.upstreams.pages.enrich import FileFacts, enriched
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME, project_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from simpleindex.archives.archive_info import ArchiveInfo
    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache.cached_listings import CachedListing
    from simpleindex.upstreams.listings.changes import ListingChange

_log: Final = logger(__name__)

_CHUNK: Final = 1 << 20
_NO_BOUND: Final = DiskBudget(budget=1 << 62, floor=0, largest=1 << 62)


class OtherNodes(Protocol):
    """The other nodes, which pin and unpin what is pinned and unpinned here; both methods raise Unavailable if they cannot be reached."""

    def pin(self, index: str, name: ProjectName, digests: Mapping[str, str]) -> None:
        """Note that files of a project are pinned, with their digests."""
        ...

    def unpin(self, index: str, name: ProjectName, filenames: Iterable[str]) -> None:
        """Note that files of a project are pinned no longer."""
        ...


class Pins:
    """Pinned files with the listings that had them; usable from any thread.

    Args:
        state_directory: The state directory.
        others: Other nodes, which pin the same; None without any.
    """

    def __init__(self, state_directory: str, others: OtherNodes | None = None) -> None:
        self._others = others
        self._directory = os.path.join(state_directory, "pinned")
        self._store = UpstreamCache(self._directory, _NO_BOUND, is_cache=False)

    def names(self, index: str) -> frozenset[ProjectName]:
        """Return the projects of an index with pinned files.

        Args:
            index: What identifies the index.
        """
        return frozenset(self._store.cached_names(index))

    def state(self, index: str) -> object:
        """Return a value that changes whenever files of an index are pinned or unpinned; fast."""
        try:
            return os.stat(self._store.listings_of(index)).st_mtime_ns
        except OSError:
            return None

    def listing(self, index: str, name: ProjectName) -> CachedListing | None:
        """Return the pinned files of a project, as a listing."""
        return self._store.listing(index, name)

    def offered(self, index: str, name: ProjectName) -> Project | None:
        """Return a project with its pinned files as they are offered; None if it has none.

        Their sizes, digests and metadata are those that were read from the files themselves.
        """
        listing = self.listing(index, name)
        if listing is None:
            return None
        files = [replace(file, metadata=None) for file in listing.project.files]
        return enriched(replace(listing.project, files=files), listing.file_facts, {})

    def open(self, index: str, name: ProjectName, filename: str) -> tuple[int, ArchiveInfo] | None:
        """Open a pinned file.

        Returns:
            As :meth:`simpleindex.upstreams.cache.cached_files.CachedFiles.open`.
        """
        file_facts = self._facts(index, name, filename)
        if file_facts is None or file_facts.sha256 is None:
            return None
        return self._store.files.open(DigestKey(file_facts.sha256, filename), file_facts.sha256)

    def read_metadata(self, index: str, name: ProjectName, filename: str) -> bytes | None:
        """Read the metadata of a pinned wheel."""
        file_facts = self._facts(index, name, filename)
        if file_facts is None or file_facts.sidecar is None:
            return None
        sha256 = file_facts.sidecar.sha256
        data = self._store.files.read(DigestKey(sha256), sha256, MAXIMUM_SIZE)
        if data is None and file_facts.sha256 is not None:
            data = self._store.files.read_sidecar(
                DigestKey(file_facts.sha256, filename), file_facts.sha256, sha256
            )
        return data

    def digests(self, index: str, name: ProjectName) -> dict[str, str]:
        """Return the digests of the pinned files of a project, by name."""
        listing = self.listing(index, name)
        facts = {} if listing is None else listing.file_facts
        return {filename: each.sha256 for filename, each in facts.items() if each.sha256 is not None}

    def _facts(self, index: str, name: ProjectName, filename: str) -> FileFacts | None:
        listing = self.listing(index, name)
        return None if listing is None else listing.file_facts.get(filename)

    def adopt(self, url: str, identity: str) -> None:
        """Move pins that were recorded under a URL alone to the upstream with credentials at that URL.

        Raises:
            OSError: They cannot be written.
        """
        for name in self.names(url):
            old = self.listing(url, name)
            if old is None:
                continue
            new = self.listing(identity, name)
            files = {
                file.filename: file for each in (old, new) if each is not None for file in each.project.files
            }
            file_facts = {**old.file_facts, **(new.file_facts if new is not None else {})}
            self._write(identity, new or old, files.values(), file_facts)
            self._store.remove_listing(url, name)

    def pin(
        self, index: str, listing: CachedListing, files: Iterable[File], cache: UpstreamCache
    ) -> tuple[str, ...]:
        """Pin files, as far as the cache has them.

        Args:
            index: What identifies their index.
            listing: The listing of their project; or that of a flat page, whose projects are pinned one by one.
            files: Some of its files.
            cache: Has their bytes.

        Returns:
            The names of the files that are pinned now.

        Raises:
            OSError: They cannot be written.
        """
        if listing.project.name != FLAT_PAGE_NAME:
            return self._pin(index, listing, files, cache, listing.project.name)
        several: dict[ProjectName, list[File]] = {}
        for file in files:
            several.setdefault(project_of(file), []).append(file)
        return tuple(
            filename
            for name, some in several.items()
            for filename in self._pin(
                index,
                replace(listing, project=replace(listing.project, name=name)),
                some,
                cache,
                FLAT_PAGE_NAME,
            )
        )

    def _pin(
        self,
        index: str,
        listing: CachedListing,
        files: Iterable[File],
        cache: UpstreamCache,
        cached_as: ProjectName,
    ) -> tuple[str, ...]:
        before = self.listing(index, listing.project.name)
        pinned = {} if before is None else {file.filename: file for file in before.project.files}
        file_facts = {} if before is None else dict(before.file_facts)
        done = []
        for file in files:
            earlier = listing.file_facts.get(file.filename)
            sha256 = file.sha256 or (earlier.sha256 if earlier else None)
            key = UpstreamFileKey(index, cached_as, file.filename)
            facts = self._pinned_before(sha256, file_facts.get(file.filename)) or self._copy(
                key, sha256, cache
            )
            if facts is not None:
                pinned[file.filename] = file
                modified_ns = earlier.modified_ns if earlier else None
                file_facts[file.filename] = replace(facts, modified_ns=modified_ns)
                done.append(file.filename)
        if done:
            # Their bytes first: what is listed must exist.
            os.sync()
            self._write(index, listing, pinned.values(), file_facts)
            if self._others is not None:
                # Where that fails now, the server does it later.
                with suppress(Unavailable):
                    self._others.pin(index, listing.project.name, self.digests(index, listing.project.name))
        return tuple(done)

    def keep_removed(self, cache: UpstreamCache) -> Callable[[str, CachedListing, ListingChange], None]:
        """Return a function that pins files which their index no longer lists, as far as the cache has them."""

        def changed(index: str, listing: CachedListing, change: ListingChange) -> None:
            try:
                for filename in self.pin(index, listing, change.removed, cache):
                    _log.warn(
                        "{filename} is gone from {index}; it is pinned now, and still offered.",
                        filename=filename,
                        index=index,
                    )
            except OSError as error:
                trouble = trouble_of(error, self._directory)
                _log.error(
                    "Files that are gone from {index} cannot be pinned in {path} ({cause}): {remedy}",
                    index=index,
                    path=ascii(self._directory),
                    cause=trouble.cause,
                    remedy=trouble.remedy,
                )

        return changed

    def unpin(self, index: str, name: ProjectName, matches: Callable[[File], bool]) -> tuple[str, ...]:
        """Unpin files of a project; return their names.

        Raises:
            Unavailable: Other nodes cannot be notified, so the files stay pinned.
        """
        listing = self.listing(index, name)
        if listing is None:
            return ()
        gone = [file for file in listing.project.files if matches(file)]
        if gone and self._others is not None:
            self._others.unpin(index, name, [file.filename for file in gone])
        left = [file for file in listing.project.files if not matches(file)]
        if left:
            file_facts = {
                file.filename: listing.file_facts[file.filename]
                for file in left
                if file.filename in listing.file_facts
            }
            self._write(index, listing, left, file_facts)
        else:
            self._store.remove_listing(index, name)
        self._remove_bytes(facts for file in gone if (facts := listing.file_facts.get(file.filename)))
        return tuple(file.filename for file in gone)

    def _remove_bytes(self, file_facts: Iterable[FileFacts]) -> None:
        """Remove the bytes of files, unless another pinned file has the same."""
        digests = {digest for each in file_facts for digest in _digests(each)}
        for listing in self._store.all_listings():
            digests.difference_update(
                digest for each in listing.file_facts.values() for digest in _digests(each)
            )
        for digest in digests:
            self._store.files.remove(DigestKey(digest))

    def _write(
        self, index: str, listing: CachedListing, files: Iterable[File], file_facts: dict[str, FileFacts]
    ) -> None:
        project = replace(listing.project, files=sorted(files, key=file_order), withheld=())
        self._store.store_listing(index, replace(listing, project=project, file_facts=file_facts))
        if self.listing(index, project.name) is None:
            raise OSError(errno.EIO, "it cannot be written")
        os.sync()

    def _pinned_before(self, sha256: str | None, earlier: FileFacts | None) -> FileFacts | None:
        """Return the facts of a file that is already pinned with these bytes."""
        if earlier is None or sha256 is None or earlier.sha256 != sha256:
            return None
        opened = self._store.files.open(DigestKey(sha256), sha256)
        if opened is None:
            return None
        os.close(opened[0])
        return earlier

    def _copy(self, key: UpstreamFileKey, sha256: str | None, cache: UpstreamCache) -> FileFacts | None:
        # Only the file of this index, also if another index has the same one.
        opened = None if sha256 is None else cache.files.open(key, sha256)
        if opened is None or sha256 is None:
            return None
        pinned = DigestKey(sha256, key.filename)
        descriptor, facts = opened
        try:
            size = os.fstat(descriptor).st_size
            if self._store.files.find(pinned) is None:
                incoming = self._store.files.begin(size)
                try:
                    offset = 0
                    while data := os.pread(descriptor, _CHUNK, offset):
                        incoming.write(data)
                        offset += len(data)
                    if incoming.sha256 != sha256:
                        return None
                    facts = self._store.files.keep(incoming, pinned, facts)
                    if self._store.files.find(pinned) is None:
                        raise OSError(errno.EIO, "it cannot be written")
                finally:
                    incoming.close()
        finally:
            os.close(descriptor)
        return FileFacts(size, sha256, facts.requires_python, facts.sidecar)


def _digests(file_facts: FileFacts) -> Iterator[str]:
    """Yield the digests under which a pinned file and its metadata are stored."""
    if file_facts.sha256 is not None:
        yield file_facts.sha256
    if file_facts.sidecar is not None:
        yield file_facts.sidecar.sha256
