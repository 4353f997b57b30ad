"""--http2: over TLS, with whoever negotiates it, and with nobody else."""

from __future__ import annotations

import ssl
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.events
import pytest
from twisted.internet.address import IPv4Address
from twisted.protocols.tls import TLSMemoryBIOFactory

from simpleindex.core.errors import RefusedStart
from simpleindex.web.http.channel import IndexChannel
from simpleindex.web.http2 import Http2Channel
from tests.service.service_world import service_world
from tests.tls.pems import issue, trusting
from tests.web.wire import SocketTransport, answers, get

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.service.service_world import ServiceWorld

TLS = "tcp:8443:interface=127.0.0.1"
ROOT = issue(ca=True)


class TlsClient:
    """A client's end of TLS with one of the service's listeners."""

    def __init__(self, world: ServiceWorld, *protocols: str) -> None:
        self.clock = world.reactor
        factory = world.reactor.tcpServers[0][1]
        assert isinstance(factory, TLSMemoryBIOFactory)
        factory._clock = self.clock
        self.tls: Any = factory.buildProtocol(None)
        self.transport = SocketTransport(self.clock, self.tls, IPv4Address("TCP", "192.0.2.7", 50000))
        self.tls.makeConnection(self.transport)
        context = trusting(ROOT)
        if protocols:
            context.set_alpn_protocols(protocols)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._end = context.wrap_bio(self._incoming, self._outgoing, server_hostname="a.example.com")
        for _flight in range(4):
            with suppress(ssl.SSLWantReadError):
                self._end.do_handshake()
            self._exchange()

    @property
    def channel(self) -> object:
        """What serves it."""
        return self.tls.wrappedProtocol

    def ask(self, data: bytes) -> bytes:
        """Send, and take all that comes."""
        if data:
            self._end.write(data)
        self._exchange()
        taken = bytearray()
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while piece := self._end.read(65536):
                taken += piece
        return bytes(taken)

    def _exchange(self) -> None:
        if self._outgoing.pending:
            self.tls.dataReceived(self._outgoing.read())
        for _turn in range(3):
            self.clock.advance(0)
        self._incoming.write(self.transport.take())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceWorld]:
    """Services whose certificate can be checked."""
    for made in service_world(tmp_path, monkeypatch):
        issue("a.example.com", by=ROOT).put(made.certs / "a.pem")
        yield made


def test_who_negotiates_it_gets_it(world: ServiceWorld) -> None:
    """From the handshake to the answer, once counted, and let go of at the end."""
    made = world.start(https=(TLS,), http2=True)
    connections = made._index.site.connections
    client = TlsClient(world, "h2", "http/1.1")
    assert isinstance(client.channel, Http2Channel)
    assert len(connections) == 1
    conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="ascii"))
    conn.initiate_connection()
    head = {":method": "GET", ":scheme": "https", ":authority": "a.example.com", ":path": "/-/health"}
    conn.send_headers(1, list(head.items()), end_stream=True)
    events = conn.receive_data(client.ask(conn.data_to_send()))
    (answer,) = (event for event in events if isinstance(event, h2.events.ResponseReceived))
    assert (":status", "200") in (answer.headers or ())
    drained = made._index.site.drain()
    assert any(
        isinstance(event, h2.events.ConnectionTerminated) for event in conn.receive_data(client.ask(b""))
    )
    assert drained.called
    assert len(connections) == 0


@pytest.mark.parametrize("protocols", [("http/1.1",), ()])
def test_others_get_what_they_know(world: ServiceWorld, protocols: tuple[str, ...]) -> None:
    """HTTP/1.1 is what it was."""
    world.start(https=(TLS,), http2=True)
    client = TlsClient(world, *protocols)
    assert isinstance(client.channel, IndexChannel)
    assert [answer.status for answer in answers(client.ask(get(b"/-/health")))] == [200]


def test_nobody_gets_it_unasked(world: ServiceWorld) -> None:
    """Without the option it is not offered, although it is installed."""
    made = world.start(https=(TLS,))
    assert made._index.site.acceptableProtocols() == [b"http/1.1"]
    client = TlsClient(world, "h2", "http/1.1")
    assert isinstance(client.channel, IndexChannel)
    assert client.tls.negotiatedProtocol == b"http/1.1"


def test_offered(world: ServiceWorld) -> None:
    """The site says what its channel speaks."""
    made = world.start(https=(TLS,), http2=True)
    assert made._index.site.acceptableProtocols() == [b"h2", b"http/1.1"]
    assert made._index.redirect_site.acceptableProtocols() == [b"http/1.1"]


def test_the_bound_of_an_address(world: ServiceWorld) -> None:
    """A connection is counted once, whatever it becomes."""
    made = world.start(https=(TLS,), http2=True, max_connections_per_address="1")
    first = TlsClient(world, "h2")
    assert isinstance(first.channel, Http2Channel)
    with pytest.raises(ssl.SSLError):
        TlsClient(world, "h2").ask(b"x")
    first.transport.leave()
    assert len(made._index.site.connections) == 0
    assert isinstance(TlsClient(world, "h2").channel, Http2Channel)


def test_without_the_extra(world: ServiceWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence says what is missing and where to get it."""
    for name in [name for name in sys.modules if name.startswith(("h2.", "simpleindex.web.http2"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "h2", None)
    with pytest.raises(RefusedStart, match=r"--http2: Python's h2.* the extra 'http2' of simpleindex"):
        world.make(https=(TLS,), http2=True)
    world.start(https=(TLS,), http2=None)


def test_certificates_keep_it(world: ServiceWorld) -> None:
    """It is still offered after a renewal."""
    world.start(https=(TLS,), http2=True)
    issue("a.example.com", by=ROOT).put(world.certs / "a.pem")
    world.reload()
    assert isinstance(TlsClient(world, "h2").channel, Http2Channel)
