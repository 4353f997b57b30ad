"""The three questions that make a source: which projects, this project, this file.

An answer that needs no waiting completes in the coroutine's first step (:mod:`simpleindex.core.stepping`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from simpleindex.core.views import LOCAL

if TYPE_CHECKING:
    from simpleindex.core.model import Project, ProjectList
    from simpleindex.core.names import ProjectName


class Delivery(StrEnum):
    """How the bytes of a file get to its clients."""

    DIRECTORY = "directory"
    CACHED = "cached"
    FETCHED = "fetched"


@dataclass(frozen=True, slots=True)
class FileOrigin:
    """Where the bytes of a file come from.

    Attributes:
        source: The name of the directory or upstream.
        delivery: From a directory, from the cache of an upstream, or from the upstream itself meanwhile.
    """

    source: str
    delivery: Delivery


LOCAL_ORIGIN: Final = FileOrigin(LOCAL, Delivery.DIRECTORY)
"""The origin of files in the directory of ``--path``."""


class Body(Protocol):
    """A file's bytes, opened; the caller closes it.

    Attributes:
        size: Bytes, or None if unknown beforehand.
        sha256: Lower-case hex digest of the whole, or None if unknown beforehand.
        modified_ns: When it was uploaded, nanoseconds since 1970 UTC, or None.
        accepts_ranges: Whether a part of it may be given on its own. Not while it is on its way from somewhere else, for
            only with its end it is known to be the right file.
        is_immutable: Whether nothing writes into the file while it is there, so that the kernel may send from it: it takes
            pages, and sends what is on them by then (docs/measurements.md, "Speed").
        origin: Where the bytes come from.
    """

    @property
    def size(self) -> int | None: ...

    @property
    def sha256(self) -> str | None: ...

    @property
    def modified_ns(self) -> int | None: ...

    @property
    def accepts_ranges(self) -> bool: ...
    @property
    def is_immutable(self) -> bool: ...
    @property
    def origin(self) -> FileOrigin: ...

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
        """Release the file; may be called more than once."""
        ...


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A file that is not served from here: the client is redirected to it.

    Attributes:
        url: Absolute.
    """

    url: str


class Source(Protocol):
    """Answers the three questions; most sources do it by wrapping another one.

    Every question may raise :class:`~simpleindex.core.errors.Unavailable`: then the answer is open, and no union may go
    past it to another source.
    """

    async def projects(self) -> ProjectList:
        """Return which projects there are."""
        ...

    async def project(self, name: ProjectName) -> Project:
        """Return what is in a project.

        Raises:
            NotHere: The source knows that it has no such project.
            NotAllowed: The reader may not have it.
        """
        ...

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:
        """Open this file: a distribution, its ``.metadata`` sidecar, or a signature or provenance beside it.

        Raises:
            NotHere: The project or the file is not here, or the file is not listed.
            NotAllowed: The reader may not have it (a quarantined project, a rule).
        """
        ...


class FreshAnswer(Protocol):
    """An answer that is no longer fresh at some time.

    Attributes:
        fresh_until: By the reactor's time, in seconds; 0 as soon as there is another answer.
    """

    @property
    def fresh_until(self) -> float: ...


@dataclass(frozen=True, slots=True)
class AnswerLifetime:
    """For how long an answer about a project is valid, unless rules or pins change.

    Attributes:
        until: Until when at most, seconds since 1970.
        listing: Makes it end earlier, by the reactor's time; None if nothing does.
    """

    until: float = math.inf
    listing: FreshAnswer | None = None


@runtime_checkable
class LastingSource(Source, Protocol):
    """A source that knows for how long its answers are valid."""

    def lifetime(self, name: ProjectName) -> AnswerLifetime | None:
        """Return for how long the answer is valid that :meth:`project` has just given without waiting; None if that is not known.

        That a project is not here is such an answer too.
        """
        ...

    def revision(self) -> object:
        """Return what stands for all rules and pins on which answers depend; equal as long as none of them has changed."""
        ...


def lifetime_of(source: Source, name: ProjectName) -> AnswerLifetime | None:
    """Return for how long an answer of any source is valid; as :meth:`LastingSource.lifetime`."""
    return source.lifetime(name) if isinstance(source, LastingSource) else None


def revision_of(source: Source) -> object:
    """Return what stands for the rules and pins of any source; as :meth:`LastingSource.revision`."""
    return source.revision() if isinstance(source, LastingSource) else None


class ForwardingSource:
    """Forwards the three questions to another source; a source that wraps one overrides what it changes."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def projects(self) -> ProjectList:
        """Return the projects of the wrapped source."""
        return await self._source.projects()

    async def project(self, name: ProjectName) -> Project:
        """Return a project of the wrapped source."""
        return await self._source.project(name)

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:
        """Open a file of the wrapped source."""
        return await self._source.file(name, filename)

    def lifetime(self, name: ProjectName) -> AnswerLifetime | None:
        """Return that of the wrapped source's answer."""
        return lifetime_of(self._source, name)

    def revision(self) -> object:
        """Return that of the wrapped source."""
        return revision_of(self._source)


class Located(Source, Protocol):
    """A source that knows where else each of its files is."""

    async def location(self, name: ProjectName, filename: str) -> str:
        """Return the absolute URL of a listed file, or of its ``.metadata`` sidecar.

        Raises:
            NotHere: It is not listed.
            NotAllowed: Its project is quarantined.
        """
        ...
