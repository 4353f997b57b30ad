"""The way to an upstream in memory: proxies and tunnels, and what is refused before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from zope.interface.verify import verifyObject

from simpleindex.core.errors import InvalidSetting
from simpleindex.core.names import parse_project_name
from simpleindex.upstreams.client import HttpUpstream
from simpleindex.upstreams.client_options import ClientOptions
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.upstreams.http.agent import OutgoingAgent, tls_policy
from simpleindex.upstreams.pages.urls import HostPolicy
from tests.fixtures.hostile_upstream import GOOD, JSON, always, endless
from tests.fixtures.network import Close, Network, response
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.fixtures.network import Request, Step

PROXIES = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY"), "http://me:s3cret@proxy.example:3128")
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Behind:
    """An upstream behind a proxy at a private address."""

    def __init__(self, url: str, script: Callable[[Request], Iterable[Step]], **further: str) -> None:
        self.network = Network(lambda request: iter(script(request)), {"proxy.example": ("10.9.9.9",)})
        self.agent = OutgoingAgent(self.network, HostPolicy(url), tls_policy(), {**PROXIES, **further})
        self.upstream = HttpUpstream(
            HostPolicy(url), self.agent, self.network.clock, InlineThreads(), options=ClientOptions("up")
        )

    def project(self) -> Any:
        return self.network.run(self.upstream.project(parse_project_name("acme"), None))

    def fault(self) -> UpstreamFailed:
        with pytest.raises(UpstreamFailed) as caught:
            self.project()
        assert "s3cret" not in str(caught.value)
        self.network.settle()
        assert all(connection.is_gone for connection in self.network.connections)
        assert not self.network.clock.getDelayedCalls()
        return caught.value


async def run_in_thread(function: Callable[..., Any], *arguments: Any, **further: Any) -> Any:
    """Not one."""
    return function(*arguments, **further)


class TestProxies(SynchronousTestCase):
    def test_http(self) -> None:
        """The proxy is asked for the whole URL, with its credentials; its connection is kept."""
        behind = Behind("http://up.example/simple/", always(response(GOOD, JSON)))
        assert behind.project() is not None
        assert behind.project() is not None
        request = behind.network.requests[0]
        assert (request.host, request.port) == ("10.9.9.9", 3128)
        assert (request.method, request.path) == ("GET", "http://up.example/simple/acme/")
        assert request.headers["host"] == "up.example"
        assert request.headers["proxy-authorization"] == "Basic bWU6czNjcmV0"
        assert len(behind.network.connections) == 1
        behind.agent.close()

    def test_https(self) -> None:
        """A tunnel is asked for, and TLS goes through it."""
        behind = Behind("https://up.example/simple/", always(ESTABLISHED))
        assert behind.fault().timed_out
        request = behind.network.requests[0]
        assert (request.method, request.path) == ("CONNECT", "up.example:443")
        assert request.headers == {"host": "up.example:443", "proxy-authorization": "Basic bWU6czNjcmV0"}
        assert behind.network.connections[0].received.startswith(b"\x16\x03\x01")  # a ClientHello

    def test_ipv6(self) -> None:
        """Addresses are in brackets."""
        behind = Behind("https://[2606:2800::1]:8443/simple/", always(Close()))
        behind.fault()
        assert behind.network.requests[0].path == "[2606:2800::1]:8443"

    def test_no_proxy(self) -> None:
        """What is exempt is asked directly."""
        behind = Behind(
            "http://93.184.215.14/simple/", always(response(GOOD, JSON)), NO_PROXY="93.184.215.14"
        )
        assert behind.project() is not None
        assert behind.network.requests[0].path == "/simple/acme/"
        behind.agent.close()

    def test_proxies_that_do_not_do_it(self) -> None:
        """Each ends, and the sentence blames the proxy."""
        for step, reason in (
            (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy answers 407"),
            (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "the proxy answers 502"),
            (b"HTTP/1.1 2000 OK\r\n\r\n", "the proxy speaks no HTTP"),
            (b"SSH-2.0-x\r\n\r\n", "the proxy speaks no HTTP"),
            (Close(), "the proxy closes the connection"),
        ):
            fault = Behind("https://up.example/simple/", always(step)).fault()
            assert reason in fault.reason
            assert not fault.timed_out
        fault = Behind(
            "https://up.example/simple/", endless(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 100)
        ).fault()
        assert "the proxy's headers are too long" in fault.reason
        assert Behind("https://up.example/simple/", always(b"HTTP/1.1 200")).fault().timed_out

    def test_what_is_surely_private_is_not_asked_for(self) -> None:
        """A proxy inside a private network would reach it."""
        behind = Behind("https://up.example/simple/", always(ESTABLISHED))
        for url in ("http://127.0.0.1/x", "https://10.0.0.1/x", "http://intranet/x", "https://x.internal/x"):
            with pytest.raises(UpstreamFailed, match="private"):
                behind.network.run(behind.upstream.open(url))
        assert not behind.network.connections

    def test_an_unknown_kind_is_refused_at_the_start(self) -> None:
        """Before any request, in words."""
        with pytest.raises(InvalidSetting, match="HTTPS_PROXY"):
            Behind("https://up.example/simple/", always(), https_proxy="socks5://p:1")
        behind = Behind("https://up.example/simple/", always(), http_proxy="socks5://p:1")
        with pytest.raises(UpstreamFailed, match="HTTP_PROXY"):
            behind.network.run(behind.upstream.open("http://other.example/x"))


def test_it_is_an_agent() -> None:
    """As Twisted has it."""
    verifyObject(IAgent, OutgoingAgent(Network(always()), HostPolicy("http://x/"), tls_policy(), {}))


@pytest.mark.parametrize(
    "pem", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_ca_file_without_certificates(pem: bytes) -> None:
    """It is refused, for trusting nobody is no setting."""
    with pytest.raises(InvalidSetting, match="certificates"):
        tls_policy(pem)
