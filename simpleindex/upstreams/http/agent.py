"""The HTTP agent for one upstream, with a pool of idle connections, trusted certificates and allowed hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from OpenSSL import crypto
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    HostnameCachingHTTPSPolicy,
    HTTPConnectionPool,
    ProxyAgent,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from simpleindex.core.addresses import is_public
from simpleindex.core.errors import InvalidSetting
from simpleindex.upstreams.errors import ForbiddenAddress
from simpleindex.upstreams.http.connections import BoundedEndpoint, GuardedReactor, TunnelEndpoint
from simpleindex.upstreams.pages.urls import UrlOrigin, is_surely_private, origin, proxy_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.internet.interfaces import IStreamClientEndpoint
    from twisted.web.client import URI
    from twisted.web.iweb import IBodyProducer, IPolicyForHTTPS, IResponse

    from simpleindex.upstreams.pages.urls import HostPolicy, Proxy

CONNECT_SECONDS: Final = 10.0
"""For each address of a host; uv's too. pip gives up the whole request after 15 s."""

_IDLE_CONNECTIONS: Final = 8
_IDLE_SECONDS: Final = 55
"""Less than the 60 to 75 s after which servers close theirs, so that requests do not meet a closing connection."""


def tls_policy(ca: bytes | None = None) -> IPolicyForHTTPS:
    """Return which certificates to trust.

    Args:
        ca: Certificates of authorities, as PEM, which are trusted instead of the system's.

    Raises:
        InvalidSetting: It holds no certificates.
    """
    # The system's certificates take tens of milliseconds to load, so a context is kept for each host.
    if ca is None:
        return HostnameCachingHTTPSPolicy(BrowserLikePolicyForHTTPS())
    try:
        certificates = x509.load_pem_x509_certificates(ca)
    except ValueError:
        raise InvalidSetting("has no certificates in PEM form") from None
    roots = [Certificate(crypto.X509.from_cryptography(each)) for each in certificates]
    return HostnameCachingHTTPSPolicy(BrowserLikePolicyForHTTPS(trustRootFromCertificates(roots)))


@implementer(IAgent)
class OutgoingAgent:
    """Sends requests to an upstream, and to the hosts that it links to, over persistent connections.

    Private addresses are refused when a connection is made, unless the host policy allows them. A proxy looks addresses up itself,
    so through a proxy only names and addresses that look private are refused.

    Args:
        reactor: For connections and time.
        host_policy: Where the upstream's links may lead.
        tls: Which certificates to trust.
        environment: Names the proxies: ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY``.

    Raises:
        InvalidSetting: The proxy for the upstream itself is of an unknown kind.
    """

    def __init__(
        self, reactor: Any, host_policy: HostPolicy, tls: IPolicyForHTTPS, environment: Mapping[str, str]
    ) -> None:
        proxy_for(host_policy.url, environment)
        self._reactor = reactor
        self._host_policy = host_policy
        self._environment = environment
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        # As Twisted's own documentation of the pool's log has it; the factory is the class's.
        self._pool._factory.noisy = False  # noqa: SLF001
        self._pool.maxPersistentPerHost = _IDLE_CONNECTIONS
        self._pool.cachedConnectionTimeout = _IDLE_SECONDS
        self._endpoints = _Endpoints(reactor, host_policy, tls, environment)
        self._agent = Agent.usingEndpointFactory(reactor, self._endpoints, self._pool)
        self._proxy_agents: dict[Proxy, ProxyAgent] = {}

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        url = uri.decode("ascii")
        where = origin(url)
        try:
            proxy = proxy_for(url, self._environment)
        except InvalidSetting as error:
            return fail(error)
        if proxy is None:
            return _deferred(self._agent.request(method, uri, headers, bodyProducer))
        if is_surely_private(where.host) and not self._host_policy.may_be_private(where.host, where.port):
            return fail(ForbiddenAddress(str(where)))
        if where.scheme == "https":
            return _deferred(self._agent.request(method, uri, headers, bodyProducer))
        headers = headers.copy() if headers else Headers()
        if proxy.credentials:
            headers.setRawHeaders(b"Proxy-Authorization", [proxy.credentials.header()])
        if proxy not in self._proxy_agents:
            # One for each, since it is the endpoint by which the pool knows its connections.
            endpoint = BoundedEndpoint(_proxy_endpoint(self._reactor, proxy))
            self._proxy_agents[proxy] = ProxyAgent(endpoint, self._reactor, self._pool)
        return _deferred(self._proxy_agents[proxy].request(method, uri, headers, bodyProducer))

    def trust(self, tls: IPolicyForHTTPS) -> None:
        """Replace the certificates that new connections trust; open connections stay."""
        self._endpoints.tls = tls

    def close(self) -> Deferred[None]:
        """Close idle connections; fires when they are closed."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed


def _deferred(answer: Any) -> Deferred[IResponse]:
    deferred: Deferred[IResponse] = answer
    return deferred


@implementer(IAgentEndpointFactory)
class _Endpoints:
    def __init__(
        self, reactor: Any, host_policy: HostPolicy, tls: IPolicyForHTTPS, environment: Mapping[str, str]
    ) -> None:
        self._reactor = reactor
        self._host_policy = host_policy
        self.tls = tls
        self._environment = environment

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host, is_tls = uri.host.decode("ascii"), uri.scheme == b"https"
        proxy = proxy_for(uri.toBytes().decode("ascii"), self._environment) if is_tls else None
        endpoint: IStreamClientEndpoint
        if proxy is not None:
            endpoint = TunnelEndpoint(_proxy_endpoint(self._reactor, proxy), proxy, host, uri.port)
        else:
            endpoint = self._direct(host, uri.port)
        if is_tls:
            endpoint = wrapClientTLS(self.tls.creatorForNetloc(uri.host, uri.port), endpoint)
        return BoundedEndpoint(endpoint)

    def _direct(self, host: str, port: int) -> IStreamClientEndpoint:
        is_trusted = self._host_policy.may_be_private(host, port)
        where = str(UrlOrigin("", host, port))
        guarded = GuardedReactor(self._reactor, where, lambda address: is_trusted or is_public(address))
        return HostnameEndpoint(guarded, host, port, timeout=CONNECT_SECONDS)


def _proxy_endpoint(reactor: Any, proxy: Proxy) -> IStreamClientEndpoint:
    """Return the endpoint of a proxy. The operator chose it, so it may have any address."""
    endpoint: IStreamClientEndpoint = HostnameEndpoint(
        reactor, proxy.host, proxy.port, timeout=CONNECT_SECONDS
    )
    return endpoint
