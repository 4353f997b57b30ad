"""Requests to one upstream: their headers, where redirects lead, and how long a server asked to wait.

Whatever the other side does, a request ends in bounded time with an answer or with
:class:`~simpleindex.upstreams.errors.UpstreamFailed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.defer import CancelledError
from twisted.web.http_headers import Headers

from simpleindex.system.clocks import wall_clock
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.upstreams.http.body import ResponseBody, read_decoded, within
from simpleindex.upstreams.http.errors import failure_reason
from simpleindex.upstreams.http.explanations import MOST_BYTES, explanation_of, is_telling
from simpleindex.upstreams.http.headers import USUAL_WAIT, date, etag, is_passing, retry_after
from simpleindex.upstreams.http.missing import may_mean_missing
from simpleindex.upstreams.http.waits import SERVICE_UNAVAILABLE, TOO_MANY_REQUESTS, Wait, Waits
from simpleindex.upstreams.interface import Validators
from simpleindex.upstreams.pages.urls import absolute_url, origin

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IAgent, IResponse

    from simpleindex.system.operation_times import OperationTimes
    from simpleindex.upstreams.client_options import ClientOptions
    from simpleindex.upstreams.http.logins import Login
    from simpleindex.upstreams.pages.urls import BasicCredentials, HostPolicy

MOST_REDIRECTS: Final = 5

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
COMPLETE: Final = frozenset({200, 203})
"""Answers with what was requested, the second one changed by a proxy (RFC 9110 section 15.3.4). Other successes have none:
they mean that something was created, or will be, or that there is no content."""

GONE: Final = frozenset({404, 410})
_REFUSALS: Final = frozenset({401, 403})

# Bytes and seconds of a discarded body that are read to keep its connection.
_MOST_UNWANTED: Final = 64 * 1024
_UNWANTED_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request to an upstream.

    Attributes:
        url: As :func:`~simpleindex.upstreams.pages.urls.absolute_url` returns it.
        headers: Its own headers, beside those of every request.
        deadline: When the answer's headers must have arrived, redirects included, on the clock; None for files.
        missing: Statuses that are a final answer, even if they are redirects.
        seconds: For the first byte of an answer about a file; None for the limit of files.
    """

    url: str
    headers: dict[bytes, bytes]
    deadline: float | None = None
    missing: frozenset[int] = frozenset()
    method: bytes = b"GET"
    seconds: float | None = None

    @property
    def is_page(self) -> bool:
        """Whether it is for a listing, not for a file."""
        return self.deadline is not None


class UpstreamRequests:
    """Makes requests to one upstream, and to where it leads.

    Args:
        host_policy: Its URL, and where redirects may lead.
        agent: Requests one URL without following; an :class:`~simpleindex.upstreams.http.agent.OutgoingAgent` of the same reach.
        clock: For timeouts.
        login: The credentials for the upstream's own origin; they are sent nowhere else.
        options: The upstream's name and timeouts.

    Attributes:
        times: Durations until the head of an answer; None where nothing is measured.
    """

    def __init__(
        self,
        host_policy: HostPolicy,
        agent: IAgent,
        clock: IReactorTime,
        login: Login,
        options: ClientOptions,
    ) -> None:
        self._name = options.name
        self._host_policy = host_policy
        self._agent = agent
        self._clock = clock
        self._now = wall_clock(clock)
        self._login = login
        self._limits = options.limits
        self._user_agent = options.user_agent.encode("ascii")
        self._waits = Waits()
        self.times: OperationTimes | None = None

    async def follow(self, request: OutgoingRequest) -> tuple[IResponse, str]:
        """Make a request, and follow redirects as far as that is allowed.

        Returns:
            The answer, and its final URL.

        Raises:
            UpstreamFailed: There is none, it redirects to where it may not, or the server asked to wait.
        """
        url = request.url
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._answer(url, request)
            if response.code not in REDIRECTS or response.code in request.missing:
                return response, url
            await self.discard(response)
            location = header(response, "location")
            target = absolute_url(url, location) if location else None
            refusal = self._host_policy.refuses_redirect(url, target, of_file=not request.is_page)
            if refusal is not None or target is None:
                raise self.failed(
                    refusal or "it redirects nowhere", status=response.code if request.is_page else 0
                )
            url = target
        raise self.failed(f"it redirects more than {MOST_REDIRECTS} times")

    async def _answer(self, url: str, request: OutgoingRequest) -> IResponse:
        """Request one URL; once more where it refuses credentials that have changed meanwhile."""
        wait = self._waits.find(url, self._clock.seconds())
        if wait is not None:
            raise self._waiting(wait)
        credentials = self._credentials_for(url)
        response = await self._send(url, request, credentials)
        if credentials is not None and response.code in _REFUSALS:
            await self._login.read_again()
            changed = self._credentials_for(url)
            if changed != credentials:
                await self.discard(response)
                response = await self._send(url, request, changed)
        self._note_wait(url, request, response)
        return response

    def _credentials_for(self, url: str) -> BasicCredentials | None:
        return self._login.credentials() if origin(url) == origin(self._host_policy.url) else None

    async def _send(
        self, url: str, request: OutgoingRequest, credentials: BasicCredentials | None
    ) -> IResponse:
        headers = Headers({name: [value] for name, value in request.headers.items()})
        headers.setRawHeaders(b"User-Agent", [self._user_agent])
        if credentials is not None:
            headers.setRawHeaders(b"Authorization", [credentials.header()])
        allowed = self._limits.file if request.seconds is None else request.seconds
        if request.deadline is not None:
            allowed = min(self._limits.idle, request.deadline - self._clock.seconds())

        async def answer() -> Any:
            return await within(
                allowed, self._clock, self._agent.request(request.method, url.encode("ascii"), headers)
            )

        if self.times is None:
            return cast("IResponse", await self.awaited(answer()))
        operation = "listing" if request.is_page else "file"
        begun, failed = self._clock.seconds(), True
        try:
            response: IResponse = await self.awaited(answer())
            failed = response.code >= 500 or response.code == TOO_MANY_REQUESTS
            return response
        finally:
            self.times.add(operation, self._clock.seconds() - begun, failed=failed)

    def _note_wait(self, url: str, request: OutgoingRequest, response: IResponse) -> None:
        is_limited = response.code == TOO_MANY_REQUESTS
        if is_limited or (response.code == SERVICE_UNAVAILABLE and header(response, "retry-after")):
            now = self._clock.seconds()
            wait = Wait(response.code, now + self._retry_after(response))
            self._waits.add(url, wait, now, is_page=request.is_page)
        elif request.is_page and response.code < 500:
            self._waits.note_answer(url)

    def _waiting(self, wait: Wait) -> UpstreamFailed:
        seconds = wait.seconds(self._clock.seconds())
        return self.failed(f"it asked to wait ({wait.status}), for {seconds:,} s more", retry_after=seconds)

    def _retry_after(self, response: IResponse) -> int:
        return retry_after(header(response, "retry-after"), header(response, "date"), self._now())

    async def awaited(self, answer: Awaitable[Any]) -> Any:
        """Wait for a result, and turn every error of the network into one of this upstream."""
        try:
            return await answer
        except CancelledError:
            # The client's request has ended.
            raise
        except Exception as error:  # noqa: BLE001  (what arrives is written by strangers)
            raise self.fault(error) from None

    async def discard(self, response: IResponse) -> None:
        """Read a body to its end, if that is quickly done, so that its connection can be used again."""
        body = ResponseBody(
            response, self._clock, idle=_UNWANTED_SECONDS, patience=lambda _: _UNWANTED_SECONDS
        )
        await self.drain(body)

    async def drain(self, body: ResponseBody) -> None:
        """Do the same with the rest of a body."""
        try:
            while await body.read() and body.received <= _MOST_UNWANTED:
                pass
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001, S110  (as in awaited; the body does not matter)
            pass
        finally:
            body.close()

    async def refusal(self, response: IResponse, *, of_project: bool = False) -> UpstreamFailed:
        """Make the error for a status that is no answer, with the upstream's explanation.

        Args:
            response: The answer; its body has not been read.
            of_project: As :meth:`status_error`.
        """
        return self.status_error(
            response, of_project=of_project, explanation=await self._explanation(response)
        )

    async def _explanation(self, response: IResponse) -> str:
        """Return the explanation in an answer's body; empty if there is none, or it does not come soon."""
        body = ResponseBody(
            response, self._clock, idle=_UNWANTED_SECONDS, patience=lambda _: _UNWANTED_SECONDS
        )
        content_type = header(response, "content-type")
        try:
            if not is_telling(content_type):
                return ""
            data = await read_decoded(body, header(response, "content-encoding"), MOST_BYTES)
            return explanation_of(content_type, data, self._login.credentials())
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001  (as in awaited; the status says enough)
            return ""
        finally:
            body.close()

    def status_error(
        self, response: IResponse, *, of_project: bool = False, explanation: str = ""
    ) -> UpstreamFailed:
        """Make the error for a status that is no answer.

        Args:
            response: The answer.
            of_project: Whether a project's page was requested, for which other statuses than 404 can mean "no such project".
            explanation: The upstream's own explanation; empty if there is none.
        """
        code, seconds = response.code, self._retry_after(response)
        saying = f', saying "{explanation}"' if explanation else ""
        if code in {401, 407}:
            what = "refuses our credentials" if self._login.credentials() else "wants credentials"
            return self.failed(f"it {what} ({code}){saying}")
        if code == 403:
            return self.failed(f"it does not let us in (403){saying}", status=code if of_project else 0)
        if code == TOO_MANY_REQUESTS:
            return self.failed(f"it gets too many requests (429){saying}", retry_after=seconds)
        return self.failed(
            f"it answers {code}{saying}",
            retry_after=seconds if is_passing(code) else None,
            status=code if of_project else 0,
        )

    def fault(self, error: BaseException) -> UpstreamFailed:
        """Make the error for a failed connection."""
        fault = failure_reason(error)
        return self.failed(
            fault.reason,
            timed_out=fault.timed_out,
            retry_after=USUAL_WAIT if fault.is_passing else None,
        )

    def failed(
        self, reason: str, *, timed_out: bool = False, retry_after: int | None = None, status: int = 0
    ) -> UpstreamFailed:
        """Make an error of this upstream.

        Args:
            reason: A clause whose subject is the upstream.
            timed_out: Whether it took too long.
            retry_after: Seconds after which a request may succeed; None if waiting does not help.
            status: A status of a project's page for which ``missing`` could be configured; 0 if there is none.
        """
        sentence = f"{reason}."
        if may_mean_missing(status):
            sentence += f" If {status} means that it has no such project, write missing = [{status}] in its table of the sources file."
        return UpstreamFailed(self._name, sentence, timed_out=timed_out, retry_after=retry_after)


def header(response: IResponse, name: str) -> str:
    """Return a header's value, several joined; empty if there is none."""
    values = response.headers.getRawHeaders(name.encode("ascii"), [])
    return ", ".join(value.decode("latin-1") for value in values)


def validators_of(response: IResponse) -> Validators:
    """Return the validators of an answer."""
    return Validators(etag(header(response, "etag")), date(header(response, "last-modified")))
