"""Request a page of each upstream as the server does: its login, its CA, its hosts, its proxy. Blocking."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.web.iweb import IAgent
from zope.interface import implementer

from simpleindex import __version__
from simpleindex.core.errors import InvalidSetting, RefusedStart, SimpleIndexError
from simpleindex.core.text import http_date
from simpleindex.diagnosis.upstreams import UpstreamProbe
from simpleindex.service.composition.upstream_secrets import Secrets
from simpleindex.upstreams.client_options import ClientOptions, UpstreamLimits
from simpleindex.upstreams.http.agent import OutgoingAgent, tls_policy
from simpleindex.upstreams.http.page_requests import PageRequests
from simpleindex.upstreams.http.requests import UpstreamRequests
from simpleindex.upstreams.interface import Validators
from simpleindex.upstreams.pages.urls import HostPolicy, proxy_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.http_headers import Headers
    from twisted.web.iweb import IBodyProducer, IResponse

    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.settings import UpstreamSettings

_NAME: Final = "pip"
"""The project whose page is requested; any index may not have it, which is an answer too."""

_LIMITS: Final = UpstreamLimits(idle=15.0, listing=30.0)
_MOST: Final = 64 << 20


async def probe_upstreams(
    upstreams: Sequence[UpstreamSettings],
    directory: str,
    environment: Mapping[str, str],
    reactor: Any,
    threads: Threads,
) -> list[UpstreamProbe]:
    """Request all upstreams at once.

    Args:
        upstreams: The upstreams.
        directory: Where the sources file lies: its paths are relative to that.
        environment: Names proxies, and holds logins.
        reactor: For connections and time.
        threads: Threads that read files.
    """
    secrets = Secrets(directory, threads)
    probes = [
        Deferred.fromCoroutine(_probe(each, directory, secrets, environment, reactor)) for each in upstreams
    ]
    found: list[UpstreamProbe] = await gatherResults(probes)
    return found


async def _probe(
    upstream: UpstreamSettings, directory: str, secrets: Secrets, environment: Mapping[str, str], reactor: Any
) -> UpstreamProbe:
    begun = reactor.seconds()
    ca_file = _ca_file(upstream, directory)
    failure, offset, proxy = None, None, None
    try:
        through = proxy_for(upstream.url, environment)
        proxy = None if through is None else f"{through.host}:{through.port}"
        policy = HostPolicy(upstream.url, upstream.hosts)
        agent = _DatedAgent(OutgoingAgent(reactor, policy, _tls(ca_file), environment), reactor)
        options = ClientOptions(
            upstream.name, _LIMITS, upstream.missing, upstream.lists, f"simpleindex/{__version__}"
        )
        login = secrets.login(upstream, f"the upstream {upstream.name}")
        requests = PageRequests(UpstreamRequests(policy, agent, reactor, login, options), reactor, options)
        url = upstream.url if upstream.flat else f"{upstream.url}{_NAME}/"
        await requests.get(url, Validators(), _MOST, missing=upstream.missing)
        offset = agent.clock_offset
    except (SimpleIndexError, RefusedStart) as error:
        failure = str(getattr(error, "reason", error))
    seconds = reactor.seconds() - begun
    return UpstreamProbe(upstream.name, upstream.url, failure, seconds, ca_file, proxy, offset)


def _ca_file(upstream: UpstreamSettings, directory: str) -> str | None:
    return None if upstream.ca_file is None else os.path.normpath(os.path.join(directory, upstream.ca_file))


def _tls(ca_file: str | None) -> Any:
    if ca_file is None:
        return tls_policy()
    try:
        with open(ca_file, "rb") as file:
            return tls_policy(file.read())
    except OSError as error:
        raise InvalidSetting(f"its ca-file {ca_file} cannot be read: {error.strerror}") from None


@implementer(IAgent)
class _DatedAgent:
    """An agent that compares the clock of who answers with ours."""

    def __init__(self, agent: IAgent, clock: IReactorTime) -> None:
        self._agent = agent
        self._clock = clock
        self.clock_offset: float | None = None

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        return self._agent.request(method, uri, headers, bodyProducer).addCallback(self._compare)

    def _compare(self, response: IResponse) -> IResponse:
        (date, *_) = response.headers.getRawHeaders(b"date") or [b""]
        seconds = http_date(date.decode("latin-1"))
        # An answer from a cache on the way has the date of when it was made.
        if seconds is not None and not response.headers.hasHeader(b"age"):
            self.clock_offset = seconds - self._clock.seconds()
        return response
