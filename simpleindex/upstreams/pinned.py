"""A source that adds pinned files to an upstream: they stay on offer whatever becomes of the upstream."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from cachetools import FIFOCache

from simpleindex.core.errors import NotAllowed, NotHere
from simpleindex.core.files import file_order
from simpleindex.core.model import Status
from simpleindex.core.names import METADATA_SUFFIX
from simpleindex.core.source import Delivery, FileOrigin, ForwardingSource
from simpleindex.system.bodies import BytesBody, FileBody
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.upstreams.fetching.fetch import open_in_thread

if TYPE_CHECKING:
    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import AnswerLifetime, Body, Elsewhere, Source
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.cache.pins import Pins

_LOOK_SECONDS: Final = 1.0
"""Seconds between two checks whether pins have changed; every request needs them."""

_MOST: Final = 1_000


class PinnedSource(ForwardingSource):
    """A source with pinned files beside those of an upstream.

    The upstream counts first: a pinned file is added only if it is no longer listed, and nothing of a project that is quarantined
    there is offered.
    """

    def __init__(self, source: Source, index: str, pins: Pins, clock: Any, threads: Threads) -> None:
        super().__init__(source)
        self._index = index
        self._pins = pins
        self._clock = clock
        self._threads = threads
        self._next_look = 0.0
        self._state: object = object()
        self._names: frozenset[ProjectName] = frozenset()
        self._own: FIFOCache[ProjectName, Project] = FIFOCache(_MOST)
        self._merged: FIFOCache[ProjectName, tuple[Project | None, Project]] = FIFOCache(_MOST)

    async def project(self, name: ProjectName) -> Project:
        """Return a project with its pinned files."""
        self._look()
        own = await self._pinned(name) if name in self._names else None
        if own is None:
            return await self._source.project(name)
        try:
            project = await self._source.project(name)
        except NotHere:
            return own
        except UpstreamFailed:
            return replace(own, stale=True)
        return self._union(project, own)

    def lifetime(self, name: ProjectName) -> AnswerLifetime | None:
        """Return that of the upstream's answer; None for a project with pinned files."""
        return None if name in self._names else super().lifetime(name)

    def revision(self) -> object:
        """Return the state of the pins, and what the upstream depends on."""
        self._look()
        return self._state, super().revision()

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:
        """Open a file of the upstream, or a pinned one."""
        own = await self._pinned(name)
        distribution = filename.removesuffix(METADATA_SUFFIX)
        pinned = None if own is None else own.file(distribution)
        if pinned is None:
            return await self._source.file(name, filename)
        try:
            project = await self._source.project(name)
        except (NotHere, UpstreamFailed):
            project = None
        if project is not None and project.status is Status.QUARANTINED:
            raise NotAllowed(f"The project {name} is quarantined; no file of it is offered.")
        listed = None if project is None else project.file(distribution)
        if listed is not None and _digest(listed, filename) != _digest(pinned, filename):
            return await self._source.file(name, filename)
        body = await self._open(name, pinned, filename)
        return await self._source.file(name, filename) if body is None else body

    async def _pinned(self, name: ProjectName) -> Project | None:
        self._look()
        if name not in self._names:
            return None
        if name not in self._own:
            offered = await self._threads.run(self._pins.offered, self._index, name)
            if offered is None:
                return None
            self._own[name] = offered
        return self._own[name]

    def _look(self) -> None:
        now = self._clock.seconds()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        state = self._pins.state(self._index)
        if state != self._state:
            self._state = state
            self._names = self._pins.names(self._index)
            self._own.clear()
            self._merged.clear()

    def _union(self, project: Project, own: Project) -> Project:
        merged = self._merged.get(project.name)
        if merged is not None and merged[0] is project:
            return merged[1]
        names = {file.filename for file in project.files} | {item.filename for item in project.withheld}
        more = [file for file in own.files if file.filename not in names]
        made = project
        if more and project.status is not Status.QUARANTINED:
            files = sorted([*project.files, *more], key=file_order)
            made = replace(project, files=files)
        self._merged[project.name] = project, made
        return made

    async def _open(self, name: ProjectName, file: File, filename: str) -> Body | None:
        if filename != file.filename:
            sidecar = file.metadata
            if sidecar is None:
                raise NotHere(f"file {filename}")
            data = await self._threads.run(self._pins.read_metadata, self._index, name, file.filename)
            return None if data is None else BytesBody(data, sidecar.sha256, file.uploaded_ns)
        assert file.sha256 is not None  # what is pinned was hashed
        opened = await open_in_thread(
            lambda: self._pins.open(self._index, name, file.filename), self._threads
        )
        if opened is None:
            return None
        body = FileBody(opened[0], filename, file.sha256, self._threads.run)
        body.modified_ns = file.uploaded_ns
        body.origin = FileOrigin(file.source, Delivery.CACHED)
        body.is_immutable = True
        return body


def _digest(file: File, filename: str) -> str | None:
    """Return the digest that is listed for a file, or for its metadata."""
    if filename == file.filename:
        return file.sha256
    return None if file.metadata is None else file.metadata.sha256
