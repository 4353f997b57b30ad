"""Dispatch requests that change something: uploads, the JSON interface below ``/-/api/``, and forms of pages for people."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from simpleindex.core.errors import NotHere, SimpleIndexError
from simpleindex.core.views import MAIN_VIEW
from simpleindex.system.errors import own_trouble
from simpleindex.system.log import logger
from simpleindex.web.http.request_body import IncomingBody
from simpleindex.web.http.request_info import request_info
from simpleindex.web.http.respond import error_response, to_its_end
from simpleindex.web.http.response import sentence
from simpleindex.web.routing.routes import OwnPageRoute, RootRoute, UploadRoute, first_segment
from simpleindex.web.routing.targets import is_below_view, route, split_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from simpleindex.core.addresses import Network
    from simpleindex.system.threads import Threads
    from simpleindex.web.admission import Admission
    from simpleindex.web.http.response import OwnPageChanges, RequestInfo, Response, Sink
    from simpleindex.web.http.site import IndexRequest
    from simpleindex.web.publish.upload import Uploads
    from simpleindex.web.refused_log import RefusedChanges

_log = logger(__name__)

_ALLOW = ("Allow", "GET, HEAD, OPTIONS, POST, PUT")


class PublishingDispatcher:
    """Sends each upload and each other change to its part of the index, and answers those that are refused.

    Args:
        admission: Lets readers in.
        uploads: Takes uploads.
        own: Take other changes, by the first segment behind ``/-/``.
        refused: Records refused changes.
        trusted: Returns the networks whose proxies state the client's address.
        threads: Call blocking functions.
    """

    def __init__(
        self,
        admission: Admission,
        uploads: Uploads,
        own: Mapping[str, OwnPageChanges],
        refused: RefusedChanges,
        *,
        trusted: Callable[[], Sequence[Network]],
        threads: Threads,
    ) -> None:
        self._admission = admission
        self._uploads = uploads
        self._own = own
        self._refused = refused
        self._trusted = trusted
        self._threads = threads

    # When a request's head has arrived

    def intake(self, request: IndexRequest) -> IncomingBody | None:
        """Take the body of an upload or of another change; every other body is dropped."""
        if (
            request.method not in {b"POST", b"PUT"}
            or self._kind(request.method.decode(), request.uri) is None
        ):
            return None

        def refuse(error: BaseException | None) -> Response | None:
            return self._refuse(error, request_info(request, self._trusted()))

        return IncomingBody(request.channel, self._threads, refuse)

    async def judge(self, request: IndexRequest, length: int | None) -> Sink:
        """Judge a request's head, and return what takes its body.

        Raises:
            SimpleIndexError: It is refused.
        """
        info = request_info(request, self._trusted())
        kind = self._kind(info.method, info.target)
        if isinstance(kind, str):
            return await self._uploads.judge(info, length, kind)
        if isinstance(kind, OwnPageRoute):
            return await self._own[first_segment(kind)].judge(info, length)
        return await self._uploads.judge(info, length, None)

    # When all of it has arrived

    async def answer(self, request: RequestInfo) -> Response:
        """Answer a request that is not reading, or reads below ``/-/api/``; also one that is refused."""
        try:
            return await to_its_end(self._answer(request))
        except (SimpleIndexError, OSError, MemoryError) as error:
            response = self._refuse(error, request)
            if response is None:
                raise
            if own_trouble(error) is not None:
                _log.failure("")
            return response

    def _refuse(self, error: BaseException | None, request: RequestInfo) -> Response | None:
        response = private_refusal(error)
        kind = self._recorded_kind(request)
        if response is not None and kind is not None:
            event = "change-refused" if isinstance(kind, OwnPageRoute) else "upload-refused"
            self._refused(event, request, response.status, str(error))
        return response

    async def _answer(self, request: RequestInfo) -> Response:
        kind = self._recorded_kind(request)
        if isinstance(kind, OwnPageRoute):
            first, _, page = kind.name.partition("/")
            return await self._own[first].answer(page, request)
        if kind is None:
            await self._admission.enter(request)
            text = "This URL is for reading; uploads go to /legacy/."
            return sentence(405, text, _ALLOW)
        return await self._uploads.answer(request)

    def _recorded_kind(self, request: RequestInfo) -> UploadRoute | OwnPageRoute | str | None:
        """Return what a request is for, and record it for the counts of requests."""
        kind = self._kind(request.method, request.target)
        if request.record is not None:
            request.record.route = UploadRoute() if isinstance(kind, str) else kind
        return kind

    def _kind(self, method: str, target: bytes) -> UploadRoute | OwnPageRoute | str | None:
        """Return what a request is for: an upload by form, a page below ``/-/``, a bare file's name, or None."""
        views = self._admission.public
        if method == "PUT":
            # A view shows what lies elsewhere, so nothing is put there.
            return None if is_below_view(target, views) else _bare_filename(target)
        if method == "POST" and split_target(target)[0] == b"/simple":
            # Reading is redirected to the URL with a slash; an upload must not be (docs/protocol.md, "Answers to an upload").
            return UploadRoute()
        try:
            meaning = route(target, views)
        except NotHere:
            return None
        match meaning:
            case OwnPageRoute(name) if "/" in name and first_segment(meaning) in self._own:
                return meaning
            case UploadRoute() if method == "POST":
                return meaning
            case RootRoute(view) if method == "POST" and view == MAIN_VIEW:
                return UploadRoute()
        return None


def private_refusal(error: BaseException | None) -> Response | None:
    """Return the answer to a failed change, for this client only; None for an error that should never happen."""
    response = error_response(error)
    return None if response is None else replace(response, is_private=True)


def _bare_filename(target: bytes) -> str | None:
    """Return the file name of ``PUT /<file>``, with anything before it that ends with a slash."""
    path, _ = split_target(target)
    try:
        name = unquote_to_bytes(path.rpartition(b"/")[2]).decode()
    except UnicodeDecodeError:
        return None
    return name or None
