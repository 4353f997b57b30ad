"""Record in log and audit what upstreams remove or yank of files that are here: in the cache, or in a local directory. Blocking."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.text import plural, replace_unprintable
from simpleindex.records.audit.audit_reading import recent_entries
from simpleindex.system.log import logger
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME, project_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.records.audit.audit import Audit
    from simpleindex.records.audit.audited_uploads import SharedLines
    from simpleindex.upstreams.cache.cache import UpstreamCache
    from simpleindex.upstreams.cache.cached_listings import CachedListing
    from simpleindex.upstreams.listings.changes import ListingChange

    Changed = Callable[[str, CachedListing, ListingChange], None]
    Release = tuple[ProjectName, str]

_ONCE_SECONDS: Final = 86_400.0
"""The same is recorded once within this time: other workers see it too, and mirrors of an upstream may differ for a while."""

_LONGEST_REASON: Final = 200

_log: Final = logger(__name__)


class UpstreamChanges:
    """Records removals and yanks, one entry for each version; usable from any thread.

    Args:
        audit: The audit.
        cache: The cache of upstreams.
        directories: Return, for each local directory, whether it has a file of a project.
        now: The time, seconds since 1970.
        shared: Returns lines of the audit of all nodes, which see the same changes; None without any.
    """

    def __init__(
        self,
        audit: Audit,
        cache: UpstreamCache,
        directories: Sequence[Callable[[ProjectName, str], bool]],
        now: Callable[[], float] = time.time,
        shared: SharedLines | None = None,
    ) -> None:
        self._shared = shared
        self._audit = audit
        self._cache = cache
        self._directories = directories
        self._now = now

    def of(self, upstream: str, keep_removed: Changed | None) -> Changed:
        """Return what is called with the changes of one upstream.

        Args:
            upstream: The upstream's name.
            keep_removed: Called first; None if removed files are not kept.
        """

        def changed(index: str, listing: CachedListing, change: ListingChange) -> None:
            if keep_removed is not None:
                keep_removed(index, listing, change)
            self.record(upstream, index, listing, change)

        return changed

    def record(self, upstream: str, index: str, listing: CachedListing, change: ListingChange) -> None:
        """Record what is here of a change."""
        for event, files in (("upstream-removed", change.removed), ("upstream-yanked", change.yanked)):
            for release, present in self._present(index, listing.project.name, files):
                if not self._is_recorded(event, release):
                    self._record(event, upstream, release, present)

    def _present(
        self, index: str, cached_as: ProjectName, files: Sequence[File]
    ) -> Iterator[tuple[Release, list[File]]]:
        """Yield the files that are here, by release."""
        present: dict[Release, list[File]] = {}
        for file in files:
            project = project_of(file) if cached_as == FLAT_PAGE_NAME else cached_as
            key = UpstreamFileKey(index, cached_as, file.filename)
            if self._cache.files.find(key) is not None or any(
                has_file(project, file.filename) for has_file in self._directories
            ):
                present.setdefault((project, file.version), []).append(file)
        yield from present.items()

    def _is_recorded(self, event: str, release: Release) -> bool:
        project, version = release
        return any(
            (each["event"], each.get("version")) == (event, version)
            for each in recent_entries(self._audit.path, project, self._now() - _ONCE_SECONDS, self._shared)
        )

    def _record(self, event: str, upstream: str, release: Release, files: list[File]) -> None:
        project, version = release
        number = plural(len(files), "file")
        reason = next((file.yanked for file in files if file.yanked), "")[:_LONGEST_REASON]
        reason = f": {replace_unprintable(reason)}" if reason else ""
        _log.warn(
            "The upstream {upstream} has {done} {project} {version}, which your people use; {number} of it here{reason}.",
            upstream=upstream,
            done=event.removeprefix("upstream-"),
            project=project,
            version=version,
            number=number,
            reason=reason,
        )
        only = files[0].filename if len(files) == 1 else None
        detail = f"by {upstream}, {number} of it here{reason}"
        self._audit.record(AuditEntry(event, project=project, version=version, filename=only, detail=detail))
