"""Another index, asked over HTTP: its listings understood, its files as streams, its faults as one error.

It remembers nothing between two questions but open connections. Whatever the other side does, a question ends, in bounded
time and memory, with an answer or with :class:`~simpleindex.core.errors.UpstreamFailed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from simpleindex.core.errors import InvalidUpstreamPage, NotHere, UnusableAnswer, UpstreamFailed
from simpleindex.core.flat import FLAT_PAGE
from simpleindex.core.upstream_headers import (
    USUAL_WAIT,
    content_range,
    date,
    etag,
    fresh_for,
    is_passing,
    retry_after,
)
from simpleindex.core.upstream_html import ends
from simpleindex.core.upstream_pages import is_html, parse_flat, parse_project, parse_projects
from simpleindex.core.upstream_urls import absolute_url, basename, origin
from simpleindex.outgoing.bodies import ResponseBody, read_decoded, within
from simpleindex.outgoing.reasons import explain
from simpleindex.sources.interface import Listing, Validators

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IAgent, IResponse

    from simpleindex.core.names import ProjectName
    from simpleindex.core.upstream_urls import BasicCredentials, Reach

MOST_REDIRECTS: Final = 5

_ACCEPT: Final = (
    b"application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_GONE: Final = frozenset({404, 410})

# What is read of a body that nobody wants, to keep its connection: bytes and seconds.
_MOST_UNWANTED: Final = 64 * 1024
_UNWANTED_SECONDS: Final = 2.0

_PARSED_HERE: Final = 64 * 1024
"""Bytes; a page up to this size is parsed within some milliseconds, a larger one in a thread."""

_LEAST_RATE: Final = 1024.0
"""Bytes a second that a file must come with in the long run, so that a drop every few seconds is no download."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much an upstream may take.

    Attributes:
        idle: Seconds for the beginning of an answer, and then for each next bytes of it.
        listing: Seconds for a whole listing, redirects included; pip gives up after 15, uv after 30.
        project_bytes: Of a project's page, as it comes and when decoded; the largest have some 20 MB.
        flat_bytes: Of a page with the files of all projects; 100,000 links or so.
        projects_bytes: Of the page of all projects, which has 40 MB where there are 700,000.
    """

    idle: float = 10.0
    listing: float = 30.0
    project_bytes: int = 64_000_000
    flat_bytes: int = 16_000_000
    projects_bytes: int = 200_000_000


class HttpUpstream:
    """An upstream index.

    Its project :data:`~simpleindex.core.flat.FLAT_PAGE` is the page at its URL itself, with the files of many projects.

    Args:
        name: What the configuration calls it.
        reach: Its URL, and where it may lead.
        agent: Asks for one URL without following; an :class:`~simpleindex.outgoing.agents.OutgoingAgent` of the same reach.
        clock: For timeouts.
        in_thread: Calls a function that takes long in a thread.
        credentials: For the upstream's own origin; sent nowhere else.
        limits: How long and how much it may take.
        user_agent: Who we say that we are; operators of indexes want to know.
    """

    def __init__(
        self,
        name: str,
        reach: Reach,
        agent: IAgent,
        clock: IReactorTime,
        in_thread: Callable[..., Awaitable[Any]],
        *,
        credentials: BasicCredentials | None = None,
        limits: Limits = Limits(),
        user_agent: str = "simpleindex",
    ) -> None:
        self._name = name
        self._reach = reach
        self._agent = agent
        self._clock = clock
        self._in_thread = in_thread
        self._credentials = credentials
        self._limits = limits
        self._user_agent = user_agent.encode("ascii")

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._name

    async def projects(self) -> tuple[ProjectName, ...]:
        """The names of its projects."""
        page = await self._page(self._reach.url, Validators(), self._limits.projects_bytes)
        if page is None:
            raise self._failed("it has no index at its URL")
        names: tuple[ProjectName, ...] = await self._parsed(
            page, parse_projects, page.content_type, page.body, page.url
        )
        return names

    async def project(self, name: ProjectName, known: Validators | None) -> Listing | None:
        """What is in this project; None if it is as it was."""
        is_page = name == FLAT_PAGE
        url, most = f"{self._reach.url}{name}/", self._limits.project_bytes
        if is_page:
            url, most = self._reach.url, self._limits.flat_bytes
        page = await self._page(url, known or Validators(), most)
        if page is None and is_page:
            # Nobody knows what it would list, if it were there.
            raise self._failed("it has no page at its URL")
        if page is None:
            raise NotHere(f"project {name}")
        if page.is_unchanged:
            return None
        parse = parse_flat if is_page else partial(parse_project, name=name)
        project = await self._parsed(page, parse, page.content_type, page.body, page.url, source=self._name)
        return Listing(project, page.validators, page.fresh_for)

    async def open(self, url: str, offset: int = 0, validators: Validators | None = None) -> HttpStream:
        """Begin to fetch a file, or the rest of one."""
        target = absolute_url(url, "")
        if target is None:
            raise self._failed("it lists a file at what is no URL")
        # The bytes are hashed, so they are wanted as they are (SPEC T14).
        wanted = {b"Accept-Encoding": b"identity"}
        still = _if_range(validators)
        if offset and (still or validators is None):
            wanted[b"Range"] = f"bytes={offset}-".encode("ascii")
            if still:
                wanted[b"If-Range"] = still.encode("ascii")
        response, _ = await self._follow(target, wanted, deadline=None)
        body = ResponseBody(
            response,
            self._clock,
            idle=self._limits.idle,
            patience=lambda received: self._limits.listing + received / _LEAST_RATE,
        )
        try:
            if response.code in _GONE:
                await self._drop(body)
                raise NotHere(f"file {ascii(basename(target))[1:-1][:200]}")
            if _header(response, "content-encoding").strip().lower() not in {"", "identity"}:
                raise self._failed("it encodes a file, which it was not asked for")
            extent = self._extent(response, offset if b"Range" in wanted else 0)
        except BaseException:
            body.close()
            raise
        return HttpStream(self._fault, body, extent, _validators(response))

    def _extent(self, response: IResponse, offset: int) -> tuple[int, int | None, int | None]:
        """Where a file's stream begins, how long it is and how long the file, as the headers say."""
        length = None if response.length is UNKNOWN_LENGTH else int(response.length)
        if response.code == 200:
            return 0, length, length
        if response.code != 206 or not offset:
            raise self._status(response)
        part = content_range(_header(response, "content-range"))
        # All of the rest was asked for.
        if part is None or part.start != offset or part.size not in {None, part.stop}:
            raise self._failed("it sends another part of a file than it was asked for")
        if length not in {None, part.stop - offset}:
            raise self._failed("it sends more or less of a file than it says")
        return offset, part.stop - offset, part.size

    async def _page(self, url: str, known: Validators, most: int) -> _Answer | None:
        """Ask for a listing; None if it is not there."""
        deadline = self._clock.seconds() + self._limits.listing
        wanted = {b"Accept": _ACCEPT, b"Accept-Encoding": b"gzip"}
        if known.etag:
            wanted[b"If-None-Match"] = known.etag.encode("latin-1", "replace")
        if known.last_modified:
            wanted[b"If-Modified-Since"] = known.last_modified.encode("latin-1", "replace")
        response, url = await self._follow(url, wanted, deadline)
        if response.code == 304:
            if known == Validators():
                raise self._failed("it says that nothing has changed, which it was not asked")
            return _Answer(url, "", b"", known, _fresh_for(response), is_unchanged=True)
        left = deadline - self._clock.seconds()
        body = ResponseBody(response, self._clock, idle=self._limits.idle, patience=lambda _: left)
        try:
            if response.code in _GONE:
                await self._drop(body)
                return None
            if response.code != 200:
                raise self._status(response)
            if response.length is not UNKNOWN_LENGTH and response.length > most:
                raise self._failed(f"its page is larger than {most:,} bytes")
            content_type = _header(response, "content-type")
            data = await self._awaited(read_decoded(body, _header(response, "content-encoding"), most))
            if body.may_be_cut and is_html(content_type) and not ends(data):
                raise self._failed("its page is cut short", retry_after=USUAL_WAIT)
        finally:
            body.close()
        return _Answer(url, content_type, data, _validators(response), _fresh_for(response))

    async def _follow(
        self, url: str, wanted: dict[bytes, bytes], deadline: float | None
    ) -> tuple[IResponse, str]:
        """Ask, and go where the answer says, as far as that is allowed; only files have no deadline."""
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._ask(url, wanted, deadline)
            if response.code not in _REDIRECTS:
                return response, url
            body = ResponseBody(
                response, self._clock, idle=_UNWANTED_SECONDS, patience=lambda _: _UNWANTED_SECONDS
            )
            await self._drop(body)
            location = _header(response, "location")
            target = absolute_url(url, location) if location else None
            refusal = self._reach.refuses_redirect(url, target, of_file=deadline is None)
            if refusal is not None or target is None:
                raise self._failed(refusal or "it redirects nowhere")
            url = target
        raise self._failed(f"it redirects more than {MOST_REDIRECTS} times")

    async def _ask(self, url: str, wanted: dict[bytes, bytes], deadline: float | None) -> IResponse:
        headers = Headers({name: [value] for name, value in wanted.items()})
        headers.setRawHeaders(b"User-Agent", [self._user_agent])
        if self._credentials and origin(url) == origin(self._reach.url):
            headers.setRawHeaders(b"Authorization", [self._credentials.header()])
        allowed = self._limits.idle
        if deadline is not None:
            allowed = min(allowed, deadline - self._clock.seconds())

        async def asked() -> Any:
            return await within(
                allowed, self._clock, self._agent.request(b"GET", url.encode("ascii"), headers)
            )

        response: IResponse = await self._awaited(asked())
        return response

    async def _awaited(self, answer: Awaitable[Any]) -> Any:
        """Wait for something that can fail in all the ways of a network."""
        try:
            return await answer
        except CancelledError:
            # Whoever asked has gone.
            raise
        except Exception as error:  # noqa: BLE001  (what arrives is written by strangers)
            raise self._fault(error) from None

    async def _drop(self, body: ResponseBody) -> None:
        """Read a body that nobody wants, so that its connection can be used again, if that is quickly done."""
        try:
            while await body.read() and body.received <= _MOST_UNWANTED:
                pass
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001, S110  (as in _awaited; and nobody wants it)
            pass
        finally:
            body.close()

    async def _parsed(self, page: _Answer, parse: Callable[..., Any], *arguments: Any, **further: Any) -> Any:
        try:
            if len(page.body) <= _PARSED_HERE:
                return parse(*arguments, **further)
            return await self._in_thread(parse, *arguments, **further)
        except InvalidUpstreamPage as error:
            raise self._failed(str(error)) from None

    def _status(self, response: IResponse) -> UpstreamFailed:
        code = response.code
        if code in {401, 407}:
            what = "refuses our credentials" if self._credentials else "wants credentials"
            return self._failed(f"it {what} ({code})")
        if code == 403:
            return self._failed("it does not let us in (403)")
        if code == 429:
            return self._failed("it is asked too often (429)", retry_after=_retry_after(response))
        return self._failed(
            f"it answers {code}", retry_after=_retry_after(response) if is_passing(code) else None
        )

    def _fault(self, error: BaseException) -> UpstreamFailed:
        fault = explain(error)
        return self._failed(
            fault.reason,
            timed_out=fault.timed_out,
            retry_after=USUAL_WAIT if fault.is_passing else None,
        )

    def _failed(
        self, reason: str, *, timed_out: bool = False, retry_after: int | None = None
    ) -> UpstreamFailed:
        return UpstreamFailed(self._name, f"{reason}.", timed_out=timed_out, retry_after=retry_after)


class HttpStream:
    """A file on its way; see :class:`~simpleindex.sources.interface.Stream`."""

    def __init__(
        self,
        fault: Callable[[BaseException], UpstreamFailed],
        body: ResponseBody,
        extent: tuple[int, int | None, int | None],
        validators: Validators,
    ) -> None:
        self._fault = fault
        self._body = body
        self.offset, self._length, self.size = extent
        self.validators = validators

    async def read(self) -> bytes:
        """Return the next bytes."""
        try:
            data = await self._body.read()
            if self._length is not None:
                if self._body.received > self._length:
                    raise UnusableAnswer("it sends more of a file than it said")
                if not data and self._body.received != self._length:
                    raise UnusableAnswer("the connection with it broke off", is_passing=True)
        except CancelledError:
            self.close()
            raise
        except Exception as error:  # noqa: BLE001  (as in HttpUpstream)
            self.close()
            raise self._fault(error) from None
        return data

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()


@dataclass(frozen=True, slots=True)
class _Answer:
    """A page as it came, decoded."""

    url: str
    content_type: str
    body: bytes
    validators: Validators
    fresh_for: float | None
    is_unchanged: bool = False


def _header(response: IResponse, name: str) -> str:
    """A header's value, several joined; empty if there is none."""
    values = response.headers.getRawHeaders(name.encode("ascii"), [])
    return ", ".join(value.decode("latin-1") for value in values)


def _validators(response: IResponse) -> Validators:
    return Validators(etag(_header(response, "etag")), date(_header(response, "last-modified")))


def _if_range(validators: Validators | None) -> str | None:
    """What the rest of a file is asked for by: a strong ETag, or else a date (RFC 9110 section 13.1.5)."""
    if validators is None:
        return None
    if validators.etag and not validators.etag.startswith("W/"):
        return validators.etag
    return validators.last_modified


def _fresh_for(response: IResponse) -> float | None:
    return fresh_for(_header(response, "cache-control"), _header(response, "age"))


def _retry_after(response: IResponse) -> int:
    return retry_after(_header(response, "retry-after"))
