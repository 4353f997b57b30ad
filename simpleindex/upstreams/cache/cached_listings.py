"""An upstream's listing of a project, as the cache keeps it."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.files import Sidecar, StoredFiles
from simpleindex.core.model import Project, Status, Withheld, restored_files, stored_files
from simpleindex.core.names import ProjectName
from simpleindex.upstreams.pages.enrich import FileFacts
from simpleindex.upstreams.pages.listing_faults import ListingFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from simpleindex.core.files import File

FORMAT: Final = 3
"""Raised whenever what is packed changes."""

OLDER_FORMAT: Final = 2
"""That of versions which did not note faults and modification times; it is read too, for pins are records."""


@dataclass(frozen=True, slots=True)
class CachedListing:
    """An upstream's listing of a project, with what was found out about its files since.

    Attributes:
        project: As the upstream lists it.
        etag: For conditional requests; None if none came.
        last_modified: The same.
        fresh_for: Seconds for which the upstream's headers call it fresh; None if they do not say.
        fetched_at: When it came, seconds since 1970.
        file_facts: What reading files showed, by file name.
        faults: What is wrong with it, by the name of a file or of its metadata.
        modified: Modification times of files on their servers, nanoseconds since 1970, by file name; 0 where a server does not
            state one.
    """

    project: Project
    etag: str | None
    last_modified: str | None
    fresh_for: float | None
    fetched_at: float
    file_facts: Mapping[str, FileFacts]
    faults: Mapping[str, ListingFault] = field(default_factory=dict)
    modified: Mapping[str, int] = field(default_factory=dict)

    def file(self, filename: str) -> File | None:
        """Return a file as the upstream lists it."""
        return self.project.file(filename)


def parts_of_listing(upstream: str, listing: CachedListing) -> tuple[Any, ...]:
    """Return a listing as plain values, to be packed."""
    project = listing.project
    return (
        *(upstream, str(project.name), project.status.value, project.status_reason),
        *stored_files(project.files),
        [astuple(item) for item in project.withheld],
        *(listing.etag, listing.last_modified, listing.fresh_for, listing.fetched_at),
        {name: astuple(file_facts) for name, file_facts in listing.file_facts.items()},
        {name: astuple(fault) for name, fault in listing.faults.items()},
        dict(listing.modified),
    )


def listing_of_parts(parts: tuple[Any, ...]) -> CachedListing:
    """Return the listing that was packed.

    Raises:
        ValueError, TypeError, KeyError, IndexError: These are not the parts of a listing.
    """
    if parts[0] == OLDER_FORMAT:
        parts = (*parts, {}, {})
    _, _, name, status, reason, data, number, size, withheld, *headers, file_facts, faults, modified = parts
    etag, last_modified, fresh_for, fetched_at = headers
    project = Project(
        name=ProjectName(name),
        files=restored_files(StoredFiles(data, number, size)),
        withheld=tuple(Withheld(*item) for item in withheld),
        status=Status(status),
        status_reason=reason,
    )
    facts = dict(_unpacked_facts(file_facts.items()))
    unpacked_faults = {name: ListingFault(*fault) for name, fault in faults.items()}
    return CachedListing(
        project, etag, last_modified, fresh_for, fetched_at, facts, unpacked_faults, modified
    )


def _unpacked_facts(items: Iterable[tuple[str, tuple[Any, ...]]]) -> Iterator[tuple[str, FileFacts]]:
    for name, (size, sha256, requires_python, sidecar, modified_ns) in items:
        yield name, FileFacts(size, sha256, requires_python, sidecar and Sidecar(*sidecar), modified_ns)
