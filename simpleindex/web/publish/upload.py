"""Uploads over HTTP: PyPI's form, and the bare file of ``curl -T`` (docs/protocol.md, "The upload form").

Credentials and sizes are judged from the head, names and rights as soon as they are known, everything else when the last
byte is here; the answer leaves when the file is listed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from simpleindex.access.errors import Unauthenticated
from simpleindex.access.identity import Action
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import NotAllowed, NotHere
from simpleindex.core.model import Status
from simpleindex.core.names import spelling_pattern
from simpleindex.publishing.checks import judge_form, stated_project
from simpleindex.publishing.errors import RefusedUpload
from simpleindex.publishing.form import UploadForm
from simpleindex.web.http.respond import error_response
from simpleindex.web.http.response import Response
from simpleindex.web.publish.cross_site import is_foreign
from simpleindex.web.publish.sinks import MOST_TEXT, FileSink, FormSink, boundary_of, too_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.access.identity import Identity, UploadRules
    from simpleindex.access.rights import Access
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.publishing.checks import Upload
    from simpleindex.publishing.interface import Draft, Published, Publishing
    from simpleindex.system.threads import Threads
    from simpleindex.web.admission import Admission
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.publish.sinks import UploadBody

_CLOSED: Final = frozenset({Status.ARCHIVED, Status.QUARANTINED})


@dataclass(frozen=True)
class UploadTarget:
    """Where uploads go.

    Attributes:
        publishing: Stores them.
        source: What is there already.
        claim: Makes a user the owner of a name that nobody owns, and returns its owner; blocking.
    """

    publishing: Publishing
    source: Source
    claim: Callable[[ProjectName, str], str]


class Uploads:
    """Takes uploads.

    Args:
        target: Where they go.
        admission: Decides who may upload what.
        record: Writes the audit.
        threads: Call blocking functions.
        own_url: Returns the URL under which clients know this index.
    """

    def __init__(
        self,
        target: UploadTarget,
        admission: Admission,
        record: Callable[[AuditEntry], object],
        *,
        threads: Threads,
        own_url: Callable[[], str | None],
    ) -> None:
        self._publishing = target.publishing
        self._source = target.source
        self._claim = target.claim
        self._admission = admission
        self._record = record
        self._threads = threads
        self._own_url = own_url

    async def judge(
        self, asked: RequestInfo, length: int | None, filename: str | None
    ) -> FormSink | FileSink:
        """Judge a request's head, and give what takes its body.

        Args:
            asked: The request.
            length: Bytes of its body; None if that is not known beforehand.
            filename: From its URL, where the body is the file; None for a form.

        Raises:
            SimpleIndexError: It is refused.
        """
        somebody = await self.identify(asked)
        most = largest_file(self._admission.access)
        if most and (length or 0) > most + (MOST_TEXT if filename is None else 0):
            raise too_large(most)
        if filename is None:
            boundary = boundary_of(asked.header("content-type"))
        await self._threads.run(self._publishing.require_room, length or 0)

        def open_draft(received: UploadBody) -> Draft:
            # Before a byte of it is kept; without a project nobody's right could be told.
            if not self._reserve(asked, somebody, received):
                raise RefusedUpload(400, "Upload payload does not have a file.")
            return self._publishing.open_draft()

        if filename is None:
            return FormSink(boundary, open_draft, most)
        sink = FileSink(filename, open_draft, most)
        # The URL states the project, so its name is this index's own before the body comes.
        self._reserve(asked, somebody, sink.upload)
        return sink

    def _reserve(self, asked: RequestInfo, somebody: Identity, received: UploadBody) -> bool:
        """Take the project's name for an upload, if it may be made; return whether its project is known."""
        if received.release is None and (name := stated_project(_form(received))) is not None:
            note_subject(asked, name, received.filename)
            self._admission.require(somebody, Action.UPLOAD, name)
            received.release = self._publishing.reserve(name)
        return received.release is not None

    async def identify(self, asked: RequestInfo) -> Identity:
        """Find out who wants to change something, and whether it is they who want it.

        Raises:
            NotAllowed: Another site's page sent it.
            Unauthenticated: Nobody knows who asks.
        """
        refuse_foreign(asked, self._own_url())
        somebody = await self._admission.identify(asked)
        if not somebody.authenticated:
            raise Unauthenticated(
                "Uploading needs a login: give a user and password, or __token__ and a token."
            )
        return somebody

    async def answer(self, asked: RequestInfo) -> Response:
        """Take what has come, once all of it has.

        Raises:
            SimpleIndexError: It is refused.
        """
        if asked.body is None:
            await self.identify(asked)
            raise RefusedUpload(400, "Upload payload does not have a file.")
        sink = await asked.body.sink()
        assert isinstance(sink, FormSink | FileSink)  # from judge
        try:
            return await self._take(asked, sink.finish())
        finally:
            await self._threads.run(sink.close)

    async def _take(self, asked: RequestInfo, received: UploadBody) -> Response:
        # Asked again: a token may have been revoked while the body came.
        somebody = await self.identify(asked)
        form = _form(received)
        upload = judge_form(form, self._rules(form))
        name = upload.name.project
        note_subject(asked, name, upload.name.filename)
        project = await self._found(name)
        exists = project is not None
        self._admission.require(somebody, Action.UPLOAD, name, exists=exists)
        if project is not None and project.status in _CLOSED:
            # PyPUG "project-status-markers": uploads must be refused.
            raise NotAllowed(f"The project {name} is {project.status.value}: it takes no uploads.")
        if received.draft is None:
            raise RefusedUpload(400, "Upload payload does not have a file.")
        rules = self._admission.access.upload_rules(name)
        published = await self._publishing.publish(
            received.draft, upload, rules, lambda: self._own(somebody, name, exists=exists)
        )
        self._tell(asked, somebody, upload, published)
        text = "".join(f"{line}\n" for line in (*published.warnings, _listed(upload, published)))
        headers = (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"))
        return Response(200, headers, text.encode(), is_private=True)

    def _rules(self, form: UploadForm) -> UploadRules:
        name = stated_project(form)
        access = self._admission.access
        return access.uploads if name is None else access.upload_rules(name)

    async def _found(self, name: ProjectName) -> Project | None:
        try:
            return await self._source.project(name)
        except NotHere:
            return None

    def _own(self, somebody: Identity, name: ProjectName, *, exists: bool) -> None:
        """Make the first who publishes a name its owner; blocking."""
        if exists or somebody.user is None:
            return
        owner = self._claim(name, somebody.user)
        if owner != somebody.user:
            # Somebody else was quicker: decide once more.
            self._admission.require(somebody, Action.UPLOAD, name)

    def record_refusal(self, event: str, asked: RequestInfo, status: int, reason: str) -> None:
        """Write a refused upload or change to the audit.

        Wrong credentials have lines of their own, so only what a user or token tried is written here.

        Args:
            event: ``upload-refused`` or ``change-refused``.
            asked: The request.
            status: The status code of the answer.
            reason: The sentence of the answer.
        """
        if asked.record is None or not asked.record.identity.authenticated:
            return
        identity = asked.record.identity
        self._record(
            AuditEntry(
                event,
                who=identity.user,
                token=identity.token_id,
                address=asked.address,
                project=asked.record.project,
                filename=asked.record.filename,
                detail=f"{asked.method} {status}: {reason}",
            )
        )

    def _tell(self, asked: RequestInfo, somebody: Identity, upload: Upload, published: Published) -> None:
        self._record(
            AuditEntry(
                "upload" if published.created else "upload again",
                who=somebody.user,
                token=somebody.token_id,
                address=asked.address,
                project=upload.name.project,
                filename=upload.name.filename,
                digest=published.sha256,
            )
        )


def note_subject(asked: RequestInfo, project: ProjectName, filename: str | None) -> None:
    """Note what a request is for, so that the audit can name it should it be refused."""
    if asked.record is not None:
        asked.record.project, asked.record.filename = project, filename


def refuse_foreign(asked: RequestInfo, own_url: str | None) -> None:
    """Refuse what another site's page has a browser send here.

    Raises:
        NotAllowed: It is such a request.
    """
    if is_foreign(asked.header("sec-fetch-site"), asked.header("origin"), (asked.header("host"), own_url)):
        raise NotAllowed("Another site's page asked for this change in your name; it was not made.")


def refusal(error: BaseException | None) -> Response | None:
    """Return the answer to a failed change, for this client only; None for what should never happen."""
    response = error_response(error)
    return None if response is None else replace(response, is_private=True)


def largest_file(access: Access) -> int:
    """Bytes of the largest file that any rule lets anybody upload; 0 if there is no bound."""
    bounds = [access.uploads.max_file_size]
    bounds += [int(rule.uploads["max_file_size"]) for rule in access.rules if "max_file_size" in rule.uploads]
    return max(bounds) if all(bounds) else 0


def _listed(upload: Upload, published: Published) -> str:
    """Say to a person who uses curl what has become of the upload; the other clients pass over it."""
    name = upload.name
    spelt = spelling_pattern(name.project).match(name.filename)
    project = spelt[0] if spelt else name.project
    state = "is listed" if published.created else "is listed, as it was before"
    return f"{project} {name.version} {state}: {name.filename}, sha256 {published.sha256}."


def _form(received: UploadBody) -> UploadForm:
    """Return the form as far as it has come."""
    return UploadForm(
        {name: tuple(values) for name, values in received.fields.items()},
        received.filename,
        received.content_type,
        frozenset(received.file_fields),
    )
