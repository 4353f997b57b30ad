"""The files in the cache of a server, for ``simpleindex cache``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from simpleindex.commands.arguments import command_user
from simpleindex.commands.server_options import server_settings
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import RefusedStart
from simpleindex.core.patterns import ALL, InvalidPattern, matcher, parse_pattern
from simpleindex.records.audit.audit import Audit
from simpleindex.records.opening import open_postgresql
from simpleindex.records.pins import PinTable
from simpleindex.system.followed_file import read_named_file
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME, project_of
from simpleindex.views.sources_file import parse_sources

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache.cached_files import CachedFile
    from simpleindex.upstreams.cache.cached_listings import CachedListing
    from simpleindex.upstreams.settings import UpstreamSettings


@dataclass(frozen=True, slots=True)
class CachedEntry:
    """A file in the cache.

    Attributes:
        upstream: The name of the upstream that lists it.
        file: As the upstream lists it.
        key: Its key in the cache.
        cached: Its place, size and times.
        is_pinned: Whether it is kept for good.
    """

    upstream: str
    project: ProjectName
    file: File
    key: UpstreamFileKey
    cached: CachedFile
    is_pinned: bool


class CacheContents:
    """The cache, the pins and the audit of a server, with the upstreams of its sources file.

    Raises:
        RefusedStart: There is no sources file, or it cannot be read.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.settings = settings = server_settings(arguments, root_may_be_gone=True)
        if settings.sources is None:
            raise RefusedStart(
                "there is no sources file, so there are no upstreams; name it with --sources FILE"
            )
        self.upstreams = read_named_file(settings.sources, parse_sources).upstreams
        self.directory = settings.cache
        self.cache = UpstreamCache(str(settings.cache))
        self._records = (
            None if settings.records is None else open_postgresql(settings.records, is_logged=False)
        )
        self.pins = Pins(str(settings.state), None if self._records is None else PinTable(self._records))
        self.audit = Audit(str(settings.state))

    def close(self) -> None:
        """Close the connections of the records."""
        if self._records is not None:
            self._records.close()

    def entries(self, pattern: str = ALL) -> Iterator[CachedEntry]:
        """Yield the files in the cache, by upstream, project and version.

        Args:
            pattern: Of projects, with ``*`` and ``?``.

        Raises:
            RefusedStart: The pattern is none.
        """
        try:
            projects = matcher((parse_pattern(pattern),))
        except InvalidPattern as error:
            raise RefusedStart(str(error)) from None
        for upstream in self.upstreams:
            names = (FLAT_PAGE_NAME,) if upstream.flat else self.cache.cached_names(upstream.identity)
            for name in names:
                if upstream.flat or projects.find(name) is not None:
                    for entry in self._entries_of(upstream, name):
                        if projects.find(entry.project) is not None:
                            yield entry

    def _entries_of(self, upstream: UpstreamSettings, name: ProjectName) -> Iterator[CachedEntry]:
        listing = self.cache.listing(upstream.identity, name)
        if listing is None:
            return
        pinned = self.pinned(upstream.identity, name)
        for file in listing.project.files:
            key = UpstreamFileKey(upstream.identity, name, file.filename)
            cached = self.find(key, listing, file)
            if cached is None:
                continue
            project = project_of(file) if upstream.flat else name
            names = self.pinned(upstream.identity, project) if upstream.flat else pinned
            yield CachedEntry(upstream.name, project, file, key, cached, file.filename in names)

    def find(self, key: UpstreamFileKey, listing: CachedListing, file: File) -> CachedFile | None:
        """Return a file in the cache, if its hash is the one that its upstream lists."""
        sha256 = sha256_of(listing, file)
        cached = self.cache.files.find(key) if sha256 else None
        return cached if cached is not None and cached.sha256 == sha256 else None

    def pinned(self, index: str, name: ProjectName) -> frozenset[str]:
        """Return the names of the pinned files of a project."""
        listing = self.pins.listing(index, name)
        return frozenset() if listing is None else frozenset(file.filename for file in listing.project.files)

    def record(self, event: str, name: ProjectName, filenames: Sequence[str], upstream: str) -> None:
        """Record a change of files in the audit."""
        for filename in filenames:
            self.audit.record(
                AuditEntry(event, who=command_user(), project=name, filename=filename, detail=upstream)
            )
        self.audit.close()


def sha256_of(listing: CachedListing, file: File) -> str | None:
    """Return the SHA-256 that a listing states of a file, or that was found when it was fetched."""
    facts = listing.file_facts.get(file.filename)
    return file.sha256 or (facts.sha256 if facts else None)


def minute_of_past(seconds: float) -> str:
    """Return a time of the past for people, to the minute."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
