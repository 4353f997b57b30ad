"""The PROXY protocol: headers of either version in any pieces, and only from proxies that are trusted."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

from simpleindex.config.values import to_listen
from simpleindex.service.ports.listening import endpoint
from tests.fixtures.tables import for_each

PROXY = IPv4Address("TCP", "192.0.2.9", 5)
CLIENT = IPv4Address("TCP", "198.51.100.7", 4711)
REQUEST = b"GET / HTTP/1.1\r\n\r\n"
V1 = b"PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\n"
V2 = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11"
    + struct.pack("!H", 12)
    + socket.inet_aton("198.51.100.7")
    + socket.inet_aton("203.0.113.1")
    + struct.pack("!HH", 4711, 443)
)
UNKNOWN = b"PROXY UNKNOWN\r\n"
UNKNOWN_WITH_ADDRESSES = b"PROXY UNKNOWN ffff:f::1 ffff:f::1 65535 65535\r\n"
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"


class Taking(Protocol):
    """Takes what comes, and from whom."""

    def __init__(self) -> None:
        self.data = b""
        self.peers: list[Any] = []

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.data += data
        self.peers.append(self.transport.getPeer())


@implementer(ILogObserver)
class ProxyProtocolFixture:
    """A port behind a proxy, in memory."""

    def __init__(self, *trusted: str) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.made: list[Taking] = []
        self.lines: list[str] = []
        factory = Factory.forProtocol(Taking)
        factory.protocol = self._make
        listen = to_listen("haproxy:tcp:8443")
        made = endpoint(self.reactor, listen, "https", has_ipv6=bool, is_trusted=lambda host: host in trusted)
        made.listen(factory)

    def _make(self) -> Taking:
        self.made.append(Taking())
        return self.made[-1]

    def connect(self, *pieces: bytes, peer: Any = PROXY) -> StringTransport | None:
        """Connect and send pieces; None for a connection that is not let in."""
        globalLogPublisher.addObserver(self)
        try:
            protocol = self.reactor.tcpServers[0][1].buildProtocol(peer)
            if protocol is None:
                return None
            transport = StringTransport(peerAddress=peer)
            protocol.makeConnection(transport)
            for piece in pieces:
                if not transport.disconnecting:
                    protocol.dataReceived(piece)
            return transport
        finally:
            globalLogPublisher.removeObserver(self)

    def __call__(self, event: Any) -> None:
        self.lines.append(event["log_format"].format(**event))


@for_each(
    "peer",
    [
        PROXY,
        IPv6Address("TCP", "::ffff:192.0.2.9", 5),
        IPv4Address("TCP", "127.0.0.1", 5),
        IPv6Address("TCP", "::1", 5),
        UNIXAddress("/run/proxy.sock"),
    ],
)
@for_each(
    ("header", "client"),
    [(V1, CLIENT), (V2, CLIENT), (UNKNOWN, None), (UNKNOWN_WITH_ADDRESSES, None), (LOCAL, None)],
)
def test_the_header_of_a_trusted_proxy_is_believed(peer: Any, header: bytes, client: Any) -> None:
    """The client is who the header names; where it names nobody, the proxy itself."""
    world = ProxyProtocolFixture("192.0.2.9")
    transport = world.connect(header + REQUEST, peer=peer)
    assert transport is not None
    assert not transport.disconnecting
    (taking,) = world.made
    assert taking.data == REQUEST
    assert {getattr(each, "host", None) for each in taking.peers} == {
        getattr(peer if client is None else client, "host", None)
    }
    assert world.lines == []


@pytest.mark.parametrize("peer", [CLIENT, IPv6Address("TCP", "2001:db8::1", 5)])
@pytest.mark.parametrize("trusted", [(), ("192.0.2.9",)])
def test_nobody_else_may_connect(peer: Any, trusted: tuple[str, ...]) -> None:
    """Such a header could claim to come from this machine. The log says what to do, once a minute."""
    world = ProxyProtocolFixture(*trusted)
    for _ in range(3):
        assert world.connect(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n" + REQUEST, peer=peer) is None
    assert world.made == []
    (line,) = world.lines
    assert line.startswith(f"A connection from {peer.host} to a haproxy endpoint was closed")
    assert "--trusted-proxy" in line
    world.reactor.advance(60)
    world.connect(peer=peer)
    assert len(world.lines) == 2


@pytest.mark.parametrize(
    "data", [REQUEST, b"\x16\x03\x01\x02\x00" * 5, b"PROXX TCP4 ", b"\r\n\r\n\x00\r\nQUIX"]
)
def test_what_is_no_header_is_closed_and_logged(data: bytes) -> None:
    """For the operator whose proxy sends none."""
    world = ProxyProtocolFixture("192.0.2.9")
    transport = world.connect(data)
    assert transport is not None
    assert transport.disconnecting
    assert world.made[0].data == b""
    (line,) = world.lines
    assert "does not begin with a PROXY header" in line


@given(st.sampled_from([V1, V2, UNKNOWN, UNKNOWN_WITH_ADDRESSES, LOCAL]), st.data())
def test_pieces_do_not_matter(header: bytes, data: st.DataObject) -> None:
    """TCP delivers bytes in pieces of any size."""
    whole = header + REQUEST
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    world = ProxyProtocolFixture("192.0.2.9")
    transport = world.connect(*pieces)
    assert transport is not None
    assert not transport.disconnecting
    assert world.made[0].data == REQUEST
