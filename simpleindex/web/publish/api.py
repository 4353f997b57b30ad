"""The JSON interface below ``/-/api/``: what can be changed of what is published. See ``docs/publishing.md``.

::

    POST /-/api/projects/NAME/yank     {"version": "1.0"} or {"file": "..."}, {"reason": "..."} if there is one
    POST /-/api/projects/NAME/unyank   the same without a reason
    POST /-/api/projects/NAME/delete   the same without a reason
    POST /-/api/projects/NAME/status   {"status": "archived", "reason": "..."}
    POST /-/api/projects/NAME/free     {"file": "..."}: a deleted file's name may be used again
    POST /-/api/projects/NAME/undelete {"file": "..."}: a deleted file is taken out of the trash
    GET  /-/api/whoami                 who the credentials belong to
"""

from __future__ import annotations

import json
from dataclasses import replace
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
from simpleindex.web.publish.writers import note_subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.access.identity import Identity
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.publishing.interface import Publishing
    from simpleindex.web.admission import Admission
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.publish.writers import Writers

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
    "undelete": Action.DELETE,
}

_OLD_NAME: Final = "restore"
"""How undelete was called before; programs may still send it."""


class JsonApi:
    """The interface."""

    def __init__(
        self,
        publishing: Publishing,
        source: Source,
        admission: Admission,
        writers: Writers,
        record: Callable[[AuditEntry], object],
    ) -> None:
        self._publishing = publishing
        self._source = source
        self._admission = admission
        self._writers = writers
        self._record = record

    async def judge(self, request: RequestInfo, length: int | None) -> TextSink:
        """Judge a request's head, and return what takes its body.

        Raises:
            SimpleIndexError: It is refused.
        """
        await self._writers.identify(request)
        if length is not None and length > _MOST_JSON:
            raise RefusedUpload(413, f"The request's body is longer than {_MOST_JSON >> 10} KiB.")
        return TextSink(_MOST_JSON)

    async def answer(self, page: str, request: RequestInfo) -> Response:
        """Answer a request for something below ``/-/api/``.

        Raises:
            SimpleIndexError: See the table in :mod:`simpleindex.web.http.respond`.
        """
        parts = page.split("/")
        if parts[-1] == _OLD_NAME:
            parts[-1] = "undelete"
        is_change = len(parts) == 3 and parts[0] == "projects" and parts[2] in _ACTIONS
        if not is_change or request.method != "POST":
            return self._read(parts, request, await self._admission.enter(request), is_change=is_change)
        identity = await self._writers.identify(request)
        try:
            name = parse_project_name(parts[1])
        except InvalidProjectName:
            raise NotHere(f"project {shown(parts[1])}") from None
        note_subject(request, name, None)
        content = await _content(request)
        self._admission.require(identity, _ACTIONS[parts[2]], name)
        # After the rights, so that only those who may change a project learn whether it exists.
        await self._source.project(name)
        reason = _reason(content)
        changed = await self._change(parts[2], name, content, reason, identity)
        texts = (content["status"] if parts[2] == "status" else "", reason)
        entry = AuditEntry(
            parts[2],
            who=identity.user,
            token=identity.token_id,
            address=request.address,
            project=name,
            detail="; ".join(text for text in texts if text) or None,
        )
        for each in changed or (Subject(),):
            self._record(replace(entry, filename=each.filename, version=each.version, digest=each.digest))
        names = [each.filename or each.version or content["status"] for each in changed]
        return _json({"project": name, "changed": names})

    def _read(self, parts: list[str], request: RequestInfo, reader: Identity, *, is_change: bool) -> Response:
        if is_change:
            return sentence(405, "This is for changes; send a POST.", ("Allow", "POST, OPTIONS"))
        if parts != ["whoami"]:
            raise NotHere("page")
        if request.method not in {"GET", "HEAD"}:
            return sentence(405, "This is for reading; send a GET.", ("Allow", "GET, HEAD, OPTIONS"))
        return self._whoami(reader)

    async def _change(
        self, what: str, name: ProjectName, content: dict[str, Any], reason: str, identity: Identity
    ) -> tuple[Subject, ...]:
        publishing, by = self._publishing, str(identity)
        if what == "status":
            is_new = await publishing.set_status(name, _status(content), reason or None)
            return (Subject(),) if is_new else ()
        if what == "free":
            filename = _text(content, "file")
            await publishing.free(name, filename, by=by)
            return (Subject(filename=filename),)
        if what == "undelete":
            filename = _text(content, "file")
            return (Subject(filename=filename, digest=await publishing.undelete(name, filename, by=by)),)
        key = _text(content, "file") if "file" in content else _text(content, "version")
        if what == "delete":
            deleted = await publishing.delete(name, key, by=by)
            return tuple(Subject(filename=each, digest=digest) for each, digest in deleted.items())
        if what == "yank":
            await publishing.yank(name, key, reason)
        else:
            await publishing.unyank(name, key)
        return (subject_of(key),)

    @staticmethod
    def _whoami(identity: Identity) -> Response:
        token = identity.token
        return _json(
            {
                "user": identity.user,
                "token": None
                if token is None
                else {
                    "id": token.id,
                    "can": sorted(action.value for action in token.actions),
                    "projects": list(token.projects),
                },
            }
        )


async def _content(request: RequestInfo) -> dict[str, Any]:
    content: object = None
    if request.body is not None:
        sink = await request.body.sink()
        assert isinstance(sink, TextSink)  # from judge
        try:
            content = json.loads(sink.content.decode())
        except (ValueError, RecursionError):
            content = None
    if not isinstance(content, dict):
        raise RefusedUpload(400, "The request's body is not a JSON object.")
    return content


def _text(content: dict[str, Any], key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RefusedUpload(400, f'"{key}" is missing, or is not a text.')
    return value.strip()


def _reason(content: dict[str, Any]) -> str:
    reason = content.get("reason") or ""
    if not isinstance(reason, str) or len(reason) > _LONGEST_REASON:
        raise RefusedUpload(400, f'"reason" is a text of at most {_LONGEST_REASON} characters.')
    return " ".join(reason.split())


def _status(content: dict[str, Any]) -> Status:
    statuses = [status.value for status in Status]
    if content.get("status") not in statuses:
        raise RefusedUpload(400, f'"status" is one of {", ".join(statuses)}.')
    return Status(content["status"])


def _json(content: dict[str, Any]) -> Response:
    headers = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
    return Response(200, headers, json.dumps(content).encode() + b"\n", is_private=True)
