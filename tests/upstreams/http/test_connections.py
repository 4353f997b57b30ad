"""A connection to another server can be closed and aborted in every state, as often as somebody does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from simpleindex.upstreams.http.connections import READ_BYTES, BoundedEndpoint, TunnelEndpoint
from simpleindex.upstreams.pages.urls import Proxy
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Callable

PROXY: Final = Proxy("proxy.example", 3128, None)


@implementer(IOpenSSLClientConnectionCreator)
class Contexts:
    """A client's half of TLS."""

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        connection.set_connect_state()
        return connection


@implementer(IStreamClientEndpoint)
class Endpoint:
    """Builds protocols, which are connected when the test says so."""

    built: Any

    def connect(self, protocolFactory: Any) -> Any:
        self.built = protocolFactory.buildProtocol(None)
        return Deferred()


@implementer(IStreamClientEndpoint)
class TlsEndpoint:
    """What goes through another endpoint is encrypted."""

    def __init__(self, endpoint: Any) -> None:
        self.endpoint = endpoint

    def connect(self, protocolFactory: Any) -> Any:
        return self.endpoint.connect(TLSMemoryBIOFactory(Contexts(), True, protocolFactory, Clock()))


class Wire(StringTransport):
    """A socket whose end is reported when the test says so."""

    aborted = 0
    bufferSize = 0

    def abortConnection(self) -> None:
        self.aborted += 1

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


def plain(lowest: Endpoint) -> Any:
    """Without TLS."""
    return BoundedEndpoint(lowest)


def encrypted(lowest: Endpoint) -> Any:
    """Over TLS."""
    return BoundedEndpoint(TlsEndpoint(lowest))


def tunnelled(lowest: Endpoint) -> Any:
    """Over TLS through a proxy."""
    return BoundedEndpoint(TlsEndpoint(TunnelEndpoint(lowest, PROXY, "up.example", 443)))


def through_an_encrypted_proxy(lowest: Endpoint) -> Any:
    """Over TLS through a proxy that itself speaks TLS."""
    return BoundedEndpoint(TlsEndpoint(TunnelEndpoint(TlsEndpoint(lowest), PROXY, "up.example", 443)))


class Connection:
    """A connection of some kind, all of whose layers are known."""

    def __init__(self, kind: Callable[[Endpoint], Any]) -> None:
        lowest = Endpoint()
        kind(lowest).connect(Factory.forProtocol(Protocol))
        self.lowest = lowest.built
        self.wire = Wire()
        for layer in self.layers:
            if hasattr(layer, "opened"):
                layer.opened.addErrback(lambda _: None)

    def connect(self) -> None:
        self.lowest.makeConnection(self.wire)

    def lose(self) -> None:
        self.lowest.connectionLost(Failure(ConnectionDone()))

    @property
    def layers(self) -> list[Any]:
        """From the highest wrapper to the lowest that are ours."""
        found: list[Any] = []
        layer = self.lowest
        while hasattr(layer, "wrappedProtocol"):
            if type(layer).__module__.startswith("simpleindex."):
                found.insert(0, layer)
            layer = layer.wrappedProtocol
        return found


STORIES: Final = (
    "close",
    "connect close",
    "connect close close",
    "connect close lose close",
    "connect lose close",
    "connect lose close close",
)


@for_each("way", ["loseConnection", "abortConnection"])
@for_each("story", STORIES)
@for_each("kind", [plain, encrypted, tunnelled, through_an_encrypted_proxy])
def test_any_end(kind: Callable[[Endpoint], Any], story: str, way: str) -> None:
    """Never begun, within the handshake, closed by the other side, twice."""
    connection = Connection(kind)
    layers = connection.layers
    assert layers
    for step in story.split():
        if step == "close":
            for layer in layers:
                getattr(layer, way)()
        else:
            getattr(connection, step)()
    if way == "abortConnection":
        assert connection.wire.aborted == story.startswith("connect close")


@pytest.mark.parametrize("kind", [plain, encrypted])
def test_the_pool_ends_what_the_other_side_has_closed(kind: Callable[[Endpoint], Any]) -> None:
    """A kept connection's protocol closes its transport when its time is over, whatever has become of it."""
    connection = Connection(kind)
    connection.connect()
    protocol = connection.layers[0].wrappedProtocol
    connection.lowest.connectionLost(Failure(ConnectionAborted()))
    protocol.transport.loseConnection()
    protocol.transport.abortConnection()
    assert not connection.wire.aborted


def test_what_comes_with_the_proxy_s_answer_is_of_the_tunnel() -> None:
    """A server may speak first, and both may be in one piece."""
    said: list[bytes] = []

    class Listener(Protocol):
        def dataReceived(self, data: bytes) -> None:
            said.append(data)

    lowest = Endpoint()
    TunnelEndpoint(lowest, PROXY, "up.example", 443).connect(Factory.forProtocol(Listener))
    lowest.built.makeConnection(Wire())
    lowest.built.dataReceived(b"HTTP/1.1 200 Connection established\r\n\r\nhello")
    lowest.built.dataReceived(b" there")
    assert said == [b"hello", b" there"]


def test_after_too_many_headers_nothing_is_heard() -> None:
    """The connection is aborted, and what still comes of it is nobody's."""
    said: list[bytes] = []

    class Listener(Protocol):
        def dataReceived(self, data: bytes) -> None:
            said.append(data)

    lowest, wire = Endpoint(), Wire()
    BoundedEndpoint(lowest).connect(Factory.forProtocol(Listener))
    lowest.built.makeConnection(wire)
    lowest.built.write(b"GET / HTTP/1.1\r\n\r\n")
    lowest.built.dataReceived(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000_000)
    assert wire.aborted
    said.clear()
    lowest.built.dataReceived(b"more")
    assert said == []


@pytest.mark.parametrize("kind", [plain, encrypted])
def test_much_is_read_at_once(kind: Callable[[Endpoint], Any]) -> None:
    """From the socket itself, whatever lies between."""
    connection = Connection(kind)
    connection.connect()
    assert connection.wire.bufferSize == READ_BYTES
