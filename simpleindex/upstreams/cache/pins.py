"""What is kept of other indexes for good: releases that an operator has pinned, in the state directory.

They are records: no room is made at their cost, and deleting the cache does not touch them. Blocking.

Their bytes lie under digests that were computed here when they were pinned, and are found only by way of the record of the file that
was pinned: a digest that an index states finds nothing.
"""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from simpleindex.core import severity
from simpleindex.core.metadata import MAXIMUM_SIZE
from simpleindex.core.model import file_order
from simpleindex.core.packed import PackedFiles
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.upstreams.cache.cache_space import DiskBudget
from simpleindex.upstreams.cache.file_keys import DigestKey, UpstreamFileKey
from simpleindex.upstreams.pages.enrich import FileFacts, enriched
from simpleindex.upstreams.pages.flat import FLAT_PAGE, project_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from simpleindex.archives.inspect import ArchiveInfo
    from simpleindex.core.model import File, Project
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache.cached_listings import CachedListing

_CHUNK: Final = 1 << 20
_NO_BOUND: Final = DiskBudget(budget=1 << 62, floor=0, largest=1 << 62)


class Pins:
    """Pinned files, with what their index said of them; usable from any thread.

    Args:
        state_directory: Where they are.
        log: Takes a sentence for the operator.

    """

    def __init__(self, state_directory: str, log: Callable[[str], None]) -> None:
        self._log = log
        self._directory = os.path.join(state_directory, "pinned")
        # What a cache may do without is an error here.
        self._kept = UpstreamCache(self._directory, lambda _: None, _NO_BOUND)

    def names(self, index: str) -> frozenset[ProjectName]:
        """The projects of an index of which something is pinned.

        Args:
            index: Its URL.
        """
        return frozenset(self._kept.kept_names(index))

    def state(self, index: str) -> object:
        """What changes whenever something of an index is pinned or not any more; at once."""
        try:
            return os.stat(self._kept.listings_of(index)).st_mtime_ns
        except OSError:
            return None

    def listing(self, index: str, name: ProjectName) -> CachedListing | None:
        """What is pinned of a project."""
        return self._kept.listing(index, name)

    def offered(self, index: str, name: ProjectName, generation: int) -> Project | None:
        """Return what is offered of the pinned files of a project; None if there are none.

        Only what the files themselves taught is said of their bytes and of their metadata.
        """
        kept = self.listing(index, name)
        if kept is None:
            return None
        files = PackedFiles(replace(file, metadata=None) for file in kept.project.files)
        return enriched(replace(kept.project, files=files), kept.file_facts, {}, generation)

    def open(self, index: str, name: ProjectName, filename: str) -> tuple[int, ArchiveInfo] | None:
        """Open a file that is pinned.

        Returns:
            As :meth:`simpleindex.upstreams.cache.cached_files.CachedFiles.open`.
        """
        file_facts = self._learnt(index, name, filename)
        if file_facts is None or file_facts.sha256 is None:
            return None
        return self._kept.files.open(DigestKey(file_facts.sha256, filename), file_facts.sha256)

    def read_metadata(self, index: str, name: ProjectName, filename: str) -> bytes | None:
        """Read the metadata of a wheel that is pinned."""
        file_facts = self._learnt(index, name, filename)
        if file_facts is None or file_facts.sidecar is None:
            return None
        sha256 = file_facts.sidecar.sha256
        data = self._kept.files.read(DigestKey(sha256), sha256, MAXIMUM_SIZE)
        if data is None and file_facts.sha256 is not None:
            data = self._kept.files.read_sidecar(
                DigestKey(file_facts.sha256, filename), file_facts.sha256, sha256
            )
        return data

    def _learnt(self, index: str, name: ProjectName, filename: str) -> FileFacts | None:
        kept = self.listing(index, name)
        return None if kept is None else kept.file_facts.get(filename)

    def adopt(self, url: str, identity: str) -> None:
        """Give pins that were noted under the URL alone to the one upstream that is asked there with credentials.

        Raises:
            OSError: They cannot be kept.
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
            self._kept.drop_listing(url, name)

    def pin(
        self, index: str, kept: CachedListing, files: Iterable[File], cache: UpstreamCache
    ) -> tuple[str, ...]:
        """Pin those of these files that the cache has.

        Args:
            index: Whose they are.
            kept: What it said of their project; or of a page with those of many, of which each is pinned by itself.
            files: Some of those.
            cache: Has their bytes.

        Returns:
            The names of those that are pinned now.

        Raises:
            OSError: They cannot be kept.
        """
        if kept.project.name != FLAT_PAGE:
            return self._pin(index, kept, files, cache, kept.project.name)
        several: dict[ProjectName, list[File]] = {}
        for file in files:
            several.setdefault(project_of(file), []).append(file)
        return tuple(
            filename
            for name, some in several.items()
            for filename in self._pin(
                index, replace(kept, project=replace(kept.project, name=name)), some, cache, FLAT_PAGE
            )
        )

    def _pin(
        self,
        index: str,
        kept: CachedListing,
        files: Iterable[File],
        cache: UpstreamCache,
        cached_as: ProjectName,
    ) -> tuple[str, ...]:
        before = self.listing(index, kept.project.name)
        pinned = {} if before is None else {file.filename: file for file in before.project.files}
        file_facts = {} if before is None else dict(before.file_facts)
        done = []
        for file in files:
            known = kept.file_facts.get(file.filename)
            sha256 = file.sha256 or (known.sha256 if known else None)
            key = UpstreamFileKey(index, cached_as, file.filename)
            taught = self._pinned_before(sha256, file_facts.get(file.filename)) or self._copy(
                key, sha256, cache
            )
            if taught is not None:
                pinned[file.filename] = file
                modified_ns = known.modified_ns if known else None
                file_facts[file.filename] = replace(taught, modified_ns=modified_ns)
                done.append(file.filename)
        if done:
            # Their bytes first: whatever is listed is there.
            os.sync()
            self._write(index, kept, pinned.values(), file_facts)
        return tuple(done)

    def keep_removed(self, cache: UpstreamCache) -> Callable[[str, CachedListing, Iterable[File]], None]:
        """Give what pins files that their index has no more, as far as the cache has them, and says so."""

        def removed(index: str, kept: CachedListing, files: Iterable[File]) -> None:
            try:
                for filename in self.pin(index, kept, files, cache):
                    self._log(
                        severity.warning(f"{filename} is gone from {index}; it is kept, and still offered.")
                    )
            except OSError as error:
                self._log(
                    severity.error(
                        f"What is gone from {index} cannot be kept in {self._directory!a}: {error.strerror}."
                    )
                )

        return removed

    def unpin(self, index: str, name: ProjectName, is_meant: Callable[[File], bool]) -> tuple[str, ...]:
        """Let go of files of a project; returns their names."""
        kept = self.listing(index, name)
        if kept is None:
            return ()
        gone = [file for file in kept.project.files if is_meant(file)]
        left = [file for file in kept.project.files if not is_meant(file)]
        if left:
            file_facts = {
                file.filename: kept.file_facts[file.filename]
                for file in left
                if file.filename in kept.file_facts
            }
            self._write(index, kept, left, file_facts)
        else:
            self._kept.drop_listing(index, name)
        self._let_go(taught for file in gone if (taught := kept.file_facts.get(file.filename)))
        return tuple(file.filename for file in gone)

    def _let_go(self, file_facts: Iterable[FileFacts]) -> None:
        """Remove the bytes of files, but for those that another pinned file has too."""
        digests = {digest for each in file_facts for digest in _digests(each)}
        for kept in self._kept.all_listings():
            digests.difference_update(
                digest for each in kept.file_facts.values() for digest in _digests(each)
            )
        for digest in digests:
            self._kept.files.remove(DigestKey(digest))

    def _write(
        self, index: str, kept: CachedListing, files: Iterable[File], file_facts: dict[str, FileFacts]
    ) -> None:
        project = replace(kept.project, files=PackedFiles(sorted(files, key=file_order)), withheld=())
        self._kept.keep_listing(index, replace(kept, project=project, file_facts=file_facts))
        if self.listing(index, project.name) is None:
            raise OSError(errno.EIO, "it cannot be written")
        os.sync()

    def _pinned_before(self, sha256: str | None, known: FileFacts | None) -> FileFacts | None:
        """What is known of a file that is pinned already, if it is with these bytes."""
        if known is None or sha256 is None or known.sha256 != sha256:
            return None
        found = self._kept.files.open(DigestKey(sha256), sha256)
        if found is None:
            return None
        os.close(found[0])
        return known

    def _copy(self, key: UpstreamFileKey, sha256: str | None, cache: UpstreamCache) -> FileFacts | None:
        # Only what this index gave for this file, whoever else gave the same.
        found = None if sha256 is None else cache.files.open(key, sha256)
        if found is None or sha256 is None:
            return None
        pinned = DigestKey(sha256, key.filename)
        descriptor, facts = found
        try:
            size = os.fstat(descriptor).st_size
            if self._kept.files.held(pinned) is None:
                incoming = self._kept.files.begin(size)
                try:
                    offset = 0
                    while data := os.pread(descriptor, _CHUNK, offset):
                        incoming.write(data)
                        offset += len(data)
                    if incoming.sha256 != sha256:
                        return None
                    facts = self._kept.files.keep(incoming, pinned, facts)
                    if self._kept.files.held(pinned) is None:
                        raise OSError(errno.EIO, "it cannot be written")
                finally:
                    incoming.close()
        finally:
            os.close(descriptor)
        return FileFacts(size, sha256, facts.requires_python, facts.sidecar)


def _digests(file_facts: FileFacts) -> Iterator[str]:
    """The digests under which the bytes of a pinned file, and its metadata, lie."""
    if file_facts.sha256 is not None:
        yield file_facts.sha256
    if file_facts.sidecar is not None:
        yield file_facts.sidecar.sha256
