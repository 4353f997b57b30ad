"""The interface of an upstream index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName


@dataclass(frozen=True, slots=True)
class Validators:
    """What an answer can be asked again by (RFC 9110 section 8.8).

    Attributes:
        etag: As it came, quotes and all; None if none came.
        last_modified: As it came.
    """

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """An upstream's answer to "this project?", as it was understood.

    Attributes:
        project: Its files carry the absolute URL where the upstream has them, and nothing that the upstream did not state.
        validators: To ask again by.
        fresh_for: Seconds for which the upstream says that it need not be asked again; None if it does not say.
    """

    project: Project
    validators: Validators
    fresh_for: float | None = None


class Stream(Protocol):
    """A file on its way from an upstream.

    Attributes:
        size: Bytes of the whole file; None if the upstream does not say.
        offset: Where in the file the first byte of the stream is; 0 where the upstream ignored the wish for less.
        validators: What came with it, to ask for the rest by; Last-Modified is also when it was uploaded, if nobody says.
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
            UpstreamFailed: It broke off.
        """
        ...

    def close(self) -> None:
        """Let go of the connection; may be called more than once."""
        ...


class Upstream(Protocol):
    """Another index; it is asked each time, and remembers nothing."""

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        ...

    async def projects(self) -> tuple[ProjectName, ...]:
        """The names of its projects, normalized and sorted.

        Raises:
            UpstreamFailed: It cannot be asked, or its answer cannot be used.
        """
        ...

    async def project(self, name: ProjectName, known: Validators | None) -> Listing | None:
        """What is in this project; None if it is still as it was when it had these validators.

        Raises:
            NotHere: It says that it has no such project.
            UpstreamFailed: It cannot be asked, or its answer cannot be used.
        """
        ...

    async def open(
        self, url: str, offset: int = 0, validators: Validators | None = None, *, size: int | None = None
    ) -> Stream:
        """Begin to fetch a file, or the rest of one that is still what these validators stand for.

        Args:
            url: As it is listed.
            offset: Where the rest begins.
            validators: Those of the file when the first part of it came.
            size: Bytes of the whole file, if they are listed.

        Raises:
            NotHere: It is not there.
            UpstreamFailed: It cannot be fetched.
        """
        ...

    async def modified(self, url: str) -> int | None:
        """Return when a file was modified there, nanoseconds since 1970, without fetching it; None if it is not said.

        Raises:
            NotHere: It is not there.
            UpstreamFailed: It cannot be asked.
        """
        ...
