"""Answer ``/-/downloads[/<project>[/<version>]]`` and ``/-/who/<project>[/<version or file>]`` as JSON, for those who may know."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from simpleindex.core.errors import InvalidProjectName, InvalidQuestion, NotHere, Unavailable
from simpleindex.core.names import parse_project_name
from simpleindex.records.downloads.counting import Grouping
from simpleindex.records.downloads.downloaders import WhoQuestion, downloaders
from simpleindex.records.downloads.report import download_report, parse_question
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import logger
from simpleindex.web.http.response import Response
from simpleindex.web.routing.routes import COUNTS_PAGE
from simpleindex.web.routing.targets import split_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.access.identity import Identity
    from simpleindex.core.names import ProjectName
    from simpleindex.web.downloads.rights import ReadableDownloads
    from simpleindex.web.http.response import RequestInfo

_log: Final = logger(__name__)

_MOST_LOG_BYTES: Final = 512 * 1024 * 1024
"""Bytes of the access log that one request reads: some ten seconds. The command on the machine itself reads all."""

_LONGEST_SUBJECT: Final = 255  # characters of a version or a file name
_MOST_FIELDS: Final = 10


class DownloadPages:
    """The pages."""

    def __init__(self, downloads: ReadableDownloads) -> None:
        self._rights, self._database = downloads.rights, downloads.database
        self._threads, self._current, self._now = downloads.threads, downloads.current, downloads.now

    async def answer(self, page: str, reader: Identity, request: RequestInfo) -> Response:
        """Answer a GET or HEAD.

        Args:
            page: What follows ``/-/``.
            reader: The identity of the client.
            request: The request.

        Raises:
            NotHere: There is no such page, or downloads are not counted.
            Unauthenticated: The reader did not log in, and has to.
            NotAllowed: The reader may not see that.
            InvalidQuestion: The question is not valid.
            Unavailable: The counts cannot be read.
        """
        if not self._current().downloads:
            raise NotHere("page")
        kind, *parts = page.rstrip("/").split("/")
        texts = _texts(request.target)
        if len(parts) > 2 or any(len(part) > _LONGEST_SUBJECT for part in parts):
            raise NotHere("page")
        name, subject = _name_in(parts), parts[1] if len(parts) > 1 else None
        if kind == COUNTS_PAGE:
            return await self._counts(reader, name, subject, texts)
        if name is None:
            raise NotHere("page")
        return await self._who(reader, name, subject, texts)

    async def _counts(
        self, reader: Identity, name: ProjectName | None, version: str | None, texts: Mapping[str, str]
    ) -> Response:
        self._rights.require_counts(reader, name)
        question = parse_question(name, version, texts, self._now())
        if question.by is Grouping.USER:
            self._rights.require_people(reader, name)
        return await self._answered(lambda: download_report(self._database, question))

    async def _who(
        self, reader: Identity, name: ProjectName, subject: str | None, texts: Mapping[str, str]
    ) -> Response:
        self._rights.require_people(reader, name)
        bounds = parse_question(name, subject, {"since": WHO_SINCE, **texts}, self._now())
        question = WhoQuestion(name, subject, bounds.since, bounds.limit)
        log = self._current().access_log
        path = None if log is None or log == "-" else str(log)
        return await self._answered(lambda: downloaders(self._database, path, question, _MOST_LOG_BYTES))

    async def _answered(self, answer: Callable[[], dict[str, Any]]) -> Response:
        try:
            content = await self._threads.run(answer)
        except (sqlite3.Error, OSError) as error:
            trouble = trouble_of(error, self._database.path)
            _log.error("{trouble}", trouble=trouble.for_operator())
            raise Unavailable(f"Downloads cannot be shown now: {trouble.for_client()}") from None
        headers = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
        return Response(200, headers, json.dumps(content, indent=2).encode() + b"\n", is_private=True)


WHO_SINCE: Final = "9999w"
"""Since when downloads are looked for if the question does not say: as long as anything is kept."""


def _name_in(parts: list[str]) -> ProjectName | None:
    if not parts:
        return None
    try:
        return parse_project_name(parts[0])
    except InvalidProjectName:
        raise NotHere("page") from None


def _texts(target: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(split_target(target)[1].decode("latin-1"), max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise InvalidQuestion("The query has too many fields.") from None
