"""The three questions that make a source: which projects, this project, this file.

The first two can also be put to what is known at this moment, by whoever would otherwise ask twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.core.model import Project, ProjectList, Status
    from simpleindex.core.names import ProjectName
    from simpleindex.core.rights import UploadRules
    from simpleindex.core.upload import Upload


class Body(Protocol):
    """A file's bytes, opened; whoever gets one closes it.

    Attributes:
        size: Bytes, or None if not known beforehand.
        sha256: Lower-case hex digest of the whole, or None if not known beforehand.
        modified_ns: When it was uploaded, nanoseconds since 1970 UTC, or None.
        accepts_ranges: Whether a part of it may be given on its own. Not while it is on its way from somewhere else, for
            only with its end it is known to be the right file.
    """

    @property
    def size(self) -> int | None: ...

    @property
    def sha256(self) -> str | None: ...

    @property
    def modified_ns(self) -> int | None: ...

    @property
    def accepts_ranges(self) -> bool: ...

    async def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``, for a range that lies within the size.

        Raises:
            Changed: The bytes are no longer those that were listed; nothing more may be sent.
        """
        ...

    def send_to(self, socket: int, offset: int, length: int) -> int | None:
        """Have the kernel send these bytes to a socket's descriptor, without passing through here.

        It takes pages, not bytes: what is written to a file in place is sent as it is by then.

        Returns:
            How many bytes it took, none if the socket is full or lost; None where it cannot be done without waiting.

        Raises:
            Changed: As for :meth:`read`.
        """
        ...

    def close(self) -> None:
        """Give back what is held; may be called more than once."""
        ...


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A file that is not given from here: whoever wants it is sent to where it is.

    Attributes:
        url: Absolute.
    """

    url: str


class Source(Protocol):
    """Answers the three questions; most sources do it by wrapping another one.

    Every question may raise :class:`~simpleindex.core.errors.Unavailable`: then nothing is known, and no union may go
    past it to another source.
    """

    async def projects(self) -> ProjectList:
        """Which projects are there?"""
        ...

    async def project(self, name: ProjectName) -> Project:
        """What is in this project?

        Raises:
            NotHere: The source knows that it has no such project.
            NotAllowed: It may not be had.
        """
        ...

    def projects_now(self) -> ProjectList | None:
        """What :meth:`projects` answers now, if it can without waiting or beginning anything; or None."""
        ...

    def project_now(self, name: ProjectName) -> Project | None:
        """What :meth:`project` answers now, if it can without waiting or beginning anything; or None.

        Raises:
            SimpleIndexError: As there, or None is answered.
        """
        ...

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:
        """Open this file: a distribution, its ``.metadata`` sidecar, or a signature or provenance beside it.

        Raises:
            NotHere: The project or the file is not here, or the file is not listed.
            NotAllowed: It may not be had (a quarantined project, a rule).
        """
        ...


class Located(Source, Protocol):
    """A source that knows where else each of its files is."""

    async def location(self, name: ProjectName, filename: str) -> str:
        """The absolute URL of a listed file, or of its ``.metadata`` sidecar.

        Raises:
            NotHere: It is not listed.
            NotAllowed: Its project is quarantined.
        """
        ...


class Draft(Protocol):
    """A file on its way into an index; blocking; it lives in a thread."""

    def write(self, data: bytes) -> None:
        """Add to its end.

        Raises:
            CannotStore: There is no room for it.
        """
        ...

    def finish(self) -> Digests:
        """See to it that all of it is on the disk.

        Raises:
            CannotStore: It is not.
        """
        ...

    def discard(self) -> None:
        """Throw it away, unless it was committed; may be called more than once."""
        ...


class Digests(Protocol):
    """What is known of a finished draft's bytes; digests in lower-case hex.

    Attributes:
        size: Their number.
        sha256: Of them.
        blake2_256: BLAKE2b with 32 bytes.
        md5: For old clients that send no other.
    """

    @property
    def size(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    @property
    def blake2_256(self) -> str: ...

    @property
    def md5(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Published:
    """What came of an upload.

    Attributes:
        sha256: Of the file.
        created: Whether it is there now and was not before; False for the same file once more (SPEC P29).
        warnings: Sentences for whoever uploaded it.
    """

    sha256: str
    created: bool
    warnings: tuple[str, ...] = ()


class Publishing(Protocol):
    """The second, small interface: it changes what a source has, and returns when the source says so."""

    def require_room(self, size: int) -> None:
        """Refuse what would not fit; blocking.

        Raises:
            CannotStore: There is no room for so many bytes, or nothing can be written.
        """
        ...

    def reserve(self, name: ProjectName) -> Callable[[], None]:
        """Make a name this index's own while an upload of it is on its way; in any thread.

        Returns:
            What gives it back.
        """
        ...

    def open_draft(self) -> Draft:
        """Begin a file; blocking.

        Raises:
            CannotStore: Nothing can be written.
        """
        ...

    async def publish(
        self, draft: Draft, upload: Upload, rules: UploadRules, own: Callable[[], None]
    ) -> Published:
        """Judge a draft's bytes, and put the file where it is listed.

        Args:
            draft: All of the file.
            upload: What the client says of it.
            rules: For its project.
            own: Called last before it is put there, in a thread; may refuse.

        Raises:
            RefusedUpload: The bytes are not what they should be.
            AlreadyExists: Other bytes have that name.
            NameUsed: A deleted file had it.
            CannotStore: There is no room for it.
        """
        ...

    async def yank(self, name: ProjectName, key: str, reason: str) -> None:
        """Yank a version or a file (PEP 592)."""
        ...

    async def unyank(self, name: ProjectName, key: str) -> None:
        """Take that back."""
        ...

    async def set_status(self, name: ProjectName, status: Status, reason: str | None) -> bool:
        """Set a project's status (PEP 792); return whether it was another."""
        ...

    async def delete(self, name: ProjectName, key: str, *, by: str) -> Mapping[str, str | None]:
        """Delete a version or a file; return the digests of the files that are gone by name, None where one was unreadable."""
        ...

    async def restore(self, name: ProjectName, filename: str, *, by: str) -> str:
        """Take a deleted file out of the trash, the one that was deleted last; return its digest."""
        ...

    async def free(self, name: ProjectName, filename: str, *, by: str) -> None:
        """Let a deleted file's name be used again."""
        ...


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
