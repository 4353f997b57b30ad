"""Request pages of an upstream, with their validators and freshness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.web.iweb import UNKNOWN_LENGTH

from simpleindex.upstreams.http.body import ResponseBody, read_decoded
from simpleindex.upstreams.http.headers import USUAL_WAIT, fresh_for
from simpleindex.upstreams.http.requests import COMPLETE, GONE, OutgoingRequest, header, validators_of
from simpleindex.upstreams.interface import Validators
from simpleindex.upstreams.pages.html import ends
from simpleindex.upstreams.pages.page_formats import is_html

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IResponse

    from simpleindex.upstreams.client_options import ClientOptions
    from simpleindex.upstreams.http.requests import UpstreamRequests

ACCEPT: Final = (
    b"application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)
"""The forms of an index's pages, JSON first."""


@dataclass(frozen=True, slots=True)
class UpstreamPage:
    """A page that was received and decoded."""

    url: str
    content_type: str
    body: bytes
    validators: Validators
    fresh_for: float | None
    is_unchanged: bool = False


class PageRequests:
    """Requests pages of one upstream."""

    def __init__(self, requests: UpstreamRequests, clock: IReactorTime, options: ClientOptions) -> None:
        self._requests = requests
        self._failed = requests.failed
        self._clock = clock
        self._limits = options.limits

    async def get(
        self,
        url: str,
        validators: Validators,
        most: int,
        *,
        missing: frozenset[int] | None = None,
        accept: bytes = ACCEPT,
    ) -> UpstreamPage | None:
        """Request a page; None if it does not exist.

        Args:
            url: Its URL.
            validators: Those of the listing before, for a conditional request.
            most: Bytes that it may have.
            missing: For a project's page: further statuses that mean "no such project".
            accept: The forms that are understood.
        """
        deadline = self._clock.seconds() + self._limits.listing
        response, url = await self._requests.follow(
            OutgoingRequest(url, _headers(validators, accept), deadline, missing or frozenset())
        )
        if response.code in GONE or response.code in (missing or ()):
            await self._requests.discard(response)
            return None
        if response.code == 304:
            if validators == Validators():
                raise self._failed(
                    "it says that nothing has changed, although the request was not conditional"
                )
            return UpstreamPage(url, "", b"", validators, _fresh_for(response), is_unchanged=True)
        if response.code not in COMPLETE:
            raise await self._requests.refusal(response, of_project=missing is not None)
        left = deadline - self._clock.seconds()
        body = ResponseBody(response, self._clock, idle=self._limits.idle, patience=lambda _: left)
        try:
            if response.length is not UNKNOWN_LENGTH and response.length > most:
                raise self._failed(f"its page is larger than {most:,} bytes")
            content_type = header(response, "content-type")
            data = await self._requests.awaited(
                read_decoded(body, header(response, "content-encoding"), most)
            )
            if body.may_be_cut and is_html(content_type) and not ends(data):
                raise self._failed("its page is cut short", retry_after=USUAL_WAIT)
        finally:
            body.close()
        return UpstreamPage(url, content_type, data, validators_of(response), _fresh_for(response))


def _headers(validators: Validators, accept: bytes) -> dict[bytes, bytes]:
    headers = {b"Accept": accept, b"Accept-Encoding": b"gzip"}
    if validators.etag:
        headers[b"If-None-Match"] = validators.etag.encode("latin-1", "replace")
    if validators.last_modified:
        headers[b"If-Modified-Since"] = validators.last_modified.encode("latin-1", "replace")
    return headers


def _fresh_for(response: IResponse) -> float | None:
    return fresh_for(header(response, "cache-control"), header(response, "age"))
