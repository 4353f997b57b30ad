"""The JSON interface below ``/-/api/``: what can be changed of what is published. See ``docs/publishing.md``.

::

    POST /-/api/projects/NAME/yank     {"version": "1.0"} or {"file": "..."}, {"reason": "..."} if there is one
    POST /-/api/projects/NAME/unyank   the same without a reason
    POST /-/api/projects/NAME/delete   the same without a reason
    POST /-/api/projects/NAME/status   {"status": "archived", "reason": "..."}
    POST /-/api/projects/NAME/free     {"file": "..."}: a deleted file's name may be used again
    POST /-/api/projects/NAME/restore  {"file": "..."}: a deleted file is taken out of the trash
    GET  /-/api/whoami                 who the credentials belong to
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from simpleindex.access.identity import Action
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import InvalidProjectName, NotHere
from simpleindex.core.model import Status
from simpleindex.core.names import parse_project_name
from simpleindex.core.selection import Subject, subject_of
from simpleindex.core.text import shown
from simpleindex.publishing.errors import RefusedUpload
from simpleindex.web.http.response import Response, sentence
from simpleindex.web.publish.sinks import TextSink
from simpleindex.web.publish.upload import note_subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.access.identity import Identity
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.publishing.interface import Publishing
    from simpleindex.web.admission import Admission
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.publish.upload import Uploads

_MOST_JSON: Final = 64 * 1024
"""Bytes of a request's body."""

_LONGEST_REASON: Final = 2000
"""Characters; it stands on the project's page."""

_ACTIONS: Final = {
    "yank": Action.YANK,
    "unyank": Action.YANK,
    "delete": Action.DELETE,
    "status": Action.ADMIN,
    "free": Action.ADMIN,
    "restore": Action.DELETE,
}


class JsonApi:
    """The interface.

    Args:
        publishing: Makes the changes.
        source: What there is.
        admission: Who may.
        uploads: Tells who asks for a change.
        record: Keeps what was done.
    """

    def __init__(
        self,
        publishing: Publishing,
        source: Source,
        admission: Admission,
        uploads: Uploads,
        record: Callable[[AuditEntry], object],
    ) -> None:
        self._publishing = publishing
        self._source = source
        self._admission = admission
        self._uploads = uploads
        self._record = record

    async def judge(self, asked: RequestInfo, length: int | None) -> TextSink:
        """Judge a request's head, and give what takes its body.

        Raises:
            SimpleIndexError: It is refused.
        """
        await self._uploads.identify(asked)
        if length is not None and length > _MOST_JSON:
            raise RefusedUpload(413, f"The request's body is longer than {_MOST_JSON >> 10} KiB.")
        return TextSink(_MOST_JSON)

    async def answer(self, page: str, asked: RequestInfo) -> Response:
        """Answer a request for something below ``/-/api/``.

        Raises:
            SimpleIndexError: See the table in :mod:`simpleindex.web.http.respond`.
        """
        parts = page.split("/")
        is_change = len(parts) == 3 and parts[0] == "projects" and parts[2] in _ACTIONS
        if not is_change or asked.method != "POST":
            reader = await self._admission.enter(asked)
            if is_change:
                return sentence(405, "This is for changes; send a POST.", ("Allow", "POST, OPTIONS"))
            if parts != ["whoami"]:
                raise NotHere("page")
            if asked.method not in {"GET", "HEAD"}:
                return sentence(405, "This is for reading; send a GET.", ("Allow", "GET, HEAD, OPTIONS"))
            return self._whoami(reader)
        somebody = await self._uploads.identify(asked)
        try:
            name = parse_project_name(parts[1])
        except InvalidProjectName:
            raise NotHere(f"project {shown(parts[1])}") from None
        note_subject(asked, name, None)
        given = await _content(asked)
        self._admission.require(somebody, _ACTIONS[parts[2]], name)
        # Known only to those who may change it, so that nobody else learns of names here.
        await self._source.project(name)
        reason = _reason(given)
        changed = await self._change(parts[2], name, given, reason, somebody)
        told = (given["status"] if parts[2] == "status" else "", reason)
        detail = "; ".join(text for text in told if text)
        for each in changed or (Subject(),):
            self._record(
                AuditEntry(
                    parts[2],
                    who=somebody.user,
                    token=somebody.token_id,
                    address=asked.address,
                    project=name,
                    filename=each.filename,
                    version=each.version,
                    digest=each.digest,
                    detail=detail or None,
                )
            )
        names = [each.filename or each.version or given["status"] for each in changed]
        return _json({"project": name, "changed": names})

    async def _change(
        self, what: str, name: ProjectName, given: dict[str, Any], reason: str, somebody: Identity
    ) -> tuple[Subject, ...]:
        publishing, by = self._publishing, str(somebody)
        if what == "status":
            is_new = await publishing.set_status(name, _status(given), reason or None)
            return (Subject(),) if is_new else ()
        if what == "free":
            filename = _text(given, "file")
            await publishing.free(name, filename, by=by)
            return (Subject(filename=filename),)
        if what == "restore":
            filename = _text(given, "file")
            return (Subject(filename=filename, digest=await publishing.restore(name, filename, by=by)),)
        key = _text(given, "file") if "file" in given else _text(given, "version")
        if what == "delete":
            deleted = await publishing.delete(name, key, by=by)
            return tuple(Subject(filename=each, digest=digest) for each, digest in deleted.items())
        if what == "yank":
            await publishing.yank(name, key, reason)
        else:
            await publishing.unyank(name, key)
        return (subject_of(key),)

    @staticmethod
    def _whoami(somebody: Identity) -> Response:
        token = somebody.token
        return _json(
            {
                "user": somebody.user,
                "token": None
                if token is None
                else {
                    "id": token.id,
                    "can": sorted(action.value for action in token.actions),
                    "projects": list(token.projects),
                },
            }
        )


async def _content(asked: RequestInfo) -> dict[str, Any]:
    content: object = None
    if asked.body is not None:
        sink = await asked.body.sink()
        assert isinstance(sink, TextSink)  # from judge
        try:
            content = json.loads(sink.content.decode())
        except (ValueError, RecursionError):
            content = None
    if not isinstance(content, dict):
        raise RefusedUpload(400, "The request's body is not a JSON object.")
    return content


def _text(given: dict[str, Any], key: str) -> str:
    value = given.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RefusedUpload(400, f'"{key}" is missing, or is not a text.')
    return value.strip()


def _reason(given: dict[str, Any]) -> str:
    reason = given.get("reason") or ""
    if not isinstance(reason, str) or len(reason) > _LONGEST_REASON:
        raise RefusedUpload(400, f'"reason" is a text of at most {_LONGEST_REASON} characters.')
    return " ".join(reason.split())


def _status(given: dict[str, Any]) -> Status:
    known = [status.value for status in Status]
    if given.get("status") not in known:
        raise RefusedUpload(400, f'"status" is one of {", ".join(known)}.')
    return Status(given["status"])


def _json(content: dict[str, Any]) -> Response:
    headers = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
    return Response(200, headers, json.dumps(content).encode() + b"\n", is_private=True)
