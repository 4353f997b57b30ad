"""What an upstream index answered about a project, as the cache keeps it."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from simpleindex.core.files import PackedFiles
from simpleindex.core.model import Project, Sidecar, Status, Withheld
from simpleindex.core.names import ProjectName
from simpleindex.core.repair import Learnt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class KeptListing:
    """What an upstream said of a project.

    Attributes:
        project: As it has it.
        etag: To ask again by; None if none came.
        last_modified: The same.
        fresh_for: Seconds for which it need not be asked again, as the upstream said; None if it did not.
        fetched_at: When it said so, seconds since 1970.
        learnt: What files themselves taught since, by name.
    """

    project: Project
    etag: str | None
    last_modified: str | None
    fresh_for: float | None
    fetched_at: float
    learnt: Mapping[str, Learnt]


def parts_of_listing(upstream: str, kept: KeptListing) -> tuple[Any, ...]:
    """Return a listing as plain values, to be packed."""
    project = kept.project
    files = project.files if isinstance(project.files, PackedFiles) else PackedFiles(project.files)
    return (
        *(upstream, str(project.name), project.status.value, project.status_reason),
        *(files.packed, len(files), files.size),
        [astuple(item) for item in project.withheld],
        *(kept.etag, kept.last_modified, kept.fresh_for, kept.fetched_at),
        {name: astuple(learnt) for name, learnt in kept.learnt.items()},
    )


def listing_of_parts(parts: tuple[Any, ...]) -> KeptListing:
    """Return the listing that was packed.

    Raises:
        ValueError, TypeError, KeyError, IndexError: It is none.
    """
    _, _, name, status, reason, packed, count, size, withheld, *said, fetched_at, learnt = parts
    etag, last_modified, fresh_for = said
    project = Project(
        name=ProjectName(name),
        files=PackedFiles.restored(packed, count, size),
        withheld=tuple(Withheld(*item) for item in withheld),
        status=Status(status),
        status_reason=reason,
    )
    known = dict(_learnt(learnt.items()))
    return KeptListing(project, etag, last_modified, fresh_for, fetched_at, known)


def _learnt(items: Iterable[tuple[str, tuple[Any, ...]]]) -> Iterator[tuple[str, Learnt]]:
    for name, (size, sha256, requires_python, sidecar, modified_ns) in items:
        yield name, Learnt(size, sha256, requires_python, sidecar and Sidecar(*sidecar), modified_ns)
