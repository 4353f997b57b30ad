"""Sources of copies: another local directory, or the cache of an upstream. Blocking."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from io import FileIO
from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.core.names import COPIED, SIDE_FILE_SUFFIXES
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ScanJob
from simpleindex.publishing.copying.copy_plan import noted_urls
from simpleindex.publishing.errors import NotCopied
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.pages.enrich import enriched
from simpleindex.upstreams.pages.flat import page_name, split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.archives.examination.protocol import Examiner
    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.directory.scan.digest_cache import DigestCache
    from simpleindex.directory.scan.snapshot import ProjectSnapshot
    from simpleindex.upstreams.cache.cache import UpstreamCache
    from simpleindex.upstreams.cache.pins import Pins

_NO_BOUND: Final = 1 << 62
_LARGEST_NOTE: Final = 1 << 24
"""Bytes."""


class CopySource(Protocol):
    """A source of releases to copy."""

    def project(self, name: ProjectName) -> Project:
        """Return a project.

        Raises:
            NotCopied: The source cannot be read, or has no such project.
        """
        ...

    def open(self, name: ProjectName, file: File) -> FileIO | None:
        """Open a file; return None if its content is not stored.

        Raises:
            OSError: It cannot be read.
            Changed: It is not the file that is listed.
        """
        ...

    def beside(self, name: ProjectName, file: File) -> Mapping[str, bytes]:
        """Return signatures and provenance beside a file, by suffix; errors as for :meth:`open`."""
        ...

    def url(self, name: ProjectName, file: File) -> str | None:
        """Return the URL from which the source has a file; None if there is none."""
        ...


class DirectoryCopySource:
    """A local directory."""

    def __init__(
        self, directory: PackageDirectory, digests: DigestCache, label: str, *, examiner: Examiner
    ) -> None:
        self._directory = directory
        self._reader = Scanner(directory, digests, time.time_ns, label, examiner=examiner)
        self._label = label
        self._snapshots: dict[ProjectName, ProjectSnapshot] = {}
        self._urls: dict[tuple[str, str], str] = {}

    def project(self, name: ProjectName) -> Project:
        """Return what the index would serve of a project."""
        try:
            places = self._directory.places_of(name)
        except OSError as error:
            raise NotCopied(f"{self._label} cannot be read: {error.strerror}") from None
        snapshot = self._reader.read_project(
            ScanJob(name, *places, NO_SNAPSHOT), budget=_NO_BOUND, verify=True
        )
        if snapshot.trouble:
            raise NotCopied(f"{self._label} cannot answer for {name}: {snapshot.trouble}")
        if snapshot.project is None:
            raise NotCopied(f"{self._label} has no project {name}")
        self._snapshots[name] = snapshot
        self._urls = {}
        for raw in places[0]:
            with suppress(OSError), open(os.path.join(self._directory.root, raw, COPIED), "rb") as note:
                self._urls |= noted_urls(note.read(_LARGEST_NOTE))
        return snapshot.project

    def open(self, name: ProjectName, file: File) -> FileIO | None:
        """Open a file, in the state in which it was read."""
        return self._opened(name, self._snapshots[name].chosen[file.filename])

    def beside(self, name: ProjectName, file: File) -> Mapping[str, bytes]:
        """Return the side files that are listed with a file."""
        path = self._snapshots[name].chosen[file.filename]
        side_files = {}
        for suffix in SIDE_FILE_SUFFIXES:
            scanned = self._snapshots[name].known.get(path + suffix)
            if scanned is not None and isinstance(scanned.outcome, str):
                with self._opened(name, path + suffix) as beside:
                    side_files[suffix] = beside.readall()
        return side_files

    def url(self, name: ProjectName, file: File) -> str | None:
        """Return the URL from which a file was copied, if it was."""
        del name
        return self._urls.get((file.filename, file.sha256 or ""))

    def _opened(self, name: ProjectName, path: str) -> FileIO:
        file = self._snapshots[name].known.get(path)
        assert file is not None
        assert file.stamp is not None  # it is listed
        return FileIO(self._directory.open_file(path, file.stamp), "rb")


class UpstreamCopySource:
    """The cached and pinned files of an upstream.

    Args:
        cache: The cache of all upstreams.
        pins: The pinned files of all upstreams.
        index: The upstream's identity.
        label: Its name in messages.
        flat: Whether it is one page with the files of many projects.
    """

    def __init__(self, cache: UpstreamCache, pins: Pins, index: str, label: str, *, flat: bool) -> None:
        self._cache = cache
        self._pins = pins
        self._index = index
        self._label = label
        self._flat = flat
        self._listings: dict[ProjectName, Project] = {}

    def project(self, name: ProjectName) -> Project:
        """Return the last listing of a project."""
        listing = self._cache.listing(self._index, page_name(name, is_flat=self._flat))
        listing = listing or self._pins.listing(self._index, name)
        if listing is None:
            raise NotCopied(f"nothing is kept of what {self._label} has of {name}")
        listed, offered = listing.project, enriched(listing.project, listing.file_facts, {})
        if listed.name != name:
            if name not in split(listed, {}):
                raise NotCopied(f"{self._label} has no project {name}")
            listed, offered = (split(page, {})[name] for page in (listed, offered))
        self._listings[name] = listed
        return offered

    def open(self, name: ProjectName, file: File) -> FileIO | None:
        """Open a file, if it is cached or pinned."""
        if file.sha256 is None:
            return None
        key = UpstreamFileKey(self._index, page_name(name, is_flat=self._flat), file.filename)
        opened = self._cache.files.open(key, file.sha256)
        if opened is None:
            opened = self._pins.open(self._index, name, file.filename)
            if opened is not None and opened[1].sha256 != file.sha256:
                os.close(opened[0])
                return None
        return None if opened is None else FileIO(opened[0], "rb")

    def beside(self, name: ProjectName, file: File) -> Mapping[str, bytes]:
        """Return nothing: side files of upstreams are not stored."""
        del name, file
        return {}

    def url(self, name: ProjectName, file: File) -> str | None:
        """Return the URL that the upstream lists."""
        return next((each.url for each in self._listings[name].files if each.filename == file.filename), None)
