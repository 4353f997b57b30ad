"""An index in memory whose readers and writers have rights: real door, uploads and interface over a memory store."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from simpleindex.access.access_file import parse_access
from simpleindex.access.identity import ANYONE
from simpleindex.access.rights import Access, default_access
from simpleindex.core.errors import AlreadyExists, NotHere, Unauthenticated
from simpleindex.core.names import parse_project_name
from simpleindex.core.selection import select
from simpleindex.core.views import MAIN_VIEW
from simpleindex.publishing.checks import judge_size
from simpleindex.publishing.interface import Published
from simpleindex.web.admission import Admission
from simpleindex.web.http.backpressure import Phase
from simpleindex.web.publish.api import JsonApi
from simpleindex.web.publish.dispatch import WriteRequests
from simpleindex.web.publish.upload import Uploads
from tests.web.memory_client import FAR, Index, Reply, Transport
from tests.web.rights_matrix import FILES, IDENTITIES, OWNERS
from tests.web.stub_source import StubBody, StubSource
from tests.web.two_lanes import Counting
from tests.web.wire import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.access.identity import Identity, UploadRules
    from simpleindex.core.model import Status
    from simpleindex.core.names import ProjectName
    from simpleindex.publishing.checks import Upload

OWN_URL = "https://index.example/"


class People:
    """Who somebody is: whoever calls himself one of :data:`IDENTITIES` by ``Bearer NAME``, and nobody else."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.revoked: set[str] = set()

    async def identify(self, authorization: str | None, address: str, secure: bool) -> Identity:
        self.asked.append(authorization)
        if authorization is None:
            return ANYONE
        label = authorization.removeprefix("Bearer ")
        if label not in IDENTITIES or label in self.revoked:
            raise Unauthenticated("The token is unknown, expired or revoked.")
        return IDENTITIES[label]


class Owning:
    """Who published what first, in a dictionary that is a new one after every change."""

    def __init__(self, known: Mapping[ProjectName, str]) -> None:
        self.known = dict(known)

    def owner(self, name: ProjectName) -> str | None:
        return self.known.get(name)

    def owners(self) -> Mapping[ProjectName, str]:
        return self.known

    def claim(self, name: ProjectName, user: str) -> str:
        if name not in self.known:
            self.known = {**self.known, name: user}
        return self.known[name]


class MemoryDraft:
    """A file on its way, and what became of it."""

    def __init__(self) -> None:
        self.data = b""
        self.discarded = 0

    def write(self, data: bytes) -> None:
        self.data += data

    def finish(self) -> Any:
        raise NotImplementedError

    def discard(self) -> None:
        self.discarded += 1


class MemoryPublishing:
    """The writing interface over a stub source.

    Attributes:
        drafts: All that were opened.
        calls: What was changed.
        sizes: What room was asked for.
        no_room: What asking for room raises, if anything.
        before_commit: Is called in the midst of each publication.
    """

    def __init__(self, source: StubSource) -> None:
        self._source = source
        self.drafts: list[MemoryDraft] = []
        self.reserved: list[ProjectName] = []
        self.calls: list[tuple[Any, ...]] = []
        self.sizes: list[int] = []
        self.no_room: Exception | None = None
        self.before_commit: Callable[[], Any] | None = None

    def require_room(self, size: int) -> None:
        self.sizes.append(size)
        if self.no_room is not None:
            raise self.no_room

    def reserve(self, name: ProjectName) -> Callable[[], None]:
        self.reserved.append(name)
        return partial(self.reserved.remove, name)

    def open_draft(self) -> MemoryDraft:
        self.drafts.append(MemoryDraft())
        return self.drafts[-1]

    async def publish(
        self, draft: Any, upload: Upload, rules: UploadRules, own: Callable[[], None]
    ) -> Published:
        filename, project = upload.name.filename, upload.name.project
        sha256 = hashlib.sha256(draft.data).hexdigest()
        if self.before_commit is not None and (waiting := self.before_commit()) is not None:
            await waiting
        there = self._source.bodies.get((project, filename))
        if there is not None:
            if there.data != draft.data:
                assert there.sha256 is not None
                raise AlreadyExists(filename, there.sha256)
            return Published(sha256, created=False)
        judge_size(project, len(draft.data), 0, rules)
        own()
        self._source.add(filename, draft.data)
        return Published(sha256, created=True, warnings=("It is short.",))

    async def yank(self, name: ProjectName, key: str, reason: str) -> None:
        select(name, key, [file.filename for file in self._source.pages[name].files])
        self.calls.append(("yank", name, key, reason))

    async def unyank(self, name: ProjectName, key: str) -> None:
        self.calls.append(("unyank", name, key))

    async def set_status(self, name: ProjectName, status: Status, reason: str | None) -> bool:
        self.calls.append(("status", name, status, reason))
        is_new = self._source.pages[name].status is not status
        self._source.put(replace(self._source.pages[name], status=status, status_reason=reason))
        return is_new

    async def delete(self, name: ProjectName, key: str, *, by: str) -> dict[str, str | None]:
        self.calls.append(("delete", name, key, by))
        return dict.fromkeys(
            select(name, key, [file.filename for file in self._source.pages[name].files]), "00"
        )

    async def restore(self, name: ProjectName, filename: str, *, by: str) -> str:
        self.calls.append(("restore", name, filename, by))
        if not filename.endswith("-0.9.tar.gz"):
            raise NotHere(f"deleted file {filename} of the project {name}")
        return "00"

    async def free(self, name: ProjectName, filename: str, *, by: str) -> None:
        self.calls.append(("free", name, filename, by))
        if not filename.endswith("-0.9.tar.gz"):
            raise NotHere(f"deleted file {filename} of the project {name}")


def access_named(name: str) -> Access:
    """One of the four access files of the matrix."""
    content = FILES[name]
    return default_access() if content is None else parse_access(content)


def wheel_of(project: str, version: str = "1.0") -> str:
    """A file name of a project's."""
    return f"{project.replace('-', '_')}-{version}-py3-none-any.whl"


def stock(source: StubSource, project: str) -> None:
    """Offer a project with a wheel and all that can lie beside one."""
    filename, name = wheel_of(project), parse_project_name(project)
    source.add(filename, f"the wheel of {project}".encode(), metadata=b"Metadata-Version: 2.1\n")
    source.add(f"{project.replace('-', '_')}-0.5.tar.gz", f"an sdist of {project}".encode())
    source.bodies[name, f"{filename}.asc"] = StubBody(b"a signature")
    source.bodies[name, f"{filename}.provenance"] = StubBody(b"{}")


class GuardedWorld:
    """One index with people.

    Attributes:
        audited: The lines of the audit about changes that were made.
        refusals: Those about changes that were refused.
    """

    def __init__(
        self,
        access: Access,
        *,
        has_express: bool = False,
        projects: tuple[str, ...] = ("acme-app", "vault", "tool"),
        cache_size: int = 1_000_000,
        views: Mapping[str, StubSource] | None = None,
    ) -> None:
        self.access = access
        self.source = StubSource()
        for project in projects:
            stock(self.source, project)
        self.people = People()
        self.owning = Owning({name: owner for name, owner in OWNERS.items() if owner is not None})
        self.audited: list[dict[str, Any]] = []
        self.refusals: list[dict[str, Any]] = []
        self.publishing = MemoryPublishing(self.source)
        self.admission = Admission(
            {MAIN_VIEW: self.source, **(views or {})}, lambda: self.access, self.people, self.owning
        )
        self.index = Index(
            self.source,
            cache_size=cache_size,
            ca_certificate=b"PEM",
            challenges={"token": b"answer"},
            admission=self.admission,
            changes=self._changes,
        )
        self.express = Counting(self.index) if has_express else None
        self.index.site.express = self.express
        self._transports: dict[str, Transport] = {}

    def _changes(self, index: Index) -> WriteRequests:
        uploads = Uploads(
            publishing=self.publishing,
            source=self.source,
            admission=self.admission,
            claim=self.owning.claim,
            record=self._record,
            in_thread=index._in_thread,
            own_url=lambda: OWN_URL,
        )
        return WriteRequests(
            self.admission,
            uploads,
            JsonApi(self.publishing, self.source, self.admission, uploads, self._record),
            trusted=lambda: (),
            in_thread=index._in_thread,
            failed=index.failures.append,
        )

    def _record(self, event: str, **facts: Any) -> None:
        lines = self.refusals if event.endswith("-refused") else self.audited
        lines.append({"event": event, **{key: value for key, value in facts.items() if value is not None}})

    def ask(self, data: bytes, method: str, key: str = "") -> tuple[Reply, bytes]:
        """Send a request on this reader's own connection, and take the answer and its reason phrase."""
        transport = self._transports.get(key)
        if transport is None or transport.channel.phase is not Phase.IDLE:
            transport = self._transports[key] = self.index.connect(FAR)
        transport.protocol.dataReceived(data)
        (answer,) = answers(transport.take(), method.encode())
        headers = {name.decode(): value.decode("latin-1") for name, value in answer.headers.items()}
        return Reply(answer.status, headers, answer.body), answer.reason


class Lanes:
    """Two indexes that differ only in the express lane; they have to answer alike."""

    def __init__(self, access: Access, **options: Any) -> None:
        self.ordinary = GuardedWorld(access, **options)
        self.express = GuardedWorld(access, has_express=True, **options)

    @property
    def worlds(self) -> tuple[GuardedWorld, GuardedWorld]:
        return self.ordinary, self.express

    def ask(
        self, method: str, target: str, label: str = "anonymous", *headers: str, body: bytes | None = None
    ) -> Reply:
        """Send a request to both, as one of :data:`IDENTITIES`."""
        data = bytes_of(method, target, label, *headers, body=body)
        (one, reason), (other, other_reason) = (world.ask(data, method, label) for world in self.worlds)
        for reply in (one, other):
            reply.headers.pop("date", None)
        assert one == other
        assert reason == other_reason
        return one

    def passed(self) -> list[bytes]:
        """The request lines that the express lane has answered since the last time."""
        assert self.express.express is not None
        lines = [each.line for each in self.express.express.passed]
        self.express.express.passed.clear()
        return lines


def bytes_of(
    method: str, target: str, label: str = "anonymous", *headers: str, body: bytes | None = None
) -> bytes:
    """A request of somebody's."""
    lines = [f"{method} {target} HTTP/1.1", "Host: index.example", *headers]
    if label != "anonymous":
        lines.append(f"Authorization: Bearer {label}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + (body or b"")


def form_of(
    filename: str | None, fields: Mapping[str, str] | None = None, data: bytes = b"new bytes"
) -> tuple[str, bytes]:
    """A form with fields and a file after them, and the header that goes with it."""
    parts = [(f'name="{name}"', value.encode()) for name, value in (fields or {}).items()]
    if filename is not None:
        parts.append((f'name="content"; filename="{filename}"', data))
    body = b"".join(
        b"--b0\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return "Content-Type: multipart/form-data; boundary=b0", body + b"--b0--\r\n"
