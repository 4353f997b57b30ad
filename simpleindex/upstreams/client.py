"""The HTTP client for one upstream index: it parses listings, streams files, and turns every failure into one error.

It stores nothing between requests but connections and the links of the list of projects. Whatever the server does, a request ends in
bounded time and memory, with an answer or with :class:`~simpleindex.core.errors.UpstreamFailed`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.web.iweb import UNKNOWN_LENGTH

from simpleindex.core.dates import http_date
from simpleindex.core.errors import FileRefused, InvalidUpstreamPage, NotHere, UpstreamFailed
from simpleindex.upstreams.http.body import ResponseBody, read_decoded
from simpleindex.upstreams.http.content_codings import decoder_of
from simpleindex.upstreams.http.encoded_files import HEAD, coding_of_file, is_encoded
from simpleindex.upstreams.http.file_streams import Extent, HttpStream
from simpleindex.upstreams.http.headers import USUAL_WAIT, content_range, date, etag, fresh_for
from simpleindex.upstreams.http.logins import FixedLogin
from simpleindex.upstreams.http.requests import OutgoingRequest, UpstreamRequests, header
from simpleindex.upstreams.interface import Listing, Validators
from simpleindex.upstreams.pages.documents import is_html
from simpleindex.upstreams.pages.flat import FLAT_PAGE
from simpleindex.upstreams.pages.html import ends
from simpleindex.upstreams.pages.listings import parse_flat, parse_project
from simpleindex.upstreams.pages.roots import UpstreamRoot, parse_root
from simpleindex.upstreams.pages.signed_urls import seconds_left, shorter
from simpleindex.upstreams.pages.urls import absolute_url, basename, quoted_as_pip_does
from simpleindex.upstreams.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IAgent, IResponse

    from simpleindex.core.names import ProjectName
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.client_options import ClientOptions
    from simpleindex.upstreams.http.logins import Login
    from simpleindex.upstreams.pages.urls import HostPolicy

_ACCEPT: Final = (
    b"application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)
_WHOLE: Final = frozenset({200, 203})
"""Answers with what was requested, the second one changed by a proxy (RFC 9110 section 15.3.4). Other successes have none:
they mean that something was created, or will be, or that there is no content."""

_GONE: Final = frozenset({404, 410})
_REFUSED: Final = frozenset({403, *_GONE})

_EXPIRED: Final = frozenset({400, 401, 403})
"""What object stores answer when the signature in a file's URL has expired."""

_PARSED_HERE: Final = 64 * 1024
"""Bytes; a page up to this size is parsed within some milliseconds, a larger one in a thread."""

_ROOT_SECONDS: Final = 3600.0
"""Seconds for which the links in the list of projects are fresh."""

_ROOT_RETRY_SECONDS: Final = 60.0
"""Seconds after which the list of projects is requested again if that failed."""

_LARGEST_FILE: Final = 1 << 40
"""Bytes; the cache bounds the size of a file."""

_LEAST_RATE: Final = 1024.0
"""Bytes a second that a file must arrive with in the long run, so that a byte every few seconds does not count as progress."""


class HttpUpstream:
    """An upstream index.

    Its project :data:`~simpleindex.upstreams.pages.flat.FLAT_PAGE` is the page at its URL itself, with the files of many projects.

    Args:
        host_policy: Its URL, and where its links and redirects may lead.
        agent: Requests one URL without following redirects; an :class:`~simpleindex.upstreams.http.agent.OutgoingAgent` with the
            same policy.
        clock: For timeouts.
        threads: For pages that take long to parse.
        options: Its name, timeouts, and how its answers are read.
        login: The credentials for the upstream's own origin; they are sent nowhere else.
    """

    def __init__(
        self,
        host_policy: HostPolicy,
        agent: IAgent,
        clock: IReactorTime,
        threads: Threads,
        *,
        options: ClientOptions,
        login: Login | None = None,
    ) -> None:
        self._host_policy = host_policy
        self._clock = clock
        self._threads = threads
        self._name = options.name
        self._limits = options.limits
        self._missing = options.missing
        self._lists = options.lists
        self._root = UpstreamRoot()
        self._root_until = 0.0
        self._flights = SingleFlight()
        self._requests = UpstreamRequests(host_policy, agent, clock, login or FixedLogin(), options)
        self._failed = self._requests.failed

    @property
    def name(self) -> str:
        """Its name in the sources file."""
        return self._name

    async def projects(self) -> tuple[ProjectName, ...]:
        """Return the names of its projects."""
        page = await self._page(self._host_policy.url, Validators(), self._limits.projects_bytes)
        if page is None:
            raise self._failed("it has no index at its URL")
        self._root = await self._parsed(page, parse_root, page.content_type, page.body, page.url)
        self._root_until = self._clock.seconds() + _ROOT_SECONDS
        return self._root.names

    async def project(self, name: ProjectName, validators: Validators | None) -> Listing | None:
        """Return the listing of a project; None if it has not changed."""
        is_page = name == FLAT_PAGE
        if is_page:
            page = await self._page(
                self._host_policy.url, validators or Validators(), self._limits.flat_bytes
            )
        else:
            url = f"{self._host_policy.url}{name}/"
            page = await self._page(
                url, validators or Validators(), self._limits.project_bytes, missing=self._missing
            )
            if page is None and (place := await self._place_of(name)) is not None:
                page = await self._page(
                    place, validators or Validators(), self._limits.project_bytes, missing=self._missing
                )
        if page is None and is_page:
            # It may list any project.
            raise self._failed("it has no page at its URL")
        if page is None:
            raise NotHere(f"project {name}")
        if page.is_unchanged:
            return None
        parse = parse_flat if is_page else partial(parse_project, name=name)
        project = await self._parsed(page, parse, page.content_type, page.body, page.url, source=self._name)
        signed_for = seconds_left((file.url for file in project.files), self._clock.seconds())
        return Listing(project, page.validators, shorter(page.fresh_for, signed_for))

    async def _place_of(self, name: ProjectName) -> str | None:
        """Return the URL of a project's page as the list of projects links it, if installers do not find it at the usual URL."""
        if not self._lists:
            return None
        if self._clock.seconds() >= self._root_until:
            with suppress(UpstreamFailed):
                await self._flights.run("root", self._read_root)
        return self._root.places.get(name)

    async def _read_root(self) -> None:
        try:
            await self.projects()
        except UpstreamFailed:
            self._root_until = self._clock.seconds() + _ROOT_RETRY_SECONDS
            raise

    async def open(
        self, url: str, offset: int = 0, validators: Validators | None = None, *, size: int | None = None
    ) -> HttpStream:
        """Begin to fetch a file or the rest of one."""
        target = absolute_url(url, "")
        if target is None:
            raise self._failed("it lists a file with an invalid URL")
        headers = {b"Accept-Encoding": b"identity"}
        still = _if_range(validators)
        if offset and (still or validators is None):
            headers[b"Range"] = f"bytes={offset}-".encode("ascii")
            if still:
                headers[b"If-Range"] = still.encode("ascii")
        response, headers = await self._request_file(target, headers)
        if response.code in _GONE:
            await self._requests.discard(response)
            raise NotHere(f"file {ascii(basename(target))[1:-1][:200]}")
        if response.code in _EXPIRED:
            raise FileRefused(self._name, (await self._requests.refusal(response)).reason)
        if response.code not in _WHOLE and response.code != 206:
            raise await self._requests.refusal(response)
        body = ResponseBody(
            response,
            self._clock,
            idle=self._limits.idle,
            patience=lambda received: self._limits.listing + received / _LEAST_RATE,
        )
        try:
            extent = self._extent(response, offset if b"Range" in headers else 0)
            return await self._stream(target, response, body, extent, size)
        except BaseException:
            body.close()
            raise

    async def modified(self, url: str) -> int | None:
        """Return when a file was modified, from the headers of an answer to HEAD."""
        target = absolute_url(url, "")
        if target is None:
            return None
        headers = {b"Accept-Encoding": b"identity"}
        request = OutgoingRequest(target, headers, method=b"HEAD", seconds=self._limits.idle)
        response, _ = await self._requests.follow(request)
        await self._requests.discard(response)
        if response.code in _GONE:
            raise NotHere(f"file {ascii(basename(target))[1:-1][:200]}")
        if response.code in _EXPIRED:
            raise FileRefused(self._name, self._requests.status_error(response).reason)
        if response.code == 429 or (response.code >= 500 and response.code != 501):
            raise self._requests.status_error(response)
        # A server that does not understand HEAD (405, 501) states no time.
        seconds = http_date(_validators(response).last_modified) if response.code in _WHOLE else None
        return None if seconds is None or seconds <= 0 else seconds * 1_000_000_000

    async def _request_file(
        self, url: str, headers: dict[bytes, bytes]
    ) -> tuple[IResponse, dict[bytes, bytes]]:
        """Request a file with its URL as listed, which is what uv does, and then as pip quotes it.

        Amazon's S3 takes a plus in a path for a blank, so that some files are found only with pip's URL.
        """
        response, _ = await self._requests.follow(OutgoingRequest(url, headers))
        quoted = quoted_as_pip_does(url)
        if response.code in _REFUSED and quoted != url:
            await self._requests.discard(response)
            url = quoted
            response, _ = await self._requests.follow(OutgoingRequest(url, headers))
        if response.code == 206 and b"Range" in headers and _real_codings(response):
            # A part of an encoded file cannot be decoded.
            await self._requests.discard(response)
            headers = {b"Accept-Encoding": headers[b"Accept-Encoding"]}
            response, _ = await self._requests.follow(OutgoingRequest(url, headers))
        return response, headers

    async def _stream(
        self, url: str, response: IResponse, body: ResponseBody, extent: Extent, size: int | None
    ) -> HttpStream:
        """Begin to read a file, and decode it if it was encoded for the transfer."""
        coding = coding_of_file(header(response, "content-encoding"))
        stream = HttpStream(self._requests.fault, body, extent, _validators(response))
        if coding is None:
            return stream
        head = b""
        while len(head) < HEAD and (data := await stream.read()):
            head += data
        decoder = None
        if is_encoded(coding, url, head, length=extent.length, size=size):
            decoder = decoder_of((coding,), _LARGEST_FILE, "file")
        return HttpStream(
            self._requests.fault, body, extent, _validators(response), head=head, decoder=decoder
        )

    def _extent(self, response: IResponse, offset: int) -> Extent:
        """Read from the headers which bytes of a file follow."""
        length = None if response.length is UNKNOWN_LENGTH else int(response.length)
        if response.code in _WHOLE:
            return Extent(0, length, length)
        if response.code != 206 or not offset:
            raise self._requests.status_error(response)
        part = content_range(header(response, "content-range"))
        # All of the rest was requested.
        if part is None or part.start != offset or part.size not in {None, part.stop}:
            raise self._failed("it sends another part of a file than was requested")
        if length not in {None, part.stop - offset}:
            raise self._failed("it sends more or less of a file than its headers state")
        return Extent(offset, part.stop - offset, part.size)

    async def _page(
        self, url: str, validators: Validators, most: int, *, missing: frozenset[int] | None = None
    ) -> _Answer | None:
        """Request a listing; None if it is not there.

        Args:
            url: Its URL.
            validators: Those of the listing before, for a conditional request.
            most: Bytes that it may have.
            missing: For a project's page: further statuses that mean "no such project".
        """
        deadline = self._clock.seconds() + self._limits.listing
        headers = {b"Accept": _ACCEPT, b"Accept-Encoding": b"gzip"}
        if validators.etag:
            headers[b"If-None-Match"] = validators.etag.encode("latin-1", "replace")
        if validators.last_modified:
            headers[b"If-Modified-Since"] = validators.last_modified.encode("latin-1", "replace")
        response, url = await self._requests.follow(
            OutgoingRequest(url, headers, deadline, missing or frozenset())
        )
        if response.code in _GONE or response.code in (missing or ()):
            await self._requests.discard(response)
            return None
        if response.code == 304:
            if validators == Validators():
                raise self._failed(
                    "it says that nothing has changed, although the request was not conditional"
                )
            return _Answer(url, "", b"", validators, _fresh_for(response), is_unchanged=True)
        if response.code not in _WHOLE:
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
        return _Answer(url, content_type, data, _validators(response), _fresh_for(response))

    async def _parsed(self, page: _Answer, parse: Callable[..., Any], *arguments: Any, **further: Any) -> Any:
        try:
            if len(page.body) <= _PARSED_HERE:
                return parse(*arguments, **further)
            return await self._threads.run(parse, *arguments, **further)
        except InvalidUpstreamPage as error:
            raise self._failed(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Answer:
    """A page that was received and decoded."""

    url: str
    content_type: str
    body: bytes
    validators: Validators
    fresh_for: float | None
    is_unchanged: bool = False


def _validators(response: IResponse) -> Validators:
    return Validators(etag(header(response, "etag")), date(header(response, "last-modified")))


def _if_range(validators: Validators | None) -> str | None:
    """Return the value of If-Range: a strong ETag, or else a date (RFC 9110 section 13.1.5)."""
    if validators is None:
        return None
    if validators.etag and not validators.etag.startswith("W/"):
        return validators.etag
    return validators.last_modified


def _fresh_for(response: IResponse) -> float | None:
    return fresh_for(header(response, "cache-control"), header(response, "age"))


def _real_codings(response: IResponse) -> bool:
    """Return whether an answer may have a content coding that can be decoded."""
    return coding_of_file(header(response, "content-encoding")) is not None
