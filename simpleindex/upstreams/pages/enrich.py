"""Complete an upstream's listing: facts that its files show, upload times, and how long answers are fresh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from packaging.version import Version

from simpleindex.core.files import FIRST_SEEN, LAST_MODIFIED, Sidecar
from simpleindex.core.model import Project, Status
from simpleindex.core.names import METADATA_SUFFIX, Kind
from simpleindex.upstreams.pages.signed_urls import unsigned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.files import File

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ttls:
    """How long answers are fresh, all in seconds.

    Attributes:
        most: A listing, at most, and if the upstream's headers do not say.
        least: A listing, whatever its headers say: else some upstreams would be requested by every client.
        absent: The answer that there is no such project.
        failing: After a failed request: the cache is served without another one.
        patience: A request that takes longer goes on, while the cache is served.
    """

    most: float = 600
    least: float = 10
    absent: float = 60
    projects: float = 3600
    failing: float = 10
    patience: float = 5

    def fresh_for(self, stated: float | None) -> float:
        """Return how long a listing is fresh.

        Args:
            stated: What its headers say; None if nothing.
        """
        return self.most if stated is None else min(self.most, max(self.least, stated))


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What reading a file showed.

    Attributes:
        size: Bytes.
        sha256: Lower-case hex digest; None if only its end was read.
        requires_python: That of a wheel's metadata.
        sidecar: Those of a wheel.
        modified_ns: When it was last modified, nanoseconds since 1970; None if its server did not state that.
    """

    size: int
    sha256: str | None
    requires_python: str | None
    sidecar: Sidecar | None = None
    modified_ns: int | None = None


def enriched(project: Project, file_facts: Mapping[str, FileFacts], first_seen: Mapping[str, int]) -> Project:
    """Return an upstream's project as it is offered here: with our links and with the facts of its files.

    Signatures and provenance beside a file are not fetched; a URL of provenance stays.

    Args:
        project: As the upstream lists it.
        file_facts: What reading files showed, by file name.
        first_seen: When files without an upload time were first seen here, nanoseconds since 1970, by file name.
    """
    files = [
        enriched_file(file, file_facts.get(file.filename), first_seen.get(file.filename))
        for file in project.files
    ]
    if project.status is Status.QUARANTINED:
        files = []
    return replace(project, files=files, stale=False)


def enriched_file(file: File, file_facts: FileFacts | None, first_seen: int | None = None) -> File:
    """Return a file as it is offered here, with the best upload time and its kind."""
    file = replace(
        file, url=None, signatures=(), provenance=False, metadata=_stated_metadata(file, file_facts)
    )
    if file.uploaded_ns is None and file_facts is not None and file_facts.modified_ns is not None:
        file = replace(file, uploaded_ns=file_facts.modified_ns, dated_by=LAST_MODIFIED)
    elif file.uploaded_ns is None and first_seen is not None:
        file = replace(file, uploaded_ns=first_seen, dated_by=FIRST_SEEN)
    if file_facts is None or (
        None not in (file.sha256, file_facts.sha256) and file.sha256 != file_facts.sha256
    ):
        return file
    sidecar, requires_python = file.metadata or file_facts.sidecar, file.requires_python
    if file_facts.sha256 is not None and file_facts.sidecar is not None:
        # PEP 658 wants exactly the bytes in the wheel, and all of it was read.
        sidecar = file_facts.sidecar
    if file.kind is Kind.WHEEL and requires_python is None:
        requires_python = file_facts.requires_python
    sha256 = file_facts.sha256 or file.sha256
    return replace(
        file, size=file_facts.size, sha256=sha256, metadata=sidecar, requires_python=requires_python
    )


def _stated_metadata(file: File, file_facts: FileFacts | None) -> Sidecar | None:
    """Return the metadata that an upstream states; None if it gives them the digest of the file itself, which is wrong."""
    digests = {file.sha256, None if file_facts is None else file_facts.sha256}
    return None if file.metadata is not None and file.metadata.sha256 in digests else file.metadata


def with_modification_times(
    project: Project, file_facts: Mapping[str, FileFacts], modified: Mapping[str, int]
) -> Project:
    """Return a project whose files without an upload time have their modification time.

    Args:
        project: As the upstream lists it.
        file_facts: What reading files showed; a time that came with the file counts more.
        modified: Modification times, nanoseconds since 1970, by file name; 0 if the server does not state one.
    """
    if not modified:
        return project
    files = []
    for file in project.files:
        time = modified.get(file.filename)
        facts = file_facts.get(file.filename)
        if time and file.uploaded_ns is None and (facts is None or facts.modified_ns is None):
            file = replace(file, uploaded_ns=time, dated_by=LAST_MODIFIED)  # noqa: PLW2901
        files.append(file)
    return replace(project, files=files)


def files_without_dates(
    project: Project, file_facts: Mapping[str, FileFacts], modified: Mapping[str, int]
) -> tuple[File, ...]:
    """Return the files whose modification time is not known yet, those of the newest versions first."""
    return tuple(
        file
        for file in reversed(project.files)
        if file.uploaded_ns is None
        and file.url is not None
        and file.filename not in modified
        and (file.filename not in file_facts or file_facts[file.filename].modified_ns is None)
    )


def files_without_upload_times(project: Project) -> Mapping[str, str]:
    """Return what identifies each file without an upload time, by its name."""
    return {file.filename: _bytes_of(file) for file in project.files if file.uploaded_ns is None}


def _bytes_of(file: File) -> str:
    if file.sha256 is not None:
        return file.sha256
    if file.other_hash is not None:
        return "=".join(file.other_hash)
    # Signed URLs differ each time.
    return (file.url or "").partition("?")[0]


_NEWEST: Final = 3
_MOST_WHEELS: Final = 30


def wheels_without_metadata(project: Project, file_facts: Mapping[str, FileFacts]) -> tuple[File, ...]:
    """Return the wheels of the newest versions that have no metadata: a resolver needs those first.

    Args:
        project: As the upstream lists it, in order.
        file_facts: What reading files showed.
    """
    versions = [version for version in reversed(project.versions) if not Version(version).is_prerelease]
    newest = set(versions[:_NEWEST])
    wheels = [
        file
        for file in project.files
        if file.version in newest
        and file.kind is Kind.WHEEL
        and file.metadata is None
        and file.yanked is None
        and file.filename not in file_facts
    ]
    return tuple(wheels[-_MOST_WHEELS:])


def unchanged_facts(file_facts: Mapping[str, _T], before: Project | None, now: Project) -> Mapping[str, _T]:
    """Return what is known of files that have not changed, by their listings."""
    if not file_facts or before is None:
        return {}
    marks = {file.filename: identity_of(file) for file in before.files if file.filename in file_facts}
    return {
        file.filename: file_facts[file.filename]
        for file in now.files
        if file.filename in file_facts and marks.get(file.filename) == identity_of(file)
    }


def identity_of(file: File) -> tuple[object, ...]:
    """Return what tells a file from another one of its name; its URL counts only if no hash is stated."""
    digest = file.sha256 or file.other_hash
    return digest or unsigned(file.url or ""), file.size, digest, file.uploaded_ns


def metadata_url(url: str) -> str:
    """Return the URL of a file's metadata (PEP 658), which is beside it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path + METADATA_SUFFIX, fragment=""))
