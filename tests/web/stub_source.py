"""A source in memory that tests fill, and that can fail, wait and change under its readers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred

from simpleindex.core.errors import Changed, NotAllowed, NotHere
from simpleindex.core.model import File, Project, ProjectList, Sidecar, Status, file_order
from simpleindex.core.names import METADATA_SUFFIX, parse_distribution_name, parse_project_name
from simpleindex.core.source import Elsewhere

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName

UPLOADED_NS = 1_700_000_000_000_000_000
UPLOADED = "Tue, 14 Nov 2023 22:13:20 GMT"


class StubBody:
    """Opened bytes.

    Attributes:
        opened: How often it was handed out.
        closed: How often it was closed.
        reads: The offset and length of each read so far.
        changes_at: The offset from which on a read raises ``error``.
        is_slow: Whether a read waits until :meth:`go_on`.
        waiting: The read that waits.
    """

    def __init__(self, data: bytes, *, modified_ns: int | None = UPLOADED_NS, filename: str = "file") -> None:
        self.data = data
        self.sha256: str | None = hashlib.sha256(data).hexdigest()
        self.size: int | None = len(data)
        self.modified_ns = modified_ns
        self.accepts_ranges = True
        self.reads: list[tuple[int, int]] = []
        self.opened = 0
        self.closed = 0
        self.changes_at: int | None = None
        self.error: Exception = Changed(filename)
        self.is_slow = False
        self.waiting: Deferred[None] | None = None

    async def read(self, offset: int, length: int) -> bytes:
        assert self.opened > self.closed
        assert length
        assert 0 <= offset < offset + length <= len(self.data)
        self.reads.append((offset, length))
        if self.is_slow:
            self.waiting = Deferred()
            await self.waiting
        if self.changes_at is not None and offset + length > self.changes_at:
            raise self.error
        return self.data[offset : offset + length]

    def send_to(self, socket: int, offset: int, length: int) -> int | None:
        return None

    def go_on(self) -> None:
        """Let the read that waits return."""
        waiting, self.waiting = self.waiting, None
        assert waiting is not None
        waiting.callback(None)

    def close(self) -> None:
        self.closed += 1


class StubSource:
    """The three questions, answered from dictionaries.

    Attributes:
        pages: Projects by name.
        bodies: By project and file name; the very object is handed out.
        elsewhere: URLs by file name, of files that are not given from here.
        error: What every question raises, if anything.
        gate: What every question waits for, if anything.
        is_stubborn: Whether a question that is cancelled while it waits is answered all the same.
        asked: The questions so far.
        stale: Passed on in the list of projects.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Project] = {}
        self.bodies: dict[tuple[str, str], StubBody] = {}
        self.elsewhere: dict[str, str] = {}
        self.error: Exception | None = None
        self.gate: Deferred[None] | None = None
        self.is_stubborn = False
        self.asked: list[tuple[str, ...]] = []
        self.stale = False
        self._list: ProjectList | None = None

    def add(
        self,
        filename: str,
        data: bytes = b"content",
        *,
        metadata: bytes | None = None,
        requires_python: str | None = None,
        yanked: str | None = None,
    ) -> StubBody:
        """Offer a file, and its sidecar if there is metadata."""
        name = parse_distribution_name(filename)
        project, body = name.project, StubBody(data, filename=filename)
        assert body.sha256 is not None
        sidecar = None
        if metadata is not None:
            sidecar = Sidecar(hashlib.sha256(metadata).hexdigest(), len(metadata))
            self.bodies[project, filename + METADATA_SUFFIX] = StubBody(metadata)
        file = File(
            filename,
            name.version,
            name.kind,
            len(data),
            body.sha256,
            UPLOADED_NS,
            requires_python=requires_python,
            metadata=sidecar,
            yanked=yanked,
        )
        before = self.pages[project].files if project in self.pages else ()
        self.bodies[project, filename] = body
        self.put(Project(project, tuple(sorted((*before, file), key=file_order))))
        return body

    def put(self, project: Project) -> None:
        """Offer a project, in place of the one of that name."""
        self.pages[project.name] = project
        self._list = None

    def empty(self, name: str, status: Status = Status.ACTIVE) -> None:
        """Offer a project without files."""
        self.put(Project(parse_project_name(name), status=status))

    async def projects(self) -> ProjectList:
        await self._question("projects")
        return self._listed()

    async def project(self, name: ProjectName) -> Project:
        await self._question("project", name)
        if name not in self.pages:
            raise NotHere(f"project {name}")
        return self.pages[name]

    def projects_now(self) -> ProjectList | None:
        return self._listed() if self._is_known() else None

    def project_now(self, name: ProjectName) -> Project | None:
        return self.pages.get(name) if self._is_known() else None

    async def file(self, name: ProjectName, filename: str) -> StubBody | Elsewhere:
        await self._question("file", name, filename)
        if filename in self.elsewhere:
            return Elsewhere(self.elsewhere[filename])
        if name in self.pages and self.pages[name].status is Status.QUARANTINED:
            raise NotAllowed(f"The project {name} is quarantined; no file of it is offered.")
        if (name, filename) not in self.bodies:
            raise NotHere(f"file {filename}")
        body = self.bodies[name, filename]
        body.opened += 1
        return body

    def _listed(self) -> ProjectList:
        if self._list is None:
            self._list = ProjectList(tuple(sorted(map(parse_project_name, self.pages))), stale=self.stale)
        return self._list

    def _is_known(self) -> bool:
        if self.error is not None:
            raise self.error
        return self.gate is None

    async def _question(self, *what: str) -> None:
        self.asked.append(what)
        if self.gate is not None:
            try:
                await self.gate
            except CancelledError:
                if not self.is_stubborn:
                    raise
        if self.error is not None:
            raise self.error
