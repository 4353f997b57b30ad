"""An upstream index in memory that counts what it is asked, and misbehaves as a test tells it to."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed

from simpleindex.core.errors import NotHere, UpstreamFailed
from simpleindex.core.model import File, Project, Sidecar, file_order
from simpleindex.core.names import ProjectName, parse_distribution_name
from simpleindex.upstreams.interface import Listing, Validators

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = "https://files.example.org/"


class MemoryStream:
    """A file that comes in these pieces, and may break off."""

    def __init__(self, upstream: MemoryUpstream, data: bytes, size: int | None, offset: int) -> None:
        self._upstream = upstream
        self.size = size
        self.offset = offset
        self.validators = Validators(upstream.etag, upstream.last_modified)
        self._pieces = [*upstream.cut(data)]
        self.is_closed = False

    def left(self) -> bytes:
        """What nobody has read."""
        return b"".join(self._pieces)

    async def read(self) -> bytes:
        if self._upstream.gates is not None:
            gate: Deferred[None] = Deferred()
            self._upstream.gates.append(gate)
            await gate
        if self._upstream.breaks and self._upstream.breaks[0] <= 0:
            self._upstream.breaks.pop(0)
            raise UpstreamFailed("pypi", "the connection broke")
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if self._upstream.breaks:
            self._upstream.breaks[0] -= 1
        return piece

    def close(self) -> None:
        self.is_closed = True


class MemoryUpstream:
    """An upstream that tests fill.

    Attributes:
        pages: Listings by project.
        files: Bytes by URL.
        modified_ns: When files were modified, by URL.
        modified_gate: What every question for that waits for, if anything.
        errors: What questions for files raise, by URL.
        asked: Every question so far.
        error: What every question for a listing raises, if anything.
        refused: What every question for a file raises, if anything.
        gate: What every question for a listing waits for, if anything.
        gates: Where each read of a stream leaves what it waits for, if it is to wait.
        beginnings: Where each question for a file leaves what it waits for before its first byte, if it is to wait.
        breaks: After how many pieces each stream breaks off.
        ranges: Whether a stream can begin elsewhere than at the beginning.
        says_size: Whether a stream says how large the file is.
        etag: Of every file.
        last_modified: The same.
        pieces: The sizes of the pieces, the last one for all further ones.
    """

    name = "pypi"

    def __init__(self) -> None:
        self.pages: dict[ProjectName, Listing] = {}
        self.files: dict[str, bytes] = {}
        self.errors: dict[str, Exception] = {}
        self.modified_ns: dict[str, int] = {}
        self.modified_gate: Deferred[None] | None = None
        self.asked: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        self.refused: Exception | None = None
        self.gate: Deferred[None] | None = None
        self.gates: list[Deferred[None]] | None = None
        self.beginnings: list[Deferred[None]] | None = None
        self.breaks: list[int] = []
        self.last_modified: str | None = None
        self.ranges = True
        self.says_size = True
        self.etag: str | None = None
        self.pieces: Sequence[int] = (1000,)
        self.streams: list[MemoryStream] = []
        self._count = 0

    def add(
        self, filename: str, data: bytes, *, metadata: bytes | None = None, bare: bool = False, **facts: Any
    ) -> File:
        """Offer a file; a bare one is listed as an old index does it: by its name and its URL."""
        name = parse_distribution_name(filename)
        url = f"{HOST}{name.project}/{filename}"
        self.files[url] = data
        sidecar = None
        if metadata is not None:
            self.files[f"{url}.metadata"] = metadata
            sidecar = Sidecar(hashlib.sha256(metadata).hexdigest(), len(metadata))
        file = File(
            filename,
            name.version,
            name.kind,
            None if bare else len(data),
            None if bare else hashlib.sha256(data).hexdigest(),
            None if bare else 1_700_000_000_000_000_000,
            metadata=sidecar,
            url=url,
            source=self.name,
        )
        file = replace(file, **facts)
        before = self.pages[name.project].project.files if name.project in self.pages else ()
        others = [other for other in before if other.filename != filename]
        self.put(Project(name.project, tuple(sorted([*others, file], key=file_order))))
        return file

    def put(self, project: Project, fresh_for: float | None = None) -> None:
        """Offer a project."""
        self._count += 1
        self.pages[project.name] = Listing(project, Validators(f'"{self._count}"'), fresh_for)

    def cut(self, data: bytes) -> list[bytes]:
        """Cut into pieces."""
        sizes, pieces = [*self.pieces], []
        while data:
            size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
            pieces.append(data[:size])
            data = data[size:]
        return pieces

    async def projects(self) -> tuple[ProjectName, ...]:
        await self._question("projects")
        return tuple(sorted(self.pages))

    async def project(self, name: ProjectName, known: Validators | None) -> Listing | None:
        await self._question("project", name, known)
        if name not in self.pages:
            raise NotHere(f"project {name}")
        listing = self.pages[name]
        return None if known is not None and known == listing.validators else listing

    async def open(
        self, url: str, offset: int = 0, validators: Validators | None = None, *, size: int | None = None
    ) -> MemoryStream:
        self.asked.append(("open", url, offset))
        if self.beginnings is not None:
            beginning: Deferred[None] = Deferred()
            self.beginnings.append(beginning)
            await beginning
        if self.error is not None or self.refused is not None:
            raise self.error or self.refused or AssertionError
        if url in self.errors:
            raise self.errors[url]
        if url not in self.files:
            raise NotHere(f"file {url}")
        data = self.files[url]
        is_same = validators is None or validators.etag in {None, self.etag}
        offset = offset if self.ranges and is_same else 0
        stream = MemoryStream(self, data[offset:], len(data) if self.says_size else None, offset)
        self.streams.append(stream)
        return stream

    async def modified(self, url: str) -> int | None:
        self.asked.append(("modified", url))
        await (self.modified_gate or succeed(None))
        if url in self.errors:
            raise self.errors[url]
        if url not in self.files:
            raise NotHere(f"file {url}")
        return self.modified_ns.get(url)

    def opens(self) -> list[int]:
        """From where files were asked for so far."""
        return [what[2] for what in self.asked if what[0] == "open"]

    async def _question(self, *what: Any) -> None:
        self.asked.append(what)
        await (self.gate or succeed(None))
        if self.error is not None:
            raise self.error
