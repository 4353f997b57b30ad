"""What an upstream leaves out, and what has become known since; how long what it says is good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from packaging.version import Version

from simpleindex.core.model import FIRST_SEEN, LAST_MODIFIED, Project, Sidecar, Status
from simpleindex.core.names import METADATA_SUFFIX, Kind
from simpleindex.core.packed import PackedFiles
from simpleindex.upstreams.pages.signed_urls import unsigned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.model import File

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ttls:
    """How long answers are good, all in seconds.

    Attributes:
        most: A listing, at most, and where the upstream does not say.
        least: A listing, whatever the upstream says: one that never wants to be believed would be asked by every request.
        absent: That there is no such project.
        projects: The list of projects.
        failing: After an upstream could not be asked, what was kept is served without asking again.
        patience: After these, what was kept is served although an upstream is still thinking.
    """

    most: float = 600
    least: float = 10
    absent: float = 60
    projects: float = 3600
    failing: float = 10
    patience: float = 5

    def fresh_for(self, said: float | None) -> float:
        """How long a listing need not be asked for again.

        Args:
            said: What the upstream says.
        """
        return self.most if said is None else min(self.most, max(self.least, said))


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file itself taught.

    Attributes:
        size: Bytes.
        sha256: Lower-case hex digest; None where only its end was read.
        requires_python: Of a wheel's metadata.
        sidecar: A wheel's METADATA.
        modified_ns: What its server called its last modification, nanoseconds since 1970; None if it did not say.
    """

    size: int
    sha256: str | None
    requires_python: str | None = None
    sidecar: Sidecar | None = None
    modified_ns: int | None = None


def enriched(
    project: Project, file_facts: Mapping[str, FileFacts], first_seen: Mapping[str, int], generation: int
) -> Project:
    """An upstream's project as it is offered here: files are had from us, and what is known of them is said.

    Signatures and provenance that lie beside a file there are not fetched; where provenance has a URL, it stays.

    Args:
        project: As the upstream has it.
        file_facts: What files themselves taught, by file name.
        first_seen: When files were seen here first, nanoseconds since 1970, by file name; of those that have no upload time.
        generation: Of the result.
    """
    files = [
        enriched_file(file, file_facts.get(file.filename), first_seen.get(file.filename))
        for file in project.files
    ]
    if project.status is Status.QUARANTINED:
        files = []
    return replace(project, files=PackedFiles(files), generation=generation, stale=False)


def enriched_file(file: File, file_facts: FileFacts | None, first_seen: int | None = None) -> File:
    """One file as it is offered here; its upload time is the best that is known, and says which that is."""
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
        # PEP 658 wants the very bytes that are in the wheel, and all of it has been read.
        sidecar = file_facts.sidecar
    if file.kind is Kind.WHEEL and requires_python is None:
        requires_python = file_facts.requires_python
    sha256 = file_facts.sha256 or file.sha256
    return replace(
        file, size=file_facts.size, sha256=sha256, metadata=sidecar, requires_python=requires_python
    )


def _stated_metadata(file: File, file_facts: FileFacts | None) -> Sidecar | None:
    """The metadata that an upstream states; none where it gives them the digest of the file itself, which cannot be theirs."""
    digests = {file.sha256, None if file_facts is None else file_facts.sha256}
    return None if file.metadata is not None and file.metadata.sha256 in digests else file.metadata


def with_modification_times(
    project: Project, file_facts: Mapping[str, FileFacts], modified: Mapping[str, int]
) -> Project:
    """Return a project whose files have the time of their last modification where nobody says when they were uploaded.

    Args:
        project: As the upstream has it.
        file_facts: What files themselves taught; what came with the file counts more than what was known before.
        modified: What servers say, nanoseconds since 1970, by file name; 0 where one does not.
    """
    if not modified:
        return project
    files = []
    for file in project.files:
        time = modified.get(file.filename)
        known = file_facts.get(file.filename)
        if time and file.uploaded_ns is None and (known is None or known.modified_ns is None):
            file = replace(file, uploaded_ns=time, dated_by=LAST_MODIFIED)  # noqa: PLW2901
        files.append(file)
    return replace(project, files=PackedFiles(files))


def files_without_dates(
    project: Project, file_facts: Mapping[str, FileFacts], modified: Mapping[str, int]
) -> tuple[File, ...]:
    """Return the files of which nobody has asked yet when they were modified, those of the newest versions first."""
    return tuple(
        file
        for file in reversed(project.files)
        if file.uploaded_ns is None
        and file.url is not None
        and file.filename not in modified
        and (file.filename not in file_facts or file_facts[file.filename].modified_ns is None)
    )


def files_without_upload_times(project: Project) -> Mapping[str, str]:
    """The files of which an upstream does not say when they were uploaded, and what tells each from another of its name."""
    return {file.filename: _bytes_of(file) for file in project.files if file.uploaded_ns is None}


def _bytes_of(file: File) -> str:
    if file.sha256 is not None:
        return file.sha256
    if file.other_hash is not None:
        return "=".join(file.other_hash)
    # Signed URLs are others each time.
    return (file.url or "").partition("?")[0]


_NEWEST: Final = 3
_MOST_WHEELS: Final = 30


def wheels_without_metadata(project: Project, file_facts: Mapping[str, FileFacts]) -> tuple[File, ...]:
    """The wheels whose metadata a resolver will want first, and nobody has: those of the newest versions.

    Args:
        project: As the upstream has it, in order.
        file_facts: What files themselves taught.
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
    """What was learnt of files that are as they were, as far as an upstream tells."""
    if not file_facts or before is None:
        return {}
    marks = {file.filename: identity_of(file) for file in before.files if file.filename in file_facts}
    return {
        file.filename: file_facts[file.filename]
        for file in now.files
        if file.filename in file_facts and marks.get(file.filename) == identity_of(file)
    }


def identity_of(file: File) -> tuple[object, ...]:
    """What tells a file from another one of its name; a URL does so only where no hash is stated."""
    digest = file.sha256 or file.other_hash
    return digest or unsigned(file.url or ""), file.size, digest, file.uploaded_ns


def metadata_url(url: str) -> str:
    """Where the sidecar of a file is (PEP 658): beside it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path + METADATA_SUFFIX, fragment=""))
