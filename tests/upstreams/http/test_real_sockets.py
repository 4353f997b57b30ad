"""An upstream over real sockets and real TLS on loopback, directly and through a proxy; our own server is the upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet import reactor as real_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, serverFromString
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from simpleindex.core.errors import NotHere
from simpleindex.core.names import parse_project_name
from simpleindex.upstreams.client import HttpUpstream
from simpleindex.upstreams.client_options import ClientOptions
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.upstreams.http.agent import OutgoingAgent, tls_policy
from simpleindex.upstreams.pages.urls import HostPolicy
from simpleindex.web.http.site import IndexSite
from tests.fixtures.certificates import Issued, issue
from tests.fixtures.site import SiteFixture
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Callable

reactor: Any = real_reactor
ACME = parse_project_name("acme")
CONTENT = bytes(range(256)) * 4000


class Far(Protocol):
    """The far end of a tunnel."""

    def __init__(self, near: ConnectProxy) -> None:
        self.near = near

    def connectionMade(self) -> None:
        assert self.near.transport is not None
        self.near.transport.write(b"HTTP/1.1 200 Connection established\r\nX-Proxy: a\r\n\r\n")

    def dataReceived(self, data: bytes) -> None:
        assert self.near.transport is not None
        self.near.transport.write(data)


class ConnectProxy(Protocol):
    """Opens a tunnel for every client, and keeps the requests."""

    factory: Any

    def __init__(self) -> None:
        self.far: Far | None = None

    def dataReceived(self, data: bytes) -> None:
        if self.far is not None:
            assert self.far.transport is not None
            self.far.transport.write(data)
            return
        self.factory.asked.append(data)
        host, _, port = data.split(b" ")[1].decode().rpartition(":")
        self.far = Far(self)
        connectProtocol(HostnameEndpoint(reactor, host, int(port)), self.far)

    def connectionLost(self, reason: Any = None) -> None:
        if self.far is not None and self.far.transport is not None:
            self.far.transport.loseConnection()


@implementer(IOpenSSLContextFactory)
class Contexts:
    """A factory of the one."""

    def __init__(self, context: SSL.Context) -> None:
        self.context = context

    def getContext(self) -> SSL.Context:
        return self.context


class TestRealSockets(TestCase):
    timeout = 120

    def setUp(self) -> None:
        self.root = issue(ca=True)
        self.index = SiteFixture()
        self.index.source.add("acme-1.0-py3-none-any.whl", CONTENT, metadata=b"Name: acme\n")
        self.index.source.add("acme-2.0.tar.gz", b"sdist", yanked="broken")
        self.agents: list[OutgoingAgent] = []

    async def listen(self, certificate: Issued) -> int:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(certificate.certificate)
        context.use_privatekey(certificate.key)
        options = Contexts(context)
        site = IndexSite(self.index.resource, reactor, request_over=lambda request: None)
        port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(
            TLSMemoryBIOFactory(options, False, site)
        )
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def upstream(
        self, url: str, environment: dict[str, str] | None = None, ca: bytes | None = None
    ) -> HttpUpstream:
        host_policy = HostPolicy(url)
        pem = ca or self.root.certificate.public_bytes(Encoding.PEM)
        agent = OutgoingAgent(reactor, host_policy, tls_policy(pem), environment or {})
        self.addCleanup(agent.close)
        return HttpUpstream(host_policy, agent, reactor, InlineThreads(), options=ClientOptions("up"))

    async def test_everything_of_an_index(self) -> None:
        """Projects, a project, once more unchanged, one that is not there, a file, its rest, its sidecar."""
        port = await self.listen(issue("localhost", by=self.root))
        upstream = self.upstream(f"https://localhost:{port}/simple/")
        await self.ask(upstream)

    async def test_through_a_proxy(self) -> None:
        """The same through a tunnel."""
        port = await self.listen(issue("localhost", by=self.root))
        factory: Any = Factory.forProtocol(ConnectProxy)
        factory.asked = []
        proxy = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
        self.addCleanup(proxy.stopListening)
        environment = {"https_proxy": f"http://127.0.0.1:{proxy.getHost().port}"}
        await self.ask(self.upstream(f"https://localhost:{port}/simple/", environment))
        assert factory.asked[0].startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % port)

    async def ask(self, upstream: HttpUpstream) -> None:
        assert await upstream.projects() == ("acme",)
        listing = await upstream.project(ACME, None)
        assert listing is not None
        wheel, sdist = listing.project.files
        page = self.index.source.pages["acme"]
        assert [(file.sha256, file.size, file.uploaded_ns) for file in (wheel, sdist)] == [
            (file.sha256, file.size, file.uploaded_ns) for file in page.files
        ]
        assert sdist.yanked == "broken"
        assert await upstream.project(ACME, listing.validators) is None
        with self.assertRaises(NotHere):
            await upstream.project(parse_project_name("other"), None)
        assert wheel.url is not None
        assert await self.fetch(upstream, wheel.url) == CONTENT
        stream = await upstream.open(wheel.url)
        validators = stream.validators
        stream.close()
        assert await self.fetch(upstream, wheel.url, 1000, validators) == CONTENT[1000:]
        assert await self.fetch(upstream, f"{wheel.url}.metadata") == b"Name: acme\n"
        fetched = await gatherResults([_start(self.fetch(upstream, wheel.url)) for _ in range(5)])
        assert fetched == [CONTENT] * 5

    async def fetch(self, upstream: HttpUpstream, url: str, offset: int = 0, validators: Any = None) -> bytes:
        stream = await upstream.open(url, offset, validators)
        assert stream.offset == offset
        whole = b""
        while data := await stream.read():
            whole += data
        stream.close()
        return whole

    async def test_whom_we_do_not_trust(self) -> None:
        """Another authority's certificate, one for another name, and one that has expired are refused."""
        other = issue(ca=True).certificate.public_bytes(Encoding.PEM)
        for certificate, ca in (
            (issue("localhost", by=self.root), other),
            (issue("elsewhere.example", by=self.root), None),
        ):
            port = await self.listen(certificate)
            with self.assertRaises(UpstreamFailed) as caught:
                await self.upstream(f"https://localhost:{port}/simple/", ca=ca).project(ACME, None)
            assert "certificate" in caught.exception.reason, caught.exception


def _start(question: Any) -> Any:
    return Deferred.fromCoroutine(question)


async def run_in_thread(function: Callable[..., Any], *arguments: Any, **further: Any) -> Any:
    """Not one."""
    return function(*arguments, **further)
