"""The interface of an upstream index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of an answer, for conditional requests (RFC 9110 section 8.8).

    Attributes:
        etag: The field, with its quotes; None if there was none.
    """

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A project's page at an upstream, parsed.

    Attributes:
        project: Its files have absolute URLs, and nothing that the upstream did not state.
        fresh_for: Seconds for which its headers call it fresh; None if they do not say.
    """

    project: Project
    validators: Validators
    fresh_for: float | None


class Stream(Protocol):
    """A file that is being fetched from an upstream.

    Attributes:
        size: Bytes of the whole file; None if the upstream does not state it.
        offset: Where in the file the stream begins; 0 if the upstream ignored the range.
        validators: For a request for the rest; Last-Modified also counts as the upload time if none is stated.
    """

    @property
    def size(self) -> int | None: ...

    @property
    def offset(self) -> int: ...

    @property
    def validators(self) -> Validators: ...

    async def read(self) -> bytes:
        """Return the next bytes; empty at the end.

        Raises:
            UpstreamFailed: The connection broke off.
        """
        ...

    def close(self) -> None:
        """Close the connection; may be called more than once."""
        ...


class Upstream(Protocol):
    """Another index, requested again each time."""

    @property
    def name(self) -> str:
        """Its name in the sources file."""
        ...

    async def projects(self) -> tuple[ProjectName, ...]:
        """Return the names of its projects, normalized and sorted.

        Raises:
            UpstreamFailed: It cannot be requested, or its answer is invalid.
        """
        ...

    async def project(self, name: ProjectName, validators: Validators | None) -> Listing | None:
        """Return the listing of a project; None if it has not changed since it had these validators.

        Raises:
            NotHere: It has no such project.
            UpstreamFailed: It cannot be requested, or its answer is invalid.
        """
        ...

    async def open(
        self, url: str, offset: int = 0, validators: Validators | None = None, *, size: int | None = None
    ) -> Stream:
        """Begin to fetch a file, or the rest of one that has not changed since it had these validators.

        Args:
            url: As listed.
            offset: Where the rest begins.
            validators: Those of the file when the first part of it came.
            size: Bytes of the whole file, if they are listed.

        Raises:
            NotHere: The upstream does not have it.
            UpstreamFailed: It cannot be fetched.
        """
        ...

    async def modified(self, url: str) -> int | None:
        """Return when a file was last modified, nanoseconds since 1970, without fetching it; None if that is not stated.

        Raises:
            NotHere: The upstream does not have it.
            UpstreamFailed: It cannot be requested.
        """
        ...
