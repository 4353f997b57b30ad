"""Send the response of a coroutine, and turn errors into responses with their status and Retry-After; the only module that uses ``NOT_DONE_YET``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from simpleindex.access.errors import InsecureCredentials, TooManyFailures, Unauthenticated
from simpleindex.archives.errors import BrokenArchive
from simpleindex.core.errors import (
    BrokenProject,
    CannotStore,
    Changed,
    InvalidFilename,
    InvalidQuestion,
    InvalidSetting,
    NotAllowed,
    NotHere,
    Unavailable,
)
from simpleindex.core.faults import RETRY_AFTER
from simpleindex.core.text import timestamp
from simpleindex.directory.project_file import InvalidProjectFile
from simpleindex.policy.errors import FileWithheld
from simpleindex.publishing.errors import AlreadyExists, NameUsed, RefusedUpload
from simpleindex.system.errors import own_trouble
from simpleindex.system.log import logger
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.web.http.download import Download
from simpleindex.web.http.presenting import presented
from simpleindex.web.http.request_body import ClientLeft
from simpleindex.web.http.response import Content, Response, reason_phrase, sentence
from simpleindex.web.pages.negotiation import NotAcceptable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from twisted.web.http import Request

_log = logger(__name__)

_VARY: Final = ("Vary", "Accept, Accept-Encoding")

LOGIN_CHALLENGE: Final = ("WWW-Authenticate", 'Basic realm="simpleindex"')
"""Has clients send a password or a token (RFC 7617)."""

LONGEST_RETRY_AFTER: Final = 2
"""Seconds of a Retry-After. pip obeys it five times without a word, and poetry does too, so this is a wait of 10 s."""


def error_response(error: BaseException | None) -> Response | None:
    """Return the answer to an error, from the one table of them; None for an error that should never happen."""
    match error:
        case NotHere():
            return sentence(404, str(error))
        case Unauthenticated():
            # pip and others look at keyrings, and ask, on this alone (docs/protocol.md, "Logins for reading" and "Answers to an upload").
            return sentence(401, str(error), LOGIN_CHALLENGE)
        case TooManyFailures():
            # Without the header pip shows the sentence, which has the time, at once.
            soon = error.retry_after <= LONGEST_RETRY_AFTER
            headers = _retry_after(error.retry_after) if soon else ()
            return sentence(429, str(error), *headers, retry_after=error.retry_after)
        case FileWithheld():
            return _withheld_response(error)
        case NotAllowed() | InsecureCredentials():
            return sentence(403, str(error))
        case NotAcceptable():
            return sentence(406, str(error), _VARY)
        case BrokenProject():
            # As for an upstream that failed: it lasts until somebody repairs the file.
            return sentence(424, str(error))
        case Unavailable():
            return _unavailable_response(error)
        case Changed():
            return sentence(503, str(error), *_retry_after(1))
        case RefusedUpload(status=status):
            return sentence(status, str(error))
        case AlreadyExists():
            # Every client that skips what exists knows this code (docs/protocol.md, "Answers to an upload").
            return sentence(409, str(error), filename=error.filename, sha256=error.sha256)
        case NameUsed() | InvalidFilename() | InvalidSetting() | InvalidProjectFile() | BrokenArchive():
            return sentence(400, str(error))
        case InvalidQuestion():
            return sentence(400, str(error))
        case CannotStore(fault=None):
            return sentence(403, str(error))
        case CannotStore() | OSError() | MemoryError():
            return _trouble_response(error)
        case ClientLeft():
            return sentence(408, str(error))  # written to nobody
    return None


def _withheld_response(error: FileWithheld) -> Response:
    visible_from = None if error.visible_from is None else timestamp(error.visible_from)
    return sentence(
        403,
        str(error),
        filename=error.filename,
        rule=error.rule,
        source=error.source,
        visible_from=visible_from,
    )


def _unavailable_response(error: Unavailable) -> Response:
    upstream = error.upstream if isinstance(error, UpstreamFailed) else None
    if isinstance(error, UpstreamFailed) and error.timed_out:
        # pip does not retry this one, and each retry would take as long as this one did.
        return sentence(504, str(error), upstream=upstream)
    if isinstance(error, UpstreamFailed) and error.retry_after is None:
        # RFC 4918 section 11.4. Never 403 or 404, after which uv and poetry go on to another index's package of
        # that name; no client retries it. See docs/refusals.md.
        return sentence(424, str(error), upstream=upstream)
    wait = None if error.retry_after is None else min(error.retry_after, LONGEST_RETRY_AFTER)
    return sentence(503, str(error), *_retry_after(wait), upstream=upstream, retry_after=wait)


def _retry_after(seconds: int | None) -> tuple[tuple[str, str], ...]:
    """Return the header, in whole seconds: poetry crashes at a date."""
    return () if seconds is None else (("Retry-After", str(min(seconds, LONGEST_RETRY_AFTER))),)


def _trouble_response(error: CannotStore | OSError | MemoryError) -> Response | None:
    """Answer for a trouble of the server itself, which no client causes; None for an error that should never happen."""
    trouble = own_trouble(error)
    if trouble is None:
        return None
    text = str(error) if isinstance(error, CannotStore) else trouble.for_client()
    return sentence(trouble.status, text, *_retry_after(RETRY_AFTER if trouble.is_passing else None))


def is_to_be_reported(error: BaseException | None) -> bool:
    """Return whether an error belongs in the log: it should never happen, or is a trouble of the server itself."""
    return own_trouble(error) is not None or error_response(error) is None


def _as_it_is(response: Response) -> Response:
    return response


def respond(
    request: Request,
    answer: Coroutine[Any, Any, Response],
    *,
    also: tuple[tuple[str, str], ...],
    refusal: Callable[[Response], Response] = _as_it_is,
) -> int:
    """Send what a coroutine answers.

    The work is cancelled when the client leaves, and nothing is written after that. An unexpected exception is logged and
    answered with 500 and a sentence.

    Args:
        request: The request.
        answer: Makes the response.
        also: Headers that every response carries, unless it is for this reader only.
        refusal: Returns a refusal as its reader gets it.
    """
    sending = _Sending(request, also, refusal)
    work = Deferred.fromCoroutine(sending.run(answer))
    request.notifyFinish().addErrback(lambda _: sending.client_left(work))
    work.addErrback(sending.fail)
    return NOT_DONE_YET


def to_its_end(work: Coroutine[Any, Any, Response]) -> Deferred[Response]:
    """Do what must not end half-way, whether or not its client waits for it.

    A change that is under way in a thread goes on when its client leaves; so must what belongs to it, such as the line of the
    audit, and nothing may be closed beneath it.

    Returns:
        The response; to cancel that ends the waiting alone.
    """
    waiting: Deferred[Response] = Deferred()

    def end(result: Response | Failure) -> None:
        if not waiting.called:
            waiting.callback(result)
        elif isinstance(result, Failure) and is_to_be_reported(result.value):
            _log.failure("", result)

    Deferred.fromCoroutine(work).addBoth(end)
    return waiting


class _Sending:
    """One response on its way."""

    def __init__(
        self,
        request: Request,
        also: tuple[tuple[str, str], ...],
        refusal: Callable[[Response], Response],
    ) -> None:
        self._request = request
        self._also = also
        self._refusal = refusal
        self._has_left = False

    async def run(self, answer: Coroutine[Any, Any, Response]) -> None:
        try:
            await self._send(await answer)
        except Exception as error:
            response = error_response(error)
            if response is None or self._has_left or self._request.startedWriting:
                raise
            if own_trouble(error) is not None:
                _log.failure("")
            await self._send(response)

    def client_left(self, work: Deferred[None]) -> None:
        self._has_left = True
        work.cancel()

    def fail(self, failure: Failure) -> None:
        # Work that is cancelled may end in any of the errors that have an answer.
        is_cancelled = self._has_left and failure.check(CancelledError)
        if not is_cancelled and is_to_be_reported(failure.value):
            _log.failure("", failure)
        if self._has_left:
            return
        if self._request.startedWriting:
            # Half an answer is on its way: only a broken connection says that it is not whole.
            self._request.loseConnection()
            return
        self._write(sentence(500, "Something went wrong here; the server's log says what."))

    async def _send(self, response: Response) -> None:
        content = response.body
        if self._has_left:
            if isinstance(content, Content):
                content.body.close()
        elif not isinstance(content, Content):
            self._write(response if response.problem is None else self._refusal(response))
        else:
            await self._stream(response, content)

    def _write(self, response: Response) -> None:
        response = presented(response, self._request)
        assert isinstance(response.body, bytes)
        self._head(response, len(response.body))
        if response.body and self._request.method != b"HEAD":
            self._request.write(response.body)
        self._request.finish()

    async def _stream(self, response: Response, content: Content) -> None:
        try:
            length = content.stop - content.start
            if self._request.method == b"HEAD":
                self._head(response, length)
                self._request.finish()
            elif await Download(self._request, content, lambda: self._head(response, length)).run():
                self._request.finish()
        finally:
            content.body.close()

    def _head(self, response: Response, length: int) -> None:
        self._request.setResponseCode(response.status, reason_phrase(response))
        headers = self._request.responseHeaders
        also = () if response.is_private else self._also
        for name, value in (*response.headers, *also):
            headers.addRawHeader(name.encode("latin-1"), value.encode("latin-1", "replace"))
        # RFC 9110 section 8.6: a 204 has none, and in a 304 it would be the length of what is not sent.
        if response.status not in (204, 304):
            headers.setRawHeaders(b"content-length", [b"%d" % length])
