"""What is kept of other indexes for good: releases that an operator has pinned, in the state directory.

They are records: no room is made at their cost, and deleting the cache does not touch them. Blocking.
"""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from simpleindex.core import severity
from simpleindex.core.files import PackedFiles
from simpleindex.core.flat import FLAT_PAGE, project_of
from simpleindex.core.model import file_order
from simpleindex.core.repair import Learnt
from simpleindex.store.cache_space import Room
from simpleindex.store.upstream_cache import UpstreamCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from simpleindex.core.model import File
    from simpleindex.core.names import ProjectName
    from simpleindex.store.kept_listings import KeptListing

_CHUNK: Final = 1 << 20
_NO_BOUND: Final = Room(budget=1 << 62, floor=0, largest=1 << 62)


class Pins:
    """Pinned files, with what their index said of them; usable from any thread.

    Args:
        state_directory: Where they are.
        log: Takes a sentence for the operator.

    Attributes:
        files: Their bytes, by digest.
    """

    def __init__(self, state_directory: str, log: Callable[[str], None]) -> None:
        self._log = log
        self._directory = os.path.join(state_directory, "pinned")
        # What a cache may do without is an error here.
        self._kept = UpstreamCache(self._directory, lambda _: None, _NO_BOUND)
        self.files = self._kept.files

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

    def listing(self, index: str, name: ProjectName) -> KeptListing | None:
        """What is pinned of a project."""
        return self._kept.listing(index, name)

    def pin(
        self, index: str, kept: KeptListing, files: Iterable[File], cache: UpstreamCache
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
            return self._pin(index, kept, files, cache)
        several: dict[ProjectName, list[File]] = {}
        for file in files:
            several.setdefault(project_of(file), []).append(file)
        return tuple(
            filename
            for name, some in several.items()
            for filename in self._pin(
                index, replace(kept, project=replace(kept.project, name=name)), some, cache
            )
        )

    def _pin(
        self, index: str, kept: KeptListing, files: Iterable[File], cache: UpstreamCache
    ) -> tuple[str, ...]:
        before = self.listing(index, kept.project.name)
        pinned = {} if before is None else {file.filename: file for file in before.project.files}
        learnt = {} if before is None else dict(before.learnt)
        done = []
        for file in files:
            known = kept.learnt.get(file.filename)
            sha256 = file.sha256 or (known.sha256 if known else None)
            taught = None if sha256 is None else self._copy(sha256, file, cache)
            if taught is not None:
                pinned[file.filename] = file
                modified_ns = known.modified_ns if known else None
                learnt[file.filename] = replace(taught, modified_ns=modified_ns)
                done.append(file.filename)
        if done:
            # Their bytes first: whatever is listed is there.
            os.sync()
            self._write(index, kept, pinned.values(), learnt)
        return tuple(done)

    def keep_removed(self, cache: UpstreamCache) -> Callable[[str, KeptListing, Iterable[File]], None]:
        """Give what pins files that their index has no more, as far as the cache has them, and says so."""

        def removed(index: str, kept: KeptListing, files: Iterable[File]) -> None:
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
            learnt = {
                file.filename: kept.learnt[file.filename] for file in left if file.filename in kept.learnt
            }
            self._write(index, kept, left, learnt)
        else:
            self._kept.drop_listing(index, name)
        for file in gone:
            known = kept.learnt.get(file.filename)
            if known is not None and known.sha256 is not None:
                self.files.remove_file(known.sha256)
        return tuple(file.filename for file in gone)

    def _write(self, index: str, kept: KeptListing, files: Iterable[File], learnt: dict[str, Learnt]) -> None:
        project = replace(kept.project, files=PackedFiles(sorted(files, key=file_order)), withheld=())
        self._kept.keep_listing(index, replace(kept, project=project, learnt=learnt))
        if self.listing(index, project.name) is None:
            raise OSError(errno.EIO, "it cannot be written")
        os.sync()

    def _copy(self, sha256: str, file: File, cache: UpstreamCache) -> Learnt | None:
        found = self.files.open(sha256) or cache.files.open(sha256)
        if found is None:
            return None
        descriptor, facts = found
        try:
            size = os.fstat(descriptor).st_size
            if self.files.held(sha256) is None:
                incoming = self.files.begin(size)
                try:
                    offset = 0
                    while data := os.pread(descriptor, _CHUNK, offset):
                        incoming.write(data)
                        offset += len(data)
                    if incoming.sha256 != sha256:
                        return None
                    facts = self.files.keep(incoming, file.filename)
                    if self.files.held(sha256) is None:
                        raise OSError(errno.EIO, "it cannot be written")
                finally:
                    incoming.close()
        finally:
            os.close(descriptor)
        return Learnt(size, sha256, facts.requires_python, facts.sidecar)
